"""The event loop's time, with a clock beside it that somebody moves."""

import asyncio

import pytest

from ihuyi_voice import MemoryGuard, RetryPolicy
from ihuyi_voice.calls.moved import Moved
from ihuyi_voice.simulator import Fault, Simulator
from ihuyi_voice.testing import SharedClock
from tests.support.vendor import CONTENT, MOBILE, in_process


def test_time_goes_on_with_the_loop_and_with_the_clock() -> None:
    """Whatever is moved, and whenever; a clock that fails is where it was last."""
    loop, by = [100.0], ["5"]

    def moved() -> float:
        return float(by[0])

    time = Moved(lambda: loop[0], moved)
    by[0] = "broken"
    assert time() == 105.0
    by[0] = "7"
    assert time() == 107.0
    loop[0] = 200.0
    by[0] = "broken"
    assert time() == 207.0


def test_a_clock_that_fails_from_the_start_is_its_owners_mistake() -> None:
    """Nothing has been sent by then."""

    def fails() -> float:
        raise LookupError

    with pytest.raises(LookupError):
        Moved(lambda: 100.0, fails)


async def test_a_clock_that_is_moved_ends_the_waits_of_calls() -> None:
    """A wait for the number's second, and one between two attempts: a test need not sleep."""
    clock = SharedClock()
    simulator = Simulator(clock=clock)
    guard, retry = MemoryGuard(clock=clock), RetryPolicy(initial=20.0, jitter=0.0)
    async with in_process(simulator, clock=clock, guard=guard, retry=retry) as client:
        await client.submit(MOBILE, CONTENT)
        simulator.add_fault(Fault("code", code=0, times=1))
        held = asyncio.create_task(client.submit(MOBILE, CONTENT, max_wait=60.0))
        for _ in range(60 * 20):
            await asyncio.sleep(0)
            clock.advance(0.05)
        assert held.done()
        submission = await held
    assert submission.timing is not None
    assert submission.timing.backoff == 20.0
    assert submission.timing.total >= 20.5
