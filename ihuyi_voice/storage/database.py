"""A database that is shared by threads of one process and by processes, with durable commits.

Writers take turns, as SQLite has it anyway: within a process by a lock (which is fair, unlike
SQLite's), among processes by SQLite's own lock or, if one is named, PostgreSQL's advisory one. So
what one transaction sees can't change under it, sequence numbers become visible in their order, and
both databases behave alike. Group commit makes one writer at a time enough.

Each access is a task of its own: if whoever asked for it is cancelled, it still goes on to its
end. Closing waits for all of them. They belong to the event loop in which it was opened: in another
one, each is refused.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Protocol, TypeVar

from ihuyi_voice.common.foreign import PASSING
from ihuyi_voice.common.redaction import mask_numbers
from ihuyi_voice.common.tasks import is_cancelled
from ihuyi_voice.errors import StorageClosed, StorageUnavailable, VoiceError
from ihuyi_voice.storage.address import Address
from ihuyi_voice.storage.group_commit import ELSEWHERE
from ihuyi_voice.storage.postgres import Postgres
from ihuyi_voice.storage.schema import Schema
from ihuyi_voice.storage.sqlite import Sqlite
from ihuyi_voice.storage.statements import Dialect, Work

_PLAIN: Final = (OSError, sqlite3.Error)
_LONGEST_REASON: Final = 200
_CUT_SHORT: Final = "database was cut short: the task that asks it was cancelled"
T = TypeVar("T")


class Engine(Protocol):
    """What either database does. It carries out work; what a driver raises is let out as it is.

    Whoever calls it never cancels it, and calls `write` one at a time.
    """

    @property
    def dialect(self) -> Dialect:
        """How it spells things."""
        ...

    async def open(self, *, create: bool) -> None:
        """Connect, so that what can't work is known at once."""
        ...

    async def write(self, make: Callable[[], Work[T]], *, durable: bool) -> T:
        """Do work in a transaction, and commit it; if anything fails, nothing is changed."""
        ...

    async def read(self, make: Callable[[], Work[T]]) -> T:
        """Do work that only reads."""
        ...

    async def close(self) -> None:
        """Disconnect; nothing runs any more."""
        ...


class ToldAs:
    """Raises errors of the storage as those of whoever stands on it: `with` it, again and again.

    Args:
        unavailable: What StorageUnavailable becomes.
        closed: What StorageClosed becomes.
        whose: `the inbox`, for example; its text is then `the inbox's database …`.
    """

    def __init__(
        self, unavailable: type[Exception], closed: type[Exception], *, whose: str
    ) -> None:
        self._unavailable = unavailable
        self._closed = closed
        self._whose = whose

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Raise another error if it was one of the storage."""
        if isinstance(exc, StorageUnavailable):
            raise self.of(exc) from exc

    def of(self, error: StorageUnavailable) -> Exception:
        """Return the error as which one of the storage is raised."""
        told = self._closed if isinstance(error, StorageClosed) else self._unavailable
        raised = told(f"{self._whose}'s {error}")
        raised.__cause__ = error
        return raised


class Database:
    """Reads at any time, and transactions that write one after another.

    Args:
        address: Where it is.
        lock: What the lock among processes is named on PostgreSQL: those that give the same name
            take turns. None for no turns among processes; SQLite has them in any case.
        lock_timeout: How long a transaction waits for another's lock on PostgreSQL, in seconds;
            None for as long as a statement may take.
    """

    def __init__(
        self, address: Address, lock: str | None, *, lock_timeout: float | None = None
    ) -> None:
        self._engine: Engine = (
            Sqlite(address.target)
            if address.dialect == "sqlite"
            else Postgres(address.target, lock, lock_timeout)
        )
        self._turn = asyncio.Lock()
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def dialect(self) -> Dialect:
        """How this database spells what the two spell differently."""
        return self._engine.dialect

    async def open(self, schema: Schema, *, create: bool = True) -> None:
        """Connect, and make or migrate the tables.

        Args:
            schema: The tables.
            create: Whether what is missing or older may be made; else nothing is ever written.

        Raises:
            StorageUnavailable: It can't be opened, is newer than this program, or lacks columns.
        """
        self._loop = asyncio.get_running_loop()
        await self._finished(self._open(schema, create=create))

    async def write(self, make: Callable[[], Work[T]], *, durable: bool = True) -> T:
        """Do some work in a transaction, which is committed at its end.

        Args:
            make: Returns the work; it is done to the end even if this call is cancelled.
            durable: Whether the commit survives the machine; else it survives the process.

        Raises:
            StorageUnavailable: It failed and was rolled back; if the connection was lost in the
                commit itself, nobody knows.
            VoiceError: The work raised it, and was rolled back.
        """
        return await self._finished(self._write(make, durable=durable))

    async def read(self, make: Callable[[], Work[T]]) -> T:
        """Read one state of what has been committed.

        Raises:
            StorageUnavailable: It failed.
        """
        return await self._finished(self._read(make))

    async def close(self) -> None:
        """Wait for what runs, then close all connections; a cancellation counts after that."""
        self._closed = True
        closing = asyncio.create_task(self._disconnect())
        cancelled: asyncio.CancelledError | None = None
        while not closing.done():
            try:
                await asyncio.wait({closing})
            except asyncio.CancelledError as exc:
                cancelled = exc
        closing.result()
        if cancelled is not None:
            raise cancelled

    async def _finished(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop not in {None, asyncio.get_running_loop()}:
            work.close()
            raise StorageUnavailable(ELSEWHERE)
        # A connection that is cancelled in a statement is lost, and a commit is then anybody's
        # guess; and callers are cancelled all the time, by their timeouts.
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if is_cancelled() or not task.cancelled():
                raise
            raise StorageUnavailable(_CUT_SHORT) from None  # nobody has cancelled who waits for it

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked for it may be gone

    async def _open(self, schema: Schema, *, create: bool) -> None:
        dialect = self.dialect
        self._check()
        with _translated():
            await self._engine.open(create=create)
        if not create:
            await self._read(lambda: schema.exists(dialect))
        elif not await self._read(lambda: schema.is_current(dialect)):
            await self._write(lambda: schema.upgrade(dialect), durable=True)

    async def _write(self, make: Callable[[], Work[T]], *, durable: bool) -> T:
        async with self._turn:
            self._check()
            with _translated():
                return await self._engine.write(make, durable=durable)

    async def _read(self, make: Callable[[], Work[T]]) -> T:
        self._check()
        with _translated():
            return await self._engine.read(make)

    async def _disconnect(self) -> None:
        while self._running:
            await asyncio.wait(self._running)
        await self._engine.close()

    def _check(self) -> None:
        if self._closed:
            raise StorageClosed("database has been closed")


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except VoiceError:
        raise  # by the work, on purpose
    except PASSING:
        raise
    except BaseException as exc:
        # Broad: what a driver raises when its server goes away is no closed list, nor is what a
        # clock of somebody else's does.
        raise StorageUnavailable(f"database failed: {reason_of(exc)}") from exc


def root_of(exc: BaseException) -> BaseException:
    """Return what an error goes back to: a driver's own one, if there is one."""
    *_, root = causes_of(exc)
    return root


def causes_of(exc: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and what it goes back to, one after the other."""
    while exc is not None:
        yield exc
        exc = exc.__cause__


def reason_of(exc: BaseException) -> str:
    """Say what a person can do something about: a full disk, a refused connection or password."""
    name = type(exc).__name__
    # An error of anything else may quote the URL, and with it the password, or a parameter.
    if not (isinstance(exc, _PLAIN) or hasattr(exc, "sqlstate")):
        return name
    line = str(exc).partition("\n")[0]
    return mask_numbers(f"{name}: {line}".removesuffix(": "))[:_LONGEST_REASON]
