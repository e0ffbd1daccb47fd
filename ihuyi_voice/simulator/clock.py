"""A clock that tests can move."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import attrs


@attrs.define
class ManualClock:
    """Unix time in seconds, UTC, that stands still until it is moved.

    Attributes:
        now: The time; 2026-01-01 00:00:00 UTC unless told otherwise.
    """

    now: float = 1_767_225_600.0
    _watchers: list[Callable[[], None]] = attrs.field(
        factory=list[Callable[[], None]], init=False, repr=False, eq=False
    )

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`, or back if they are negative."""
        self.now += seconds
        for watcher in self._watchers:
            watcher()

    @contextmanager
    def watched(self, watcher: Callable[[], None]) -> Generator[None]:
        """Call `watcher` whenever the clock is moved by `advance`, while inside."""
        self._watchers.append(watcher)
        try:
            yield
        finally:
            self._watchers.remove(watcher)
