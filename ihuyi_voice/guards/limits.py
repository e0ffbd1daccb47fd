"""The limits per number, as settings: the vendor's are 1 a second, 3 a minute and 10 a day."""

from math import isfinite
from typing import Final

import attrs

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
        whole = isinstance(self.count, int)  # pyright: ignore[reportUnnecessaryIsInstance] - settings come from files
        if not whole or self.count < 1 or not isfinite(self.seconds) or self.seconds <= 0:
            raise InvalidRequest(
                f"{self} can't be a limit: count must be a whole number from 1, seconds above 0",
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
        given = ((self.per_second, SECOND), (self.per_minute, MINUTE), (self.per_day, DAY))
        usual = [Window(count, seconds) for count, seconds in given if count is not None]
        object.__setattr__(self, "windows", (*usual, *self.extra))  # attrs' way on frozen classes
