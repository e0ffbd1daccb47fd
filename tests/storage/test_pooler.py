"""Behind a pooler that hands sessions around: nothing of ours stays on one, nor is one believed."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import attrs
import pytest

from ihuyi_voice.errors import StorageUnavailable
from ihuyi_voice.storage import Address, Database, Many, Query, Schema, Work
from tests.support.postgres import Server, pooler_of

SCHEMA = Schema("t", 1, lambda _: ["CREATE TABLE t (n INTEGER)"], {"t": frozenset({"n"})})
# What a session has that another one could find: settings, statements, locks, listeners.
LEFT = (
    "SELECT name FROM pg_settings WHERE source = 'session' AND name <> 'client_encoding'",
    "SELECT name FROM pg_prepared_statements",
    "SELECT objid FROM pg_locks WHERE locktype = 'advisory'",
    "SELECT pg_listening_channels()",
)


@attrs.frozen
class Pooler:
    """A pooler with two sessions, and two strangers who use both of them at once.

    Attributes:
        url: Where it is.
        strangers: Their connections.
    """

    url: str
    strangers: tuple[Any, Any]

    async def on_both(self, statement: str) -> list[Any]:
        """Execute a statement on both sessions, and return the rows of both."""
        for stranger in self.strangers:
            await stranger.execute("BEGIN")
        rows = [await stranger.fetch(statement) for stranger in self.strangers]
        for stranger in self.strangers:
            await stranger.execute("COMMIT")
        return rows

    async def setting(self) -> set[str]:
        """Return whether commits of the strangers wait for the disk."""
        return {rows[0][0] for rows in await self.on_both("SHOW synchronous_commit")}


@pytest.fixture
async def pooler(server: Server) -> AsyncGenerator[Pooler]:
    """Yield a pooler of the test's own."""
    async with pooler_of(server, size=2) as url:
        one, two = [await asyncpg.connect(url, statement_cache_size=0) for _ in range(2)]
        yield Pooler(url, (one, two))
        await one.close()
        await two.close()


@pytest.fixture
async def databases(pooler: Pooler) -> AsyncGenerator[list[Database]]:
    """Yield eight open databases behind the pooler: more connections than it has sessions."""
    async with AsyncExitStack() as closing:
        databases = [Database(Address.parse(pooler.url), "a lock") for _ in range(8)]
        for database in databases:
            await database.open(SCHEMA)
            closing.push_async_callback(database.close)
        yield databases


def setting() -> Work[str]:
    """Add rows, and return whether their commit waits for the disk."""
    yield Many("INSERT INTO t VALUES (CAST(:n AS INTEGER))", [{"n": 1}, {"n": 2}])
    rows = yield Query("SELECT current_setting('synchronous_commit') WHERE :n = 1", {"n": 1})
    return str(rows[0][0])


def count() -> Work[int]:
    """Return how many rows there are."""
    rows = yield Query("SELECT count(*) FROM t WHERE n < CAST(:n AS INTEGER)", {"n": 9})
    return int(rows[0][0])


async def settings(databases: list[Database], times: int) -> list[str]:
    """Write durably and not, by turns and side by side; return what each said."""
    return await asyncio.gather(
        *(
            database.write(setting, durable=place % 2 == 0)
            for _ in range(times)
            for place, database in enumerate(databases)
        )
    )


@pytest.mark.slow
async def test_a_durable_commit_is_one_whatever_others_left_on_the_session(
    pooler: Pooler, databases: list[Database]
) -> None:
    """20 of 20 wait for the disk, where another program had said that none should."""
    await pooler.on_both("SET synchronous_commit = off")
    assert await settings(databases, 5) == ["on", "off"] * 20


async def test_a_commit_that_need_not_wait_is_nobody_elses(
    pooler: Pooler, databases: list[Database]
) -> None:
    """What is said of it is said of no other, ours or a stranger's, nor for others of theirs."""
    assert await settings(databases, 5) == ["on", "off"] * 20
    assert await pooler.setting() == {"on"}
    await pooler.on_both("SET synchronous_commit = local")
    await settings(databases, 2)
    assert await pooler.setting() == {"local"}


@pytest.mark.slow
async def test_nothing_is_left_on_a_session(pooler: Pooler, databases: list[Database]) -> None:
    """After reads and writes that succeed, and after those that fail."""
    before = [await pooler.on_both(asked) for asked in LEFT]

    def broken() -> Work[None]:
        yield Query("INSERT INTO t VALUES (:n)", {"n": 1})
        yield Query("SELECT 1 / CAST(:n AS INTEGER)", {"n": 0})

    for _ in range(3):
        fails = [each.write(broken) for each in databases] + [
            each.read(broken) for each in databases
        ]
        reads = [each.read(count) for each in databases for _ in range(3)]
        *ends, _ = await asyncio.gather(
            *fails, *reads, settings(databases, 1), return_exceptions=True
        )
        assert sum(isinstance(end, StorageUnavailable) for end in ends) == len(fails)
    assert await databases[0].read(count) == 3 * 8 * 2
    assert [await pooler.on_both(asked) for asked in LEFT] == before
