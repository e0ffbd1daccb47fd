"""Ledgers on PostgreSQL that are lent to one test after another, and emptied in between.

To make the tables of one, and those of a queue, takes the server longer than most tests do, and
to drop them leaves its catalogs full of the dead. What a test changed more than in rows is dropped,
and what is lent instead is new. That tables are made where there are none, and by several at once,
is told on places of the tests' own: `databases.place`, `databases.own_database`.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import attrs
import psycopg

from ihuyi_voice.ledger import Ledger
from ihuyi_voice.workers.queue import Queue
from tests.support.databases import (
    LEDGERS,
    broom,
    drop,
    drop_database,
    new_database,
    new_table,
)

_UNCOUNTED: Final = ("_parts", "_reports", "_marks")
_QUEUES: Final = (
    "procrastinate_events",
    "procrastinate_periodic_defers",
    "procrastinate_jobs",
    "procrastinate_workers",
)
# By name and by index: catalogs may be large where many tables have come and gone.
_SHAPE: Final = """
SELECT concat_ws(';',
    (SELECT string_agg(concat_ws(' ', replace(attrelid::regclass::text, '{name}', ''), attname),
        ',' ORDER BY attrelid, attnum)
        FROM pg_attribute WHERE attrelid = ANY (ARRAY[{tables}]::regclass[]) AND attnum > 0),
    (SELECT count(*) FROM pg_class
        WHERE relname BETWEEN '{name}_' AND '{name}_zz' AND relkind = 'r'),
    (SELECT version FROM ihuyi_schema WHERE name = '{name}_ledger'),
    to_regnamespace('{name}_jobs') IS NULL,
    obj_description(to_regnamespace('{name}_jobs'), 'pg_namespace'))
"""


@attrs.frozen
class Lent:
    """A ledger that is there, and has nothing in it.

    Attributes:
        url: In which database.
        prefix: What its tables' names begin with.
        queue: Whether there is a queue beside it.
        server: The PostgreSQL, if the database is its own.
    """

    url: str
    prefix: str
    queue: bool
    server: str = ""

    def empty(self) -> None:
        """Delete all rows, and begin to count anew."""
        deleted = [f"DELETE FROM {table}" for table in self._tables]  # noqa: S608 - names of ours
        begun = [f"SELECT setval('{table}_id_seq', 1, false)" for table in self._counted]
        here = f"SET LOCAL search_path TO {self.prefix}_jobs, public"  # where triggers look
        broom(self.url).execute("; ".join([here, *deleted, *begun]).encode())

    def shape(self) -> str:
        """Return which tables and columns there are."""
        tables = ", ".join(f"'{table}'" for table in self._tables)
        asked = _SHAPE.format(name=self.prefix, tables=tables)
        (shape,) = broom(self.url).execute(asked.encode()).fetchone() or ("",)
        return str(shape)

    @property
    def _tables(self) -> list[str]:
        ours = [f"{self.prefix}_{table}" for table in LEDGERS]
        return [*ours, *(f"{self.prefix}_jobs.{table}" for table in _QUEUES if self.queue)]

    @property
    def _counted(self) -> list[str]:
        return [table for table in self._tables if not table.endswith(_UNCOUNTED)]

    async def drop(self) -> None:
        """Drop it."""
        if self.server:
            await drop_database(self.server, self.url)
        else:
            await drop(self.url, self.prefix)


@attrs.define(eq=False)
class _Shelf:
    """The ledgers of one kind that nobody has just now.

    Attributes:
        url: Which PostgreSQL they are on.
        queue: Whether each has a queue.
        alone: Whether each is in a database of its own, under the name that ledgers have.
    """

    url: str
    queue: bool
    alone: bool
    _free: list[Lent] = attrs.field(factory=list[Lent])
    _shape: str = ""

    async def take(self) -> Lent:
        return self._free.pop() if self._free else await self._make()

    async def _make(self) -> Lent:
        if self.alone:
            made = Lent(await new_database(self.url), "ihuyi", self.queue, self.url)
        else:
            made = Lent(self.url, new_table(), self.queue)
        async with AsyncExitStack() as stack:
            ledger = await stack.enter_async_context(Ledger.open(made.url, prefix=made.prefix))
            if self.queue:
                await stack.enter_async_context(Queue(ledger, "VM1"))
        self._shape = self._shape or made.shape()
        return made

    async def put_back(self, lent: Lent) -> None:
        try:
            await asyncio.to_thread(lent.empty)  # who holds a lock may let go of it
            same = lent.shape() == self._shape
        except psycopg.Error:
            same = False
        if same:
            self._free.append(lent)
        else:
            await lent.drop()

    async def clear(self) -> None:
        while self._free:
            await self._free.pop().drop()


_shelves: Final[dict[tuple[str, bool, bool], _Shelf]] = {}


@asynccontextmanager
async def ready_ledger(
    url: str, *, queue: bool = False, alone: bool = False
) -> AsyncGenerator[Lent]:
    """Lend an empty ledger.

    Args:
        url: On which PostgreSQL.
        queue: Whether it has a queue, which is empty, too.
        alone: Whether it is in a database of its own, under the name that ledgers have.
    """
    shelf = _shelves.setdefault((url, queue, alone), _Shelf(url, queue, alone))
    lent = await shelf.take()
    try:
        yield lent
    finally:
        await shelf.put_back(lent)


def pytest_unconfigure() -> None:
    """Drop what was made."""
    for shelf in _shelves.values():
        asyncio.run(shelf.clear())
