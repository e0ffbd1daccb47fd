"""The limits per number, as settings: the vendor's are 1 a second, 3 a minute and 10 a day."""

import sys
from collections.abc import Sequence
from typing import Any, Final

import attrs

from ihuyi_voice.common.foreign import shown
from ihuyi_voice.common.options import is_number
from ihuyi_voice.errors import InvalidRequest

SECOND: Final = 1.0
MINUTE: Final = 60.0
DAY: Final = 86_400.0


@attrs.frozen(order=True)
class Window:
    """At most `count` calls to a number within any `seconds`."""

    count: int
    seconds: float

    def __attrs_post_init__(self) -> None:
        count: Any = self.count  # settings come from files
        whole = is_number(count) and isinstance(count, int) and count >= 1
        if not whole or not is_number(self.seconds) or not 0 < self.seconds <= sys.float_info.max:
            raise InvalidRequest(
                f"{shown(self)} can't be a limit: count must be a whole number from 1, seconds"
                " above 0",
                field="limits",
            )


@attrs.frozen
class Limits:
    """Rolling windows per number (codes 4080, 4081 and 4082 of section 2.5).

    Attributes:
        per_second: Calls within any second; None for no such limit.
        per_minute: Calls within any minute.
        per_day: Calls within any 24 hours. A rolling day is never looser than a calendar one.
        extra: More windows, for accounts with limits of their own.
    """

    per_second: int | None = 1
    per_minute: int | None = 3
    per_day: int | None = 10
    extra: tuple[Window, ...] = ()
    windows: tuple[Window, ...] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        windows = _listed(self.extra)
        if windows is None or not all(isinstance(each, Window) for each in windows):
            text = f"extra must hold Windows, not {shown(self.extra)}"
            raise InvalidRequest(text, field="limits")
        given = ((self.per_second, SECOND), (self.per_minute, MINUTE), (self.per_day, DAY))
        usual = [Window(count, seconds) for count, seconds in given if count is not None]
        object.__setattr__(self, "windows", (*usual, *self.extra))  # attrs' way on frozen classes


def _listed(given: Sequence[object]) -> Sequence[object] | None:
    return given if isinstance(given, tuple | list) else None


def checked_limits(limits: object) -> Limits:
    """Return what a guard goes by: the vendor's limits if none are given.

    Raises:
        InvalidRequest: They are no Limits.
    """
    if limits is None:
        return Limits()
    if not isinstance(limits, Limits):
        raise InvalidRequest(f"limits must be Limits(…), not {shown(limits)}", field="limits")
    return limits
