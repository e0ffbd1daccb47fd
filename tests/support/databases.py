"""Databases for tests: every test that asks for a `place` runs on SQLite and on PostgreSQL."""

import asyncio
import atexit
import os
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import asyncpg
import attrs
import psycopg
import pytest

POSTGRES = os.environ.get("IHUYI_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")


@attrs.frozen
class Place:
    """A database and a table of the test's own.

    Attributes:
        url: Where it is; a path for SQLite.
        table: The table.
        is_postgres: Which of the two.
    """

    url: str
    table: str
    is_postgres: bool


async def _reach_postgres() -> str:
    """Return why PostgreSQL can't be reached; nothing if it can."""
    try:
        connection = await asyncpg.connect(POSTGRES, timeout=5)
    except (OSError, TimeoutError, asyncpg.PostgresError) as exc:
        return f"no PostgreSQL (IHUYI_TEST_POSTGRES_URL): {type(exc).__name__}"
    await connection.close()
    return ""


@pytest.fixture(scope="session")
def postgres() -> str:
    """Return the URL of a PostgreSQL; skip without one, but fail where CI is true."""
    missing = asyncio.run(_reach_postgres())
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    return POSTGRES


@pytest.fixture(params=["sqlite", "postgresql"])
def postgres_or_none(request: pytest.FixtureRequest) -> str | None:
    """Return the URL of a PostgreSQL, or None for SQLite."""
    # Apart from `place`, which runs in an event loop, where another can't be run.
    wanted = request.param == "postgresql"
    return str(request.getfixturevalue("postgres")) if wanted else None


@pytest.fixture
async def place(postgres_or_none: str | None, tmp_path: Path) -> AsyncGenerator[Place]:
    """Yield a database with a table of the test's own, dropped afterwards."""
    table = new_table()
    if postgres_or_none is None:
        yield Place(str(tmp_path / "test.sqlite3"), table, is_postgres=False)
        return
    yield Place(postgres_or_none, table, is_postgres=True)
    await drop(postgres_or_none, table)


LEDGERS: Final = ("runs", "parts", "owners", "entries", "reports", "marks")


@cache
def broom(url: str) -> "psycopg.Connection[Any]":
    """Return a connection that stays open: to make one takes longer than to drop all tables."""
    quiet = "-c client_min_messages=warning"  # of tables that a test has not made
    broom = psycopg.connect(url, autocommit=True, options=quiet)
    atexit.register(broom.close)
    return broom


_DROP: Final = """
DROP TABLE IF EXISTS {tables};
DROP SCHEMA IF EXISTS {name}_jobs CASCADE;
DO $$ BEGIN
    IF to_regclass('ihuyi_schema') IS NOT NULL THEN
        DELETE FROM ihuyi_schema WHERE name IN ('{name}', '{name}_ledger');
    END IF;
END $$;
"""


def new_table() -> str:
    """Return a name that no table has."""
    return f"test_{secrets.token_hex(4)}"


async def new_database(url: str, options: str = "") -> str:
    """Make a database on a PostgreSQL, and return its URL."""
    name = new_table()
    await asyncio.to_thread(broom(url).execute, f"CREATE DATABASE {name} {options}".encode())
    return f"{url.rpartition('/')[0]}/{name}"


async def drop_database(url: str, own: str) -> None:
    """Drop a database that was made on a PostgreSQL, whoever is connected."""
    statement = f"DROP DATABASE {own.rpartition('/')[2]} WITH (FORCE)"
    await asyncio.to_thread(broom(url).execute, statement.encode())


@asynccontextmanager
async def own_database(url: str, options: str = "") -> AsyncGenerator[str]:
    """Yield the URL of a database of the test's own on a PostgreSQL."""
    own = await new_database(url, options)
    try:
        yield own
    finally:
        await drop_database(url, own)


async def drop(url: str, name: str) -> None:
    """Drop a table, a ledger's tables, and their queue, on PostgreSQL: all in one commit."""
    tables = ", ".join([name, f"{name}_counts", *(f"{name}_{each}" for each in LEDGERS)])
    statement = _DROP.format(tables=tables, name=name).encode()
    await asyncio.to_thread(broom(url).execute, statement)  # who holds a lock may let go of it
