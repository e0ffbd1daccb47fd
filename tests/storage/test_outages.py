"""A PostgreSQL that says no, goes away, hangs or comes back: loud, and back by itself."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from ihuyi_voice.errors import StorageUnavailable
from ihuyi_voice.storage import Address, Database, Query, Work
from tests.storage.rows import SCHEMA, adding, listed
from tests.support.looking import comes_true
from tests.support.postgres import Server, server_of

pytestmark = pytest.mark.long

LOCK = "a lock"
HOLD_LOCK = f"SELECT pg_advisory_lock(hashtextextended('{LOCK}', 0))"


@pytest.fixture
async def database(server: Server) -> AsyncGenerator[Database]:
    """Yield an open database on a server of the test's own, with one row."""
    database = Database(Address.parse(server.url), LOCK)
    await database.open(SCHEMA)
    await database.write(adding(0))
    yield database
    await database.close()


async def refused(database: Database, words: str) -> None:
    """Find that both reading and writing say so."""
    for access in (database.read(listed), database.write(adding(-1))):
        with pytest.raises(StorageUnavailable, match=words):
            await access


async def test_a_server_that_is_away_is_told_and_found_again(
    server: Server, database: Database
) -> None:
    """Each access fails by itself while it is away, and the first one after that is well."""
    for number in (1, 2):
        await server.stop()
        for _ in range(3):
            await refused(database, "database failed: .*(Connect call failed|terminat|clos)")
        await server.start()
        await database.write(adding(number))
    assert await database.read(listed) == [0, 1, 2]


async def test_what_waits_while_a_server_ends_is_told(server: Server, database: Database) -> None:
    """Those who wait for their turn, too, each for itself; a few may have it as the holder ends."""
    holder = await asyncpg.connect(server.url)
    await holder.execute(HOLD_LOCK)
    writes = [asyncio.create_task(database.write(adding(number))) for number in range(1, 100)]
    await waits_for_lock(server)
    await server.stop()
    ends = await asyncio.gather(*writes, return_exceptions=True)
    kept = [number for number, end in enumerate(ends, 1) if end is None]
    assert [type(end) for end in ends[len(kept) :]] == [StorageUnavailable] * (99 - len(kept))
    assert len(kept) < 99
    await server.start()
    assert await database.read(listed) == [0, *kept]
    holder.terminate()


async def waits_for_lock(server: Server) -> None:
    """Return once somebody waits for a lock."""
    asked = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    await comes_true(partial(server.execute, asked))


async def test_a_server_with_no_connection_left_is_told(cluster: Path) -> None:
    """Whoever has one goes on; the next one comes as soon as there is one."""
    async with server_of(
        cluster, "max_connections=6", "superuser_reserved_connections=0"
    ) as server:
        database, late = (Database(Address.parse(server.url), LOCK) for _ in range(2))
        await database.open(SCHEMA)
        await database.write(adding(1))
        others = [await asyncpg.connect(server.url) for _ in range(4)]  # with its two: six
        with pytest.raises(StorageUnavailable, match="too many clients"):
            await late.open(SCHEMA)
        await database.write(adding(2))
        assert await database.read(listed) == [1, 2]
        await others.pop().close()
        await others.pop().close()
        await late.open(SCHEMA)
        await late.write(adding(3))
        assert await database.read(listed) == [1, 2, 3]
        await others.pop().close()
        await others.pop().close()
        await database.close()
        await late.close()


@pytest.mark.parametrize("whose", ["ALTER ROLE postgres", "ALTER DATABASE postgres", "SERVER"])
@pytest.mark.parametrize(
    ("setting", "words"),
    [("statement_timeout", "statement timeout"), ("lock_timeout", "lock timeout")],
)
async def test_a_limit_of_the_servers_costs_one_transaction(
    cluster: Path, whose: str, setting: str, words: str
) -> None:
    """Of its own, of the role or of the database: it is told, and the connection is kept."""
    async with server_of(cluster, *([f"{setting}=50"] if whose == "SERVER" else [])) as server:
        if whose != "SERVER":
            await server.execute(f"{whose} SET {setting} = 50")
        database = Database(Address.parse(server.url), LOCK)
        await database.open(SCHEMA)
        holder = await asyncpg.connect(server.url)
        await holder.execute(HOLD_LOCK)
        for _ in range(2):
            with pytest.raises(StorageUnavailable, match=words):
                await database.write(adding(1))
        await holder.close()
        await database.write(adding(2))
        assert await database.read(listed) == [2]
        await database.close()


async def test_connections_that_the_server_ends_for_idleness_are_replaced(cluster: Path) -> None:
    """Nobody notices."""
    async with server_of(cluster, "idle_session_timeout=20") as server:
        database = Database(Address.parse(server.url), LOCK)
        await database.open(SCHEMA)

        async def alone() -> bool:
            return len(await server.execute(CLIENTS)) <= 1

        for number in range(3):
            await database.write(adding(number))
            await comes_true(alone)
        assert await database.read(listed) == [0, 1, 2]
        await database.close()


CLIENTS = "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'client backend'"


async def test_what_was_acknowledged_is_kept_while_connections_are_ended(
    server: Server, database: Database
) -> None:
    """Again and again, in mid-stream; each write is told how it ended."""
    told: list[int] = []

    async def write(first: int) -> None:
        for number in range(first, 400, 8):
            try:
                await database.write(adding(number), durable=number % 2 == 0)
            except StorageUnavailable:
                continue
            told.append(number)

    writing = asyncio.gather(*(write(first) for first in range(1, 9)))
    ends = 0
    while not writing.done():
        await server.terminate_others()
        ends += 1
    await writing
    await database.write(adding(400))
    rows = await database.read(listed)
    assert set(told) <= set(rows)
    assert len(set(rows)) == len(rows)
    assert 0 < len(told) < 399
    assert ends > 2


async def test_a_server_that_hangs_is_given_up(
    server: Server, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An access ends within its time though nobody answers; when the server moves, so do we."""
    monkeypatch.setattr("ihuyi_voice.storage.postgres._CONNECT", 0.2)
    monkeypatch.setattr("ihuyi_voice.storage.postgres._COMMAND", 0.2)
    quick = Database(Address.parse(server.url), LOCK)
    await quick.open(SCHEMA)
    await quick.write(adding(1))
    pids = [row[0] for row in await server.execute("SELECT pid FROM pg_stat_activity")]
    server.signal(signal.SIGSTOP, *pids)
    await refused(quick, "TimeoutError")
    server.signal(signal.SIGCONT, *pids)
    await quick.write(adding(2))
    assert await quick.read(listed) == [0, 1, 2]
    await quick.close()


async def test_what_rewrites_a_table_may_take_longer(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for a lock, for example, when others have been given up."""
    monkeypatch.setattr("ihuyi_voice.storage.postgres._COMMAND", 0.2)

    def waiting(*, patient: bool) -> Work[None]:
        yield Query("LOCK TABLE t", patient=patient)

    slow, quick = (Database(Address.parse(server.url), None) for _ in range(2))
    await slow.open(SCHEMA)
    await quick.open(SCHEMA)
    holder = await asyncpg.connect(server.url)
    await holder.execute("BEGIN; LOCK TABLE t")
    going_on = asyncio.create_task(slow.write(lambda: waiting(patient=True)))
    for _ in range(2):
        with pytest.raises(StorageUnavailable, match="TimeoutError"):
            await quick.write(lambda: waiting(patient=False))
    await holder.execute("COMMIT")
    await going_on
    await holder.close()
    await slow.close()
    await quick.close()
