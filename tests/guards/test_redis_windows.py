"""Several processes over one Redis: no limit is ever broken as the vendor counts.

Time is simulated: the server's clock is set before each operation, and the events of all processes
happen in the order of their times. Processes die in the middle of calls, stall until their leases
have lapsed, have scripts carried out twice, and cancel reservations.
"""

import asyncio
import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from typing import Any

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ihuyi_voice.guards import Lease, Limits, Wait
from ihuyi_voice.simulator.tables import LIMITS
from tests.support.long import few_or_many
from tests.support.redis_servers import ClockedGuard, own_prefix

LEASE = 30.0
LAST = 400_000 * 10**6
NUMBERS = ("13900000000", "02151000029")
COUNTERS = count()


@attrs.define
class World:
    """What happens when, in whole microseconds as Redis has them; what the vendor has counted."""

    chance: random.Random
    guards: list[ClockedGuard]
    now: int = 1_000_000_000
    events: list[tuple[int, int, Callable[[], Any]]] = attrs.field(factory=list)  # pyright: ignore[reportUnknownVariableType]
    order: "count[int]" = attrs.field(factory=count)
    arrived: dict[str, list[int]] = attrs.field(factory=lambda: {each: [] for each in NUMBERS})
    refused: int = 0
    granted: int = 0

    def at(self, seconds: float, what: Callable[[], Any]) -> None:
        """Have something happen in so many seconds."""
        heapq.heappush(self.events, (self.now + round(seconds * 1e6), next(self.order), what))

    def arrive(self, mobile: str) -> None:
        """Have a call arrive at the vendor, who counts."""
        times = self.arrived[mobile]
        full = [
            n for n, length, _ in LIMITS if sum(self.now < t + length * 10**6 for t in times) >= n
        ]
        self.refused += bool(full)
        if not full:
            times.append(self.now)

    def clock(self, skew: float) -> float:
        """Return the time by a clock that is wrong by so much, in seconds."""
        return self.now / 1e6 + skew

    async def run(self) -> None:
        """Let everything happen."""
        while self.events:
            self.now, _, what = heapq.heappop(self.events)
            await what()


@attrs.define
class Call:
    """One call of one process, with whatever may become of it."""

    world: World
    guard: ClockedGuard
    mobile: str
    lease: Lease | None = None

    async def begin(self) -> None:
        """Reserve, now and then by a task that is cancelled; wait as told, or make the call."""
        chance = self.world.chance
        if chance.random() < 0.1:
            asked = asyncio.ensure_future(self.guard.reserve("a", self.mobile))
            for _ in range(chance.randrange(20)):
                await asyncio.sleep(0)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            if not asked.cancelled() and isinstance(asked.result(), Lease):
                await self.guard.release(asked.result())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - see above
            return
        given = await self.guard.reserve("a", self.mobile)
        if isinstance(given, Wait):
            if self.world.now + given.seconds * 1e6 < LAST:
                self.world.at(max(given.seconds, 0.0), self.begin)
            return
        self.lease = given
        self.world.granted += 1
        self.go()

    def go(self) -> None:
        """Decide how the call goes on."""
        world, chance = self.world, self.world.chance
        way = chance.choice(
            ["fine"] * 12 + ["unsent", "unsent late", "dies", "dies late", "stalls"]
        )
        if way == "dies":
            return
        if way.startswith("unsent"):
            world.at(chance.uniform(0, 5) if way == "unsent" else 2 * LEASE, self.release)
            return
        arrives = chance.choice([0.0, 0.01, 0.9, LEASE * 0.9]) * chance.random()
        world.at(arrives, self.arrive)
        if way == "fine":
            world.at(arrives + chance.choice([0.0, 0.05, 2.0]) * chance.random(), self.commit)
        if way == "stalls":
            world.at(LEASE * chance.uniform(1.0, 3.0), self.commit)

    async def arrive(self) -> None:
        """Have the vendor see it."""
        self.world.arrive(self.mobile)

    async def commit(self) -> None:
        """End it as made."""
        assert self.lease is not None
        await self.guard.commit(self.lease)

    async def release(self) -> None:
        """End it as not made."""
        assert self.lease is not None
        await self.guard.release(self.lease)


def twice_now_and_then(guard: ClockedGuard, world: World) -> None:
    """Have the script carried out twice, as after a reply that was lost, at once or later."""
    call, chance = guard.server.call, world.chance

    async def calling(keys: Sequence[bytes], args: Sequence[bytes]) -> bytes:
        if chance.random() < 0.2:
            await call(keys, args)

        async def again() -> None:
            await guard.set_clock()
            await call(keys, args)

        if chance.random() < 0.2:
            world.at(chance.uniform(0, 5), again)
        return await call(keys, args)

    guard.server.call = calling  # type: ignore[method-assign]


async def simulate(
    seed: int,
    url: str,
    prefix: str,
    mend: Callable[[str], str] = str,
    skews: Sequence[float] = (0.0, 0.0, 0.0),
) -> World:
    """Let a few processes call two numbers for four days."""
    chance = random.Random(seed)
    own = f"{prefix}-{next(COUNTERS)}"
    world = World(chance, [])
    world.guards = [
        ClockedGuard(url, Limits(), partial(world.clock, skew), own, lease=LEASE, mend=mend)
        for skew in skews
    ]
    for guard in world.guards:
        twice_now_and_then(guard, world)
    for _ in range(chance.randrange(10, 40)):
        call = Call(world, chance.choice(world.guards), chance.choice(NUMBERS))
        world.at(chance.choice([0.0, 5.0, 100.0, 200_000.0]) * chance.random(), call.begin)
    try:
        await world.run()
    finally:
        for guard in world.guards:
            await guard.aclose()
    return world


@pytest.fixture(scope="module")
def place(redis_url: str) -> Iterator[tuple[str, str]]:
    """Yield a server, and a prefix of these tests' own."""
    with own_prefix(redis_url) as own:
        yield redis_url, own


@pytest.mark.long
@settings(max_examples=few_or_many(25, 60), deadline=None)
@given(st.integers(0, 2**32))
@example(1169)  # a call that arrives in the very microsecond in which the one before was committed
def test_no_limit_is_broken_by_processes_that_die_stall_and_repeat(
    place: tuple[str, str], seed: int
) -> None:
    """As the vendor counts: by arrival, somewhere between a reservation and its end."""
    world = asyncio.run(simulate(seed, *place))
    assert world.granted
    assert world.refused == 0


def found(place: tuple[str, str], seeds: int, **options: Any) -> bool:
    """Say whether one of so many simulations breaks a limit."""
    return any(asyncio.run(simulate(seed, *place, **options)).refused for seed in range(seeds))


def without(*lines: str, instead: str = "") -> Callable[[str], str]:
    """Return a way to break the script: these parts of it left out, or others instead."""

    def mend(script: str) -> str:
        for line in lines:
            assert line in script
            script = script.replace(line, instead)
        return script

    return mend


async def is_let_in_beside(ending: str, place: tuple[str, str], mend: Callable[[str], str]) -> bool:
    """Say whether a third call may go while a second is made, as a first ends after its lease."""
    now = 0.0
    url, prefix = place
    guard = ClockedGuard(url, Limits(), lambda: now, f"{prefix}-{next(COUNTERS)}", mend=mend)
    first = await guard.reserve("a", NUMBERS[0])
    now = LEASE + 10.0
    second = await guard.reserve("a", NUMBERS[0])
    assert isinstance(first, Lease)
    assert isinstance(second, Lease)
    await (guard.release(first) if ending == "release" else guard.commit(first))
    now += 2.0
    third = await guard.reserve("a", NUMBERS[0])
    await guard.aclose()
    return isinstance(third, Lease)


IN_COMMIT = "if record.token == token then\n    record.token = nil\n  elseif"
IN_RELEASE = "if record.token ~= token then return 'N' end\n  record.token = nil"


@pytest.mark.parametrize(
    ("ending", "line", "instead"),
    [
        ("commit", IN_COMMIT, IN_COMMIT.replace("== token", "")),
        ("release", IN_RELEASE, "record.token = nil"),
    ],
)
async def test_a_late_end_leaves_the_lease_of_another_alone(
    place: tuple[str, str], ending: str, line: str, instead: str
) -> None:
    """That is what tokens are for: a script that heeds none lets a third call in."""
    assert not await is_let_in_beside(ending, place, str)
    assert await is_let_in_beside(ending, place, without(line, instead=instead))


def test_a_missing_lock_would_be_found(place: tuple[str, str]) -> None:
    """While a call is in flight, nobody knows when it arrives."""
    unlocked = without("if record.token and record.lapses > now then", instead="if false then")
    uncounted = without("count_call(record, record.lapses)")

    def mend(script: str) -> str:
        return uncounted(unlocked(script))

    assert found(place, 60, mend=mend)


@pytest.mark.slow
def test_a_lock_that_lapses_uncounted_would_be_found(place: tuple[str, str]) -> None:
    """A process that died may have made its call."""
    assert found(place, 60, mend=without("count_call(record, record.lapses)"))


def test_a_number_that_is_not_locked_in_flight_would_be_found(place: tuple[str, str]) -> None:
    """Who asks while a call is being made finds it neither made nor locked."""
    waits = "return answer('W', math.min(look, record.lapses - now))"
    assert found(place, 60, mend=without(waits, instead="record.token = nil"))


def test_clocks_of_the_processes_would_be_found(place: tuple[str, str]) -> None:
    """Each has its own; the server's is one for all."""
    assert found(place, 60, skews=(0.0, 3.0, 30.0))
