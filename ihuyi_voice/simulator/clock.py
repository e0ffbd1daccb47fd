"""Clocks that tests can move: one that stands still, and one that goes as another does."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeAlias

import attrs


@attrs.define
class _Watched:
    """Whoever wants to know when a clock is moved."""

    _watchers: list[Callable[[], None]] = attrs.field(
        factory=list[Callable[[], None]], init=False, repr=False, eq=False
    )

    @contextmanager
    def watched(self, watcher: Callable[[], None]) -> Generator[None]:
        """Call `watcher` whenever the clock is moved by `advance`, while inside."""
        self._watchers.append(watcher)
        try:
            yield
        finally:
            self._watchers.remove(watcher)

    def _moved(self) -> None:
        for watcher in tuple(self._watchers):
            watcher()


@attrs.define
class ManualClock(_Watched):
    """Unix time in seconds, UTC, that stands still until it is moved.

    Attributes:
        now: The time; 2026-01-01 00:00:00 UTC unless told otherwise.
    """

    now: float = 1_767_225_600.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`, or back if they are negative."""
        self.now += seconds
        self._moved()


@attrs.define
class RunningClock(_Watched):
    """A clock that goes as another one does, and can be moved besides.

    Attributes:
        source: The other one: Unix time in seconds, UTC.
        ahead: By how many seconds it was moved.
    """

    source: Callable[[], float]
    ahead: float = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.source() + self.ahead

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`, or back if they are negative."""
        self.ahead += seconds
        self._moved()


Clock: TypeAlias = ManualClock | RunningClock


def movable(clock: Callable[[], float]) -> Clock:
    """Return a clock itself if it can be moved, or else one that goes as it does."""
    return clock if isinstance(clock, ManualClock | RunningClock) else RunningClock(clock)
