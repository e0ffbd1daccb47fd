"""Databases for tests: every test that asks for a `place` runs on SQLite and on PostgreSQL."""

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator
from pathlib import Path

import asyncpg
import attrs
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
    table = f"test_{secrets.token_hex(4)}"
    if postgres_or_none is None:
        yield Place(str(tmp_path / "test.sqlite3"), table, is_postgres=False)
        return
    yield Place(postgres_or_none, table, is_postgres=True)
    await drop(postgres_or_none, table)


async def drop(url: str, table: str) -> None:
    """Drop a table on PostgreSQL."""
    connection = await asyncpg.connect(url)
    await connection.execute(f"DROP TABLE IF EXISTS {table}, {table}_counts")
    if await connection.fetchval("SELECT to_regclass('ihuyi_schema')"):
        await connection.execute("DELETE FROM ihuyi_schema WHERE name = $1", table)
    await connection.close()
