"""Reads at any time, one writer at a time, and no failure or cancellation that harms anybody."""

# ruff: noqa: S608 - the table is the test's own

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from ihuyi_voice.errors import InvalidRequest, StorageClosed, StorageUnavailable
from ihuyi_voice.storage import Address, Database, Many, Query, Schema, Table, ToldAs, Work
from ihuyi_voice.storage.statements import by_columns
from tests.support.databases import Place, own_database
from tests.support.gates import Gate, gate_at

NUMBER = "13900000000"


def schema_of(place: Place) -> Schema:
    """Return the schema of a table with one counter, which is 0."""
    create = (
        f"CREATE TABLE {place.table} (value BIGINT, note TEXT)",
        f"INSERT INTO {place.table} (value) VALUES (0)",
    )
    columns = frozenset({"value", "note"})
    return Schema(place.table, 1, lambda _: create, {place.table: columns})


def database_at(place: Place, lock: str | None = "test") -> Database:
    """Return an unopened database."""
    return Database(Address.parse(place.url), lock)


@pytest.fixture
async def database(place: Place) -> AsyncGenerator[Database]:
    """Yield an open database with the counter."""
    database = database_at(place)
    await database.open(schema_of(place))
    yield database
    await database.close()


@pytest.fixture
async def gate(place: Place) -> AsyncGenerator[Gate]:
    """Yield a closed gate."""
    async with gate_at(place) as gate:
        yield gate


def doing(*statements: str, **parameters: object) -> Callable[[], Work[None]]:
    """Return work that executes these statements."""

    def work() -> Work[None]:
        for statement in statements:
            yield Query(statement, parameters)

    return work


async def count(database: Database, place: Place) -> int:
    """Return where the counter stands."""

    def work() -> Work[int]:
        rows = yield Query(f"SELECT value FROM {place.table}")
        return int(rows[0]["value"])

    return await database.read(work)


async def test_what_was_written_is_read_by_everybody(place: Place, database: Database) -> None:
    """Durable or not, from the moment that writing returns; what work returns is returned."""
    other = database_at(place)
    await other.open(schema_of(place))
    for number, durable in enumerate((True, False), 1):
        step = doing(f"UPDATE {place.table} SET value = value + 1")
        await database.write(step, durable=durable)
        assert await count(database, place) == await count(other, place) == number
    await other.close()


async def test_a_statement_takes_its_parameters_by_name(place: Place, database: Database) -> None:
    """One set of them or many, one of them twice, a list of values, and none in a cast."""
    dialect = database.dialect
    adding = f"INSERT INTO {place.table} (value, note) VALUES (:value, :note)"
    asked = (
        f"SELECT note, value + CAST(:more AS INTEGER) + CAST(:more AS INTEGER) AS sum"
        f" FROM {place.table} WHERE {dialect.among('note', 'notes')} ORDER BY value"
    )

    def work() -> Work[list[tuple[str, int]]]:
        yield Many(adding, [{"value": n, "note": f"n{n}"} for n in range(5)])
        notes = dialect.values(["n2", "n4", "n:5"])
        rows = yield Query(asked, {"more": 10, "notes": notes})
        return [(row["note"], row[1]) for row in rows]

    assert await database.write(work) == [("n2", 22), ("n4", 24)]


@pytest.mark.parametrize("many", [0, 1, 3, 300])
async def test_a_table_of_values_goes_in_as_one(
    place: Place, database: Database, many: int
) -> None:
    """Into a statement with parameters of its own, and what it returns comes back."""
    adding = (
        f"INSERT INTO {place.table} (value, note) SELECT new.value + CAST(:more AS INTEGER), note"
        " FROM new WHERE CAST(:more AS INTEGER) > 0 RETURNING value, note"
    )
    rows = [(n, None if n % 2 else f"n{n}") for n in range(many)]

    def work() -> Work[list[tuple[int, str | None]]]:
        columns = {"value": "INTEGER", "note": "TEXT"}
        back = yield Table(adding, columns, rows, {"more": 10})
        return [(row["value"], row["note"]) for row in back]

    assert await database.write(work) == [(n + 10, note) for n, note in rows]


async def test_a_table_of_values_takes_every_text(place: Place, database: Database) -> None:
    """Whatever may have a meaning in an array's own spelling."""
    texts = ['"', "\\", '\\"', "NULL", "", " ", "{,}", "'", "您\n好", "\t", "a,b", None]
    adding = f"INSERT INTO {place.table} (value, note) SELECT value, note FROM new RETURNING note"

    def work() -> Work[list[str | None]]:
        back = yield Table(adding, {"value": "INTEGER", "note": "TEXT"}, list(enumerate(texts)))
        return [row["note"] for row in back]

    assert await database.write(work) == texts


async def test_a_table_of_values_says_how_many_rows_it_touched(
    place: Place, database: Database
) -> None:
    """If it returns none."""
    adding = f"INSERT INTO {place.table} (value) SELECT value FROM new WHERE value > 4"

    def work() -> Work[int]:
        (touched,) = yield Table(adding, {"value": "INTEGER"}, [(n,) for n in range(200)])
        return int(touched["changes"])

    assert await database.write(work) == 195


async def test_the_databases_own_clock_tells_the_time(place: Place, database: Database) -> None:
    """In Unix seconds, and it goes on within a transaction."""
    asked = f"SELECT {database.dialect.clock} AS now"

    def work() -> Work[list[float]]:
        first = yield Query(asked)
        second = yield Query(asked)
        return [first[0]["now"], second[0]["now"]]

    first, second = await database.write(work)
    assert 1.7e9 < first <= second < 1e10


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
    await other.open(schema_of(place))

    def increment() -> Work[None]:
        rows = yield Query(f"SELECT value FROM {place.table}")
        yield Query(f"UPDATE {place.table} SET value = :value", {"value": rows[0]["value"] + 1})

    writes = (
        each.write(increment, durable=durable)
        for each in (database, other)
        for durable in (True, False)
        for _ in range(10)
    )
    await asyncio.gather(*writes)
    assert await count(database, place) == 40
    await other.close()


async def test_reading_waits_for_no_writer(place: Place, database: Database, gate: Gate) -> None:
    """It reads what was committed last."""

    def slow() -> Work[None]:
        yield Query(f"UPDATE {place.table} SET value = 1")
        yield from gate.passed()

    writing = asyncio.create_task(database.write(slow))
    await gate.begun.wait()
    assert await count(database, place) == 0
    await gate.open()
    await writing
    assert await count(database, place) == 1


async def test_one_reading_sees_one_state(place: Place, database: Database, gate: Gate) -> None:
    """However many statements it has, and whatever is written meanwhile."""
    asked = Query(f"SELECT value FROM {place.table}")

    def twice() -> Work[list[int]]:
        first = yield asked
        yield from gate.passed()
        second = yield asked
        return [first[0][0], second[0][0]]

    reading = asyncio.create_task(database.read(twice))
    await gate.begun.wait()
    await database.write(doing(f"UPDATE {place.table} SET value = 1"))
    await gate.open()
    assert await reading == [0, 0]


async def test_reading_can_not_write(place: Place, database: Database) -> None:
    """Not even by mistake."""
    with pytest.raises(StorageUnavailable):
        await database.read(doing(f"UPDATE {place.table} SET value = 1"))
    assert await count(database, place) == 0


@pytest.mark.parametrize("locks", [("test one", "test two"), (None, None)])
async def test_writers_of_different_locks_do_not_wait_for_each_other(
    postgres: str, locks: tuple[str | None, str | None]
) -> None:
    """On PostgreSQL, where two inboxes in one database have a lock each, and a ledger has none."""
    place = Place(postgres, "ihuyi_schema", is_postgres=True)
    async with gate_at(place) as gate:
        one, two = (database_at(place, lock) for lock in locks)
        writing = asyncio.create_task(one.write(gate.passed))
        await gate.begun.wait()
        await two.write(doing("SELECT 1"))
        assert not writing.done()
        await gate.open()
        await writing
        await one.close()
        await two.close()


async def test_only_a_durable_commit_waits_for_the_disk(place: Place, database: Database) -> None:
    """By a setting of the transaction's own: the other survives the process, not the machine."""
    asked = "SHOW synchronous_commit" if place.is_postgres else "PRAGMA synchronous"

    def setting() -> Work[str]:
        rows = yield Query(asked)
        return str(rows[0][0])

    given = (True, False, True)
    found = [await database.write(setting, durable=durable) for durable in given]
    assert found == (["on", "off", "on"] if place.is_postgres else ["2", "1", "2"])


async def test_an_error_quotes_neither_numbers_nor_parameters(
    place: Place, database: Database
) -> None:
    """What a statement was given stays out of exceptions and of what is logged of them."""
    with pytest.raises(StorageUnavailable) as caught:
        await database.write(doing("SELECT 1 FROM nowhere WHERE 's3' = :given", given="s4"))
    assert "s4" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__cause__}"
    assert "s4" not in repr(Query("SELECT :given", {"given": "s4"}))
    assert "s4" not in repr(Many("SELECT :given", [{"given": "s4"}]))
    table = Table("SELECT :given", {"a": "TEXT"}, [("s4",)], {"given": "s4"})
    assert "s4" not in repr(table) + repr(by_columns(table))

    def full() -> Work[None]:
        yield from ()
        raise OSError(f"no space left for {NUMBER}")

    with pytest.raises(StorageUnavailable, match=r"OSError: no space left for 139\*{4}0000$"):
        await database.write(full)


class Odd(BaseException):
    """As pytest's `fail` and gevent's `Timeout` are."""


@pytest.mark.parametrize("error", [LookupError, Odd])
async def test_work_that_raises_is_a_failure_of_the_database(
    place: Place, database: Database, error: type[BaseException]
) -> None:
    """Whatever it is: drivers raise what they like; an error of anything else is named only."""

    def broken() -> Work[None]:
        yield Query("SELECT 1")
        raise error("p4ssword")

    for access in (database.read, database.write):
        with pytest.raises(StorageUnavailable, match=rf"failed: {error.__name__}$"):
            await access(broken)
    assert await count(database, place) == 0


async def test_an_error_that_work_raises_on_purpose_is_let_out(
    place: Place, database: Database
) -> None:
    """As it is; what the work has done until then is undone."""
    refused = InvalidRequest("taken over by another process")

    def fenced() -> Work[None]:
        yield Query(f"UPDATE {place.table} SET value = 7")
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


@pytest.mark.parametrize("access", ["read", "write"])
async def test_an_access_that_nobody_waits_for_is_finished(
    place: Place, database: Database, gate: Gate, access: str
) -> None:
    """A transaction is committed, a query reads on, and the connection is as good as new."""
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work() -> Work[None]:
        yield from gate.passed()
        yield Query("SELECT 7")
        loop.call_soon_threadsafe(done.set)

    waiting = asyncio.create_task(getattr(database, access)(work))
    await gate.begun.wait()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()
    await gate.open()
    await done.wait()
    assert await count(database, place) == 0


async def test_an_access_that_fails_when_nobody_waits_harms_nobody(
    database: Database, gate: Gate
) -> None:
    """Its error has nobody to go to, and is no unhandled one."""

    def work() -> Work[None]:
        yield from gate.passed()
        raise ConnectionResetError

    waiting = asyncio.create_task(database.read(work))
    await gate.begun.wait()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await gate.open()


async def test_closing_that_is_cancelled_closes_all_the_same(
    database: Database, gate: Gate
) -> None:
    """It waits for what runs, closes, and only then lets the cancellation out."""
    reading = asyncio.create_task(database.read(gate.passed))
    await gate.begun.wait()
    closing = asyncio.create_task(database.close())
    for _ in range(3):
        await asyncio.sleep(0)
        closing.cancel()
    await asyncio.sleep(0)
    assert not closing.done()
    await gate.open()
    await asyncio.wait({closing})
    assert closing.cancelled()
    assert reading.done()
    await reading
    for access in (database.read, database.write):
        with pytest.raises(StorageClosed):
            await access(doing("SELECT 1"))
    with pytest.raises(StorageClosed):
        await database.open(Schema("closed", 1, lambda _: (), {"closed": frozenset()}))


async def test_a_database_that_cannot_hold_every_text_is_refused_at_once(postgres: str) -> None:
    """It would take numbers and fail at the first Chinese letter, with a call in flight perhaps."""
    async with own_database(postgres, "TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'") as url:
        database = Database(Address.parse(url), None)
        words = "the encoding of the database is LATIN1, which can't"
        with pytest.raises(InvalidRequest, match=words):
            await database.open(Schema("t", 1, lambda _: (), {}))
        await database.close()


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("access", ["read", "write"])
async def test_whose_access_somebody_else_cancels_is_not_cancelled(
    database: Database, turns: int, access: str
) -> None:
    """Their tasks are told that the database was cut short, and the next access is as ever."""
    before = asyncio.all_tasks()
    do: Callable[[Callable[[], Work[None]]], Coroutine[Any, Any, None]] = getattr(database, access)
    asking = asyncio.create_task(do(doing("SELECT 1")))
    for _ in range(turns):
        await asyncio.sleep(0)
    others = asyncio.all_tasks() - before - {asking}
    for task in others:
        task.cancel()
    await asyncio.wait({asking})
    assert not asking.cancelled()
    end = asking.exception()
    assert end is None or isinstance(end, StorageUnavailable)
    assert end is not None or not any(task.cancelled() for task in others)
    await do(doing("SELECT 1"))


async def test_to_open_and_to_read_waits_for_no_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even for one that sleeps in the midst of a commit; who wants to write is told."""
    monkeypatch.setattr("ihuyi_voice.storage.sqlite._BUSY", 0.05)
    file, schema = tmp_path / "a.db", Schema("t", 1, lambda _: _MADE, {"t": frozenset({"n"})})
    first, second = (Database(Address.parse(file), None) for _ in range(2))
    await first.open(schema)
    with closing(sqlite3.connect(file, isolation_level=None)) as sleeper:
        sleeper.execute("BEGIN IMMEDIATE")
        await second.open(schema)
        assert await second.read(counted) == 0
        with pytest.raises(StorageUnavailable, match="database is locked"):
            await second.write(doing(_ADD))
        sleeper.execute("ROLLBACK")
        await first.close()
        await second.write(doing(_ADD))
        assert await second.read(counted) == 1
    await second.close()


_MADE: Final = ["CREATE TABLE t (n INTEGER)"]
_ADD: Final = "INSERT INTO t VALUES (1)"


def counted() -> Work[int]:
    """Return how many there are."""
    rows = yield Query("SELECT count(*) AS many FROM t")
    return int(rows[0]["many"])
