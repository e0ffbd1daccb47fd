"""What somebody else's code may do instead of its work, drawn from a world's seed.

A world has a few bad habits: at this place, this share of the calls ends in one of these deeds. A
deed is done before the neighbour's work or after it, as the place says. All else behaves.
"""

import asyncio
import dataclasses
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NoReturn

import attrs
import httpx

from ihuyi_voice import NotSent, OutcomeUnknown
from tests.ledger.simulation.fate import Fate
from tests.support.guards import NoException

AWAITED: Final = (
    "request hook", "response hook", "way, before", "way, after", "body, before", "body, after",
    "body, closing", "guard.reserve, before", "guard.reserve, after", "guard.commit, before",
    "guard.commit, after", "guard.release, before", "guard.block, before", "ledger.look",
    "ledger.intend, before", "ledger.intend, after", "ledger.settle, before",
    "ledger.settle, after", "ledger.recall", "ledger.enter", "ledger.leave", "source", "consumer",
)  # fmt: skip
"""The places at which somebody else's code is awaited."""

CALLED: Final = ("event hook", "log handler", "clock", "messages")
"""Those at which it is called."""

_FOREVER: Final = 1e6
_LONGEST: Final = 9.0
_MOST_RETURNS: Final = 4
_DEAF: Final = 3  # cancellations that a deaf neighbour doesn't heed


class Speechless(Exception):
    """Its own words fail."""

    def __str__(self) -> str:
        raise AttributeError("nothing")

    __repr__ = __str__


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    """Nothing can be assigned to it."""

    why: str = "frozen"


ERRORS: Final[tuple[Callable[[], BaseException], ...]] = (
    lambda: RuntimeError("a neighbour's"),
    lambda: ConnectionResetError("a neighbour's"),
    lambda: TimeoutError("a neighbour's"),
    lambda: httpx.ConnectError("a neighbour's"),
    lambda: httpx.ReadTimeout("a neighbour's"),
    lambda: NotSent("so a neighbour says"),
    lambda: OutcomeUnknown("so a neighbour says"),
    lambda: StopAsyncIteration("a neighbour's"),
    asyncio.CancelledError,
    NoException,
    Speechless,
    Frozen,
)
ENDINGS: Final = (KeyboardInterrupt, SystemExit)


@attrs.frozen
class Habit:
    """What a neighbour does now and then.

    Attributes:
        share: Of its calls.
        deeds: Which of these.
    """

    share: float
    deeds: tuple[str, ...]


@attrs.define(eq=False)
class Mischief:
    """Has neighbours misbehave.

    Attributes:
        fate: Of the world; when it is calm, everybody behaves.
        habits: By the places.
        returns: What they may have the client do, from within its own calls.
        done: The deeds that were done, each with its place.
    """

    fate: Fate
    habits: Mapping[str, Habit]
    returns: dict[str, Callable[[], Awaitable[object]]] = attrs.field(
        factory=dict[str, Callable[[], Awaitable[object]]]
    )
    done: list[tuple[str, str]] = attrs.field(factory=list[tuple[str, str]])
    _returned: int = 0

    async def awaited(self, place: str) -> None:
        """Misbehave, perhaps, in something that is awaited."""
        deed = self._drawn(place)
        if deed is None:
            return
        if deed in _WHILE_AWAITED:
            await _WHILE_AWAITED[deed](self.fate.chance)
        elif deed in RETURNS:
            await self._return(deed)
        else:
            self._do(deed)

    async def _return(self, deed: str) -> None:
        """Have the client do something from within its own calls; not without end."""
        self._returned += 1
        await asyncio.sleep(0)  # a ledger must not begin with a timeout of the caller's task
        if deed in self.returns and self._returned <= _MOST_RETURNS:
            await self.returns[deed]()

    def called(self, place: str) -> None:
        """Misbehave, perhaps, in something that is called."""
        deed = self._drawn(place)
        if deed is not None and deed not in (*_WHILE_AWAITED, *RETURNS):
            self._do(deed)

    def did(self, *places: str) -> bool:
        """Say whether somebody misbehaved at one of these places."""
        return any(place in places for place, _ in self.done)

    def _drawn(self, place: str) -> str | None:
        habit = self.habits.get(place)
        if habit is None or not self.fate.happens(habit.share):
            return None
        deed = self.fate.chance.choice(habit.deeds)
        self.done.append((place, deed))
        self.fate.note("misbehaves:", place, deed)
        return deed

    def _do(self, deed: str) -> None:
        if deed == "blocks":
            self.fate.loop.passing.now += 2 * _LONGEST * self.fate.chance.random()
        elif deed == "cancels":
            if (task := asyncio.current_task()) is not None:
                task.cancel()
        else:
            self._raise(ENDINGS if deed == "ends" else ERRORS)

    def _raise(self, kinds: tuple[Callable[[], BaseException], ...]) -> NoReturn:
        error = self.fate.chance.choice(kinds)()
        raise error


async def _hang(_: random.Random) -> None:
    await asyncio.sleep(_FOREVER)


async def _be_slow(chance: random.Random) -> None:
    await asyncio.sleep(_LONGEST * chance.random())


async def _take_a_turn(_: random.Random) -> None:
    await asyncio.sleep(0)


async def _be_deaf(chance: random.Random) -> None:
    for _ in range(_DEAF):
        try:
            await asyncio.sleep(_LONGEST * chance.random())
        except asyncio.CancelledError:
            continue
        return


_WHILE_AWAITED: Final[Mapping[str, Callable[[random.Random], Awaitable[None]]]] = {
    "hangs": _hang,
    "is slow": _be_slow,
    "takes a turn": _take_a_turn,
    "is deaf": _be_deaf,
}
RETURNS: Final = ("submits", "drains", "closes")
DEEDS: Final = ("raises", "raises", "cancels", "blocks", "ends", *_WHILE_AWAITED, *RETURNS)


def drawn_habits(
    chance: random.Random, places: Sequence[str] = (*AWAITED, *CALLED)
) -> dict[str, Habit]:
    """Return the bad habits of a world: one to three, at some of these places."""
    places = chance.sample(places, chance.choice((1, 1, 2, 3)))
    return {
        place: Habit(
            chance.choice((0.1, 0.4, 1.0)), tuple(chance.sample(DEEDS, chance.choice((1, 2))))
        )
        for place in places
    }
