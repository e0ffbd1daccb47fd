"""The ledger: a key is never rung twice, whatever dies."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import attrs

from ihuyi_voice.common.plain import is_storable
from ihuyi_voice.errors import InvalidRequest, LedgerClosed, LedgerUnavailable
from ihuyi_voice.events import Hook, Stream, checked_hook
from ihuyi_voice.inputs import (
    check_acts,
    check_called,
    check_identifier,
    check_is,
    check_not_negative,
)
from ihuyi_voice.ledger import entries
from ihuyi_voice.ledger.desk import Desk
from ihuyi_voice.ledger.entries import Entry, Status
from ihuyi_voice.ledger.heart import LOCK_TIMEOUT, Heart, as_ledger
from ihuyi_voice.ledger.journal import Journal
from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.parts import Parts
from ihuyi_voice.ledger.reconcile import Follower, Reconciled, Reports, check_inbox
from ihuyi_voice.ledger.report import Reporting, RunReport
from ihuyi_voice.ledger.results import Kept, kept
from ihuyi_voice.ledger.runs import RunInfo
from ihuyi_voice.ledger.schema import Spelling, Timing
from ihuyi_voice.ledger.telling import Telling
from ihuyi_voice.models import OutcomeStatus
from ihuyi_voice.storage import Address, Database

_TIMING: Final = Timing()
_LONGEST_PREFIX: Final = 40


class Ledger:
    """Keyed calls and runs, each message rung at most once, in SQLite or PostgreSQL.

    `async with Ledger.open("calls.db") as ledger`; it may be opened again after it was closed. Each
    process opens its own, and each event loop; many may share one database, also many in one
    process. Not on a network file system: SQLite's locks are not safe there.

    Where a method takes an account, None means the only one that has such a run.
    """

    def __init__(
        self,
        address: Address,
        *,
        inbox: Reports | None,
        create: bool,
        prefix: str,
        timing: Timing,
        clock: Callable[[], float] | None,
        on_event: Hook | None = None,
    ) -> None:
        self._address = address
        self._inbox = inbox
        self._create = create
        self._prefix = prefix
        self._timing = timing
        self._clock = clock
        self._telling = Telling(Stream(checked_hook(on_event)))
        self._opening = False
        self._desk: Desk | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = AsyncExitStack()

    @classmethod
    def open(
        cls,
        path_or_url: str | Path,
        *,
        inbox: Reports | None = None,
        create: bool = True,
        prefix: str = "ihuyi",
        timing: Timing = _TIMING,
        clock: Callable[[], float] | None = None,
        on_event: Hook | None = None,
    ) -> Self:
        """Return a ledger to be entered with `async with`.

        Args:
            path_or_url: A path or `sqlite:///…` for SQLite, `postgresql://…` for PostgreSQL.
            inbox: An inbox, whose reports are taken in as they come while it is open, be it opened
                before this ledger or after: they settle what is UNKNOWN, and tell how calls ended.
            create: Whether a missing file and missing tables are made.
            prefix: What the names of its tables begin with.
            timing: How the living are told from the dead.
            clock: Unix time in seconds, UTC, the same for all who share the database; None for
                the database's clock on PostgreSQL, and this machine's on SQLite.
            on_event: Called with what the ledger does; see `ihuyi_voice.events`.

        Raises:
            InvalidRequest: An argument can't be right.
            ImportError: The extra that the database needs is not installed.
        """
        check_identifier("prefix", prefix, _LONGEST_PREFIX)
        check_is("timing", timing, Timing, "a Timing")
        if inbox is not None:
            check_inbox(inbox)
        if clock is not None:
            check_called("clock", clock)
        address = Address.parse(path_or_url)
        return cls(
            address,
            inbox=inbox,
            create=create,
            prefix=prefix,
            timing=timing,
            clock=clock,
            on_event=on_event,
        )

    @property
    def is_open(self) -> bool:
        """Whether it has been entered and not been left."""
        return self._desk is not None

    async def __aenter__(self) -> Self:
        """Connect, and create the tables if they are missing.

        Raises:
            LedgerUnavailable: The database can't be reached, or says no.
            InvalidRequest: It is open already.
        """
        if self._opening or self._desk is not None:
            raise InvalidRequest("the ledger is open already")
        self._opening = True
        try:
            async with AsyncExitStack() as closing:
                desk = await self._connected(closing)
                self._closing, self._desk = closing.pop_all(), desk
                self._loop = asyncio.get_running_loop()
        finally:
            self._opening = False
        return self

    async def _connected(self, closing: AsyncExitStack) -> Desk:
        database = Database(self._address, lock=None, lock_timeout=LOCK_TIMEOUT)
        closing.push_async_callback(database.close)
        own_clock = self._clock is not None or database.dialect.name == "sqlite"
        say = Spelling(database.dialect, self._prefix, own_clock=own_clock)
        with as_ledger:
            await database.open(say.schema(self._prefix), create=self._create)
        owners = Owners(say, self._timing, self._clock or time.time)
        heart = await closing.enter_async_context(Heart(database, owners, self._telling))
        if self._inbox is not None:
            await closing.enter_async_context(Follower(heart, owners, self._inbox))
        return Desk(heart, owners)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write what was put, and disconnect; what is in flight still becomes UNKNOWN.

        Raises:
            LedgerUnavailable: It was opened in another event loop, and stays open.
        """
        if self._desk is not None:
            self._open_desk()
        self._desk = None
        await self._closing.aclose()

    # --- what clients need

    def calls(self, account: str, *, retry_rejected: bool = False) -> Journal:
        """Return the journal of an account's keyed calls.

        Args:
            account: Whose calls they are.
            retry_rejected: Whether what the vendor refused by FIX_REQUEST may be sent again.

        Raises:
            LedgerClosed: The ledger is not open.
        """
        return self._open_desk().calls(account, retry_rejected=retry_rejected)

    def run(
        self, account: str, key: str, *, takeover: bool = False, retry_rejected: bool = False
    ) -> AbstractAsyncContextManager[Journal]:
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
        desk = self._open_desk()
        return desk.run(account, key, takeover=takeover, retry_rejected=retry_rejected)

    @property
    def parts(self) -> Parts:
        """The parts of runs that many processes work on.

        Raises:
            LedgerClosed: The ledger is not open.
        """
        return Parts(self._open_desk(), self._address)

    # --- what people need

    async def runs(self) -> list[RunInfo]:
        """Return all runs, the last used first; the keyed calls are those named "".

        Raises:
            LedgerUnavailable: The ledger could not be asked.
        """
        desk = self._open_desk()
        return await desk.heart.read(desk.runs.all)

    async def summary(self, run: str, account: str | None = None) -> dict[Status, int]:
        """Return how many entries of a run have each status; "OPEN" if they have none yet.

        Raises:
            InvalidRequest: There is no such run, or several accounts have one.
            LedgerUnavailable: The ledger could not be asked.
        """
        desk = self._open_desk()
        found = await desk.found(run, account)
        return await desk.heart.read(lambda: entries.counts(desk.owners, found))

    def entries(
        self, run: str, status: Status | None = None, account: str | None = None
    ) -> AsyncGenerator[Entry]:
        """Iterate over the entries of a run as they came in, a few hundred in memory at a time.

        Args:
            run: The run's name.
            status: Only those of this status.
            account: Whose run it is.

        Raises:
            InvalidRequest: There is no such run, or several accounts have one.
            LedgerUnavailable: The ledger could not be asked.
        """
        return self._open_desk().entries(run, status, account)

    async def settle(
        self,
        run: str,
        key: str,
        status: OutcomeStatus,
        voice_id: str | None = None,
        account: str | None = None,
    ) -> None:
        """Decide what became of an UNKNOWN entry: ACCEPTED, or NOT_SENT, which opens it again.

        Raises:
            InvalidRequest: There is no such entry, or it is not UNKNOWN, or that is no decision.
            LedgerUnavailable: It is not written.
        """
        desk = self._open_desk()
        found = await desk.found(run, account)
        work = partial(entries.settle, desk.owners, found, key, status, voice_id)
        await desk.heart.write(work)

    async def report(self, run: str, account: str | None = None, *, listed: int = 200) -> RunReport:
        """Return what a whole run came to, counted by the database.

        Args:
            run: Its name; "" for the keyed calls.
            account: Whose it is.
            listed: How many of those whose end is UNKNOWN are listed at most.

        Raises:
            InvalidRequest: There is no such run, or several accounts have one.
            LedgerUnavailable: The ledger could not be asked.
        """
        check_not_negative("listed", listed)
        desk = self._open_desk()
        row = await desk.heart.read(lambda: desk.runs.named(run, account))
        reporting = Reporting(desk.owners, int(row["id"]))
        report = await desk.heart.read(partial(reporting.report, row["account"], run))
        uncertain: list[Entry] = []
        unknown = desk.entries(run, OutcomeStatus.UNKNOWN, row["account"])
        async with aclosing(unknown):
            async for entry in unknown:
                if len(uncertain) == listed:
                    break
                uncertain.append(entry)
        return attrs.evolve(report, uncertain=uncertain)

    async def results(
        self, run: str, keys: Sequence[str], account: str | None = None
    ) -> Mapping[str, Kept]:
        """Return what became of some messages of a run, by key; those that it lacks are missing.

        Args:
            run: Its name.
            keys: The keys; some hundreds at a time.
            account: Whose run it is.

        Raises:
            InvalidRequest, LedgerUnavailable: As for `report`.
        """
        desk = self._open_desk()
        if isinstance(keys, str):  # whose characters are no keys
            raise InvalidRequest("keys must be a list of keys", field="keys")
        check_acts("keys", keys, ("__iter__",), "a list of keys")
        found = await desk.found(run, account)
        some = list(filter(is_storable, keys))
        return await desk.heart.read(lambda: kept(desk.owners, found, some))

    async def stop(self, run: str, cause: str = "", account: str | None = None) -> None:
        """Let nothing more of a run be sent, by whichever process; what is in flight ends.

        Raises:
            InvalidRequest: There is no such run, several accounts have one, or it is "" (keyed).
            LedgerUnavailable: It is not written.
        """
        await self._open_desk().mark(run, account, cause)

    async def resume(self, run: str, account: str | None = None) -> None:
        """Let a run that was stopped be opened again.

        Raises:
            InvalidRequest: There is no such run, several accounts have one, or it is "" (keyed).
            LedgerUnavailable: It is not written.
        """
        await self._open_desk().mark(run, account, None)

    async def reconcile(self, inbox: Reports) -> Reconciled:
        """Take in what an inbox has, and settle what its reports tell of.

        Raises:
            LedgerUnavailable: The ledger could not be asked, or written.
            InboxUnavailable: The inbox could not be read.
            InvalidRequest: It is no inbox.
        """
        check_inbox(inbox)
        return await self._open_desk().reconcile(inbox)

    def _open_desk(self) -> Desk:
        if self._desk is None:
            raise LedgerClosed("the ledger is not open: enter it with `async with`")
        if asyncio._get_running_loop() not in {None, self._loop}:  # noqa: SLF001 - it never raises
            raise LedgerUnavailable("the ledger was opened in another event loop: open one in each")
        return self._desk
