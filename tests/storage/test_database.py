"""Reads at any time, one writer at a time, and no failure or cancellation that harms anybody."""

# ruff: noqa: S608 - the table is the test's own

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable

import aiosqlite
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ihuyi_voice.errors import InvalidRequest, StorageClosed, StorageUnavailable
from ihuyi_voice.storage import Address, Database, ToldAs
from tests.support.databases import Place

NUMBER = "13900000000"


def database_at(place: Place, lock: str = "test") -> Database:
    """Return an unopened database."""
    return Database(Address.parse(place.url), lock)


@pytest.fixture
async def database(place: Place) -> AsyncGenerator[Database]:
    """Yield an open database with one counter, which is 0."""
    database = database_at(place)
    await database.open()
    await database.write(doing(f"CREATE TABLE {place.table} (value BIGINT, note TEXT)"))
    await database.write(doing(f"INSERT INTO {place.table} (value) VALUES (0)"))
    yield database
    await database.close()


def doing(*statements: str, **parameters: object) -> Callable[[AsyncConnection], Awaitable[None]]:
    """Return work that executes these statements."""

    async def work(on: AsyncConnection) -> None:
        for statement in statements:
            await on.execute(text(statement), parameters)

    return work


async def count(database: Database, place: Place) -> int:
    """Return where the counter stands."""

    async def work(on: AsyncConnection) -> int:
        return int((await on.execute(text(f"SELECT value FROM {place.table}"))).scalar_one())

    return await database.read(work)


async def test_what_was_written_is_read_by_everybody(place: Place, database: Database) -> None:
    """Durable or not, from the moment that writing returns; what work returns is returned."""
    other = database_at(place)
    for number, durable in enumerate((True, False), 1):
        step = doing(f"UPDATE {place.table} SET value = value + 1")
        await database.write(step, durable=durable)
        assert await count(database, place) == await count(other, place) == number
    await other.close()


async def test_a_transaction_that_fails_changes_nothing(place: Place, database: Database) -> None:
    """It says why; the next one finds everything as it was."""
    bad = doing(f"UPDATE {place.table} SET value = 7", "SELECT 1 FROM nowhere")
    for durable in (True, False):
        with pytest.raises(StorageUnavailable, match=r"database failed: .*nowhere"):
            await database.write(bad, durable=durable)
        assert await count(database, place) == 0


async def test_one_writes_at_a_time(place: Place, database: Database) -> None:
    """Durably or not, in two processes as well: what one has read can't change under it."""
    other = database_at(place)

    async def increment(on: AsyncConnection) -> None:
        read = text(f"SELECT value FROM {place.table}")
        value = (await on.execute(read)).scalar_one()
        await asyncio.sleep(0)
        await on.execute(text(f"UPDATE {place.table} SET value = {value + 1}"))

    writes = (
        each.write(increment, durable=durable)
        for each in (database, other)
        for durable in (True, False)
        for _ in range(10)
    )
    await asyncio.gather(*writes)
    assert await count(database, place) == 40
    await other.close()


async def test_reading_waits_for_no_writer(place: Place, database: Database) -> None:
    """It reads what was committed last."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(on: AsyncConnection) -> None:
        await on.execute(text(f"UPDATE {place.table} SET value = 1"))
        begun.set()
        await go.wait()

    writing = asyncio.create_task(database.write(slow))
    await begun.wait()
    assert await count(database, place) == 0
    go.set()
    await writing
    assert await count(database, place) == 1


async def test_writers_of_different_locks_do_not_wait_for_each_other(postgres: str) -> None:
    """On PostgreSQL, where two inboxes in one database have a lock each."""
    one, two = (Database(Address.parse(postgres), lock) for lock in ("test one", "test two"))
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(_: AsyncConnection) -> None:
        begun.set()
        await go.wait()

    writing = asyncio.create_task(one.write(slow))
    await begun.wait()
    await two.write(doing("SELECT 1"))
    assert not writing.done()
    go.set()
    await writing
    await one.close()
    await two.close()


async def test_only_a_durable_commit_waits_for_the_disk(place: Place, database: Database) -> None:
    """By the settings of its connection: the other survives the process, not the machine."""
    asked = "SHOW synchronous_commit" if place.is_postgres else "PRAGMA synchronous"

    async def setting(on: AsyncConnection) -> str:
        return str((await on.exec_driver_sql(asked)).scalar_one())

    found = [await database.write(setting, durable=durable) for durable in (True, False)]
    assert found == (["on", "off"] if place.is_postgres else ["2", "1"])


async def test_an_error_quotes_neither_numbers_nor_parameters(
    place: Place, database: Database
) -> None:
    """What a statement was given stays out of exceptions and of what is logged of them."""
    with pytest.raises(StorageUnavailable) as caught:
        await database.write(doing("SELECT 1 FROM nowhere WHERE 's3' = :given", given="s4"))
    assert "s4" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__cause__}"

    async def full(_: AsyncConnection) -> None:
        raise OSError(f"no space left for {NUMBER}")

    with pytest.raises(StorageUnavailable, match=r"OSError: no space left for 139\*{4}0000$"):
        await database.write(full)


async def test_the_driver_logs_no_parameters_of_ours(
    place: Place, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """That of SQLite would, at DEBUG; what others do through it is logged as ever."""
    caplog.set_level(logging.DEBUG)
    noted = doing(f"UPDATE {place.table} SET note = :note", note="not for logs")
    await database.write(noted)
    async with aiosqlite.connect(":memory:") as theirs:
        await theirs.execute("SELECT ?", ("for logs only",))
    assert "not for logs" not in caplog.text
    assert "for logs only" in caplog.text
    assert place.is_postgres or "SET note = ? [parameters hidden]" in caplog.text


async def test_work_that_raises_is_a_failure_of_the_database(
    place: Place, database: Database
) -> None:
    """Whatever it is: drivers raise what they like; an error of anything else is named only."""

    async def broken(_: AsyncConnection) -> None:
        raise LookupError("p4ssword")

    for access in (database.read, database.write):
        with pytest.raises(StorageUnavailable, match=r"failed: LookupError$"):
            await access(broken)
    assert await count(database, place) == 0


async def test_an_error_that_work_raises_on_purpose_is_let_out(
    place: Place, database: Database
) -> None:
    """As it is; what the work has done until then is undone."""
    refused = InvalidRequest("taken over by another process")

    async def fenced(on: AsyncConnection) -> None:
        await doing(f"UPDATE {place.table} SET value = 7")(on)
        raise refused

    with pytest.raises(InvalidRequest) as caught:
        await database.write(fenced)
    assert caught.value is refused
    assert await count(database, place) == 0


async def test_whoever_stands_on_it_tells_its_errors_as_its_own() -> None:
    """The text says whose database it is; other errors pass."""

    class Unavailable(Exception):
        """One of a room's own."""

    class Closed(Unavailable):
        """Another."""

    for told, error in ((Unavailable, StorageUnavailable), (Closed, StorageClosed)):
        with pytest.raises(Unavailable, match=r"^the ledger's database failed$") as caught:
            with ToldAs(Unavailable, Closed, whose="the ledger"):
                raise error("database failed")
        assert type(caught.value) is told
        assert isinstance(caught.value.__cause__, error)
    with pytest.raises(ZeroDivisionError):
        with ToldAs(Unavailable, Closed, whose="the ledger"):
            raise ZeroDivisionError


async def test_an_access_that_nobody_waits_for_is_finished(place: Place) -> None:
    """A transaction is committed, a query reads on, and the connection is as good as new."""
    database = database_at(place)
    begun, go, done = asyncio.Event(), asyncio.Event(), list[str]()

    async def work(connection: AsyncConnection) -> None:
        begun.set()
        await go.wait()
        done.append(str((await connection.exec_driver_sql("SELECT 7")).scalar()))

    for access in (database.write, database.read):
        begun.clear()
        go.clear()
        waiting = asyncio.create_task(access(work))
        await begun.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        go.set()
        await access(work)
    assert done == ["7"] * 4
    await database.close()


async def test_an_access_that_fails_when_nobody_waits_harms_nobody(place: Place) -> None:
    """Its error has nobody to go to, and is no unhandled one."""
    database = database_at(place)
    begun, go = asyncio.Event(), asyncio.Event()

    async def work(_: AsyncConnection) -> None:
        begun.set()
        await go.wait()
        raise ConnectionResetError

    waiting = asyncio.create_task(database.read(work))
    await begun.wait()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    go.set()
    await database.close()


async def test_closing_that_is_cancelled_closes_all_the_same(place: Place) -> None:
    """It waits for what runs, closes, and only then lets the cancellation out."""
    database = database_at(place)
    begun, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(_: AsyncConnection) -> None:
        begun.set()
        await go.wait()
        done.set()

    reading = asyncio.create_task(database.read(work))
    await begun.wait()
    closing = asyncio.create_task(database.close())
    for _ in range(3):
        await asyncio.sleep(0)
        closing.cancel()
    await asyncio.sleep(0)
    assert not closing.done()
    go.set()
    await asyncio.wait({closing})
    assert closing.cancelled()
    assert done.is_set()
    await reading
    with pytest.raises(StorageClosed):
        await database.read(work)
