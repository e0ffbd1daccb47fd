"""The rows of a list and what each is known by: its reference, or a digest of number and content.

Never the row's number: a list that was sorted, or has a row less, is the same list. The same rows
have the same keys whenever they are read. Without a ledger nobody keeps keys, so there it is the
digest alone: rows that say the same to the same number are one message, whatever their references.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Final, TypeAlias

import attrs

from ihuyi_voice.cli.feeding import Carried
from ihuyi_voice.cli.language import text
from ihuyi_voice.inputs import BadRow, Recipient
from ihuyi_voice.models import digest

_TABLE: Final = (
    "CREATE TABLE seen (key TEXT PRIMARY KEY, said TEXT, line INTEGER, times INTEGER) WITHOUT ROWID"
)
_NOTE: Final = (
    "INSERT INTO seen VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET times = times + 1"
    " RETURNING said, line, times"
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


def keyed(rows: Iterable[Row], *, again: bool) -> Iterator[Keyed]:
    """Yield each row with its key in a ledger.

    Args:
        rows: All rows of a list, in their order.
        again: Whether identical rows are messages of their own; their keys get an ordinal.
    """
    with closing(_Seen()) as seen:
        for row in rows:
            if isinstance(row, Carried):
                yield _carried(row, seen, by_reference=True)
            else:
                yield Keyed(row) if isinstance(row, BadRow) else _keyed(row, seen, again=again)


def told_apart(rows: Iterable[Row], *, again: bool) -> Iterator[Keyed]:
    """Yield each row; those that say the same to the same number as an earlier one name it."""
    with closing(_Seen()) as seen:
        for row in rows:
            if isinstance(row, Carried):
                yield _carried(row, seen, by_reference=False)
            elif isinstance(row, BadRow) or again:
                yield Keyed(row)
            else:
                said = digest(row.mobile, row.content)
                first = seen.note(said, "", row.line)
                yield Keyed(row, said, first.line if first.times > 1 else 0)


def _carried(carried: Carried, seen: "_Seen", *, by_reference: bool) -> Keyed:
    """Return a row that is left as it is; one like it that may have rung isn't sent either."""
    row = carried.row
    if isinstance(row, BadRow):
        return Keyed(row, earlier=carried.result)
    said = digest(row.mobile, row.content)
    key = (row.reference or said) if by_reference else said
    if carried.may_have_rung:
        seen.note(key, said if by_reference else "", row.line)
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
    return Keyed(row, key, first.line if first.times > 1 else 0)


def scratch() -> sqlite3.Connection:
    """Return a database that nobody else sees: in memory, and on the disk once it is large."""
    found = sqlite3.connect("", isolation_level=None)
    found.execute("PRAGMA cache_size = -32768")
    return found


@attrs.frozen
class _First:
    """The first row of a key, and how many there have been."""

    said: str
    line: int
    times: int


class _Seen:
    """The keys of a list."""

    def __init__(self) -> None:
        self._keys = scratch()
        self._keys.execute(_TABLE)

    def note(self, key: str, said: str, line: int) -> _First:
        """Note a row of a key; return the first of them."""
        return _First(*self._keys.execute(_NOTE, (key, said, line)).fetchone())

    def close(self) -> None:
        """Forget them."""
        self._keys.close()
