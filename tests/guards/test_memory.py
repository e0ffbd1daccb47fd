"""The guard of one process: exact on virtual time against a vendor, and small."""

import asyncio
import random
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihuyi_voice.guards import Lease, Limits, MemoryGuard
from ihuyi_voice.simulator import Simulator
from ihuyi_voice.simulator.tables import LIMITS
from ihuyi_voice.simulator.vendor import Vendor
from tests.support.virtual_time import loop_time, run_virtual

MOBILE = "13900000000"


class Schedule:
    """One number, called again and again over a network that takes its time."""

    def __init__(self, chance: random.Random, longest: float) -> None:
        self.guard = MemoryGuard(clock=loop_time)
        self.vendor = Vendor("a", "k", loop_time)
        self.chance = chance
        self.longest = longest
        self.codes: list[int] = []
        self.sent: list[float] = []
        self.replied: list[float] = []

    async def call(self) -> None:
        """Wait as the guard says, then have a request arrive somewhere before its reply."""
        while True:
            lease = await self.guard.reserve("a", MOBILE)
            if isinstance(lease, Lease):
                break
            if lease.seconds is None:
                await self.guard.freed("a", MOBILE)
            else:
                await asyncio.sleep(lease.seconds)
        self.sent.append(loop_time())
        there, back = (self.chance.uniform(0, self.longest / 2) for _ in range(2))
        await asyncio.sleep(there)
        fields = {"account": "a", "password": "k", "mobile": MOBILE, "content": "x"}
        self.codes.append(self.vendor.answer("Submit", fields).code)
        await asyncio.sleep(back)
        self.replied.append(loop_time())
        await self.guard.commit(lease)


def perfect(replied: list[float], place: int, wanted: float) -> float:
    """Return when a perfect scheduler would send, knowing all earlier replies."""
    earlier = replied[:place]
    opened = [wanted, *earlier[-1:]]
    for count, seconds, _ in LIMITS:
        if len(earlier) >= count:
            opened.append(earlier[-count] + seconds)
    return max(opened)


@settings(max_examples=2000, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 14), st.sampled_from([0.01, 0.9, 5.0, 70.0]))
def test_no_schedule_ever_gets_a_408x_and_none_waits_too_long(
    seed: int, calls: int, longest: float
) -> None:
    """Against the simulator's own windows; at most one reply time more than perfect."""

    async def main() -> None:
        chance = random.Random(seed)
        schedule = Schedule(chance, longest)
        started = loop_time()
        await asyncio.gather(*(schedule.call() for _ in range(calls)))
        assert schedule.codes == [2] * calls
        for place, sent in enumerate(schedule.sent):
            assert sent <= perfect(schedule.replied, place, started) + longest + 1e-6

    run_virtual(main())


def test_many_numbers_and_many_callers_never_meet_a_limit() -> None:
    """Thousands of calls to a few hundred numbers, through the whole simulator."""

    async def main() -> Simulator:
        simulator = Simulator(clock=loop_time, latency=0.005, jitter=0.3)
        chance = random.Random(3)
        guard = MemoryGuard(clock=loop_time)
        who = {"account": simulator.account, "password": simulator.api_key}

        async def one(mobile: str) -> None:
            while not isinstance(lease := await guard.reserve("a", mobile), Lease):
                if lease.seconds is None:
                    await guard.freed("a", mobile)
                else:
                    await asyncio.sleep(lease.seconds)
            await asyncio.sleep(chance.uniform(0, 0.2))
            fields = {**who, "mobile": mobile, "content": "x"}
            simulator.codes[simulator.vendor.answer("Submit", fields).code] += 1
            await asyncio.sleep(chance.uniform(0, 0.2))
            await guard.commit(lease)

        numbers = [f"139{chance.randrange(400):08d}" for _ in range(3_000)]
        await asyncio.gather(*(one(number) for number in numbers))
        return simulator

    simulator = run_virtual(main())
    assert simulator.codes == {2: 3_000}


async def remember(guard: MemoryGuard, count: int, start: int = 0) -> None:
    """Call so many numbers once."""
    for place in range(start, start + count):
        lease = await guard.reserve("a", f"13{place:09d}")
        assert isinstance(lease, Lease)
        await guard.commit(lease)


async def test_a_number_costs_less_than_200_bytes() -> None:
    """Everything that the guard keeps of 100,000 numbers, its own keys included."""
    guard = MemoryGuard()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        await remember(guard, 100_000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / 100_000 < 200
    assert guard.statistics().numbers == 100_000


async def test_what_has_expired_goes_as_the_guard_is_used() -> None:
    """Day after day of new numbers, and never much more than one day's are kept."""
    now = 0.0
    guard = MemoryGuard(clock=lambda: now)
    most = 0
    for day in range(10):
        for hour in range(24):
            await remember(guard, 50, start=day * 1200 + hour * 50)
            now += 3_600.0
            most = max(most, guard.statistics().numbers)
    assert most <= 1_250


async def test_a_number_called_for_days_keeps_no_more_than_its_windows_need() -> None:
    """Ten times at the most."""
    now = 0.0
    guard = MemoryGuard(clock=lambda: now)
    for _ in range(100):
        await guard.commit(await _lease(guard))
        now += 8_640.0
    assert guard.statistics().numbers == 1
    now += 86_400.0
    await remember(guard, 40)
    assert guard.statistics().numbers == 40


async def test_blocks_that_have_passed_are_dropped() -> None:
    """What the vendor taught about thousands of numbers doesn't pile up."""
    now = 0.0
    guard = MemoryGuard(clock=lambda: now)
    for place in range(5_000):
        lease = await guard.reserve("a", f"13{place:09d}")
        assert isinstance(lease, Lease)
        await guard.teach(lease, 4080)
        now += 0.01
    assert guard.statistics().blocked <= 1_100


async def _lease(guard: MemoryGuard) -> Lease:
    lease = await guard.reserve("a", MOBILE)
    assert isinstance(lease, Lease)
    return lease


@pytest.mark.parametrize(
    "same_digits", [("010123456789", "10123456789"), ("0x1", "1"), ("１", "1")]
)
async def test_numbers_with_the_same_digits_are_not_mixed_up(same_digits: tuple[str, str]) -> None:
    """A leading 0 makes another number."""
    guard = MemoryGuard(Limits(), clock=_frozen())
    for mobile in same_digits:
        lease = await guard.reserve("a", mobile)
        assert isinstance(lease, Lease)
        await guard.commit(lease)


def _frozen() -> Callable[[], float]:
    return lambda: 5  # a clock may count in whole seconds
