"""Where the inbox's database is, what it says when it fails, and that no cancellation harms it."""

import asyncio
import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from ihuyi_voice import InvalidRequest
from ihuyi_voice.pushes import Inbox, InboxClosed, InboxUnavailable
from ihuyi_voice.storage.database import Address, Database
from tests.pushes.support import Place, report

PASSWORD = "p4ss/w0rd"


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("pushes.sqlite3", Address("sqlite", "pushes.sqlite3")),
        (Path("/var/lib/pushes"), Address("sqlite", "/var/lib/pushes")),
        ("sqlite:///pushes.db", Address("sqlite", "pushes.db")),
        ("sqlite:////var/pushes.db", Address("sqlite", "/var/pushes.db")),
        ("sqlite+aiosqlite:///pushes.db", Address("sqlite", "pushes.db")),
        ("postgresql://me@host/db", Address("postgresql", "postgresql://me@host/db")),
        ("postgres://me@host/db", Address("postgresql", "postgresql://me@host/db")),
        ("postgresql+asyncpg://me@host/db", Address("postgresql", "postgresql://me@host/db")),
    ],
)
def test_a_path_or_a_url_says_where(given: str | Path, address: Address) -> None:
    """In the spellings that are usual."""
    assert Address.parse(given) == address


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("mysql://me:p4ss@host/db", "mysql:// is neither"),
        ("sqlite://me:p4ss@host:port/db", "not a URL of SQLite"),
        ("sqlite://pushes.db", "not a URL of SQLite"),
        (":memory:", "in memory would lose pushes"),
        ("sqlite://", "in memory would lose pushes"),
        ("", "in memory would lose pushes"),
    ],
)
def test_what_can_not_be_right_is_refused(given: str, told: str) -> None:
    """With what to write instead, and without the password."""
    with pytest.raises(InvalidRequest, match=told) as caught:
        Inbox.open(given)
    assert "p4ss" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "driver", "extra"),
    [("a.db", "aiosqlite", "pushes"), ("postgresql://host/db", "asyncpg", "postgres")],
)
def test_a_missing_driver_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, url: str, driver: str, extra: str
) -> None:
    """When the inbox is made, not when the first push comes."""
    find = importlib.util.find_spec

    def without(name: str) -> ModuleSpec | None:
        return None if name == driver else find(name)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    with pytest.raises(ImportError, match=rf"ihuyi-voice\[{extra}\]"):
        Inbox.open(url)


@pytest.mark.parametrize("name", ["", "a b", "über", "1st", "a" * 41, "x;drop"])
def test_a_table_has_the_name_of_an_identifier(name: str) -> None:
    """It becomes part of statements."""
    with pytest.raises(InvalidRequest, match="identifier"):
        Inbox.open("a.db", table=name)


def test_looking_takes_time() -> None:
    """To look for news without a pause would take a core."""
    with pytest.raises(InvalidRequest, match="must be above 0"):
        Inbox.open("a.db", poll=0.0)


async def test_a_file_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    """With the reason, on opening; and the inbox can be opened later."""
    inbox = Inbox.open(tmp_path / "missing" / "pushes.sqlite3")
    with pytest.raises(InboxUnavailable, match="unable to open database file"):
        await inbox.__aenter__()
    assert not inbox.is_open
    (tmp_path / "missing").mkdir()
    async with inbox:
        await inbox.put(report())


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"postgresql://me:{PASSWORD}@127.0.0.1:1/db", "failed: ValueError$"),
        ("postgresql://me:p4ssw0rd@127.0.0.1:1/db", "failed: ConnectionRefusedError: .*127.0.0.1"),
        ("postgresql://me:p4ssw0rd@127.0.0.1:0x/db", "failed: ValueError$"),
    ],
)
async def test_no_error_quotes_the_password(url: str, told: str) -> None:
    """Neither a server that isn't there nor a URL that is written wrong."""
    with pytest.raises(InboxUnavailable, match=told) as caught:
        await Inbox.open(url).__aenter__()
    text = f"{caught.value!r} {caught.value} {Address.parse(url)!r}"
    assert "p4ss" not in text
    assert "w0rd" not in text


async def test_an_access_that_nobody_waits_for_is_finished(place: Place) -> None:
    """A transaction is committed, a query reads on, and the connection is as good as new."""
    database = Database(Address.parse(place.url), place.table)
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
    database = Database(Address.parse(place.url), place.table)
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
    database = Database(Address.parse(place.url), place.table)
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
    with pytest.raises(InboxClosed):
        await database.read(work)
