"""A clock that tests can move."""

import attrs


@attrs.define
class ManualClock:
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
