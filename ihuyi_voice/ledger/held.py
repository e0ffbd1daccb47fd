"""A part that this process holds: streamed, asked whether it is still ours, and done."""

from collections.abc import AsyncGenerator, Mapping
from functools import partial
from typing import Any, Final

from ihuyi_voice.errors import RunInUse
from ihuyi_voice.ledger.commits import stopped
from ihuyi_voice.ledger.heart import Heart
from ihuyi_voice.ledger.journal import Journal
from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.rows import Book
from ihuyi_voice.ledger.schema import STOPPED_RUN
from ihuyi_voice.ledger.states import State
from ihuyi_voice.models import Draft
from ihuyi_voice.storage import Query, Row, Work

_PAGE: Final = 500
_TO_SEND: Final = (
    "SELECT id, key, mobile, content, reference FROM {entries} WHERE run = :run AND part = :part"
    " AND part > 0 AND id > :after AND state <= CAST(:opens AS INTEGER) ORDER BY id LIMIT :most"
)
_STANDING: Final = (
    "SELECT p.epoch, p.done, r.key, r.state, r.cause FROM {parts} p JOIN {runs} r ON r.id = p.run"
    " WHERE p.run = :run AND p.part = :part"
)
_LEFT: Final = (
    "SELECT 1 AS found FROM {entries} WHERE run = :run AND part = :part AND part > 0"
    " AND (state <= CAST(:opens AS INTEGER) OR state = {INTENT}) LIMIT 1"
)
_LOCKED: Final = "SELECT 1 AS found FROM {parts} WHERE run = :run AND part = :part{update}"
_DONE: Final = (
    "UPDATE {parts} SET done = 1 WHERE run = :run AND part = :part AND epoch = :epoch RETURNING 1"
)


class HeldPart:
    """A part that this process opened, and holds until the block is left.

    Attributes:
        journal: What calls ask of its entries.

    Args:
        heart: Who reads and writes.
        owners: How statements are spelled.
        book: Where its entries stand.
        journal: The journal.
        highest: The highest state that may be sent again.
    """

    def __init__(
        self, heart: Heart, owners: Owners, book: Book, journal: Journal, highest: int
    ) -> None:
        self.journal = journal
        self._heart = heart
        self._owners = owners
        self._book = book
        self._highest = highest

    async def to_send(self) -> AsyncGenerator[Draft]:
        """Yield what is to be sent, in the order of the list, a few hundred in memory at a time.

        Raises:
            LedgerUnavailable: The ledger could not be asked.
        """
        after, more = 0, True
        while more:
            where = self._where | {"after": after, "opens": self._highest, "most": _PAGE}
            rows = await self._heart.read(partial(_page, self._owners, where))
            more = len(rows) == _PAGE
            for row in rows:
                after = row["id"]
                yield Draft(row["key"], row["mobile"], row["content"], row["reference"])

    async def check(self) -> None:
        """Return if this process may go on with it, or could.

        Raises:
            RunInUse: Another process has taken it over.
            RunStopped: The run was stopped; the error says why.
            LedgerUnavailable: The ledger could not be asked.
        """
        row = await self._heart.read(partial(standing_of, self._owners, self._where))
        if row is None or row["epoch"] != self._book.epoch:
            raise _taken_over(self._book)
        if row["state"] == STOPPED_RUN:
            raise stopped(row["cause"])

    async def finish(self, *, tried: bool) -> bool:
        """Say that the part is done, if nothing of it is left to do; return whether it is.

        Args:
            tried: Whether all of it got its chance. Then what was held back, not sent or refused
                is left as it is; else it is left to do, like what is open or in flight.

        Raises:
            RunInUse: Another process has taken it over.
            LedgerUnavailable: It is not written.
        """
        highest = State.OPEN if tried else self._highest
        return await self._heart.write(partial(_finish, self._owners, self._book, highest))

    @property
    def _where(self) -> dict[str, Any]:
        return {"run": self._book.run, "part": self._book.part}


def _page(owners: Owners, where: Mapping[str, Any]) -> Work[list[Row]]:
    yield from owners.in_order()
    return (yield Query(owners.say(_TO_SEND), where))


def standing_of(owners: Owners, where: Mapping[str, Any]) -> Work[Row | None]:
    """Return where a part stands, and its run; None if there is none."""
    rows = yield Query(owners.say(_STANDING), where)
    return rows[0] if rows else None


def _finish(owners: Owners, book: Book, highest: int) -> Work[bool]:
    where = {"run": book.run, "part": book.part}
    yield Query(owners.say(_LOCKED), where)  # before it is looked at: others may load more
    if (yield Query(owners.say(_LEFT), where | {"opens": int(highest)})):
        row = yield from standing_of(owners, where)
        if row is not None and row["epoch"] == book.epoch:
            return False
        raise _taken_over(book)
    if not (yield Query(owners.say(_DONE), where | {"epoch": book.epoch})):
        raise _taken_over(book)
    return True


def _taken_over(book: Book) -> RunInUse:
    return RunInUse(f"part {book.part} of the run was taken over by another process")
