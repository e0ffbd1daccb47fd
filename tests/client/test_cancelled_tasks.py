"""Somebody cancels every task of the loop but the caller's, as some programs do in passing.

A task may be cancelled before its first step: then nothing of it runs, its `finally` neither.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ihuyi_voice import Submission, VoiceClient, VoiceError
from tests.support.guards import Misbehaving
from tests.support.journals import FakeLedger
from tests.support.vendor import CONTENT, MOBILE, in_process, vendor
from tests.support.virtual_time import run_virtual

PATIENT = 100.0


async def call(client: VoiceClient) -> object:
    """Make a call."""
    return await client.submit(MOBILE, CONTENT)


async def keyed_call(client: VoiceClient) -> object:
    """Make one with a key."""
    return await client.submit(MOBILE, CONTENT, key="k")


async def run(client: VoiceClient) -> object:
    """Send a run with a name."""
    async with client.submit_many([(MOBILE, CONTENT)], run="r") as sent:
        (outcome,) = [outcome async for outcome in sent]
    return outcome


async def ended(what: Awaitable[Any]) -> object:
    """Return what comes of it, an error perhaps; it must not take for ever."""
    task = asyncio.ensure_future(what)
    done, _ = await asyncio.wait({task}, timeout=PATIENT)
    assert done, "it waits for ever"
    return task.exception() or task.result()


@pytest.mark.parametrize("turns", range(24))
@pytest.mark.parametrize("make", [call, keyed_call, run])
def test_nobody_waits_for_ever_and_the_next_call_goes(
    make: Callable[[VoiceClient], Awaitable[object]], turns: int
) -> None:
    """Whatever was cut short; the number is free again, or as closed as after a call."""

    async def main() -> None:
        simulator, ledger = vendor(latency=0.1), FakeLedger(latency=0.1)
        async with in_process(simulator, ledger=ledger, guard=Misbehaving()) as client:
            making = asyncio.ensure_future(make(client))
            for _ in range(turns):
                await asyncio.sleep(0.02 if turns > 12 else 0)
            for task in asyncio.all_tasks() - {asyncio.current_task(), making}:
                task.cancel()
            end = await ended(making)
            assert isinstance(end, Submission | VoiceError) or getattr(end, "status", None)
            await asyncio.sleep(61)
            assert isinstance(await ended(client.submit(MOBILE, CONTENT, key="l")), Submission)
            assert await ended(client.aclose()) is None
        assert set(simulator.rung().values()) <= {1, 2}

    run_virtual(main())
