"""Who may ask the guard next: for each number a line, served in the order of coming.

A guard wakes nobody, so without a line whoever looks again first would be served first, and a
single call beside a long run might wait for ever. The head of a line is the one that asks the
guard, waits as long as it says, and makes its attempt; the others wait for their turn. Leaving
costs the same wherever one stands, so a thousand who wait cost each other nothing.
"""

import asyncio

import attrs

from ihuyi_voice.calls.shared import Shared


@attrs.define(eq=False)
class Place:
    """A place in line.

    Attributes:
        turn: Done when the place is the first; None if it has been from the start.
    """

    turn: "asyncio.Future[None] | None" = attrs.field(default=None, init=False)


@attrs.define
class Pause:
    """The vendor takes no call of an account for a while, whatever its number.

    Attributes:
        until: For how long, by the event loop's clock.
    """

    until: float = 0.0

    def left(self, now: float) -> float:
        """Return how many seconds are left; 0 if none."""
        return max(0.0, self.until - now)

    def extend(self, until: float) -> None:
        """Let it last until then, at least."""
        self.until = max(self.until, until)


class Lines:
    """The lines of one account before one guard, in one event loop."""

    def __init__(self) -> None:
        self._first: dict[str, Place] = {}
        self._behind: dict[str, dict[Place, None]] = {}
        self._ready_at: dict[str, float] = {}

    def join(self, mobile: str, place: Place) -> bool:
        """Take the place, unless it is taken; say whether it is the first in line."""
        first = self._first.setdefault(mobile, place)
        if first is place:
            return True
        if place.turn is None:
            place.turn = asyncio.get_running_loop().create_future()
            self._behind.setdefault(mobile, {})[place] = None
        return False

    def leave(self, mobile: str, place: Place) -> None:
        """Give the place up, wherever it is; the next in line has its turn."""
        if self._first.get(mobile) is not place:
            self._drop(mobile, place)
            return
        self._ready_at.pop(mobile, None)
        behind = self._behind.get(mobile)
        if not behind:
            del self._first[mobile]
            return
        following = self._first[mobile] = next(iter(behind))
        self._drop(mobile, following)

    def hold(self, mobile: str, ready_at: float) -> None:
        """Note until when the guard holds back the first in line."""
        self._ready_at[mobile] = ready_at

    def ready_at(self, mobile: str) -> float:
        """Return when the first in line may go on, by the event loop's clock; 0 if nobody knows."""
        return self._ready_at.get(mobile, 0.0)

    def _drop(self, mobile: str, place: Place) -> None:
        behind = self._behind.get(mobile)
        if behind is not None:
            behind.pop(place, None)
            if not behind:
                del self._behind[mobile]
        if place.turn is not None and not place.turn.done():
            place.turn.set_result(None)
        place.turn = None


_shared = Shared(Lines)
_pauses = Shared(Pause)


def lines_of(guard: object, account: str) -> Lines:
    """Return the lines before a guard: the same for all its clients in the running event loop."""
    return _shared.of(guard, account)


def pause_of(guard: object, account: str) -> Pause:
    """Return the pause of an account: the same for all clients of a guard in the running loop."""
    return _pauses.of(guard, account)
