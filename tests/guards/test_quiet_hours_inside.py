"""Quiet hours as others see them: how they write themselves, and what reaches the guard inside."""

from datetime import time as Time  # noqa: N812 - a class
from types import TracebackType

import pytest

from ihuyi_voice import InvalidRequest
from ihuyi_voice.guards import MemoryGuard, QuietHours


class Entered(MemoryGuard):
    """Keeps how it was left."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[object] = []

    async def __aenter__(self) -> None:
        """Do nothing."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Note it."""
        self.left += [kind, error, traceback]


async def test_the_guard_inside_is_told_of_the_error_that_leaves() -> None:
    """All of it, as if it had been entered itself."""
    guard, error = Entered(), ValueError("x")
    with pytest.raises(ValueError, match="x"):
        async with QuietHours("22:00-08:00", guard=guard):
            raise error
    kind, value, traceback = guard.left
    assert (kind, value) == (ValueError, error)
    assert isinstance(traceback, TracebackType)


@pytest.mark.parametrize(
    ("end", "shown"),
    [
        (Time(8), "08:00"),
        (Time(8, 0, 30), "08:00:30"),
        (Time(8, 0, 0, 5), "08:00:00.000005"),
        (Time(8, 0, 30, 5), "08:00:30.000005"),
    ],
)
def test_hours_are_shown_as_exactly_as_they_are_meant(end: Time, shown: str) -> None:
    """In minutes, unless they have more."""
    guard = MemoryGuard()
    assert repr(QuietHours((Time(22), end), guard=guard)) == (
        f"QuietHours(22:00-{shown}, guard={guard!r})"
    )


def test_hours_that_are_none_are_refused_in_words() -> None:
    """With what to give instead."""
    with pytest.raises(InvalidRequest) as caught:
        QuietHours("08:00-8")
    assert str(caught.value) == (
        "quiet hours from 08:00 to 08:00 are none, or all: give two different times"
    )


def test_hours_that_are_not_made_yet_have_nothing() -> None:
    """As whoever copies or unpickles an object may ask it; no recursion without an end."""
    unmade = QuietHours.__new__(QuietHours)
    assert not hasattr(unmade, "guard")
    assert not hasattr(unmade, "limits")
