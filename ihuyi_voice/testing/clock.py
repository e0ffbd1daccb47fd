"""The clock that a test, the vendor in its box, guards and pushes share."""

import asyncio
from contextlib import suppress
from heapq import heappop, heappush
from itertools import count
from threading import RLock
from typing import Final, TypeAlias

import attrs

from ihuyi_voice.simulator import ManualClock

_Wait: TypeAlias = "tuple[float, int, asyncio.Future[None]]"
_CLOSE: Final = 1e-6  # seconds; Unix time in a float is no more exact than that


@attrs.define(eq=False)
class SharedClock(ManualClock):
    """Unix time in seconds, UTC, that stands still until it is moved, by any thread.

    Moved on, it lets everything pass that was to wait until then: a client's waits for the limits
    and between two tries, and the vendor's pushes. `max_wait` goes by it, too; a `timeout` goes by
    the event loop's time alone.

    Attributes:
        now: The time; in the fixtures' clock, that at which the test began, in whole seconds.
        passes_waits: Whether a wait of a client moves the clock on by itself, so that nobody has
            to. It is so in tests that don't ask for the fixture `ihuyi_clock`.
    """

    passes_waits: bool = False
    _lock: RLock = attrs.field(factory=RLock, init=False, repr=False)
    _moved_by: float = attrs.field(default=0.0, init=False, repr=False)
    _waits: list[_Wait] = attrs.field(factory=list[_Wait], init=False, repr=False)
    _order: "count[int]" = attrs.field(factory=count, init=False, repr=False)

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`, or back if they are negative."""
        with self._lock:
            self.now += seconds
            self._moved_by += seconds
            while self._waits and self._waits[0][0] <= self.now + _CLOSE:
                _end(heappop(self._waits)[2])
        self._moved()

    def move_to(self, when: float) -> None:
        """Move on to a time; if it is past already, nothing happens."""
        with self._lock:
            if when > self.now:
                self.advance(when - self.now)

    def moved(self) -> float:
        """Return by how many seconds it was moved since it was made."""
        return self._moved_by

    def passing(self, seconds: float) -> "asyncio.Future[None]":
        """Return a future of the running loop, done once the clock was moved so many seconds."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            when = self.now + seconds
            heappush(self._waits, (when, next(self._order), future))
        if self.passes_waits:
            loop.call_soon(self.move_to, when)
        return future


def _end(future: "asyncio.Future[None]") -> None:
    """End a wait, in whatever thread its loop runs."""

    def end() -> None:
        if not future.done():
            future.set_result(None)

    with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
        future.get_loop().call_soon_threadsafe(end)
