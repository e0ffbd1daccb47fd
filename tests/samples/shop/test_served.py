"""The shop as it runs: two workers of uvicorn, stopped in the midst of a call."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import httpx
import pytest

from ihuyi_voice.simulator import Fault
from ihuyi_voice.testing import ServedSimulator
from tests.support.looking import comes_true

APP = f"{__package__}.app:create_app"
RUNNING = re.compile(rb"Uvicorn running on (http://127\.0\.0\.1:\d+)")
STARTED = b"Application startup complete"

# Other processes have other clocks: the simulator's goes as theirs do.
pytestmark = [pytest.mark.ihuyi(clock=time.time, report_delay=0.0), pytest.mark.long]


@attrs.frozen
class Shop:
    """A shop that runs.

    Attributes:
        process: uvicorn.
        web: A client of it.
    """

    process: asyncio.subprocess.Process
    web: httpx.AsyncClient

    async def order(self, mobile: str) -> str:
        """Order something, and return the order's address."""
        answer = await self.web.post("/orders", json={"mobile": mobile})
        return f"/orders/{answer.json()['number']}"


@asynccontextmanager
async def running(folder: Path, workers: int) -> AsyncGenerator[Shop]:
    """Run the shop while inside; what it needs to know stands in the environment."""
    settings = {"SHOP_FOLDER": str(folder), "IHUYI_PUSH_TOKEN": "s3cret"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "uvicorn", "--factory", APP, "--port", "0",
        "--workers", str(workers), "--no-access-log",
        env=os.environ | settings, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        address = await _address(process, workers)
        async with httpx.AsyncClient(base_url=address, timeout=30) as web:
            yield Shop(process, web)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _address(process: asyncio.subprocess.Process, workers: int) -> str:
    """Return where it listens, once every worker has started."""
    address, started, said = "", 0, b""
    assert process.stderr is not None
    while started < workers or not address:
        line = await process.stderr.readline()
        said += line
        assert line, said.decode()
        found = RUNNING.search(line)
        address = found[1].decode() if found else address
        started += STARTED in line
    return address


async def test_two_workers_ring_an_order_once(
    ihuyi_simulator: ServedSimulator, tmp_path: Path
) -> None:
    """Whichever of them is asked, and at once; and either knows what was pushed to the other."""
    async with running(tmp_path, workers=2) as shop:
        ihuyi_simulator.pushes_to(str(shop.web.base_url), "/ihuyi/s3cret")
        address = await shop.order("13900000000")
        asked = [shop.web.post(f"{address}/shipped") for _ in range(8)]
        answers = await asyncio.gather(*asked)
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["voice_id"] for answer in answers}) == 1
        told = await shop.web.get(address, params={"wait": 30})
        assert told.json()["report"]["answered"] is True
    assert ihuyi_simulator.rung().total() == 1


async def test_a_shop_that_is_stopped_ends_the_calls_in_flight(
    ihuyi_simulator: ServedSimulator, tmp_path: Path
) -> None:
    """Our own caller has its answer, and after a restart it is still known: it rings once."""
    ihuyi_simulator.add_fault(Fault("latency", seconds=0.5, times=1))
    async with running(tmp_path, workers=1) as shop:
        address = await shop.order("13900000000")
        asked = asyncio.create_task(shop.web.post(f"{address}/shipped"))
        await comes_true(lambda: ihuyi_simulator.arrivals)
        shop.process.send_signal(signal.SIGTERM)
        answer = await asked
        assert answer.status_code == 200
        await shop.process.wait()
    async with running(tmp_path, workers=1) as shop:
        again = await shop.web.post(f"{address}/shipped")
        assert again.json()["voice_id"] == answer.json()["voice_id"]
    assert ihuyi_simulator.rung().total() == 1
