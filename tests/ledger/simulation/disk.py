"""SQLite that is carried out on the virtual loop: one database, in memory, for all processes.

A transaction is one step, as all of them take turns. Before it and after it time passes, and the
process that asked for it may be killed: then it was committed or not, and nobody was told.
"""

import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import attrs

from ihuyi_voice.storage import Dialect, Work, database
from ihuyi_voice.storage.sqlite import (
    _carry_out,  # pyright: ignore[reportPrivateUsage] - what is done on a thread elsewhere
)
from tests.ledger.simulation.fate import Fate

T = TypeVar("T")

_TROUBLES: Final = (
    "database is locked",
    "database or disk is full",
    "disk I/O error",
    "unable to open database file",
)


def _dialect(fate: Fate) -> Dialect:
    return Dialect(
        "sqlite",
        clock="virtual_now()",
        serial="INTEGER PRIMARY KEY AUTOINCREMENT",
        blob="BLOB",
        real="REAL",
    )


class Disk:
    """The one database of a world.

    Args:
        fate: Of the world.
        trouble: The share of transactions that fail before their commit.
        lost: The share that fail after it, as when a server's connection is lost in the commit.
        slow: The longest that a transaction takes, in seconds.
    """

    def __init__(self, fate: Fate, trouble: float, lost: float, slow: float) -> None:
        self.fate = fate
        self.trouble, self.lost, self.slow = trouble, lost, slow
        self.dialect = _dialect(fate)
        self.on = sqlite3.connect(":memory:", isolation_level=None)
        self.on.row_factory = sqlite3.Row
        self.on.create_function("virtual_now", 0, fate.loop.unix)
        self.commits = 0

    def close(self) -> None:
        """Forget everything."""
        self.on.close()


@attrs.define(eq=False)
class Engine:
    """A process's connection to it, in the place of `storage.sqlite.Sqlite`.

    Attributes:
        disk: The database.
    """

    disk: Disk

    @property
    def dialect(self) -> Dialect:
        """SQLite's, with the virtual clock."""
        return self.disk.dialect

    async def open(self, *, create: bool) -> None:
        """Connect."""
        await self.disk.fate.pause(self.disk.slow)

    async def write(self, make: Callable[[], Work[T]], *, durable: bool) -> T:
        """Do work in a transaction, and commit it."""
        disk, fate = self.disk, self.disk.fate
        await fate.pause(disk.slow)
        await fate.point("before a commit")
        if fate.happens(disk.trouble):
            self._fail("before a commit")
        result = self._transact(make, "BEGIN IMMEDIATE", "COMMIT")
        disk.commits += 1
        fate.note("commits", disk.commits, disk.on.total_changes)
        await fate.point("after a commit")
        if fate.happens(disk.lost):
            self._fail("after a commit")
        await fate.pause(disk.slow)
        await fate.point("told of a commit")
        return result

    async def read(self, make: Callable[[], Work[T]]) -> T:
        """Do work that only reads."""
        fate = self.disk.fate
        await fate.pause(self.disk.slow)
        if fate.happens(self.disk.trouble):
            self._fail("a read")
        return self._transact(make, "BEGIN", "ROLLBACK")

    async def close(self) -> None:
        """Disconnect."""

    def _transact(self, make: Callable[[], Work[T]], begin: str, end: str) -> T:
        on = self.disk.on
        on.execute(begin)
        try:
            result = _carry_out(on, make())
            on.execute(end)
        except BaseException:
            on.execute("ROLLBACK")
            raise
        return result

    def _fail(self, where: str) -> None:
        fate = self.disk.fate
        what = fate.chance.choice(_TROUBLES)
        fate.note("database fails", where, what)
        raise sqlite3.OperationalError(what)


def engine_of(disk: Disk) -> Callable[[Any], Engine]:
    """Return what makes a connection, whatever the path."""
    return lambda _: Engine(disk)


@contextmanager
def on_disk(disk: Disk) -> Generator[None]:
    """Put the world's database in the place of SQLite."""
    original = vars(database)["Sqlite"]
    setattr(database, "Sqlite", engine_of(disk))  # noqa: B010 - no name that it exports
    try:
        yield
    finally:
        setattr(database, "Sqlite", original)  # noqa: B010
