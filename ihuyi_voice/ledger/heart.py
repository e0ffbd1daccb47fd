"""What an open ledger does by itself: commits, and beats."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from ihuyi_voice.common.logs import Trouble, tell
from ihuyi_voice.common.signal import Signal
from ihuyi_voice.common.tasks import ended, to_its_end, told_of
from ihuyi_voice.errors import CallInFlight, LedgerClosed, LedgerUnavailable, StorageUnavailable
from ihuyi_voice.ledger.commits import Answer, Commits
from ihuyi_voice.ledger.known import in_flight
from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.recall import USED_EVERY, recall, recent
from ihuyi_voice.ledger.rows import Book, Flight, Intent, Outcome, Put
from ihuyi_voice.ledger.sleepers import end_sleepers, is_cut_off, is_locked_out, stuck
from ihuyi_voice.ledger.states import Ending
from ihuyi_voice.ledger.telling import Telling
from ihuyi_voice.models import Draft
from ihuyi_voice.storage import Database, GroupCommit, ToldAs, Work

logger = logging.getLogger("ihuyi_voice.ledger")
T = TypeVar("T")

as_ledger: Final = ToldAs(LedgerUnavailable, LedgerClosed, whose="the ledger")

LOCK_TIMEOUT: Final = 2.0
"""Seconds that a transaction waits for a lock; then is looked whether its holder is asleep."""

_TRIES: Final = 10
_LOST_A_RACE: Final = frozenset({"40001", "40P01"})


class Heart:
    """Beats for its owner, commits what is put, and keeps what could not be written.

    Every method raises LedgerUnavailable if the database says no.

    Attributes:
        owner: Who this process is; another one after it was buried alive.
        recent: The accounts that may have had calls within a day, when this was opened.
        telling: Who is told what happens.

    Args:
        database: Where everything is.
        owners: Who lives.
        telling: Who is told what happens; by default nobody.
    """

    def __init__(self, database: Database, owners: Owners, telling: Telling | None = None) -> None:
        self.telling = telling or Telling()
        self.owner = 0
        self.recent: set[str] = set()
        self._database = database
        self._owners = owners
        self._commits = Commits(owners)
        self._group = GroupCommit[Put, "Ending | None"](self._commit, told=as_ledger.of)
        self._owed: list[Outcome] = []
        self._owed_work: list[Callable[[], Work[None]]] = []
        self._later: set[asyncio.Task[Any]] = set()
        self._tickets = count(1)
        self._used: dict[int, float] = {}
        self._flights: dict[str, dict[str, Flight]] = {}
        self._ending = Signal()
        self._ended = False
        self._birth = asyncio.Lock()
        self._beating: asyncio.Task[None] | None = None
        self._trouble = Trouble(logger)

    async def __aenter__(self) -> Self:
        """Begin to write what is put."""
        self.recent = await self.read(lambda: recent(self._owners))
        self._group.open()
        return self

    async def born(self) -> int:
        """Become an owner, and begin to beat; return who this process is."""
        async with self._birth:
            if not self.owner:
                self.owner = await self.write(self._owners.born)
                self._beating = asyncio.create_task(self._beat())
                told = told_of(logger, "the ledger beats no more: %s", lambda: self._ended)
                self._beating.add_done_callback(told)
        return self.owner

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write what was put, and end, however often this is cancelled meanwhile.

        What can't be written is lost, and so is UNKNOWN. The database bounds how long that takes.
        """
        self._ended = True
        self._ending.notify()
        await to_its_end(asyncio.create_task(self._end()))

    async def _end(self) -> None:
        try:
            await self._rest()
        finally:
            if self._beating is not None:
                await ended(self._beating)
            if self.owner:
                with suppress(LedgerUnavailable):
                    await self.write(partial(self._owners.gone, self.owner))

    async def _rest(self) -> None:
        while self._later:
            await asyncio.wait(self._later)
        await self._group.close()
        while self._later:
            await asyncio.wait(self._later)
        if self._owed:
            with suppress(LedgerUnavailable):
                await self._pay()

    # --- what journals need

    def ticket(self) -> int:
        """Return the number of the next intent."""
        return next(self._tickets)

    def remembers(self, account: str) -> bool:
        """Say whether an account may have had calls within a day, for clients that don't know."""
        return account in self.recent or bool(self._used)

    def flights(self, account: str) -> dict[str, Flight]:
        """Return the keyed calls of an account that this process has in flight."""
        return self._flights.setdefault(account, {})

    def put(self, row: Put) -> "asyncio.Future[Ending | None]":
        """Put a row into a commit; what is returned is done once it is written durably."""
        try:
            waiter = self._group.begin(row)
        except LedgerUnavailable as error:
            # Of a group that failed it is owed already; here there was no room in any.
            if isinstance(row, Outcome) and row.flight:
                self._owed.append(row)
            waiter = asyncio.get_running_loop().create_future()
            waiter.set_exception(error)
        if isinstance(row, Intent):
            row.waiter = waiter
        return waiter

    async def look(
        self, book: Book, drafts: Sequence[Draft], opens: int
    ) -> Sequence[Ending | None]:
        """Return what stands against sending each."""
        if self._owed:
            await self._pay()
        found = await self.read(lambda: self._commits.look(book, drafts, opens))
        if not book.keyed:
            return found
        keys = [draft.key for draft, end in zip(drafts, found, strict=True) if _flies(end)]
        if not keys:
            return found
        owner = self.owner
        if not await self.read(lambda: self._commits.orphans(book, keys, owner)):
            return found
        await self.write(lambda: self._commits.bury(book, keys, owner))
        return await self.read(lambda: self._commits.look(book, drafts, opens))

    async def accepted(self, book: Book, after: int | str) -> Sequence[Any]:
        """Return the next of what was accepted; nothing of a part, which yields what is open."""
        if book.keyed or book.part:
            return ()
        return await self.read(lambda: self._commits.accepted(book, after))

    async def recall(self, account: str, mobiles: Sequence[str]) -> Mapping[str, Sequence[float]]:
        """Return the ages of each number's calls."""
        return await self.read(lambda: recall(self._owners, account, mobiles))

    async def write(self, make: Callable[[], Work[T]], *, patient: bool = True) -> T:
        """Do work in a durable transaction.

        Args:
            make: Returns the work.
            patient: Whether it waits for locks again and again; see `sleepers`.
        """
        with as_ledger:
            return await self._write(make, patient=patient)

    def afterwards(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for, except who closes."""
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def write_or_owe(self, make: Callable[[], Work[None]]) -> None:
        """Do work in a durable transaction: if not now, then after a later beat."""
        try:
            await self.write(make)
        except BaseException:
            self._owed_work.append(make)
            raise

    async def read(self, make: Callable[[], Work[T]]) -> T:
        """Do work that only reads."""
        with as_ledger:
            return await _connected(partial(self._database.read, make))

    async def _pay(self) -> None:
        """Write what could not be written before."""
        with as_ledger:
            await self._commit([])

    # ---

    def _granted(self, row: Put, answer: Answer) -> Ending | None:
        """Note an attempt that may begin now; one that nobody waits for any more is given up."""
        if not isinstance(row, Intent):
            return None
        if not isinstance(answer, int):  # no answer is no grant
            return in_flight() if answer is None else answer
        if row.withdrawn:
            self._put_later(row.given_up(answer, "it was cancelled before it was sent"))
        else:
            row.flights[row.draft.key] = Flight(answer, row.book.epoch, row.ticket, row.draft)
        return None

    def _put_later(self, row: Outcome) -> None:
        """Have a row written without anybody waiting for it."""
        self.afterwards(self._put_quietly(row))

    async def _put_quietly(self, row: Outcome) -> None:
        with suppress(LedgerUnavailable):  # it is owed then
            await self.put(row)

    async def _write(self, make: Callable[[], Work[T]], *, patient: bool = True) -> T:
        for left in reversed(range(_TRIES)):
            try:
                return await self._database.write(make)
            except StorageUnavailable as exc:
                # Two processes that want the same keys may each have what the other one waits for.
                if getattr(exc.__cause__, "sqlstate", None) in _LOST_A_RACE and left:
                    continue
                if not patient or not is_locked_out(exc):
                    raise
                if not left:
                    raise stuck() from exc
            await self._database.read(partial(end_sleepers, self._owners))
        raise AssertionError("the last try returns or raises")

    async def _commit(self, rows: Sequence[Put]) -> "Sequence[Ending | None]":
        """Write a group, after what could not be written before."""
        owed, self._owed = self._owed, []
        every, owner, used = [*owed, *rows], self.owner, self._in_use(rows)
        began = asyncio.get_running_loop().time()
        try:
            make = partial(self._commits.commit, every, owner, used)
            done = await _connected(partial(self._write, make))
        except BaseException as error:
            self._owed += [again for row in every if (again := row.again(owner)) is not None]
            self.telling.failed("commit", error, len(self._owed))
            raise
        now = asyncio.get_running_loop().time()
        self.telling.committed(every, len(owed), done, now - began)
        self.telling.owner_is(owner, done.owner)
        self.owner = done.owner
        for warning in done.warnings:
            tell(logger, logging.WARNING, "%s", warning)
        self._used |= dict.fromkeys(used, now)
        return list(map(self._granted, rows, done.answers[len(owed) :]))

    def _in_use(self, rows: Sequence[Put]) -> set[int]:
        runs = {row.book.run for row in rows if isinstance(row, Intent)}
        stale = asyncio.get_running_loop().time() - USED_EVERY
        return {run for run in runs if self._used.get(run, stale) <= stale}

    async def _beat(self) -> None:
        async for _ in self._ending.rounds(every=self._owners.timing.beat):
            if self._ended:
                break
            await self._beat_once()

    async def _beat_once(self) -> None:
        owner = self.owner
        try:
            now_owner = await self._database.write(lambda: self._owners.beat(owner), durable=False)
            self.telling.owner_is(owner, now_owner)
            if self.owner == owner:
                self.owner = now_owner
            if self._owed:
                await self._commit([])
            await self._do_owed_work()
        except StorageUnavailable as exc:
            self._trouble.note("the ledger could not beat: its %s", exc)
            self.telling.failed("beat", exc, len(self._owed))
        else:
            self._trouble.over("the ledger beats again")

    async def _do_owed_work(self) -> None:
        while self._owed_work:
            make = self._owed_work.pop(0)
            try:
                await self._write(make)
            except BaseException:
                self._owed_work.append(make)
                raise


async def _connected(do: Callable[[], Awaitable[T]]) -> T:
    """Do what may be done twice: once more if the connection was lost meanwhile."""
    try:
        return await do()
    except StorageUnavailable as exc:
        if not is_cut_off(exc):
            raise
    return await do()


def _flies(end: Ending | None) -> bool:
    return isinstance(end, CallInFlight)
