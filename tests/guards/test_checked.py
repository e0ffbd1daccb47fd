"""What is no guard is refused in words, before anything is called."""

from typing import Any

import pytest

from ihuyi_voice import InvalidRequest
from ihuyi_voice.guards import Limits, MemoryGuard, QuietHours
from ihuyi_voice.guards.contract import check_guard

INSTEAD = "guard must be a MemoryGuard or another guard, not"


class NoBlock:
    """Three quarters of a guard."""

    reserve = commit = release = print
    block = None

    def __repr__(self) -> str:
        return "NoBlock()"


@pytest.mark.parametrize(
    ("guard", "text"),
    [
        (Limits(), "guard is Limits, which guards nothing: did you mean MemoryGuard(Limits(…))?"),
        (5, f"{INSTEAD} 5"),
        (NoBlock(), f"{INSTEAD} NoBlock()"),
        (MemoryGuard, f"{INSTEAD} {MemoryGuard!r}"),
    ],
)
def test_what_is_no_guard_is_said_in_words(guard: Any, text: str) -> None:
    """With what to give instead."""
    with pytest.raises(InvalidRequest) as caught:
        check_guard(guard)
    assert (str(caught.value), caught.value.field) == (text, "guard")


def test_guards_and_none_are_taken() -> None:
    """None stands for no guard at all."""
    for guard in (None, MemoryGuard(), QuietHours("22:00-08:00")):
        check_guard(guard)
