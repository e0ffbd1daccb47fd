"""Celery as the engine: what it gives out again after a lost worker rings nobody twice."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from ihuyi_voice import Message, OutcomeStatus
from ihuyi_voice.ledger import Ledger
from tests.samples import celery_tasks
from tests.support.databases import own_database
from tests.support.redis_servers import PrivateRedis
from tests.workers.processes import running
from tests.workers.vendor import RATE_CODES, vendor_of

RUN: Final = "nightly"
MESSAGES: Final = [
    Message(f"138{place % 150:08d}", f"您的订单号是：{place}。", f"m{place}")
    for place in range(200)
]
IN_FLIGHT: Final = 2 * 2 * 10  # of a worker with two processes; as much again may be granted
VISIBILITY: Final = "1"  # seconds: less than a part takes

pytestmark = [pytest.mark.timeout(240), pytest.mark.long]


@asynccontextmanager
async def celery(
    environment: Mapping[str, str], folder: Path, name: str
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a worker of two processes, in a group of its own, which is killed at the end."""
    command = [sys.executable, "-m", "celery", "-A", "tests.samples.celery_tasks", "worker",
               "--concurrency", "2", "--hostname", f"{name}@test", "--loglevel", "INFO",
               "--without-gossip", "--without-mingle", "--without-heartbeat"]  # fmt: skip
    with (folder / f"{name}.log").open("wb") as log:
        async with running(command, environment, log=log, apart=True) as process:
            try:
                yield process
            finally:
                kill_all(process)


def kill_all(process: asyncio.subprocess.Process) -> None:
    """Kill a worker with all its processes, as a power cut does."""
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)


def children(process: asyncio.subprocess.Process) -> list[int]:
    """Return the processes of a worker."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in found.split()]


def logs(folder: Path) -> str:
    """Return what the workers have written."""
    return "".join(path.read_text() for path in folder.glob("*.log"))


async def all_done(ledger: str) -> dict[str, int]:
    """Return the run's outcomes once all its parts are done; only other processes know when."""
    async with Ledger.open(ledger) as opened:
        progress = await opened.parts.progress(RUN)
        while progress.done < len(progress.parts):
            await asyncio.sleep(0.3)
            progress = await opened.parts.progress(RUN)
        return {str(status): count for status, count in progress.counts.items()}


async def test_what_is_given_out_again_rings_nobody_twice(
    postgres: str,
    make_redis: Callable[..., PrivateRedis],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One worker loses a process, one is killed, and each part takes longer than it is hidden."""
    redis = make_redis()
    async with (
        own_database(postgres) as ledger,
        vendor_of(tmp_path, latency=0.2) as vendor,
    ):
        environment = vendor.environment | {
            "IHUYI_LEDGER": ledger, "IHUYI_GUARD": redis.url, "SHOP_BROKER": redis.url,
            "SHOP_VISIBILITY": VISIBILITY,
        }  # fmt: skip
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(celery_tasks.app.conf, "broker_url", redis.url)
        await celery_tasks.begin(RUN, MESSAGES, part_size=40)
        async with (
            celery(environment, tmp_path, "a") as a,
            celery(environment, tmp_path, "b") as b,
        ):
            await vendor.arrived(20)
            os.kill(children(a)[0], signal.SIGKILL)
            await vendor.arrived(60)
            kill_all(b)
            await b.wait()
            async with celery(environment, tmp_path, "c"):
                counts = await all_done(ledger)
        calls, codes = Counter(vendor.calls()), vendor.codes()
    assert max(calls.values()) == 1
    assert counts[OutcomeStatus.ACCEPTED] + counts.get(OutcomeStatus.UNKNOWN, 0) == len(MESSAGES)
    assert sum(calls.values()) >= counts[OutcomeStatus.ACCEPTED]
    assert counts.get(OutcomeStatus.UNKNOWN, 0) <= 2 * IN_FLIGHT
    assert not codes.keys() & RATE_CODES
    told = logs(tmp_path)
    assert "WorkerLostError" in told
    parts = -(-len(MESSAGES) // 40)
    assert told.count("] received") > parts  # some were given out again, perhaps while worked on
