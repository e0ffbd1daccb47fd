"""A page of what a journal knows to be accepted, and how far a list has come on it.

A list comes again as a rule as it came before. So the next of its messages are compared, as one
text, with what stands next on the page; only where that is not the same is each looked for, among
those that are not far ahead.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final, TypeAlias, cast

from ihuyi_voice.calls import Page

Name: TypeAlias = tuple[str | None, str, str]
"""A message's reference, its number and its content."""

_END: Final = Page.END
_FIELDS: Final = 3
_NEAR: Final = 2_000
_BY_CHANCE: Final = 4  # fewer than one in so many


class Leaf:
    """A page that is read.

    Attributes:
        page: What stands there.
        met: How many of its messages have been met.

    Args:
        page: As above.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.met = 0
        self._row = self._at = 0  # the next one, and its first character
        self._places: dict[Name, tuple[int, int]] = {}  # the same of the one behind each
        self._last = self._last_at = 0  # the same of the one behind all of these

    def __len__(self) -> int:
        return len(self.page.voice_ids)

    @property
    def left(self) -> int:
        """How many stand behind the last one that was met."""
        return len(self) - self._row

    def follow(self, text: str, many: int) -> int | None:
        """Return the row of the first of so many messages, if they are the next; or None.

        Args:
            text: They, as they stand on a page.
            many: How many they are.
        """
        if not self.page.messages.startswith(text, self._at):
            return None
        row = self._row
        self._row, self._at, self.met = row + many, self._at + len(text), self.met + many
        return row

    def find(self, names: Sequence[Name]) -> list[int | None]:
        """Return the row of each message; None of what stands nowhere near.

        The list goes on behind the last of them, unless only a few are here by chance.
        """
        self._look_ahead()
        places = [*map(self._places.get, names)]
        met = [place for place in places if place is not None]
        if met and len(met) * _BY_CHANCE >= len(names):
            (self._row, self._at), self.met = met[-1], self.met + len(met)
        return [None if place is None else place[0] - 1 for place in places]

    def _look_ahead(self) -> None:
        if self._last < self._row:  # it has come here in order, so none of those will be met
            self._places, self._last, self._last_at = {}, self._row, self._at
        if self._last < min(self._row + _NEAR, len(self)):
            fields = self.page.messages[self._last_at :].split(_END, _NEAR * _FIELDS)[:-1]
            references = [each or None for each in fields[::_FIELDS]]
            names = zip(references, fields[1::_FIELDS], fields[2::_FIELDS], strict=True)
            ends = [*accumulate((len(each) + 1 for each in fields), initial=self._last_at)]
            behind = ends[_FIELDS::_FIELDS]
            self._places |= zip(names, enumerate(behind, self._last + 1), strict=True)
            self._last, self._last_at = self._last + len(behind), ends[-1]


def as_text(fields: Sequence[str | None]) -> str | None:
    """Return messages as they stand on a page; None if they can't stand on any.

    Args:
        fields: Reference, number and content of each, one after the other.
    """
    told, references = [*fields, ""], fields[::_FIELDS]
    if not all(references):
        told[:-1:_FIELDS] = ["" if each is None else each or _END for each in references]
    text = _END.join(cast("list[str]", told))
    return text if text.count(_END) == len(fields) else None


def names_of(fields: Sequence[str | None]) -> list[Name]:
    """Return the same fields, message by message."""
    return cast("list[Name]", [*zip(*[iter(fields)] * _FIELDS, strict=True)])
