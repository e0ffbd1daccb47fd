"""The parts of a run that many processes work on: loaded, opened, streamed, done, and watched."""

import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs

from ihuyi_voice.errors import InvalidRequest, RunInUse
from ihuyi_voice.ledger.commits import stopped
from ihuyi_voice.ledger.entries import Status, plain_status
from ihuyi_voice.ledger.journal import Journal
from ihuyi_voice.ledger.loading import STEP, Load, Loading
from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.rows import Book
from ihuyi_voice.ledger.schema import STOPPED_RUN
from ihuyi_voice.ledger.states import opens
from ihuyi_voice.models import Draft
from ihuyi_voice.storage import Address, Query, Row, Work

if TYPE_CHECKING:
    from ihuyi_voice.ledger.desk import Desk

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
    " AND state IN ({OPEN}, {INTENT}) LIMIT 1"
)
_DONE: Final = (
    "UPDATE {parts} SET done = 1 WHERE run = :run AND part = :part AND epoch = :epoch RETURNING 1"
)
_LISTED: Final = (
    "SELECT r.id AS run, r.key, p.part, p.done, p.epoch, o.host, o.pid, {now} - o.beat_at AS age"
    " FROM {parts} p JOIN {runs} r ON r.id = p.run LEFT JOIN {owners} o ON o.id = p.owner"
    " WHERE p.part > 0"
)
_UNDONE: Final = (
    _LISTED + " AND r.account = :account AND p.done = 0 AND r.state = {OPEN_RUN}"
    " ORDER BY r.id, p.part"
)
_OF_RUN: Final = _LISTED + " AND p.run = :run ORDER BY p.part"
_COUNTS: Final = (
    "SELECT part, state, count(*) AS entries FROM {entries} WHERE run = :run GROUP BY part, state"
)


@attrs.frozen
class Loaded:
    """What a load came to.

    Attributes:
        parts: How many parts the run has.
        new: How many messages came into it.
        others: The places, counted from 1, of rows whose key is another message's.
    """

    parts: int
    new: int
    others: Sequence[int]


@attrs.frozen
class PartInfo:
    """A part, as people see it.

    Attributes:
        run: The run's name.
        run_id: Its number in this ledger.
        part: The part's.
        done: Whether nothing of it is open or in flight.
        epoch: How often it was opened.
        owner: Who holds it, `host:pid`; None if nobody does.
        beat: The seconds since that one's last beat.
        alive: Whether that one lives.
    """

    run: str
    run_id: int
    part: int
    done: bool
    epoch: int
    owner: str | None
    beat: float | None
    alive: bool


@attrs.frozen
class RunProgress:
    """Where a run stands that many work on.

    Attributes:
        counts: How many messages have which status; "OPEN" if they have none yet.
        by_part: The same, part by part.
        parts: Its parts, with whoever holds them.
        stopped: Whether it was stopped.
        cause: Why.
    """

    counts: Mapping[Status, int]
    by_part: Mapping[int, Mapping[Status, int]]
    parts: Sequence[PartInfo]
    stopped: bool
    cause: str | None

    @property
    def done(self) -> int:
        """How many parts are done."""
        return sum(part.done for part in self.parts)


class HeldPart:
    """A part that this process opened, and holds until the block is left.

    Attributes:
        journal: What calls ask of its entries.

    Args:
        desk: Whose it is.
        book: Where its entries stand.
        journal: The journal.
        highest: The highest state that may be sent again.
    """

    def __init__(self, desk: "Desk", book: Book, journal: Journal, highest: int) -> None:
        self.journal = journal
        self._desk = desk
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
            rows = await self._desk.heart.read(partial(_rows, self._desk.owners, _TO_SEND, where))
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
        row = await self._desk.heart.read(partial(_standing, self._desk.owners, self._where))
        if row is None or row["epoch"] != self._book.epoch:
            raise _taken_over(self._book)
        if row["state"] == STOPPED_RUN:
            raise stopped(row["cause"])

    async def finish(self) -> bool:
        """Say that the part is done, if nothing of it is open or in flight; return whether it is.

        Raises:
            RunInUse: Another process has taken it over.
            LedgerUnavailable: It is not written.
        """
        return await self._desk.heart.write(partial(_finish, self._desk.owners, self._book))

    @property
    def _where(self) -> dict[str, Any]:
        return {"run": self._book.run, "part": self._book.part}


class Parts:
    """What many processes that work on one run need of its ledger.

    Args:
        desk: The ledger's.
        address: Where it is.
    """

    def __init__(self, desk: "Desk", address: Address) -> None:
        self._desk = desk
        self._owners = desk.owners
        self.address = address
        self.prefix = desk.owners.say.prefix

    # --- loading

    async def begin(self, account: str, run: str, size: int) -> Load:
        """Begin to load a list into a run, in place of a load that died.

        Args:
            account: Whose run it is.
            run: Its name.
            size: About how many messages a part is to have.

        Raises:
            InvalidRequest: The ledger is in SQLite, or the run is worked on by one process alone.
            LedgerUnavailable: It is not begun.
        """
        if self.address.dialect != "postgresql":
            raise InvalidRequest("a run of many processes needs a ledger in PostgreSQL")
        token = os.urandom(6).hex()
        loading = self._loading
        return await self._desk.heart.write(lambda: loading.begin(account, run, size, token))

    async def add(self, load: Load, drafts: Sequence[Draft], before: int) -> None:
        """Add messages to a load, after so many others.

        Raises:
            RunInUse: A later load of the run has begun.
            LedgerUnavailable: They are not added; the load is to be begun anew.
        """
        await self._desk.heart.write(partial(self._loading.add, load, drafts, before))

    async def end(self, load: Load, rows: int) -> Loaded:
        """Let the messages of a load, so many in all, be worked on.

        Raises:
            RunInUse: A later load of the run has begun.
            LedgerUnavailable: The load is to be begun anew.
        """
        write, loading = self._desk.heart.write, self._loading
        parts = await write(partial(loading.divide, load, rows))
        new, others = 0, list[int]()
        for after in range(0, rows, STEP):
            moved, odd = await write(partial(loading.move, load, parts, after))
            new += moved
            others += odd
        await write(partial(loading.end, load))
        return Loaded(parts, new, others)

    # --- working

    def hold(
        self,
        account: str,
        run: str,
        part: int,
        *,
        takeover: bool = False,
        retry_rejected: bool = False,
    ) -> AbstractAsyncContextManager[HeldPart]:
        """Open a part, as `Ledger.run` opens a run.

        Raises:
            RunInUse: A living process holds it.
            RunStopped: The run was stopped.
            LedgerUnavailable: The ledger could not be asked.
        """
        return self._hold(account, run, part, takeover=takeover, retry_rejected=retry_rejected)

    @asynccontextmanager
    async def _hold(
        self, account: str, run: str, part: int, *, takeover: bool, retry_rejected: bool
    ) -> AsyncGenerator[HeldPart]:
        opening = self._desk.part(
            account, run, part, takeover=takeover, retry_rejected=retry_rejected
        )
        async with opening as (book, journal):
            highest = opens(retry_rejected=retry_rejected)
            yield HeldPart(self._desk, book, journal, highest)

    async def is_done(self, account: str, run: str, part: int) -> bool:
        """Return whether there is nothing to do for a part.

        Raises:
            InvalidRequest: There is no such run, or it has no such part.
            LedgerUnavailable: The ledger could not be asked.
        """
        where = {"run": await self._desk.found(run, account), "part": part}
        row = await self._desk.heart.read(partial(_standing, self._owners, where))
        if row is None or not part:
            raise InvalidRequest(f"the run {run!r} has no part {part}", field="part")
        return bool(row["done"])

    async def undone(self, account: str) -> list[PartInfo]:
        """Return the parts of an account's runs that are not done, but for stopped runs.

        Raises:
            LedgerUnavailable: The ledger could not be asked.
        """
        read = partial(_rows, self._owners, _UNDONE, {"account": account} | self._owners.now())
        return [self._info(row) for row in await self._desk.heart.read(read)]

    async def progress(self, run: str, account: str | None = None) -> RunProgress:
        """Return where a run stands, over all processes.

        Raises:
            InvalidRequest: There is no such run, or several accounts have one.
            LedgerUnavailable: The ledger could not be asked.
        """
        return await self._desk.heart.read(lambda: self._progress(run, account))

    def _progress(self, run: str, account: str | None) -> Work[RunProgress]:
        named = yield from self._desk.runs.named(run, account)
        where = {"run": int(named["id"])} | self._owners.now()
        parts = yield Query(self._owners.say(_OF_RUN), where)
        by_part: dict[int, dict[Status, int]] = {}
        for row in (yield Query(self._owners.say(_COUNTS), where)):
            of_part, status = by_part.setdefault(row["part"], {}), plain_status(row)
            of_part[status] = of_part.get(status, 0) + row["entries"]
        counts: dict[Status, int] = {}
        for of_part in by_part.values():
            for status, count in of_part.items():
                counts[status] = counts.get(status, 0) + count
        infos = [self._info(row) for row in parts]
        is_stopped = named["state"] == STOPPED_RUN
        return RunProgress(counts, by_part, infos, is_stopped, named["cause"])

    def _info(self, row: Row) -> PartInfo:
        owner = None if row["host"] is None else f"{row['host']}:{row['pid']}"
        alive = row["age"] is not None and row["age"] <= self._owners.timing.dead
        return PartInfo(
            row["key"], int(row["run"]), row["part"], bool(row["done"]), int(row["epoch"]),
            owner, row["age"], alive,
        )  # fmt: skip

    @property
    def _loading(self) -> Loading:
        return Loading(self._owners, self.prefix)


def _rows(owners: Owners, template: str, where: Mapping[str, Any]) -> Work[list[Row]]:
    return (yield Query(owners.say(template), where))


def _standing(owners: Owners, where: Mapping[str, Any]) -> Work[Row | None]:
    rows = yield Query(owners.say(_STANDING), where)
    return rows[0] if rows else None


def _finish(owners: Owners, book: Book) -> Work[bool]:
    where = {"run": book.run, "part": book.part}
    if (yield Query(owners.say(_LEFT), where)):
        row = yield from _standing(owners, where)
        if row is not None and row["epoch"] == book.epoch:
            return False
        raise _taken_over(book)
    if not (yield Query(owners.say(_DONE), where | {"epoch": book.epoch})):
        raise _taken_over(book)
    return True


def _taken_over(book: Book) -> RunInUse:
    return RunInUse(f"part {book.part} of the run was taken over by another process")
