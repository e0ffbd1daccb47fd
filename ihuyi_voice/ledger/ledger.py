"""The ledger: a key is never rung twice, whatever dies."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from ihuyi_voice.common.logs import tell
from ihuyi_voice.errors import InvalidRequest, LedgerClosed, LedgerUnavailable, RunInUse
from ihuyi_voice.ledger.heart import Heart, as_ledger, logger
from ihuyi_voice.ledger.journal import Journal
from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.report import Reporting, RunReport
from ihuyi_voice.ledger.results import Kept, kept
from ihuyi_voice.ledger.rows import Book
from ihuyi_voice.ledger.runs import ANYBODY, Held, Opened, Runs, check_name, watched
from ihuyi_voice.ledger.schema import Spelling, Timing
from ihuyi_voice.ledger.states import opens
from ihuyi_voice.storage import Address, Database, Work

_TIMING = Timing()


@attrs.frozen
class _Parts:
    """What an open ledger consists of, and how to close it."""

    heart: Heart
    runs: Runs
    closing: AsyncExitStack
    open: set[tuple[str, str, int]]
    books: dict[str, Book]


class Ledger:
    """Keyed calls and runs, each message rung at most once, in SQLite or PostgreSQL.

    `async with Ledger.open("calls.db") as ledger`; it may be opened again after it was closed. Each
    process opens its own; many may share one database, also many in one process. Not on a network
    file system: SQLite's locks are not safe there.
    """

    def __init__(
        self, address: Address, *, prefix: str, timing: Timing, clock: Callable[[], float] | None
    ) -> None:
        self._address = address
        self._prefix = prefix
        self._timing = timing
        self._clock = clock
        self._opening = False
        self._parts: _Parts | None = None

    @classmethod
    def open(
        cls,
        path_or_url: str | Path,
        *,
        prefix: str = "ihuyi",
        timing: Timing = _TIMING,
        clock: Callable[[], float] | None = None,
    ) -> Self:
        """Return a ledger to be entered with `async with`.

        Args:
            path_or_url: A path or `sqlite:///…` for SQLite, `postgresql://…` for PostgreSQL.
            prefix: What the names of its tables begin with; they are created if they are missing.
            timing: How the living are told from the dead.
            clock: Unix time in seconds, UTC, the same for all who share the database; None for
                the database's clock on PostgreSQL, and this machine's on SQLite.

        Raises:
            InvalidRequest: An argument can't be right.
            ImportError: The extra that the database needs is not installed.
        """
        if not (prefix.isascii() and prefix.isidentifier() and len(prefix) <= 40):  # noqa: PLR2004
            raise InvalidRequest("the prefix must be an identifier", field="prefix")
        return cls(Address.parse(path_or_url), prefix=prefix, timing=timing, clock=clock)

    @property
    def is_open(self) -> bool:
        """Whether it has been entered and not been left."""
        return self._parts is not None

    async def __aenter__(self) -> Self:
        """Connect, and create the tables if they are missing.

        Raises:
            LedgerUnavailable: The database can't be reached, or says no.
            InvalidRequest: It is open already.
        """
        if self._opening or self._parts is not None:
            raise InvalidRequest("the ledger is open already")
        self._opening = True
        try:
            self._parts = await self._open()
        finally:
            self._opening = False
        return self

    async def _open(self) -> _Parts:
        async with AsyncExitStack() as closing:
            database = Database(self._address, lock=None)
            closing.push_async_callback(database.close)
            own_clock = self._clock is not None or database.dialect.name == "sqlite"
            say = Spelling(database.dialect, self._prefix, own_clock=own_clock)
            with as_ledger:
                await database.open(say.schema(self._prefix))
            owners = Owners(say, self._timing, self._clock or time.time)
            heart = await closing.enter_async_context(Heart(database, owners))
            return _Parts(heart, Runs(owners), closing.pop_all(), set(), {})

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write what was put, and disconnect; what is in flight still becomes UNKNOWN."""
        parts, self._parts = self._parts, None
        if parts is not None:
            await parts.closing.aclose()

    # --- what clients need

    def calls(self, account: str, *, retry_rejected: bool = False) -> Journal:
        """Return the journal of an account's keyed calls.

        Args:
            account: Whose calls they are.
            retry_rejected: Whether what the vendor refused by FIX_REQUEST may be sent again.

        Raises:
            LedgerClosed: The ledger is not open.
        """
        parts = self._open_parts()
        return Journal(
            parts.heart,
            account,
            partial(_keyed, parts, account),
            opens(retry_rejected=retry_rejected),
            parts.heart.flights(account),
            is_new=False,
            has_recent=account in parts.heart.recent,
        )

    @asynccontextmanager
    async def run(
        self, account: str, key: str, *, takeover: bool = False, retry_rejected: bool = False
    ) -> AsyncGenerator[Journal]:
        """Open a run, which is free again when the block is left.

        Args:
            account: Whose calls they are.
            key: The run's name.
            takeover: Whether to take it from another living process.
            retry_rejected: As for `calls`.

        Raises:
            RunInUse: Another living process works on it, or it is open here already.
            RunStopped: It was stopped, and not resumed.
            LedgerUnavailable: The ledger could not be asked.
            InvalidRequest: The name can't be right.
        """
        check_name(key)
        parts, name = self._open_parts(), (account, key, 0)
        if name in parts.open:
            raise RunInUse(f"the run {key!r} is open here already")
        parts.open.add(name)
        try:
            opened = await self._taken(parts, account, key, takeover=takeover)
            try:
                yield _journal_of(parts, account, opened, retry_rejected=retry_rejected)
            finally:
                await _left(parts, opened.book)
        finally:
            parts.open.discard(name)

    async def _taken(self, parts: _Parts, account: str, key: str, *, takeover: bool) -> Opened:
        async def attempt(insist: Held | None) -> Opened | Held:
            owner, whom = parts.heart.owner, ANYBODY if takeover else insist
            return await parts.heart.write(lambda: parts.runs.open(account, key, 0, owner, whom))

        looks = round(self._timing.dead / self._timing.look)
        return await watched(attempt, lambda: asyncio.sleep(self._timing.look), looks)

    # --- what people are told

    async def report(
        self, run: str, *, account: str | None = None, listed: int = 200
    ) -> RunReport:
        """Return what a whole run came to, counted by the database.

        Args:
            run: Its name; "" for the keyed calls.
            account: Whose it is; None for the only one that has such a run.
            listed: How many of those whose end is uncertain are listed at most.

        Raises:
            InvalidRequest: There is no such run, or several accounts have one.
            LedgerUnavailable: The ledger could not be asked.
        """
        parts = self._open_parts()

        def work() -> Work[RunReport]:
            row = yield from parts.runs.named(run, account)
            reporting = Reporting(parts.runs.owners.say, int(row["id"]))
            return (yield from reporting.report(row["account"], run, listed))

        return await parts.heart.read(work)

    async def results(
        self, run: str, keys: Sequence[str], *, account: str | None = None
    ) -> Mapping[str, Kept]:
        """Return what became of some messages of a run, by key; those that it lacks are missing.

        Args:
            run: Its name.
            keys: The keys; some hundreds at a time.
            account: As for `report`.

        Raises:
            InvalidRequest, LedgerUnavailable: As for `report`.
        """
        parts = self._open_parts()

        def work() -> Work[Mapping[str, Kept]]:
            row = yield from parts.runs.named(run, account)
            return (yield from kept(parts.runs.owners.say, int(row["id"]), keys))

        return await parts.heart.read(work)

    def _open_parts(self) -> _Parts:
        if self._parts is None:
            raise LedgerClosed("the ledger is not open: enter it with `async with`")
        return self._parts


async def _keyed(parts: _Parts, account: str) -> Book:
    book = parts.books.get(account)
    if book is None:
        book = await parts.heart.write(lambda: parts.runs.keyed(account))
        parts.books[account] = book
    return book


def _journal_of(parts: _Parts, account: str, opened: Opened, *, retry_rejected: bool) -> Journal:
    async def book() -> Book:
        return opened.book

    return Journal(
        parts.heart,
        account,
        book,
        opens(retry_rejected=retry_rejected),
        {},
        is_new=opened.is_new,
        has_recent=opened.has_recent,
    )


async def _left(parts: _Parts, book: Book) -> None:
    try:
        await parts.heart.write(lambda: parts.runs.leave(book))
    except LedgerUnavailable as exc:
        tell(logger, logging.WARNING, "a run could not be left: %s", exc)
