"""What every guard does, run over each backend."""

import asyncio
from collections.abc import Callable

import pytest

from ihuyi_voice.guards import Guard, Lease, Limits, MemoryGuard, Wait

A, B = "13900000000", "02151000029"

MakeGuard = Callable[[Limits, Callable[[], float]], Guard]


class Clock:
    """A monotonic clock that tests move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The time."""
    return Clock()


@pytest.fixture(params=["memory"])
def make_guard(request: pytest.FixtureRequest) -> MakeGuard:
    """A way to make a guard of each backend."""
    assert request.param == "memory"
    return lambda limits, clock: MemoryGuard(limits, clock=clock)


@pytest.fixture
def guard(make_guard: MakeGuard, clock: Clock) -> Guard:
    """A guard with the vendor's limits."""
    return make_guard(Limits(), clock)


async def take(guard: Guard, mobile: str = A, account: str = "a") -> Lease:
    """Reserve a number that must be free."""
    lease = await guard.reserve(account, mobile)
    assert isinstance(lease, Lease)
    return lease


async def window(guard: Guard, mobile: str = A) -> float | None:
    """Return the window that holds a number back."""
    wait = await guard.reserve("a", mobile)
    assert isinstance(wait, Wait)
    return wait.window


async def call(guard: Guard, mobile: str = A) -> None:
    """Make one call that is accepted at once."""
    await guard.commit(await take(guard, mobile))


async def test_a_number_in_flight_is_locked(guard: Guard) -> None:
    """Nobody knows yet when its window will start."""
    lease = await take(guard)
    assert await guard.reserve("a", A) == Wait(None)
    assert isinstance(await guard.reserve("a", B), Lease)
    assert isinstance(await guard.reserve("other account", A), Lease)
    await guard.release(lease)
    await take(guard)


async def test_a_released_call_counts_nowhere(guard: Guard) -> None:
    """It was surely not sent, or didn't ring."""
    for _ in range(20):
        await guard.release(await take(guard))
    await take(guard)


async def test_the_window_starts_when_the_call_ends(guard: Guard, clock: Clock) -> None:
    """However long it was in flight."""
    lease = await take(guard)
    clock.now += 30.0
    await guard.commit(lease)
    assert await guard.reserve("a", A) == Wait(1.0)
    clock.now += 0.75
    assert await guard.reserve("a", A) == Wait(0.25)
    clock.now += 0.25
    await take(guard)


async def test_three_a_minute_and_ten_a_day(guard: Guard, clock: Clock) -> None:
    """Rolling windows: the oldest call decides."""
    for _ in range(3):
        await call(guard)
        clock.now += 1.0
    assert await guard.reserve("a", A) == Wait(57.0)
    clock.now += 57.0
    for _ in range(7):
        await call(guard)
        clock.now += 60.0
    wait = await guard.reserve("a", A)
    assert wait == Wait(86_400.0 - 60.0 - 420.0)
    clock.now += 86_400.0 - 480.0
    await take(guard)


async def test_a_wait_says_which_window_holds_the_number_back(guard: Guard, clock: Clock) -> None:
    """The longest wait decides; while a call is in flight, no window does yet."""
    seen: list[float | None] = []
    for count in range(1, 11):
        await call(guard)
        seen += [await window(guard)] if count in {1, 3, 10} else []
        clock.now += 1.0 if count < 3 else 60.0
    assert seen == [1.0, 60.0, 86_400.0]
    lease = await take(guard, B)
    assert await window(guard, B) is None
    await guard.teach(lease, 4081)
    assert await window(guard, B) == 60.0


async def test_a_lease_shows_no_number() -> None:
    """It may end up in a log."""
    assert repr(Lease("a", A)) == "Lease('a', '139****0000')"


async def test_no_windows_hold_nothing_back_but_a_call_in_flight(
    make_guard: MakeGuard, clock: Clock
) -> None:
    """All limits may be dropped."""
    guard = make_guard(Limits(None, None, None), clock)
    for _ in range(20):
        await call(guard)
    await take(guard)
    assert await guard.reserve("a", A) == Wait(None)


@pytest.mark.parametrize(
    ("code", "seconds"), [(4080, 1.0), (4081, 60.0), (4082, 86_400.0), (4085, 60.0)]
)
async def test_the_vendor_teaches_that_others_used_the_number(
    guard: Guard, clock: Clock, code: int, seconds: float
) -> None:
    """It is closed for the whole window from now, because nobody knows when they did."""
    await guard.teach(await take(guard), code)
    assert await guard.reserve("a", A) == Wait(seconds)
    clock.now += seconds
    await take(guard)


async def test_what_was_taught_never_shortens_what_is_known(guard: Guard, clock: Clock) -> None:
    """The longer of two blocks counts."""
    await guard.teach(await take(guard), 4081)
    clock.now += 60.0
    lease = await take(guard)
    await guard.teach(lease, 4082)
    clock.now += 1.0
    assert await guard.reserve("a", A) == Wait(86_399.0)


async def test_freed_returns_when_the_call_in_flight_has_ended(guard: Guard) -> None:
    """All who wait are woken, and a number that is free is no wait at all."""
    await guard.freed("a", A)
    lease = await take(guard)
    waiting = [asyncio.create_task(guard.freed("a", A)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    await guard.commit(lease)
    await asyncio.gather(*waiting)


async def test_a_cancelled_wait_harms_nobody(guard: Guard) -> None:
    """The others are still woken."""
    lease = await take(guard)
    impatient = asyncio.create_task(guard.freed("a", A))
    patient = asyncio.create_task(guard.freed("a", A))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait({impatient})
    await guard.release(lease)
    await patient
    assert impatient.cancelled()
