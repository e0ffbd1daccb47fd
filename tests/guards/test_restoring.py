"""The guard of one process is told what a ledger knows of a number's calls."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice.guards import Limits, MemoryGuard, Wait
from tests.support.virtual_time import loop_time, run_virtual

MOBILE = "13900000000"


def waits(ages: list[float], **options: Any) -> float:
    """Return how long a guard holds a number back of which it was told."""

    async def main() -> float:
        guard = MemoryGuard(Limits(**options), clock=loop_time)
        guard.restore("a", MOBILE, ages)
        given = await guard.reserve("a", MOBILE)
        return given.seconds if isinstance(given, Wait) else 0.0

    return run_virtual(main())


@pytest.mark.parametrize(
    ("ages", "wait"),
    [
        ([], 0.0),
        ([0.25], 0.75),
        ([50.0, 20.0, 10.0], 10.0),
        ([10.0, 50.0, 20.0], 10.0),
        ([3_600.0 * hour for hour in range(1, 11)], 86_400.0 - 36_000.0),
        ([3_600.0 * hour for hour in range(1, 10)], 0.0),
        ([100_000.0] * 50, 0.0),
        ([-5.0], 1.0),
    ],
)
def test_restored_calls_count_as_if_they_had_been_made_here(ages: list[float], wait: float) -> None:
    """In each window, in any order; where clocks differ a little, none is younger than now."""
    assert waits(ages) == pytest.approx(wait)


def test_a_number_that_is_remembered_is_not_restored_again() -> None:
    """Its calls would count twice: those here are in the ledger, too."""

    async def main() -> list[bool]:
        guard = MemoryGuard(clock=loop_time)
        seen = [guard.remembers("a", MOBILE)]
        lease = await guard.reserve("a", MOBILE)
        assert not isinstance(lease, Wait)
        seen.append(guard.remembers("a", MOBILE))
        guard.restore("a", MOBILE, [1.0] * 10)
        await guard.commit(lease)
        guard.restore("a", MOBILE, [1.0] * 10)
        seen.append(guard.remembers("a", MOBILE))
        await asyncio.sleep(1.0)
        again = await guard.reserve("a", MOBILE)
        assert not isinstance(again, Wait)
        await guard.block(again, 60.0)
        seen.append(guard.remembers("b", MOBILE))
        return seen

    assert run_virtual(main()) == [False, True, True, False]


def test_a_blocked_number_is_remembered() -> None:
    """Although no call of it counts."""

    async def main() -> bool:
        guard = MemoryGuard(clock=loop_time)
        lease = await guard.reserve("a", MOBILE)
        assert not isinstance(lease, Wait)
        await guard.block(lease, 60.0)
        return guard.remembers("a", MOBILE)

    assert run_virtual(main())


def test_restored_numbers_are_forgotten_with_time() -> None:
    """By later calls, a few at a time, as all others are."""

    async def main() -> int:
        guard = MemoryGuard(clock=loop_time)
        for place in range(100):
            guard.restore("a", f"139{place:08d}", [80_000.0])
        await asyncio.sleep(86_400.0 * 1.1)
        for place in range(100):
            lease = await guard.reserve("a", f"138{place:08d}")
            assert not isinstance(lease, Wait)
            await guard.commit(lease)
        return guard.statistics().numbers

    assert run_virtual(main()) == 100


def test_a_guard_without_limits_needs_no_memory() -> None:
    """Nothing is kept."""
    limits = {"per_second": None, "per_minute": None, "per_day": None}
    assert waits([0.0], **limits) == 0.0
    guard = MemoryGuard(Limits(None, None, None), clock=lambda: 5.0)
    guard.restore("a", MOBILE, [0.0])
    assert not guard.remembers("a", MOBILE)


def test_a_call_as_old_as_the_longest_window_is_forgotten() -> None:
    """To the second: it closes nothing any more."""
    guard = MemoryGuard(clock=lambda: 5.0)
    guard.restore("a", MOBILE, [86_400.0])
    assert not guard.remembers("a", MOBILE)


@given(st.lists(st.floats(0.0, 90_000.0), max_size=20))
def test_restored_calls_close_each_window_for_what_is_left_of_it(ages: list[float]) -> None:
    """Whatever their ages."""
    kept = sorted(age for age in ages if age < 86_400.0)
    expected = 0.0
    for count, seconds in ((1, 1.0), (3, 60.0), (10, 86_400.0)):
        if len(kept) >= count:
            expected = max(expected, seconds - kept[count - 1])
    assert waits(ages) == pytest.approx(expected, abs=1e-6)
