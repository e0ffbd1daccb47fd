"""Files and servers that go away under an open database: loud, and nothing is said to be kept."""

# ruff: noqa: ASYNC240, S608 - small files; the table is the test's own
# pyright: reportPrivateUsage=false

import asyncio
import secrets
import shutil
import socket
import sqlite3
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ihuyi_voice.errors import StorageUnavailable
from ihuyi_voice.storage import Address, Database, Query, Row, Schema, Work
from ihuyi_voice.storage import postgres as storage_postgres
from tests.support.databases import Place, drop
from tests.support.gates import gate_at
from tests.support.servers import free_port

SCHEMA = Schema("t", 1, lambda _: ["CREATE TABLE t (n INTEGER)"], {"t": frozenset({"n"})})


def adding(number: int, table: str = "t") -> Work[None]:
    """Add a row."""
    yield Query(f"INSERT INTO {table} VALUES (:n)", {"n": number})


def listed(table: str = "t") -> Work[list[int]]:
    """Return the rows."""
    rows = yield Query(f"SELECT n FROM {table} ORDER BY n")
    return [row["n"] for row in rows]


@pytest.mark.parametrize("ending", ["", "-wal"])
@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("then", ["deleted", "replaced"])
async def test_what_a_deleted_or_replaced_file_was_given_is_not_kept(
    tmp_path: Path, *, ending: str, durable: bool, then: str
) -> None:
    """Nor what its write-ahead log was given; the same file brought back is as good as ever."""
    file = tmp_path / "calls.db"
    database = Database(Address.parse(file), None)
    await database.open(SCHEMA)
    await database.write(lambda: adding(1))
    lost, away = Path(f"{file}{ending}"), tmp_path / "away"
    lost.rename(away)
    if then == "replaced":
        shutil.copy(away, lost)
    for _ in range(2):
        with pytest.raises(StorageUnavailable, match="deleted or replaced while it was open"):
            await database.write(lambda: adding(2), durable=durable)
    away.rename(lost)
    await database.write(lambda: adding(3), durable=durable)
    await database.close()
    again = Database(Address.parse(file), None)
    await again.open(SCHEMA)
    assert await again.read(listed) == [1, 3]
    await again.close()


async def test_a_file_behind_a_link_is_opened_and_watched(tmp_path: Path) -> None:
    """SQLite has its log beside the file; a link that points elsewhere is a replaced file."""
    (tmp_path / "data").mkdir()
    link = tmp_path / "calls.db"
    link.symlink_to(tmp_path / "data" / "calls.db")
    database = Database(Address.parse(link), None)
    await database.open(SCHEMA)
    await database.write(lambda: adding(1))
    link.unlink()
    link.symlink_to(tmp_path / "other.db")
    (tmp_path / "other.db").touch()
    with pytest.raises(StorageUnavailable, match="deleted or replaced while it was open"):
        await database.write(lambda: adding(2))
    await database.close()


async def test_a_program_may_change_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is that of the opening, for who writes and for who reads."""
    monkeypatch.chdir(tmp_path)
    database = Database(Address.parse("calls.db"), None)
    await database.open(SCHEMA)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    await database.write(lambda: adding(1))
    assert await asyncio.gather(*(database.read(listed) for _ in range(4))) == [[1]] * 4
    await database.close()


async def test_a_file_that_can_have_no_log_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network file system, where SQLite is not safe."""
    monkeypatch.setattr("ihuyi_voice.storage.sqlite._WITH_A_LOG", "PRAGMA journal_mode=MEMORY")
    database = Database(Address.parse(tmp_path / "calls.db"), None)
    with pytest.raises(StorageUnavailable, match="a network file system"):
        await database.open(SCHEMA)
    await database.close()


@pytest.mark.parametrize("patience", [60.0, 0.0], ids=["in time", "too long"])
async def test_a_writer_of_a_file_that_has_no_log_yet_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    """SQLite refuses that step at once, by which of processes that start together one failed."""
    other = sqlite3.connect(tmp_path / "calls.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    def end_it(_seconds: float) -> None:
        other.close()

    monkeypatch.setattr("tenacity.nap.time.sleep", end_it)
    monkeypatch.setattr("ihuyi_voice.storage.sqlite._BUSY", patience)
    database = Database(Address.parse(tmp_path / "calls.db"), None)
    if patience:
        await database.open(SCHEMA)
        assert await database.read(listed) == []
    else:
        with pytest.raises(StorageUnavailable, match="database is locked"):
            await database.open(SCHEMA)
    await database.close()
    other.close()


async def test_a_folder_that_is_missing_is_told_at_opening(tmp_path: Path) -> None:
    """And nothing is left behind."""
    database = Database(Address.parse(tmp_path / "nowhere" / "calls.db"), None)
    with pytest.raises(StorageUnavailable, match="unable to open database file"):
        await database.open(SCHEMA)
    await database.close()


async def server_pid(database: Database, *, read: bool) -> int:
    """Return the process that serves a connection."""

    def work() -> Work[int]:
        rows = yield Query("SELECT pg_backend_pid() AS pid")
        return int(rows[0]["pid"])

    return await (database.read(work) if read else database.write(work))


async def test_a_connection_that_was_lost_is_replaced_before_anything_begins(
    postgres: str,
) -> None:
    """Between two accesses nobody notices; within one, it fails, and the next is as good as new."""
    table = f"test_{secrets.token_hex(4)}"
    created = [f"CREATE TABLE {table} (n INTEGER)"]
    database = Database(Address.parse(postgres), None)
    await database.open(Schema(table, 1, lambda _: created, {table: frozenset({"n"})}))
    killer = await asyncpg.connect(postgres)
    for read in (True, False):
        pid = await server_pid(database, read=read)
        await killer.execute("SELECT pg_terminate_backend($1, 5000)", pid)
        assert await server_pid(database, read=read) != pid
    async with gate_at(Place(postgres, table, is_postgres=True)) as gate:

        def slow() -> Work[None]:
            yield from adding(1, table)
            yield from gate.passed()

        pid = await server_pid(database, read=False)
        writing = asyncio.create_task(database.write(slow))
        await gate.begun.wait()
        await killer.execute("SELECT pg_terminate_backend($1, 5000)", pid)
        with pytest.raises(StorageUnavailable, match="database failed"):
            await writing
    await database.write(lambda: adding(2, table))
    assert await database.read(lambda: listed(table)) == [2]
    await killer.close()
    await database.close()
    await drop(postgres, table)


async def test_the_system_looks_whether_a_silent_server_is_still_there(postgres: str) -> None:
    """A firewall that forgets a silent connection tells nobody: it would cost the next access."""
    made = list[Any]()
    connect = storage_postgres._connect

    async def connected(dsn: str) -> Any:
        made.append(await connect(dsn))
        return made[-1]

    database = Database(Address.parse(postgres), None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage_postgres, "_connect", connected)
        await server_pid(database, read=True)
    sock = made[0]._transport.get_extra_info("socket")
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 15_000
    await database.close()


async def test_a_server_that_says_no_keeps_its_connection(postgres: str) -> None:
    """A statement that failed or took too long costs its transaction and no more."""
    database = Database(Address.parse(postgres), None)
    pid = await server_pid(database, read=False)

    def slow() -> Work[None]:
        yield Query("SET LOCAL statement_timeout TO 20")
        yield Query("SELECT pg_sleep(10)")

    with pytest.raises(StorageUnavailable, match="statement timeout"):
        await database.write(slow)
    assert await server_pid(database, read=False) == pid
    await database.close()


async def test_a_server_that_is_not_there_is_told() -> None:
    """In the words of the system, and without the password."""
    dsn = f"postgresql://me:p4ssword@127.0.0.1:{free_port()}/db"
    database = Database(Address.parse(dsn), None)
    with pytest.raises(StorageUnavailable, match="Connect call failed") as caught:
        await database.open(SCHEMA)
    assert "p4ssword" not in f"{caught.value} {caught.value.__cause__}"
    await database.close()


async def test_a_program_that_sleeps_in_a_transaction_does_not_keep_its_locks(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends the transaction: others go on, and who wakes is told that it has failed."""
    monkeypatch.setattr(storage_postgres, "_IDLE", 0.3)
    table = f"test_{secrets.token_hex(4)}"
    schema = Schema(
        table, 1, lambda _: [f"CREATE TABLE {table} (n INTEGER)"], {table: frozenset({"n"})}
    )
    asleep, other = (Database(Address.parse(postgres), None) for _ in range(2))
    await asleep.open(schema)
    await other.open(schema)
    await other.write(lambda: adding(1, table))
    locked, awake = asyncio.Event(), asyncio.Event()
    execute = storage_postgres._execute

    async def slowly(on: Any, statement: Any) -> list[Row]:
        rows = await execute(on, statement)
        if not locked.is_set():
            locked.set()
            await awake.wait()
        return rows

    def locking() -> Work[None]:
        yield Query(f"SELECT n FROM {table} FOR UPDATE")
        yield from adding(3, table)

    def changing() -> Work[None]:
        yield Query(f"UPDATE {table} SET n = 2")

    with monkeypatch.context() as patch:
        patch.setattr(storage_postgres, "_execute", slowly)
        sleeping = asyncio.create_task(asleep.write(locking))
        await locked.wait()
        await other.write(changing)
        awake.set()
        with pytest.raises(StorageUnavailable, match="database failed"):
            await sleeping
    assert await asleep.read(lambda: listed(table)) == [2]
    await asleep.close()
    await other.close()
    await drop(postgres, table)
