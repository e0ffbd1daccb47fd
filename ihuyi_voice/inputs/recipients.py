"""Recipients from a table, read lazily; a bad row is reported and the rest goes on."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs

from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.inputs.columns import Columns, Layout, MissingColumn, filled
from ihuyi_voice.inputs.numbers import normalise_mobile
from ihuyi_voice.inputs.records import Record
from ihuyi_voice.inputs.tables import TableFile
from ihuyi_voice.inputs.templates import Template
from ihuyi_voice.inputs.workbook import Unseen, unseen
from ihuyi_voice.models import Message

_NO_VALUE: Final = (
    "the cell below {name!r} has a formula, and the workbook lacks its value: open it in Excel or"
    " WPS, and save it"
)
_ZERO: Final = "\0"
_BROKEN: Final = "\N{REPLACEMENT CHARACTER}"
_FAILED: Final = frozenset({
    "#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!",
    "#FIELD!", "#BLOCKED!", "#CONNECT!", "#GETTING_DATA", "#BUSY!", "#UNKNOWN!",
})  # fmt: skip
"""What a formula shows that came to nothing."""


@attrs.frozen
class Recipient(Message):
    """A message that knows its place in the file.

    Attributes:
        line: The line number in the file, the header being line 1 if nothing stands above it.
        cells: All cells of its row.
    """

    line: int = attrs.field(default=0, kw_only=True)
    cells: tuple[str, ...] = attrs.field(default=(), kw_only=True, eq=False, repr=False)


@attrs.frozen
class BadRow:
    """A row that can't be sent.

    Attributes:
        line: The line number in the file, as a recipient's.
        reason: What is wrong with it.
        text: The row as it stands in the file; it may have several lines.
        cells: All cells of the row; none if they can't be told.
    """

    line: int
    reason: str
    text: str = attrs.field(repr=False)
    cells: tuple[str, ...] = attrs.field(default=(), eq=False, repr=False)


@attrs.frozen
class RecipientsFile:
    """A table of recipients: a CSV file (UTF-8, GB18030 or UTF-16) or a workbook (.xlsx).

    Delimiter and encoding are found; the encoding is told from the whole file, so that a broken
    byte spoils its row only. The header is the first row that isn't blank.

    It names a column `mobile` (or 手机号, 电话, phone and their like) and, without a template, a
    `content` column, which may name others: 您好{姓名}。 A `reference` column is taken if it is
    there. With a template, the columns left over hold its values, in order.

    Attributes:
        path: The file.
        template: Makes the content of each row; None if the file has a `content` column.
        columns: Other names of columns: `{"mobile": "号码二"}`, or `{"1": "姓名"}` for the
            template's first value.
        delimiter: What stands between the cells of a CSV file; None to find out.
    """

    path: Path
    template: Template | None = None
    columns: Mapping[str, str] = attrs.field(factory=dict[str, str])
    delimiter: str | None = None

    def names(self) -> tuple[str, ...]:
        """Return the names of all columns.

        Raises:
            InvalidRequest, OSError: As when it is read.
        """
        return self._begun()[0].names

    def unseen(self) -> Unseen | None:
        """Return what a person may not see of a workbook; None for a CSV file.

        Raises:
            InvalidRequest, ImportError, OSError: As when it is read.
        """
        return unseen(self.path) if self._table().is_workbook() else None

    def count(self) -> int:
        """Return how many rows there are, good or bad, without the header."""
        return max(0, sum(1 for _ in self._table()) - 1)

    def __iter__(self) -> Iterator[Recipient | BadRow]:
        """Yield a recipient or a bad row for each row that isn't blank.

        Raises:
            InvalidRequest: It is no table; the header lacks a column that is needed, which the
                error names beside those found; `columns` doesn't fit the template; or a content
                names a column that isn't there.
            ImportError: It is a workbook, and the extra `excel` is not installed.
            OSError: The file can't be read.
        """
        layout, records = self._begun()
        for record in records:
            yield self._row(layout, record)

    def _table(self) -> TableFile:
        return TableFile(self.path, self.delimiter)

    def _begun(self) -> tuple[Layout, Iterator[Record]]:
        records = iter(self._table())
        header = next(records, Record(1, ()))
        try:
            return self._layout(header), records
        except InvalidRequest as exc:
            if _ZERO in header.text:  # no name has one, and most of what is no text
                raise InvalidRequest(
                    f"{self.path.name} is neither text nor a workbook; save it again as .xlsx or"
                    " as .csv"
                ) from exc
            raise

    def _layout(self, header: Record) -> Layout:
        if header.fault is not None:
            raise InvalidRequest(
                f"the header of {self.path.name} can't be read: {header.fault}", field="columns"
            )
        return Columns(self.path.name, self.template, self.columns).layout(header.cells)

    def _row(self, layout: Layout, record: Record) -> Recipient | BadRow:
        try:
            return self._recipient(layout, record)
        except MissingColumn as exc:
            reason = f"{self.path.name}, line {record.line}: {exc}"
            raise InvalidRequest(reason, field=exc.field) from exc
        except InvalidRequest as exc:
            return BadRow(record.line, str(exc), record.text, record.cells)

    def _recipient(self, layout: Layout, record: Record) -> Recipient:
        cells = _fitted(record, len(layout.names))
        _check_values(layout, record)
        mobile = normalise_mobile(cells[layout.mobile])
        named = cells[layout.reference].strip() if layout.reference is not None else ""
        content = self._content(layout, cells)
        return Recipient(mobile, content, named or None, line=record.line, cells=cells)

    def _content(self, layout: Layout, cells: tuple[str, ...]) -> str:
        if self.template is not None:
            return self.template.render(*[cells[place].strip() for place in layout.values])
        content = cells[layout.content or 0]
        if content.strip() in _FAILED:
            raise InvalidRequest(
                f"the content is an error of a spreadsheet: {content.strip()}", field="content"
            )
        return filled(content, layout.names, cells)


def _check_values(layout: Layout, record: Record) -> None:
    """Refuse a record whose number, or what is to be said, is a formula without a value."""
    if not record.unvalued:
        return
    said = "" if layout.content is None else record.cells[layout.content]
    named = (place for place, name in enumerate(layout.names) if f"{{{name}}}" in said)
    needed = {layout.mobile, layout.content, layout.reference, *layout.values, *named}
    lacking = needed & record.unvalued
    if lacking:
        name = layout.names[min(each for each in lacking if each is not None)]
        raise InvalidRequest(_NO_VALUE.format(name=name))


def _fitted(record: Record, width: int) -> tuple[str, ...]:
    """Return the cells of a record, as many as the header has.

    Raises:
        InvalidRequest: It has others, or can't be read.
    """
    if record.fault is not None:
        raise InvalidRequest(record.fault)
    cells = record.cells
    if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
        cells = cells[:width]
    if len(cells) != width:
        raise InvalidRequest(f"{len(cells)} cells instead of {width}")
    if any(_BROKEN in cell for cell in cells):
        raise InvalidRequest("bytes that make no sense in the file's encoding")
    return cells
