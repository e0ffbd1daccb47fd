"""Recipients from a CSV file, read lazily; a bad row is reported and the rest goes on.

A row stands on one line, so that an unclosed quote spoils its own row and no other.
"""

import codecs
import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TextIO

import attrs

from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.models import Message
from ihuyi_voice.numbers import normalise_mobile
from ihuyi_voice.templates import Template

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
            InvalidRequest: The header lacks a column that is needed; the error names those found.
            OSError: The file can't be read.
        """
        with _open(self.path) as lines:
            header = next(lines, "")
            layout = self._layout(_cells(header) if header.strip() else [])
            for number, line in enumerate(lines, 2):
                if line.strip():
                    yield self._row(layout, number, line.rstrip("\r\n"))

    def _layout(self, header: list[str]) -> _Layout:
        names = [name.strip() for name in header]
        mobile = self._find(names, "mobile")
        content = None if self.template else self._find(names, "content")
        values = self._value_columns(names) if self.template else ()
        reference = self.columns.get("reference", "reference")
        place = names.index(reference) if reference in names else None
        return _Layout(len(names), mobile, content, place, values)

    def _find(self, names: list[str], wanted: str) -> int:
        name = self.columns.get(wanted, wanted)
        if name in names:
            return names.index(name)
        found = ", ".join(names) or "none"
        raise InvalidRequest(
            f"{self.path.name} has no column {name!r} for the {wanted}; it has: {found}",
            field="columns",
        )

    def _value_columns(self, names: list[str]) -> tuple[int, ...]:
        assert self.template is not None  # noqa: S101 - only called with one
        wanted = [str(place) for place in range(1, self.template.variables + 1)]
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
        reference = cells[layout.reference] if layout.reference is not None else None
        return Recipient(mobile, self._content(layout, cells), reference, line=number)

    def _content(self, layout: _Layout, cells: list[str]) -> str:
        if self.template is None or layout.content is not None:
            return cells[layout.content or 0]
        return self.template.render(*[cells[place].strip() for place in layout.values])


def _open(path: Path) -> TextIO:
    encoding = "utf-8-sig" if _is_utf8(path) else "gb18030"
    return path.open(encoding=encoding, errors="replace")


def _is_utf8(path: Path) -> bool:
    """Say whether a whole file is UTF-8; one wrong byte makes it something else."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while chunk := file.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _cells(line: str) -> list[str]:
    return next(csv.reader([line], strict=True))
