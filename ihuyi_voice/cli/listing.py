"""The rows of a list, what each is known by and how it ended; all of it on the disk if it is long.

A row is known by its reference, or by a digest of number and content, never by the row's number:
a list that was sorted, or has a row less, is the same list. The same rows have the same keys
whenever they are read. Without a ledger nobody keeps keys, so there it is the digest alone: rows
that say the same to the same number are one message, whatever their references.
"""

import json
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self, TypeAlias, TypeVar

import attrs

from ihuyi_voice.cli.feeding import Carried
from ihuyi_voice.cli.language import text
from ihuyi_voice.cli.told import Told, as_line
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.inputs import BadRow, Recipient
from ihuyi_voice.models import digest

T = TypeVar("T")

_TABLE: Final = (
    "CREATE TABLE seen (key TEXT PRIMARY KEY, said TEXT, line INTEGER, times INTEGER,"
    " result TEXT) WITHOUT ROWID"
)
_ENDS: Final = "CREATE TABLE ends (line INTEGER PRIMARY KEY, result TEXT)"
_NOTE: Final = (
    "INSERT INTO seen VALUES (?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET times = times + 1"
    " RETURNING said, line, times, result"
)


@attrs.frozen
class Keyed:
    """A row and where it stands in a ledger.

    Attributes:
        row: The row; a recipient's reference is its key if it isn't the digest.
        key: Its key; empty for a bad row.
        same_as: The line of an earlier row that says the same to the same number, and with which
            this one is sent; 0 if there is none.
        earlier: How it ended in an earlier run, and is left; None if it is to be sent.
    """

    row: Recipient | BadRow
    key: str = ""
    same_as: int = 0
    earlier: tuple[str, ...] | None = None

    @property
    def message(self) -> Recipient | None:
        """The row, if it is a message of its own."""
        row = self.row
        mute = isinstance(row, BadRow) or self.same_as or self.earlier is not None
        return None if mute or isinstance(row, BadRow) else row


Row: TypeAlias = Recipient | BadRow | Carried


def keyed(rows: Iterable[Row], *, again: bool, before: Iterable[Row] = ()) -> Iterator[Keyed]:
    """Yield each row with its key in a ledger.

    Args:
        rows: All rows of a list, in their order.
        again: Whether identical rows are messages of their own; their keys get an ordinal.
        before: The same rows, of a results file: what may have rung is not sent again by a row
            that stands before it, either.
    """
    with _Seen() as seen:
        seen.note_carried(before, by_reference=True)
        for row in rows:
            if isinstance(row, Carried):
                yield _carried(row, seen, by_reference=True)
            else:
                yield Keyed(row) if isinstance(row, BadRow) else _keyed(row, seen, again=again)


def told_apart(rows: Iterable[Row], *, again: bool, before: Iterable[Row] = ()) -> Iterator[Keyed]:
    """Yield each row; those that say the same to the same number as an earlier one name it.

    Args:
        rows: All rows of a list, in their order.
        again: Whether identical rows are messages of their own.
        before: As for `keyed`.
    """
    with _Seen() as seen:
        seen.note_carried(before, by_reference=False)
        for row in rows:
            if isinstance(row, Carried):
                yield _carried(row, seen, by_reference=False)
            elif isinstance(row, BadRow) or again:
                yield Keyed(row)
            else:
                said = digest(row.mobile, row.content)
                yield _after(seen.note(said, "", row.line), row, said)


def _after(first: "_First", row: Recipient, key: str) -> Keyed:
    """Return a row that says the same as an earlier one, if there is one."""
    if first.times > 1 and first.result:
        return Keyed(row, key, earlier=as_line(first.line, first.result))
    return Keyed(row, key, first.line if first.times > 1 else 0)


def _carried(carried: Carried, seen: "_Seen", *, by_reference: bool) -> Keyed:
    """Return a row that is left as it is; one like it that may have rung isn't sent either."""
    row = carried.row
    if isinstance(row, BadRow):
        return Keyed(row, earlier=carried.result)
    said = digest(row.mobile, row.content)
    key = (row.reference or said) if by_reference else said
    if carried.may_have_rung:
        seen.note(key, said if by_reference else "", row.line, carried.result)
    return Keyed(row, key, earlier=carried.result)


def _keyed(row: Recipient, seen: "_Seen", *, again: bool) -> Keyed:
    said = digest(row.mobile, row.content)
    key = row.reference or said
    first = seen.note(key, said, row.line)
    if first.said == said and first.times > 1 and again:
        key = f"{key}#{first.times}"
        row = attrs.evolve(row, reference=key)
        first = seen.note(key, said, row.line)
    if first.said != said:
        reason = text("send.reference.used", reference=key, line=first.line)
        return Keyed(BadRow(row.line, reason, "", row.cells))
    return _after(first, row, key)


Stamp: TypeAlias = tuple[int, int, int, int]
"""What tells one state of a file from another: where it is on the disk, its size and its time."""


def look_at(path: Path) -> Stamp:
    """Return the state of a file."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def steady(rows: Iterable[T], path: Path, seen: Stamp) -> Iterator[T]:
    """Yield the rows of a file, unless it becomes another one.

    It is read more than once, and in the midst of being written over it would be read as rows that
    nobody wrote. One that took its place does no harm to who has the old one open.

    Raises:
        InvalidRequest: It was changed; no row is a mixture.
    """
    if look_at(path) != seen:
        raise InvalidRequest(text("send.changed", name=path.name))
    for row in rows:
        if _is_written_over(path, seen):
            raise InvalidRequest(text("send.changed", name=path.name))
        yield row


def _is_written_over(path: Path, seen: Stamp) -> bool:
    try:
        now = look_at(path)
    except OSError:  # it is gone, and is read on all the same
        return False
    return now != seen and now[:2] == seen[:2]


class Scratch:
    """A database that nobody else sees: in memory, and on the disk once it is large.

    Raises:
        OSError: At any time, that disk is full.
    """

    def __init__(self, table: str) -> None:
        self._known = sqlite3.connect("", isolation_level=None)
        self.run("PRAGMA cache_size = -32768")
        self.run(table)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._known.close()

    def run(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run a statement, and return its rows."""
        with _told():
            return self._known.execute(statement, values)

    def run_for_each(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement for each of many rows of values."""
        with _told():
            self._known.executemany(statement, rows)


@contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise OSError(str(exc)) from exc


@attrs.frozen
class _First:
    """The first row of a key, how many there have been, and how it ended, if it was carried."""

    said: str
    line: int
    times: int
    result: tuple[str, ...]


class _Seen(Scratch):
    """The keys of a list."""

    def __init__(self) -> None:
        super().__init__(_TABLE)

    def note(self, key: str, said: str, line: int, result: Sequence[str] = ()) -> _First:
        """Note a row of a key; return the first of them."""
        found = self.run(_NOTE, (key, said, line, json.dumps(result))).fetchone()
        said, line, times, ended = found
        return _First(said, line, times, tuple(json.loads(ended)))

    def note_carried(self, rows: Iterable[Row], *, by_reference: bool) -> None:
        """Note all rows that are left and may have rung."""
        for row in rows:
            if isinstance(row, Carried):
                _carried(row, self, by_reference=by_reference)


class Ends(Scratch):
    """How rows have ended, by line."""

    def __init__(self) -> None:
        super().__init__(_ENDS)

    def __call__(self, told: Told) -> None:
        """Keep a row's end."""
        row = told.row.line, json.dumps(told.result)
        self.run("INSERT OR REPLACE INTO ends VALUES (?, ?)", row)

    def of(self, line: int) -> tuple[str, ...] | None:
        """Return how the row of a line has ended; None if it hasn't."""
        found = self.run("SELECT result FROM ends WHERE line = ?", (line,)).fetchone()
        return None if found is None else tuple(json.loads(found[0]))
