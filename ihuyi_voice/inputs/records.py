"""Records of a CSV file, as their writer meant them: whole, or refused as one.

A cell in quotes may hold line breaks, so a record may go on over several lines. If its quote is
closed on a later line, all of these lines are one record, good or bad: no line of it is ever read
as a record of its own. If it is closed nowhere near, it was a slip of the pen, and only its own
line is bad.
"""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from io import StringIO
from typing import Final

import attrs

DELIMITERS: Final = (",", ";", "\t")

_MOST_LINES: Final = 30  # of one record; nobody says more on the phone
_MOST_CHARACTERS: Final = 10_000
_NOTHING: Final = " \r\n\ufeff" + "".join(DELIMITERS)
_NOT_CLOSED: Final = "unexpected end of data"  # csv's words
_CHOICE: Final = re.compile(r"\ufeff*\"?sep=(.)\"?\s*", re.DOTALL)  # what Excel writes and reads
_QUOTED: Final = re.compile(r'"(?:[^"]|"")*"')


@attrs.frozen
class Record:
    """One record, of a CSV file or of a sheet.

    Attributes:
        line: The number of its first line, or of its row, from 1 on.
        cells: Its cells; none if it can't be read.
        text: As it stands in the file.
        fault: Why it can't be read; None if it can.
        unvalued: Which of its cells, by place, have a formula whose value the workbook lacks.
    """

    line: int
    cells: tuple[str, ...]
    text: str = attrs.field(default="", repr=False)
    fault: str | None = None
    unvalued: frozenset[int] = frozenset()

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing in it, as in the rows of commas below many a table."""
        return self.fault is None and not any(cell.strip() for cell in self.cells)


def csv_records(lines: Iterable[str], delimiter: str | None = None) -> Iterator[Record]:
    """Yield the records of a CSV file but for blank ones; the first is its header.

    Args:
        lines: Its lines, with their ends.
        delimiter: What stands between cells; None to tell it from a line `sep=…` or the header.
    """
    source = _Lines(lines)
    for number, line in source:
        choice = _CHOICE.fullmatch(line) if delimiter is None else None
        if choice is not None:
            delimiter = choice[1]
        elif line.strip(_NOTHING if delimiter is None else None):
            delimiter = delimiter or _told_by(line)
            record = _record(source, number, line, delimiter)
            if not record.is_blank:
                yield record


class _Lines:
    """Lines with their numbers, some of which may be given back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = enumerate(lines, 1)
        self._again = deque[tuple[int, str]]()

    def __iter__(self) -> Iterator[tuple[int, str]]:
        while (line := self.next()) is not None:
            yield line

    def next(self) -> tuple[int, str] | None:
        return self._again.popleft() if self._again else next(self._lines, None)

    def give_back(self, lines: Iterable[tuple[int, str]]) -> None:
        self._again.extendleft(reversed(list(lines)))


def _told_by(header: str) -> str:
    """Return the delimiter that a header is written with."""
    bare = _QUOTED.sub("", header)
    return max(DELIMITERS, key=bare.count)  # the first of them if there is none


def _record(source: _Lines, number: int, line: str, delimiter: str) -> Record:
    text, further = line, list[tuple[int, str]]()
    while True:
        try:
            cells = _cells(text, delimiter)
        except csv.Error as exc:
            fault = str(exc)
        else:
            return Record(number, cells, text.rstrip("\r\n"))
        if _NOT_CLOSED not in fault:
            return Record(number, (), text.rstrip("\r\n"), fault)
        following = source.next()
        if following is not None:
            further.append(following)
            text += following[1]
        if following is None or len(further) > _MOST_LINES or len(text) > _MOST_CHARACTERS:
            source.give_back(further)
            return Record(number, (), line.rstrip("\r\n"), "a quote that is closed nowhere")


def _cells(text: str, delimiter: str) -> tuple[str, ...]:
    return tuple(next(csv.reader(StringIO(text), delimiter=delimiter, strict=True)))
