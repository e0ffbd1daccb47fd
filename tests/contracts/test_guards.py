"""What every guard does, run over each backend."""

from collections.abc import AsyncGenerator, Callable

import pytest

from ihuyi_voice.guards import Guard, Lease, Limits, MemoryGuard, QuietHours, Wait
from tests.support.redis_servers import ClockedGuard

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


NOON = 1_764_129_600.0  # in China


@pytest.fixture(params=["memory", "redis", "quiet hours"])
async def make_guard(request: pytest.FixtureRequest) -> AsyncGenerator[MakeGuard]:
    """A way to make a guard of each backend."""
    if request.param == "memory":
        yield lambda limits, clock: MemoryGuard(limits, clock=clock)
        return
    if request.param == "quiet hours":
        yield lambda limits, clock: QuietHours(
            "22:00-08:00", guard=MemoryGuard(limits, clock=clock), clock=lambda: NOON
        )
        return
    url, prefix = request.getfixturevalue("redis_url"), request.getfixturevalue("prefix")
    made: list[ClockedGuard] = []

    def make(limits: Limits, clock: Callable[[], float]) -> Guard:
        made.append(ClockedGuard(url, limits, clock, prefix))
        return made[-1]

    yield make
    for guard in made:
        await guard.aclose()


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
    """Nobody knows yet when its window will start: who waits looks again soon."""
    lease = await take(guard)
    wait = await guard.reserve("a", A)
    assert isinstance(wait, Wait)
    assert 0 < wait.seconds <= 1.0
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
    await guard.block(lease, 60.0)
    assert await window(guard, B) == 60.0


async def test_a_lease_shows_no_number() -> None:
    """It may end up in a log."""
    assert repr(Lease("a", A)) == "Lease('a', '139****0000')"


async def test_a_lease_tells_whose_it_is(guard: Guard) -> None:
    """The account and the number that were asked for."""
    lease = await take(guard, B, "another account")
    assert (lease.account, lease.mobile) == ("another account", B)


async def test_no_windows_hold_nothing_back_but_a_call_in_flight(
    make_guard: MakeGuard, clock: Clock
) -> None:
    """All limits may be dropped."""
    guard = make_guard(Limits(None, None, None), clock)
    for _ in range(20):
        await call(guard)
    await take(guard)
    assert isinstance(await guard.reserve("a", A), Wait)


@pytest.mark.parametrize("seconds", [1.0, 60.0, 86_400.0])
async def test_a_blocked_number_is_closed_from_now_on(
    guard: Guard, clock: Clock, seconds: float
) -> None:
    """For as long as is said: others used the number, and nobody knows when."""
    await guard.block(await take(guard), seconds)
    assert await guard.reserve("a", A) == Wait(seconds)
    clock.now += seconds
    await take(guard)


async def test_a_block_never_shortens_another(guard: Guard, clock: Clock) -> None:
    """The longer of two blocks counts."""
    await guard.block(await take(guard), 60.0)
    clock.now += 60.0
    lease = await take(guard)
    await guard.block(lease, 86_400.0)
    clock.now += 1.0
    assert await guard.reserve("a", A) == Wait(86_399.0)
