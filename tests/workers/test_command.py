"""A list, a few machines and the command: told everything by the environment, as containers are."""

import asyncio
import csv
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from string import Template
from typing import Any, Final

import attrs
import pytest
import yaml  # type: ignore[import-untyped]  # it has no types

from tests.support.command import program
from tests.support.databases import own_database
from tests.support.long import few_or_many
from tests.support.redis_servers import PrivateRedis
from tests.workers.processes import running, start, written
from tests.workers.vendor import RATE_CODES, Vendor, vendor_of

COMPOSE: Final = Path(__file__).parents[1] / "samples" / "compose.yaml"
RUN: Final = "nightly"


def write_list(folder: Path, rows: int, numbers: int) -> Path:
    """Write a list, with repeats of numbers and a row that can't be sent; return it."""
    path = folder / "list.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["mobile", "content", "reference"])
        for row in range(rows):
            writer.writerow([f"139{row % numbers:08d}", f"您的订单号是：{row}。", f"m{row}"])
        writer.writerow(["12", "您的订单号是：x。", "bad"])
    return path


async def told(
    environment: Mapping[str, str], *arguments: str
) -> tuple[int | None, list[dict[str, Any]]]:
    """Run the command to its end; return its exit code, and the JSON that it printed."""
    process = await start([*program(), *arguments], environment, out=True)
    out, _ = await process.communicate()
    return process.returncode, [json.loads(line) for line in out.splitlines()]


@pytest.fixture
async def world(
    postgres: str, make_redis: Callable[..., PrivateRedis], tmp_path: Path
) -> AsyncGenerator[tuple[Vendor, dict[str, str]]]:
    """Yield a vendor, and what every container is told."""
    redis = make_redis()
    async with (
        own_database(postgres) as ledger,
        vendor_of(tmp_path, latency=0.05) as vendor,
    ):
        shared = {"IHUYI_LEDGER": ledger, "IHUYI_GUARD": redis.url, "IHUYI_LANG": "en"}
        yield vendor, vendor.environment | shared


@attrs.frozen
class Container:
    """A container of the compose file, as a process: its command, and nothing but its environment.

    Attributes:
        command: What it runs.
        environment: All that it is told.
    """

    command: Sequence[str]
    environment: Mapping[str, str]

    async def start(self, *, out: bool = False) -> asyncio.subprocess.Process:
        """Start it."""
        return await start(self.command, self.environment, out=out)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[asyncio.subprocess.Process]:
        """Run it while inside."""
        async with running(self.command, self.environment) as process:
            yield process


def composed(variables: Mapping[str, str]) -> dict[str, list[Container]]:
    """Return the containers of each service of the compose file, its variables filled in."""
    text = Template(COMPOSE.read_text(encoding="utf-8")).substitute(variables)
    return {
        name: [container(service)] * service.get("deploy", {}).get("replicas", 1)
        for name, service in yaml.safe_load(text)["services"].items()
    }


def container(service: Mapping[str, Any]) -> Container:
    """Return a container of a service."""
    name, *arguments = service["command"]
    assert name == "ihuyi-voice"
    return Container([*program(), *arguments], {**service["environment"], "IHUYI_LANG": "en"})


@asynccontextmanager
async def at_work(
    environment: Mapping[str, str], folder: Path, name: str, **more: str
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run `ihuyi-voice work` while inside."""
    with (folder / f"{name}.log").open("wb") as log:
        async with running([*program(), "work"], {**environment, **more}, log=log) as process:
            yield process


@pytest.mark.slow
async def test_a_list_is_worked_on_as_the_compose_file_says(
    world: tuple[Vendor, dict[str, str]], tmp_path: Path
) -> None:
    """One loads it, three work, one follows; each phone rings once, and SIGTERM ends them."""
    vendor, environment = world
    rows = few_or_many(60, 240)
    path = write_list(tmp_path, rows=rows, numbers=rows - 40)
    services = composed(environment | {"LIST": str(path)})
    (loading,), workers, (following,) = services["list"], services["worker"], services["progress"]
    assert await (await loading.start()).wait() == 1  # for a row can't be sent
    async with AsyncExitStack() as stack:
        working = [await stack.enter_async_context(each.running()) for each in workers]
        process = await following.start(out=True)
        out, _ = await process.communicate()
        for each in working:
            each.terminate()
        assert [await each.wait() for each in working] == [0, 0, 0]
    seen = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 0
    assert (seen[-1]["outcomes"]["ACCEPTED"], seen[-1]["done"]) == (rows, seen[-1]["parts"])
    assert any(each["alive"] for line in seen for each in line["workers"])
    assert sorted(Counter(vendor.calls()).values()) == [1] * rows
    assert not vendor.codes().keys() & RATE_CODES


@pytest.mark.slow
async def test_a_worker_whose_output_nobody_reads_ends_at_the_first_signal(
    world: tuple[Vendor, dict[str, str]],
) -> None:
    """What is in flight is awaited all the same; a second signal, or SIGKILL, would lose it."""
    _, environment = world
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as log:
        async with running([*program(), "work"], environment, log=log) as worker:
            assert os.read(reading, 1)
            os.close(reading)
            worker.terminate()
            assert await worker.wait() == 6


@pytest.mark.long
async def test_a_second_signal_lets_go_of_what_is_in_flight(
    world: tuple[Vendor, dict[str, str]], tmp_path: Path
) -> None:
    """The first waits for it; then it is unknown, and nobody rings it again."""
    _, environment = world
    async with vendor_of(tmp_path, silent=True) as mute:
        environment |= mute.environment
        path = write_list(tmp_path, rows=30, numbers=30)
        await told(environment, "send", str(path), "--distribute", "--run", RUN, "--json")
        async with at_work(environment, tmp_path, "a") as worker:
            await mute.arrived(1)
            worker.terminate()
            await written(tmp_path / "a.log", "once more to let go of it")
            worker.terminate()
            assert await worker.wait() == 130
    _, (report,) = await told(environment, "ledger", "show", RUN, "--json")
    assert report["outcomes"]["UNKNOWN"] >= 1
    assert report["outcomes"]["OPEN"] + report["outcomes"]["UNKNOWN"] == 30


@pytest.mark.long
async def test_a_run_is_stopped_for_all_and_goes_on(
    world: tuple[Vendor, dict[str, str]], tmp_path: Path
) -> None:
    """By `ledger stop`, with its reason; `ledger resume` gives it back to the workers."""
    vendor, environment = world
    path = write_list(tmp_path, rows=400, numbers=400)
    await told(environment, "send", str(path), "--distribute", "--run", RUN, "--json")
    async with at_work(environment, tmp_path, "a", IHUYI_CONCURRENCY="10", IHUYI_PARTS="1") as a:
        await vendor.arrived(10)
        process = await start(
            [*program(), "ledger", "stop", RUN, "--reason", "wrong list"], environment
        )
        assert await process.wait() == 0
        code, seen = await told(environment, "ledger", "show", RUN, "--follow", "--json")
        assert (code, seen[-1]["stopped"], seen[-1]["cause"]) == (1, True, "wrong list")
        before = len(vendor.calls())
        assert before < 400
        process = await start([*program(), "ledger", "resume", RUN], environment)
        assert await process.wait() == 0
        code, seen = await told(environment, "ledger", "show", RUN, "--follow", "--json")
        assert code == 0
        a.send_signal(signal.SIGINT)
        assert await a.wait() == 0
    assert len(set(vendor.calls())) == len(vendor.calls()) == 400
