"""The inbox's database: SQLite or PostgreSQL, by path or URL, with durable commits.

Writers take turns, as SQLite has it anyway: within a process by a lock (which is fair, unlike
SQLite's), among processes by SQLite's own lock or PostgreSQL's advisory one. So what one
transaction sees can't change under it, sequence numbers become visible in their order, and both
databases behave alike. Group commit makes one writer at a time enough.

Each access is a task of its own: if whoever asked for it is cancelled, it still goes on to its
end. Closing waits for all of them.
"""

import asyncio
import importlib.util
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs

try:
    from sqlalchemy import URL, Connection, event, make_url, text
    from sqlalchemy.exc import ArgumentError, DBAPIError
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
except ImportError as exc:
    raise ImportError("receiving pushes needs an extra: pip install 'ihuyi-voice[pushes]'") from exc

from ihuyi_voice.common.redaction import mask_numbers
from ihuyi_voice.errors import InboxClosed, InboxUnavailable, InvalidRequest

_BUSY: Final = 10.0  # seconds to wait for another process's turn on SQLite
_COMMAND: Final = 30.0  # seconds that one statement may take on PostgreSQL
_PLAIN: Final = (OSError, sqlite3.Error)
_READERS: Final = 4
_LONGEST_REASON: Final = 200
T = TypeVar("T")

_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:table, 0))")


@attrs.frozen
class Address:
    """Where the database is.

    Attributes:
        dialect: `sqlite` or `postgresql`.
        target: The file, or the DSN; never shown, it may hold a password.
    """

    dialect: str
    target: str = attrs.field(repr=False)

    @classmethod
    def parse(cls, path_or_url: str | Path) -> "Address":
        """Return the address that a path, a `sqlite://` or a `postgresql://` URL means.

        Raises:
            InvalidRequest: It is none of them, or keeps its data in memory.
            ImportError: The extra that it needs is not installed.
        """
        given = str(path_or_url)
        scheme, mark, rest = given.partition("://")
        dialect = scheme.partition("+")[0]
        if not mark or isinstance(path_or_url, Path):
            address = cls("sqlite", given)
        elif dialect == "sqlite":
            address = cls("sqlite", _file(given))
        elif dialect in {"postgres", "postgresql"}:
            address = cls("postgresql", f"postgresql://{rest}")
        else:
            raise InvalidRequest(f"{scheme}:// is neither sqlite:// nor postgresql://")
        if address.target in {"", ":memory:"}:
            raise InvalidRequest("an inbox in memory would lose pushes; name a file")
        _need_driver(address.dialect)
        return address


def _file(url: str) -> str:
    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):
        parts = URL.create("sqlite", host="unknown")
    if parts.host:
        raise InvalidRequest("not a URL of SQLite: sqlite:///relative, sqlite:////absolute")
    return parts.database or ""


def _need_driver(dialect: str) -> None:
    driver, extra = {"sqlite": ("aiosqlite", "pushes"), "postgresql": ("asyncpg", "postgres")}[
        dialect
    ]
    if importlib.util.find_spec(driver) is None:
        raise ImportError(f"{dialect} needs an extra: pip install 'ihuyi-voice[{extra}]'")


class Database:
    """Reads at any time, and transactions that write one after another.

    Args:
        address: Where it is.
        table: The table that the lock among processes is named for.
    """

    def __init__(self, address: Address, table: str) -> None:
        self.dialect = address.dialect
        self._address = address
        self._table = table
        self._turn = asyncio.Lock()
        self._durable = _engine(address, 1)
        self._relaxed = _engine(address, 1, relaxed=True)
        self._readers = _engine(address, _READERS, isolation_level="AUTOCOMMIT")
        self._closed = False
        self._running: set[asyncio.Task[Any]] = set()
        if self.dialect == "sqlite":
            _hide_parameters(table)
            for engine in (self._durable, self._relaxed):
                event.listen(engine.sync_engine, "begin", _begin_immediate)

    async def check(self) -> None:
        """Find out whether a file can be opened, before a driver tries to.

        aiosqlite's thread outlives a connection that it could not open, and with it the event loop.

        Raises:
            InboxUnavailable: It can't.
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
            InboxUnavailable: It failed and was rolled back.
        """
        return await self._finished(self._write(work, self._durable if durable else self._relaxed))

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Read what has been committed.

        Raises:
            InboxUnavailable: It failed.
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
                        await connection.execute(_LOCK, {"table": self._table})
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
            raise InboxClosed("the inbox has been closed")


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
        options["connect_args"] = {"isolation_level": None, "timeout": _BUSY}
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
    except InboxUnavailable:
        raise
    except Exception as exc:
        # Broad: what a driver raises when its server goes away is no closed list.
        raise InboxUnavailable(f"the inbox's database failed: {_reason(exc)}") from exc


def _reason(exc: Exception) -> str:
    """Say what a person can do something about: a full disk, a refused connection or password."""
    told = exc.orig if isinstance(exc, DBAPIError) and exc.orig else exc
    name = type(told).__name__
    # An error of anything else may quote the URL, and with it the password.
    if told is exc and not (isinstance(exc, _PLAIN) or hasattr(exc, "sqlstate")):
        return name
    line = str(told).partition("\n")[0]
    return mask_numbers(f"{name}: {line}")[:_LONGEST_REASON]


class _HideParameters(logging.Filter):
    """Keeps the parameters of our statements out of aiosqlite's log: they hold numbers."""

    tables: frozenset[str] = frozenset()

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(self._hidden(arg) for arg in record.args)
        return True

    def _hidden(self, arg: object) -> object:
        parts: tuple[object, ...] = getattr(arg, "args", ())  # aiosqlite logs partials
        statement = next((part for part in parts if isinstance(part, str)), "")
        ours = any(table in statement for table in self.tables)
        return f"{statement} [parameters hidden]" if ours else arg


_FILTER: Final = _HideParameters()


def _hide_parameters(table: str) -> None:
    _FILTER.tables |= {table}
    logging.getLogger("aiosqlite").addFilter(_FILTER)  # the same filter is only ever added once
