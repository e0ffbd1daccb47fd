"""The virtual loop itself: jumps, order, and no silent hanging."""

import asyncio
import time

import pytest

from tests.support.virtual_time import loop_time, run_virtual


def test_hours_pass_at_once_and_in_order() -> None:
    """Timers fire by their virtual time, each exactly then."""
    seen: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((name, loop_time()))

    async def main() -> float:
        start = loop_time()
        await asyncio.gather(sleeper("late", 90_000.5), sleeper("early", 3_600.0))
        return start

    start = run_virtual(main())
    assert seen == [("early", start + 3_600.0), ("late", start + 90_000.5)]


def test_time_stands_still_while_there_is_work() -> None:
    """Only an idle loop jumps, so a busy task is never late."""

    async def main() -> tuple[float, float]:
        start = loop_time()
        for _ in range(100):
            await asyncio.sleep(0)
        return start, loop_time()

    start, end = run_virtual(main())
    assert start == end


def test_timeouts_are_virtual_too() -> None:
    """asyncio.timeout counts on the loop's clock."""

    async def main() -> None:
        async with asyncio.timeout(86_400.0):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        run_virtual(main())


def test_waiting_for_nothing_is_an_error() -> None:
    """A test that could only hang fails at once, and says so."""
    with pytest.raises(RuntimeError, match="never happen"):
        run_virtual(asyncio.Event().wait())


def test_the_wall_clock_is_left_alone() -> None:
    """Only the loop's own clock jumps."""

    async def main() -> None:
        await asyncio.sleep(1e6)

    before = time.monotonic()
    run_virtual(main())
    assert time.monotonic() - before < 1e6
