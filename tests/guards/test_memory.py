"""The guard of one process: exact on virtual time against a vendor, and small."""

import asyncio
import random
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihuyi_voice.calls.lines import Lines, Place
from ihuyi_voice.guards import Lease, Limits, MemoryGuard, Wait
from ihuyi_voice.simulator import Simulator
from ihuyi_voice.simulator.tables import LIMITS
from ihuyi_voice.simulator.vendor import Vendor
from tests.support.long import few_or_many
from tests.support.virtual_time import loop_time, run_virtual

MOBILE = "13900000000"
WINDOWS = {code: seconds for _, seconds, code in LIMITS}


class Model:
    """What the vendor counts for one number, in the words of its document: calls that arrived."""

    def __init__(self) -> None:
        self.arrived: list[float] = []

    def answer(self, now: float) -> int:
        """Count a call that arrives now, or return the code of the window that is full."""
        for count, seconds, code in LIMITS:
            if sum(now - seconds < arrival for arrival in self.arrived) >= count:
                return code
        self.arrived.append(now)
        return 2


class Schedule:
    """One number, called again and again over a network that takes its time."""

    def __init__(
        self, guard: MemoryGuard, mobile: str, chance: random.Random, longest: float
    ) -> None:
        self.guard = guard
        self.mobile = mobile
        self.model = Model()
        self.vendor = Vendor("a", "k", loop_time)
        self.chance = chance
        self.longest = longest
        self.sent = 0.0
        self.codes: list[int] = []
        self.late: list[float] = []
        self.lines = Lines()

    async def call(self) -> None:
        """Stand in line, as every call of a client does, and go when it is one's turn."""
        await asyncio.sleep(self.chance.choice([0.0, 0.0, 1.0, 100.0]))
        wanted, place = loop_time(), Place()
        while not self.lines.join(self.mobile, place):
            assert place.turn is not None
            await place.turn
        try:
            await self.go(wanted)
        finally:
            self.lines.leave(self.mobile, place)

    async def go(self, wanted: float) -> None:
        """Wait as the guard says, then be sent, or fail before that."""
        lease = await wait_for(self.guard, self.mobile)
        self.late.append(loop_time() - perfect(self.model.arrived, max(wanted, self.sent)))
        self.sent = loop_time()
        if self.chance.random() < 0.2:
            await asyncio.sleep(self.chance.uniform(0, self.longest))
            await self.guard.release(lease)  # no connection
            return
        await self.arrive()
        # A reply, or an end without one: a timeout and a cancellation are committed alike.
        await asyncio.sleep(self.chance.uniform(0, self.longest / 2))
        await self.guard.commit(lease)

    async def arrive(self) -> None:
        """Have the request arrive some time after it was sent."""
        await asyncio.sleep(self.chance.uniform(0, self.longest / 2))
        fields = {"account": "a", "password": "k", "mobile": self.mobile, "content": "x"}
        self.codes.append(self.vendor.answer("Submit", fields).code)
        assert self.codes[-1] == self.model.answer(loop_time())


async def wait_for(guard: MemoryGuard, mobile: str) -> Lease:
    """Reserve as soon as the guard lets us."""
    while True:
        lease = await guard.reserve("a", mobile)
        if isinstance(lease, Lease):
            return lease
        await asyncio.sleep(lease.seconds)


def perfect(arrived: list[float], wanted: float) -> float:
    """Return when a scheduler would send that keeps the order and is told of each arrival."""
    opened = [arrived[-count] + seconds for count, seconds, _ in LIMITS if len(arrived) >= count]
    return max([wanted, *opened])


@settings(max_examples=few_or_many(25, 400), deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 14), st.sampled_from([0.0, 0.01, 0.9, 5.0, 70.0]))
def test_no_schedule_ever_gets_a_408x_and_none_waits_too_long(
    seed: int, calls: int, longest: float
) -> None:
    """Five numbers each time, at most one reply time later than a perfect scheduler would be."""

    async def main() -> None:
        chance = random.Random(seed)
        guard = MemoryGuard(clock=loop_time)
        schedules = [Schedule(guard, f"1390000000{i}", chance, longest) for i in range(5)]
        await asyncio.gather(*(each.call() for each in schedules for _ in range(calls)))
        for schedule in schedules:
            assert set(schedule.codes) <= {2}
            assert len(schedule.late) == calls
            assert max(schedule.late) <= longest + 1e-6
        assert guard.statistics().in_flight == 0

    run_virtual(main())


@pytest.mark.parametrize(
    ("before", "ago", "code"), [(1, 0.5, 4080), (3, 30.0, 4081), (10, 3_600.0, 4082)]
)
def test_a_stranger_costs_one_408x_a_window(before: int, ago: float, code: int) -> None:
    """Once told, the guard waits out the window that somebody else has filled."""

    async def main() -> list[int]:
        guard, model = MemoryGuard(clock=loop_time), Model()
        model.arrived = [loop_time()] * before  # by another process
        await asyncio.sleep(ago)
        refused: list[int] = []
        for _ in range(15):
            lease = await wait_for(guard, MOBILE)
            answer = model.answer(loop_time())
            if answer == 2:
                await guard.commit(lease)
            else:
                await guard.block(lease, WINDOWS[answer])
                refused.append(answer)
        return refused

    refused = run_virtual(main())
    assert refused[0] == code
    assert len(refused) == len(set(refused))


def test_many_numbers_and_many_callers_never_meet_a_limit() -> None:
    """Thousands of calls to a few hundred numbers, through the whole simulator."""

    async def main() -> Simulator:
        simulator = Simulator(clock=loop_time, latency=0.005, jitter=0.3)
        chance = random.Random(3)
        guard = MemoryGuard(clock=loop_time)
        who = {"account": simulator.account, "password": simulator.api_key}

        async def one(mobile: str) -> None:
            lease = await wait_for(guard, mobile)
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


@pytest.mark.long
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


async def test_a_burst_is_forgotten_faster_than_it_came() -> None:
    """Each new call takes more than one expired away, so the memory of a large run shrinks."""
    now = 0.0
    guard = MemoryGuard(clock=lambda: now)
    await remember(guard, 900)
    now += 86_400.0
    await remember(guard, 450, start=900)
    assert guard.statistics().numbers == 450


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
        await guard.block(lease, 1.0)
        now += 0.01
    assert guard.statistics().blocked <= 1_100


async def test_blocks_that_last_are_kept_however_many_there_are() -> None:
    """What has passed goes, and nothing else."""
    now = 1e6
    guard = MemoryGuard(clock=lambda: now)
    for place in range(3_000):
        lease = await guard.reserve("a", f"13{place:09d}")
        assert isinstance(lease, Lease)
        await guard.block(lease, 86_400.0)
    assert guard.statistics().blocked == 3_000
    assert await guard.reserve("a", f"13{0:09d}") == Wait(86_400.0)


async def _lease(guard: MemoryGuard) -> Lease:
    lease = await guard.reserve("a", MOBILE)
    assert isinstance(lease, Lease)
    return lease


@pytest.mark.parametrize(
    "same_digits",
    [("010123456789", "10123456789"), ("010", "0010"), ("05", "105"), ("0x1", "1"), ("１", "1")],
)
async def test_numbers_with_the_same_digits_are_not_mixed_up(same_digits: tuple[str, str]) -> None:
    """A leading 0 makes another number."""
    guard = MemoryGuard(Limits(), clock=_frozen())
    for mobile in same_digits:
        lease = await guard.reserve("a", mobile)
        assert isinstance(lease, Lease)
        await guard.commit(lease)


@pytest.mark.parametrize("step", [1, 64, 1000, 4096])
async def test_numbers_in_any_order_spread_evenly(step: int) -> None:
    """No dict grows so large that its growth would hold up the event loop."""
    guard = MemoryGuard()
    for place in range(6_100):
        lease = await guard.reserve("a", str(13900000000 + place * step))
        assert isinstance(lease, Lease)
        await guard.commit(lease)
    book = guard._books["a"]  # pyright: ignore[reportPrivateUsage] - only to be seen from inside
    sizes = [len(shard) for shard in book.times]
    assert (min(sizes), max(sizes)) == (100, 100)


async def test_a_lease_ends_once() -> None:
    """Ending it again must not free the number for a third call while the second is in flight."""
    guard = MemoryGuard(Limits(None, None, None))
    first = await _lease(guard)
    await guard.commit(first)
    await _lease(guard)
    for again in (guard.commit(first), guard.release(first), guard.block(first, 1.0)):
        with pytest.raises(RuntimeError, match=r"139\*\*\*\*0000.* has ended already"):
            await again
    assert await guard.reserve("a", MOBILE) == Wait(0.1)


async def test_a_lease_of_another_guard_is_refused() -> None:
    """It would leave the number locked for ever there."""
    with pytest.raises(RuntimeError, match="another guard's"):
        await MemoryGuard().commit(Lease("a", MOBILE))


def _frozen() -> Callable[[], float]:
    return lambda: 5  # a clock may count in whole seconds
