"""SQLite on threads of its own: one that writes, and a few that read beside it.

Durable means that the commit is on the disk (`synchronous=FULL`); relaxed ones survive the process,
and with a write-ahead log the file stays whole in any case.

A file that was deleted or replaced under an open connection takes commits all the same, and they
are lost; so is what goes into a write-ahead log that was deleted. Both are looked at before each
commit. They are refused until the same files are back, for nobody here can know whether a new one
is meant.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

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
    by_rows,
)

if TYPE_CHECKING:
    from tenacity import Retrying

T = TypeVar("T")

_BUSY: Final = 10.0  # seconds to wait for another process's turn
_READERS: Final = 4
_WITH_A_LOG: Final = "PRAGMA journal_mode=WAL"

_Identity: TypeAlias = tuple[tuple[int, int], ...]


class Sqlite:
    """A file.

    Args:
        path: Where it is.
    """

    dialect: Dialect = DIALECTS["sqlite"]

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)  # noqa: PTH100 - a program may change its folder later
        self._log = f"{self._path}-wal"
        self._writers = ThreadPoolExecutor(1, "ihuyi-sqlite-writer")
        self._readers = ThreadPoolExecutor(_READERS, "ihuyi-sqlite-reader")
        self._writer: sqlite3.Connection | None = None
        self._files: _Identity = ()
        self._idle: list[sqlite3.Connection] = []  # readers' connections; lists are thread-safe
        self._durable: bool | None = None

    async def open(self, *, create: bool) -> None:
        """Open the file, which is made if it is missing and may be.

        Raises:
            OSError, sqlite3.Error: It can't be opened.
        """
        if not create and not await asyncio.to_thread(os.path.exists, self._path):
            raise FileNotFoundError(f"there is no such file: {self._path}")
        if create:
            await self._on(self._writers, self._connect_writer)

    async def write(self, make: Callable[[], Work[T]], *, durable: bool) -> T:
        """Do work in a transaction, and commit it."""
        return await self._on(self._writers, lambda: self._write(make, durable=durable))

    async def read(self, make: Callable[[], Work[T]]) -> T:
        """Do work that only reads."""
        return await self._on(self._readers, lambda: self._read(make))

    async def close(self) -> None:
        """Wait for the threads, and close all connections."""
        await asyncio.to_thread(self._close)

    async def _on(self, threads: ThreadPoolExecutor, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, self._done, job)

    # --- on a thread

    def _done(self, job: Callable[[], T]) -> T:
        """Do a job; SQLite says that a file can't be opened, and not which one."""
        try:
            return job()
        except sqlite3.OperationalError as exc:
            if _code(exc) != sqlite3.SQLITE_CANTOPEN:
                raise
            raise sqlite3.OperationalError(f"{exc}: {self._path}") from None

    def _connect_writer(self) -> sqlite3.Connection:
        if self._writer is None:
            on = _connect(self._path)
            try:
                self._log = f"{os.path.realpath(self._path)}-wal"  # where SQLite has it
                _keep_a_log(on, self._log)
                self._files = self._identity()
            except BaseException:
                on.close()
                raise
            self._writer = on
        return self._writer

    def _write(self, make: Callable[[], Work[T]], *, durable: bool) -> T:
        on = self._connect_writer()
        if durable is not self._durable:
            on.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        # At once, for a transaction that reads before it writes fails if another wrote between.
        on.execute("BEGIN IMMEDIATE")
        try:
            result = _carry_out(on, make())
            self._check_files()
            on.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # most failures roll back by themselves
                on.execute("ROLLBACK")
            raise
        return result

    def _read(self, make: Callable[[], Work[T]]) -> T:
        on = self._idle.pop() if self._idle else self._connect_reader()
        try:
            on.execute("BEGIN")  # of one state of the database, however many statements
            return _carry_out(on, make())
        finally:
            with suppress(sqlite3.Error):
                on.execute("ROLLBACK")
            self._idle.append(on)

    def _connect_reader(self) -> sqlite3.Connection:
        if not os.path.exists(self._path):  # noqa: PTH110 - or a new, empty one would be made
            raise FileNotFoundError(f"there is no such file: {self._path}")
        on = _connect(self._path)
        on.execute("PRAGMA query_only=ON")
        return on

    def _check_files(self) -> None:
        try:
            same = self._identity() == self._files
        except FileNotFoundError:
            same = False
        if not same:
            raise OSError(
                f"the file, or its -wal, was deleted or replaced while it was open: {self._path}"
            )

    def _identity(self) -> _Identity:
        found = (os.stat(path) for path in (self._path, self._log))  # noqa: PTH116 - fast
        return tuple((each.st_dev, each.st_ino) for each in found)

    def _close(self) -> None:
        for threads in (self._writers, self._readers):
            threads.shutdown()
        for on in (self._writer, *self._idle):
            if on is not None:
                on.close()


def _connect(path: str) -> sqlite3.Connection:
    # Used by one thread at a time, not always by the same one.
    on = sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
    on.row_factory = sqlite3.Row
    return on


def _keep_a_log(on: sqlite3.Connection, log: str) -> None:
    (mode,) = _in_turn()(lambda: on.execute(_WITH_A_LOG).fetchone())
    if mode != "wal":
        raise OSError("SQLite can keep no write-ahead log there; is it a network file system?")
    if not os.path.exists(log):  # noqa: PTH110 - fast; and to open one is to wait for no writer
        on.execute("BEGIN IMMEDIATE")  # by which it exists
        on.execute("COMMIT")


def _in_turn() -> "Retrying":
    # For what SQLite refuses at once while somebody writes, whatever its timeout is: several
    # processes that open a new file at the same moment are in each other's way here.
    from tenacity import (  # noqa: PLC0415 - only here
        Retrying,
        retry_if_exception,
        stop_after_delay,
        wait_random,
    )

    return Retrying(
        retry=retry_if_exception(_is_busy),
        wait=wait_random(0.001, 0.02),
        stop=stop_after_delay(_BUSY),
        reraise=True,
    )


def _is_busy(exc: BaseException) -> bool:
    return isinstance(exc, sqlite3.OperationalError) and _code(exc) == sqlite3.SQLITE_BUSY


def _code(exc: sqlite3.OperationalError) -> int:
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF  # the extended codes say by whom, or where


def _carry_out(on: sqlite3.Connection, work: Work[T]) -> T:
    with closing(Course(work)) as course:
        while course.statement is not None:
            course.go_on(_execute(on, course.statement))
    return course.result


def _execute(on: sqlite3.Connection, statement: Statement) -> list[Row]:
    if isinstance(statement, Many | Copy):
        on.executemany(statement.sql, statement.rows)
        return []
    if isinstance(statement, Table):
        before = on.total_changes
        pieces = [on.execute(sql, given).fetchall() for sql, given in by_rows(statement)]
        if not statement.returns:
            return [{"changes": on.total_changes - before}]
        return [row for rows in pieces for row in rows]
    cursor = on.cursor()
    if statement.by_place:
        cursor.row_factory = None
    return cursor.execute(statement.sql, statement.parameters).fetchall()
