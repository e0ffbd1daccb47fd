"""A database that is shared by threads of one process and by processes, with durable commits.

Writers take turns, as SQLite has it anyway: within a process by a lock (which is fair, unlike
SQLite's), among processes by SQLite's own lock or PostgreSQL's advisory one. So what one
transaction sees can't change under it, sequence numbers become visible in their order, and both
databases behave alike. Group commit makes one writer at a time enough.

Each access is a task of its own: if whoever asked for it is cancelled, it still goes on to its
end. Closing waits for all of them.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ihuyi_voice.common.redaction import mask_numbers
from ihuyi_voice.errors import StorageClosed, StorageUnavailable, VoiceError
from ihuyi_voice.storage.address import Address

_BUSY: Final = 10.0  # seconds to wait for another process's turn on SQLite
_COMMAND: Final = 30.0  # seconds that one statement may take on PostgreSQL
_PLAIN: Final = (OSError, sqlite3.Error)
_READERS: Final = 4
_LONGEST_REASON: Final = 200
T = TypeVar("T")

_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:lock, 0))")


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
            told = self._closed if isinstance(exc, StorageClosed) else self._unavailable
            raise told(f"{self._whose}'s {exc}") from exc


class Database:
    """Reads at any time, and transactions that write one after another.

    Args:
        address: Where it is.
        lock: What the lock among processes is named: those that give the same name take turns.
    """

    def __init__(self, address: Address, lock: str) -> None:
        self.dialect = address.dialect
        self._address = address
        self._lock = lock
        self._turn = asyncio.Lock()
        self._durable = _engine(address, 1)
        self._relaxed = _engine(address, 1, relaxed=True)
        self._readers = _engine(address, _READERS, isolation_level="AUTOCOMMIT")
        self._closed = False
        self._running: set[asyncio.Task[Any]] = set()
        if self.dialect == "sqlite":
            logging.getLogger("aiosqlite").addFilter(_FILTER)  # the same one is only added once
            for engine in (self._durable, self._relaxed):
                event.listen(engine.sync_engine, "begin", _begin_immediate)

    async def open(self) -> None:
        """Find out whether a file can be opened, before a driver tries to.

        aiosqlite's thread outlives a connection that it could not open, and with it the event loop.

        Raises:
            StorageUnavailable: It can't.
        """
        if self.dialect == "sqlite":
            with _translated():
                await asyncio.to_thread(_open_once, self._address.target)

    async def write(
        self, work: Callable[[AsyncConnection], Awaitable[T]], *, durable: bool = True
    ) -> T:
        """Do some work in a transaction, which is committed at its end.

        Args:
            work: What to do; it is done to the end even if this call is cancelled.
            durable: Whether the commit survives the machine; else it survives the process.

        Raises:
            StorageUnavailable: It failed and was rolled back.
            VoiceError: The work raised it, and was rolled back.
        """
        return await self._finished(self._write(work, self._durable if durable else self._relaxed))

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Read what has been committed.

        Raises:
            StorageUnavailable: It failed.
        """
        return await self._finished(self._read(work))

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
        # Drivers leak a connection that is cancelled while it opens, and drop one that is cancelled
        # in a statement; and callers are cancelled all the time, by their timeouts.
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked for it may be gone

    async def _write(
        self, work: Callable[[AsyncConnection], Awaitable[T]], engine: AsyncEngine
    ) -> T:
        async with self._turn:
            self._check()
            with _translated():
                async with engine.begin() as connection:
                    if self.dialect == "postgresql":
                        await connection.execute(_LOCK, {"lock": self._lock})
                    return await work(connection)

    async def _read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        self._check()
        with _translated():
            async with self._readers.connect() as connection:
                return await work(connection)

    async def _disconnect(self) -> None:
        while self._running:
            await asyncio.wait(self._running)
        for engine in (self._durable, self._relaxed, self._readers):
            await engine.dispose()

    def _check(self) -> None:
        if self._closed:
            raise StorageClosed("database has been closed")


def _engine(
    address: Address,
    connections: int,
    *,
    relaxed: bool = False,
    **options: Any,  # noqa: ANN401 - SQLAlchemy's
) -> AsyncEngine:
    # hide_parameters: they hold phone numbers, and would show in logs and in exceptions.
    options |= {"hide_parameters": True, "max_overflow": 0}
    if address.dialect == "sqlite":
        url = URL.create("sqlite+aiosqlite", database=address.target)
        options["connect_args"] = {"isolation_level": None, "timeout": _BUSY, "factory": _Ours}
    else:
        url = URL.create("postgresql+asyncpg")
        options["async_creator"] = partial(_connect_postgres, address.target, relaxed=relaxed)
        options["pool_pre_ping"] = True
    engine = create_async_engine(url, pool_size=connections, **options)
    if address.dialect == "sqlite":
        event.listen(engine.sync_engine, "connect", _relax if relaxed else _make_durable)
    return engine


def _open_once(path: str) -> None:
    sqlite3.connect(path, timeout=_BUSY).close()


async def _connect_postgres(dsn: str, *, relaxed: bool) -> Any:  # noqa: ANN401 - asyncpg's
    import asyncpg  # noqa: PLC0415 - an extra

    connection = await asyncpg.connect(dsn, command_timeout=_COMMAND)
    if relaxed:
        await connection.execute("SET synchronous_commit = off")
    return connection


def _make_durable(connection: Any, _: object) -> None:  # noqa: ANN401 - SQLAlchemy's adapter
    _run(connection, "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL")


def _relax(connection: Any, _: object) -> None:  # noqa: ANN401 - SQLAlchemy's adapter
    # With a write-ahead log, the file stays whole in any case.
    _run(connection, "PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL")


def _run(connection: Any, *statements: str) -> None:  # noqa: ANN401 - SQLAlchemy's adapter
    cursor = connection.cursor()
    for statement in statements:
        cursor.execute(statement)
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    # A transaction that reads before it writes would otherwise fail if another wrote between.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except VoiceError:
        raise  # by the work, on purpose
    except Exception as exc:
        # Broad: what a driver raises when its server goes away is no closed list.
        raise StorageUnavailable(f"database failed: {_reason(exc)}") from exc


def _reason(exc: Exception) -> str:
    """Say what a person can do something about: a full disk, a refused connection or password."""
    told = exc.orig if isinstance(exc, DBAPIError) and exc.orig else exc
    name = type(told).__name__
    # An error of anything else may quote the URL, and with it the password.
    if told is exc and not (isinstance(exc, _PLAIN) or hasattr(exc, "sqlstate")):
        return name
    line = str(told).partition("\n")[0]
    return mask_numbers(f"{name}: {line}")[:_LONGEST_REASON]


class _Ours(sqlite3.Connection):
    """A connection of ours, by which the driver's log lines about it are told from others."""


class _HideParameters(logging.Filter):
    """Keeps the parameters of our statements out of aiosqlite's log: they hold numbers."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_without_parameters(arg) for arg in record.args)
        return True


_FILTER: Final = _HideParameters()


def _without_parameters(arg: object) -> object:
    parameters: tuple[object, ...] = getattr(arg, "args", ())  # aiosqlite logs partials
    owner = getattr(getattr(arg, "func", None), "__self__", None)  # a connection or its cursor
    if not (parameters and isinstance(getattr(owner, "connection", owner), _Ours)):
        return arg
    statement = next((each for each in parameters if isinstance(each, str)), "statement")
    return f"{statement} [parameters hidden]"
