"""A ledger is entered: once at a time, and with the tables, the clock and the names that it has."""

import asyncio
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import pytest

from ihuyi_voice import InvalidRequest
from ihuyi_voice.ledger import Ledger
from tests.support.databases import own_database
from tests.support.ledgers import ACCOUNT, World, draft

TABLES = {f"ihuyi_{name}" for name in ("runs", "parts", "owners", "entries", "reports", "marks")}
INDEXES = {"ihuyi_entries_key", "ihuyi_entries_mobile", "ihuyi_reports_mobile"}


async def test_a_ledger_that_is_open_is_not_entered_again(world: World) -> None:
    """Nor one that is being opened; whoever has it keeps it."""
    ledger = world.ledger()
    words = "^the ledger is open already$"
    got = await asyncio.gather(*(ledger.__aenter__() for _ in range(2)), return_exceptions=True)
    assert got[0] is ledger
    with pytest.raises(InvalidRequest, match=words):
        raise got[1]  # type: ignore[misc]  # it is one
    with pytest.raises(InvalidRequest, match=words):
        await ledger.__aenter__()
    assert await ledger.calls(ACCOUNT).look([draft()]) == [None]
    await ledger.__aexit__(None, None, None)


async def test_tables_have_the_names_that_they_have_had(tmp_path: Path) -> None:
    """By any other, a process would find an empty ledger, and ring everybody again."""
    path = tmp_path / "calls.db"
    async with Ledger.open(path):
        pass
    database = sqlite3.connect(path)
    found = dict(database.execute("SELECT name, type FROM sqlite_master"))
    database.close()
    assert {name for name, kind in found.items() if kind == "table"} >= TABLES
    indexes = {name for name, kind in found.items() if kind == "index" and "auto" not in name}
    assert indexes >= {*INDEXES, "ihuyi_entries_state"}


async def test_tables_on_postgresql_have_no_index_by_state(postgres: str) -> None:
    """It would have to be written with each outcome, at half of the server's work."""
    async with own_database(postgres) as url:
        async with Ledger.open(url):
            pass
        server = await asyncpg.connect(url)
        rows = await server.fetch("SELECT tablename, indexname FROM pg_indexes")
        await server.close()
    assert {row["tablename"] for row in rows} >= TABLES
    indexes = {row["indexname"] for row in rows}
    assert indexes >= INDEXES
    assert "ihuyi_entries_state" not in indexes


async def test_without_a_clock_the_time_is_the_databases(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL, which many machines share; a file has that of its own machine."""
    year_2001 = 1_000_000_000.0
    monkeypatch.setattr("ihuyi_voice.ledger.ledger.time", SimpleNamespace(time=lambda: year_2001))
    ledger = Ledger.open(world.place.url, prefix=world.place.table)
    async with ledger, ledger.run(ACCOUNT, "run"):
        (info,) = await ledger.runs()
    by_now = abs((info.created_at - datetime.now(UTC)).total_seconds()) < 3_600.0
    assert by_now is world.place.is_postgres
    assert (info.created_at.timestamp() == year_2001) is not world.place.is_postgres


async def test_a_clock_that_is_given_is_everybodys(world: World) -> None:
    """Whatever the database's own says."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, "run"):
        (info,) = await process.ledger.runs()
    assert info.created_at.timestamp() == world.now


def test_a_timing_that_is_none_is_told_what_it_should_be() -> None:
    """By its type."""
    with pytest.raises(InvalidRequest, match=r"^timing must be a Timing, not of type int$"):
        Ledger.open("calls.db", timing=7)  # type: ignore[arg-type]  # on purpose
