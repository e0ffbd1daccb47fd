"""Recipients from a CSV file, read lazily; a bad row is reported and the rest goes on.

A row stands on one line, so that an unclosed quote spoils its own row and no other.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TextIO

import attrs

from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.inputs.numbers import normalise_mobile
from ihuyi_voice.inputs.templates import Template
from ihuyi_voice.models import Message

_OWN: Final = ("mobile", "content", "reference")
_CHUNK: Final = 1_048_576


@attrs.frozen
class Recipient(Message):
    """A message that knows its place in the file.

    Attributes:
        line: The line number in the file, the header being line 1.
    """

    line: int = attrs.field(default=0, kw_only=True)


@attrs.frozen
class BadRow:
    """A row that can't be sent.

    Attributes:
        line: The line number in the file, the header being line 1.
        reason: What is wrong with it.
        text: The line as it stands in the file.
    """

    line: int
    reason: str
    text: str = attrs.field(repr=False)


@attrs.frozen
class _Layout:
    """Which column holds what."""

    width: int
    mobile: int
    content: int | None
    reference: int | None
    values: tuple[int, ...]


@attrs.frozen
class RecipientsFile:
    """A CSV file of recipients, in UTF-8 with or without a BOM, or in GB18030.

    Which of the two is told from the whole file, so that a broken byte spoils its row only.

    The header names a `mobile` column and, without a template, a `content` column; a `reference`
    column is taken if it is there. With a template, the columns left over hold its values, in
    order.

    Attributes:
        path: The file.
        template: Makes the content of each row; None if the file has a `content` column.
        columns: Other names of columns: `{"mobile": "手机号"}`, or `{"1": "姓名"}` for the
            template's first value.
    """

    path: Path
    template: Template | None = None
    columns: Mapping[str, str] = attrs.field(factory=dict[str, str])

    def count(self) -> int:
        """Return how many rows there are, good or bad, without the header."""
        with _open(self.path) as lines:
            return max(0, sum(1 for line in lines if line.strip()) - 1)

    def __iter__(self) -> Iterator[Recipient | BadRow]:
        """Yield a recipient or a bad row for each line that isn't blank.

        Raises:
            InvalidRequest: The header lacks a column that is needed, which the error names
                beside those found; or `columns` doesn't fit the template.
            OSError: The file can't be read.
        """
        with _open(self.path) as lines:
            layout = self._layout(self._header(next(lines, "")))
            for number, line in enumerate(lines, 2):
                if line.strip():
                    yield self._row(layout, number, line.rstrip("\r\n"))

    def _header(self, line: str) -> list[str]:
        try:
            return [name.strip() for name in _cells(line)] if line.strip() else []
        except csv.Error as exc:
            raise InvalidRequest(
                f"the header of {self.path.name} can't be read: {exc}", field="columns"
            ) from exc

    def _layout(self, names: list[str]) -> _Layout:
        self._check_columns()
        mobile = self._find(names, "mobile")
        content = None if self.template else self._find(names, "content")
        values = self._value_columns(names) if self.template else ()
        wanted = "reference" in self.columns or "reference" in names
        reference = self._find(names, "reference") if wanted else None
        return _Layout(len(names), mobile, content, reference, values)

    def _check_columns(self) -> None:
        places = self._places()
        known = (*_OWN, *places)
        strange = [name for name in self.columns if name not in known]
        if strange:
            raise InvalidRequest(
                f"no column is needed for {strange[0]!r}; there are: {', '.join(known)}",
                field="columns",
            )
        named = [place for place in places if place in self.columns]
        if named and named != places:
            raise InvalidRequest(
                f"the template takes {len(places)} values, and only {', '.join(named)} has a "
                "column named; name all of them or none",
                field="columns",
            )

    def _places(self) -> list[str]:
        """Return what the template's values are called: 1, 2 and so on."""
        count = self.template.variables if self.template else 0
        return [str(place) for place in range(1, count + 1)]

    def _find(self, names: list[str], wanted: str) -> int:
        name = self.columns.get(wanted, wanted)
        if names.count(name) == 1:
            return names.index(name)
        found = ", ".join(names) or "none"
        count = "two columns" if name in names else "no column"
        raise InvalidRequest(
            f"{self.path.name} has {count} {name!r} for the {wanted}; it has: {found}",
            field="columns",
        )

    def _value_columns(self, names: list[str]) -> tuple[int, ...]:
        wanted = self._places()
        if all(place in self.columns for place in wanted):
            return tuple(self._find(names, place) for place in wanted)
        own = {self.columns.get(name, name) for name in _OWN}
        rest = [place for place, name in enumerate(names) if name not in own]
        if len(rest) != len(wanted):
            raise InvalidRequest(
                f"the template takes {len(wanted)} values, and {self.path.name} has "
                f"{len(rest)} columns for them; say which by 1=…, 2=…",
                field="columns",
            )
        return tuple(rest)

    def _row(self, layout: _Layout, number: int, line: str) -> Recipient | BadRow:
        try:
            return self._recipient(layout, number, _cells(line))
        except (InvalidRequest, csv.Error) as exc:
            return BadRow(number, str(exc), line)

    def _recipient(self, layout: _Layout, number: int, cells: list[str]) -> Recipient:
        if len(cells) != layout.width:
            raise InvalidRequest(f"{len(cells)} cells instead of {layout.width}")
        if any("�" in cell for cell in cells):
            raise InvalidRequest("bytes that are neither UTF-8 nor GB18030")
        mobile = normalise_mobile(cells[layout.mobile])
        named = cells[layout.reference].strip() if layout.reference is not None else ""
        return Recipient(mobile, self._content(layout, cells), named or None, line=number)

    def _content(self, layout: _Layout, cells: list[str]) -> str:
        if self.template is None or layout.content is not None:
            return cells[layout.content or 0]
        return self.template.render(*[cells[place].strip() for place in layout.values])


def _open(path: Path) -> TextIO:
    return path.open(encoding=_encoding(path), errors="replace")


def _encoding(path: Path) -> str:
    """Return UTF-8 if at least four fifths of a file's non-ASCII bytes make sense in it.

    Not only if all do: one broken byte would turn every name of a UTF-8 file into another name,
    and phones would ring with it. Of Chinese text in GB18030, a third makes sense in UTF-8.
    """
    sense = nonsense = 0
    with path.open(encoding="utf-8", errors="surrogateescape") as file:
        while text := file.read(_CHUNK):
            valid = len(text.encode("utf-8", "ignore"))
            sense += valid - len(text.encode("ascii", "ignore"))
            nonsense += len(text.encode("utf-8", "surrogateescape")) - valid
    return "utf-8-sig" if nonsense * 4 <= sense else "gb18030"


def _cells(line: str) -> list[str]:
    return next(csv.reader([line], strict=True))
