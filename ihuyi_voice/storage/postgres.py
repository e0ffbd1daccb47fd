"""PostgreSQL by asyncpg: one connection that writes, and a few that read beside it.

It works behind a pooler that hands sessions around: whatever is set is set for its transaction
alone, on both sides; every access, reading too, is one transaction; no statement is prepared for
longer. Whether a commit waits for the disk is said each time, for the session's own setting may be
somebody else's.

A program that is stopped in the midst of a transaction would keep its locks for as long as it
sleeps. So the server ends such a transaction after a while, and the program finds its connection
lost when it wakes.

A connection that was lost is noticed when a transaction begins on it, and replaced at once, since
nothing has begun yet. One that is lost later fails its transaction. Where a firewall forgets
connections without a word, the system keeps them alive, or finds out.

A server that gave its place to another one stays as a standby: connections to it are whole, can't
write, and read what grows old. So none to a standby is kept: the address may lead to the new server
by now.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing, suppress
from typing import Any, Final, TypeVar

from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.storage.statements import (
    DIALECTS,
    Copy,
    Course,
    Dialect,
    Many,
    Row,
    Statement,
    Table,
    Work,
    by_columns,
    is_setting,
    numbered,
)

T = TypeVar("T")

_CONNECT: Final = 10.0  # seconds
_COMMAND: Final = 30.0  # seconds that one statement may take
_PATIENCE: Final = 86_400.0  # seconds that one may take that rewrites a table
_IDLE: Final = 10.0
"""Seconds that a transaction may wait for its program, which holds its locks meanwhile."""

_LAST_WORDS: Final = 5.0  # seconds for a connection to be closed politely
_ENCODINGS: Final = frozenset({"UTF8", "SQL_ASCII"})  # of a server that takes any text
_ALIVE: Final = (
    ("TCP_KEEPIDLE", 30),  # seconds of silence until the other end is asked whether it is there
    ("TCP_KEEPINTVL", 10),
    ("TCP_KEEPCNT", 3),
    ("TCP_USER_TIMEOUT", 15_000),  # milliseconds until what was sent must have been received
)
_STANDBY: Final = 5.0  # seconds that a connection to a standby is kept
_LOST: Final = "the connection to the server was lost"
_NO_WRITING_HERE: Final = frozenset({"0A000", "25006"})
_READERS: Final = 4
_BEGIN_READING: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class Postgres:
    """A database.

    Args:
        dsn: Where it is.
        lock: What the lock among processes is named: writers with the same name take turns. None
            for no turns.
        lock_timeout: How long a transaction waits for another's lock, in seconds; None for as long
            as a statement may take.
    """

    dialect: Dialect = DIALECTS["postgresql"]

    def __init__(self, dsn: str, lock: str | None, lock_timeout: float | None = None) -> None:
        self._writer = _Link(dsn)
        self._readers = [_Link(dsn) for _ in range(_READERS)]
        self._idle = asyncio.Semaphore(_READERS)
        self._begin = {
            durable: _begin_writing(lock, lock_timeout, durable=durable)
            for durable in (True, False)
        }

    async def open(self, *, create: bool) -> None:  # noqa: ARG002 - a database is never made
        """Connect.

        Raises:
            InvalidRequest: The database can't hold every text.
            Exception: Whatever asyncpg says.
        """
        async with self._reading() as link:
            await link.transact(_BEGIN_READING, _nothing)

    async def write(self, make: Callable[[], Work[T]], *, durable: bool) -> T:
        """Do work in a transaction, and commit it."""
        return await self._writer.transact(self._begin[durable], make)

    async def read(self, make: Callable[[], Work[T]]) -> T:
        """Do work that only reads."""
        async with self._reading() as link:
            return await link.transact(_BEGIN_READING, make)

    async def close(self) -> None:
        """Close all connections."""
        for link in (self._writer, *self._readers):
            await link.close()

    @asynccontextmanager
    async def _reading(self) -> "AsyncGenerator[_Link]":
        async with self._idle:
            link = self._readers.pop()
            try:
                yield link
            finally:
                self._readers.append(link)


class _Link:
    """A connection that is made when it is needed, and made anew when it was lost."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._on: Any = None  # asyncpg's
        self._since = 0.0

    async def transact(self, begin: str, make: Callable[[], Work[T]]) -> T:
        with closing(Course(make())) as course:
            await self._carry_out(begin + course.settings(), course)
        return course.result

    async def _carry_out(self, begin: str, course: Course[T]) -> None:
        on = None
        try:
            await self._begun(begin)
            on = self._on
            while course.statement is not None:
                course.go_on(await _execute(on, course.statement))
            await on.execute("COMMIT")
        except BaseException as exc:
            if self._on is not None:
                await self._rolled_back()
            if on is not None and self._on is None and _is_of_the_driver(exc):
                raise ConnectionResetError(_LOST) from exc
            raise

    async def close(self) -> None:
        on, self._on = self._on, None
        if on is not None:
            try:
                await on.close(timeout=_LAST_WORDS)
            except Exception:  # noqa: BLE001 - it is over in any case
                on.terminate()

    async def _begun(self, begin: str) -> None:
        if self._is_left_behind():
            await self.close()
        if self._on is not None:
            try:
                await self._on.execute(begin)
            except Exception as exc:
                await self._rolled_back()
                if getattr(exc, "sqlstate", None) in _NO_WRITING_HERE:
                    await self.close()
                if self._on is not None:  # it is whole, and the server said no
                    raise
            else:
                return
        self._on = await _connect(self._dsn)
        self._since = asyncio.get_running_loop().time()
        await self._on.execute(begin)

    def _is_left_behind(self) -> bool:
        """Say whether it has led to a standby for a while."""
        if self._on is None or asyncio.get_running_loop().time() - self._since < _STANDBY:
            return False
        # The server tells of it whenever it changes, from version 14 on.
        return getattr(self._on.get_settings(), "in_hot_standby", "off") == "on"

    async def _rolled_back(self) -> None:
        """Undo what was begun; a connection on which that fails is given up."""
        on, self._on = self._on, None
        try:
            await on.execute("ROLLBACK", timeout=_LAST_WORDS)
        except Exception:  # noqa: BLE001 - lost, or about to be
            on.terminate()
        except BaseException:
            on.terminate()
            raise
        else:
            self._on = on


def _is_of_the_driver(exc: BaseException) -> bool:
    """Say whether it is asyncpg itself that complains: of a state it should not be in, say.

    So it does when it finds the end of a connection where it expects nothing, or wants to use it
    after that.
    """
    import asyncpg  # noqa: PLC0415 - an extra

    return isinstance(exc, asyncpg.InternalClientError | asyncpg.InterfaceError)


def _begin_writing(lock: str | None, lock_timeout: float | None, *, durable: bool) -> str:
    quoted = (lock or "").replace("'", "''")
    turn = f"; SELECT pg_advisory_xact_lock(hashtextextended('{quoted}', 0))" if lock else ""
    waits = "on" if durable else "off"
    patience = f"; SET LOCAL lock_timeout TO {lock_timeout * 1000:.0f}" if lock_timeout else ""
    return (
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"
        f" SET LOCAL synchronous_commit TO {waits};"
        f" SET LOCAL idle_in_transaction_session_timeout TO {_IDLE * 1000:.0f}{patience}{turn}"
    )


async def _connect(dsn: str) -> Any:  # noqa: ANN401 - asyncpg's
    import asyncpg  # noqa: PLC0415 - an extra

    on = await asyncpg.connect(
        dsn, timeout=_CONNECT, command_timeout=_COMMAND, statement_cache_size=0
    )
    _keep_alive(on)
    _check_encoding(on)
    return on


def _check_encoding(on: Any) -> None:  # noqa: ANN401 - asyncpg's
    """Refuse a database that can't hold every text, before a text comes that it can't hold."""
    encoding = getattr(on.get_settings(), "server_encoding", "UTF8")
    if encoding not in _ENCODINGS:
        on.terminate()
        raise InvalidRequest(
            f"the encoding of the database is {encoding}, which can't hold every text:"
            " give the address of one in UTF8"
        )


def _keep_alive(on: Any) -> None:  # noqa: ANN401 - asyncpg's
    """Have the system look now and then whether the server is still there; asyncpg can't say so."""
    transport = getattr(on, "_transport", None)
    its = transport.get_extra_info("socket") if transport is not None else None
    if its is None or its.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    with suppress(OSError):
        its.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _ALIVE:
            if hasattr(socket, name):  # some systems have others
                its.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _execute(on: Any, statement: Statement) -> list[Row]:  # noqa: ANN401 - asyncpg's
    counts = isinstance(statement, Table) and not statement.returns
    if isinstance(statement, Table):
        statement = by_columns(statement)
    if isinstance(statement, Copy):
        table, columns, rows = statement.table, statement.columns, statement.rows
        await on.copy_records_to_table(table, columns=columns, records=rows)
        return []
    if is_setting(statement):  # it has no rows, and so needs one trip, not two
        await on.execute(statement.sql)
        return []
    sql, names = numbered(statement.sql)
    if isinstance(statement, Many):
        await on.executemany(sql, [[row[name] for name in names] for row in statement.rows])
        return []
    seconds = None  # which is what the connection has
    if statement.patient:
        seconds = _PATIENCE
        await on.execute("SET LOCAL lock_timeout TO 0")
    arguments = [statement.parameters[name] for name in names]
    if counts:
        done: str = await on.execute(sql, *arguments)
        return [{"changes": int(done.rpartition(" ")[2])}]
    found: list[Row] = await on.fetch(sql, *arguments, timeout=seconds)
    return found


def _nothing() -> Work[None]:
    yield from ()
