"""Processes that are killed and put to sleep: nothing twice, nothing missing."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ihuyi_voice import Message, OutcomeStatus
from ihuyi_voice.simulator import Simulator
from ihuyi_voice.workers import distribute
from tests.support.redis_servers import own_prefix
from tests.workers.support import ACCOUNT, execute, own_ledger, rung, until

MESSAGES = [
    Message(f"138{number % 200:08d}", f"您的验证码是：{number}。", f"m{number}")
    for number in range(300)
]
IN_FLIGHT = 20  # of one worker


@asynccontextmanager
async def worker_of(*arguments: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a worker's process; it has ended, whatever happens."""
    command = [sys.executable, "-m", "tests.workers.worker", *arguments]
    process = await asyncio.create_subprocess_exec(*command, cwd=Path(__file__).parents[2])
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _held_by(url: str, prefix: str, *pids: int) -> dict[int, int]:
    """Return the owners of the parts that these processes hold, by part."""
    rows = await execute(
        url,
        f"SELECT p.part, p.owner FROM {prefix}_parts p JOIN {prefix}_owners o ON o.id = p.owner"  # noqa: S608
        " WHERE p.done = 0 AND o.pid = ANY($1)",
        pids,
    )
    return {row["part"]: row["owner"] for row in rows}


async def _taken_after(url: str, prefix: str, part: int, owner: int) -> tuple[int, float]:
    """Return how often a part was opened, and how long after a beat of whoever held it first."""
    asked = (
        "SELECT p.epoch, p.opened_at - o.beat_at AS after"  # noqa: S608
        f" FROM {prefix}_parts p, {prefix}_owners o WHERE p.part = $1 AND o.id = $2"
    )
    (row,) = await execute(url, asked, part, owner)
    return row["epoch"], row["after"]


@pytest.mark.long
async def test_one_killed_one_asleep_and_one_awake(postgres: str, redis_url: str) -> None:
    """Parts change hands, and not before 10 s by the database's clock.

    Each message rings once at most, in order, without a 408x; UNKNOWN is what was in flight.
    """
    simulator = Simulator(latency=0.05)
    with own_prefix(redis_url) as guard:
        async with own_ledger(postgres) as (ledger, prefix), simulator.serve() as url:
            arguments = (url, postgres, prefix, redis_url, guard)
            await distribute(ledger, "r", MESSAGES, part_size=25, account=ACCOUNT)
            async with worker_of(*arguments) as killed, worker_of(*arguments) as asleep:
                await simulator.arrived(60)
                killed.kill()
                asleep.send_signal(signal.SIGSTOP)
                held = await _held_by(postgres, prefix, killed.pid, asleep.pid)
                async with worker_of(*arguments) as awake:
                    progress = await until(ledger, lambda now: now.done == len(now.parts))
                    taken = [await _taken_after(postgres, prefix, *each) for each in held.items()]
                    asleep.send_signal(signal.SIGCONT)
                    asleep.terminate()
                    awake.terminate()
                    assert [await asleep.wait(), await awake.wait()] == [0, 0]
            counts = progress.counts
    assert held
    assert {epoch for epoch, _ in taken} == {2}
    assert min(after for _, after in taken) > 10.0
    calls = rung(simulator)
    assert max(Counter(calls).values()) == 1
    assert not [each for each in simulator.arrivals if each.code in {4080, 4081, 4082}]
    assert set(counts) <= {OutcomeStatus.ACCEPTED, OutcomeStatus.UNKNOWN}
    assert sum(counts.values()) == 300
    assert counts.get(OutcomeStatus.UNKNOWN, 0) <= 2 * IN_FLIGHT
    assert len(calls) >= counts[OutcomeStatus.ACCEPTED]
    place = {each.content: number for number, each in enumerate(MESSAGES)}
    for mobile in {mobile for mobile, _ in calls}:
        order = [place[content] for called, content in calls if called == mobile]
        assert order == sorted(order)
