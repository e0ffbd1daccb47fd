"""Real processes over one Redis and one vendor: the account's limits are kept by all together."""

import asyncio
import json
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from ihuyi_voice.simulator import Simulator

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
RATE_CODES = {4080, 4081, 4082}


async def start(*arguments: object) -> asyncio.subprocess.Process:
    """Start a worker."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.guards.redis_worker", *map(str, arguments),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def ended(worker: asyncio.subprocess.Process) -> Counter[str]:
    """Return what a worker says of its messages; nothing if it was killed."""
    told, _ = await worker.communicate()
    return Counter(json.loads(told)) if told else Counter()


async def test_three_processes_meet_no_limit(redis_url: str, prefix: str) -> None:
    """The same 200 numbers once from each: every message accepted, not one reply 408x."""
    simulator = Simulator(latency=0.005)
    async with simulator.serve() as url:
        workers = [await start(url, redis_url, prefix, 200, 1, seed) for seed in range(3)]
        outcomes = sum([await ended(worker) for worker in workers], Counter[str]())
    assert outcomes["ACCEPTED"] == 600
    assert simulator.codes == {2: 600}


async def test_a_killed_process_costs_no_limit(redis_url: str, prefix: str) -> None:
    """What it had in flight counts when its leases lapse, and the others go on then."""
    simulator = Simulator(latency=0.05)
    async with simulator.serve() as url:
        workers = [await start(url, redis_url, prefix, 200, 1, seed) for seed in range(3)]
        async with asyncio.timeout(60.0):
            await simulator.arrived(100)
        with suppress(ProcessLookupError):
            workers[0].kill()
        outcomes = sum([await ended(worker) for worker in workers], Counter[str]())
    assert outcomes["ACCEPTED"] == 400
    assert not simulator.codes.keys() & RATE_CODES
