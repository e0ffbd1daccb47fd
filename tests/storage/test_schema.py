"""Versions of tables: made once, migrated in order, never guessed at."""

# ruff: noqa: S608 - the table is the test's own

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from ihuyi_voice.errors import StorageUnavailable
from ihuyi_voice.storage import Address, Database, Dialect, Query, Schema, Work
from tests.support.databases import Place

if TYPE_CHECKING:
    from collections.abc import Callable


def add_column(table: str, column: str, _: Dialect) -> Work[None]:
    """Add a column, and put into it how many rows there are."""
    yield Query(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER")
    rows = yield Query(f"SELECT count(*) AS n FROM {table}")
    yield Query(f"UPDATE {table} SET {column} = :n", {"n": rows[0]["n"]})


def schema_of(place: Place, version: int) -> Schema:
    """Return the schema of a table with a column `v1`, and one more with each version."""
    names = [f"v{number}" for number in range(1, version + 1)]
    create = f"CREATE TABLE {place.table} ({', '.join(f'{name} INTEGER' for name in names)})"
    migrations: dict[int, Callable[[Dialect], Work[None]]] = {
        number: partial(add_column, place.table, f"v{number}") for number in range(2, version + 1)
    }
    tables = {place.table: frozenset(names)}
    return Schema(place.table, version, lambda _: [create], tables, migrations)


async def opened(
    place: Place, schema: Schema, *statements: str, create: bool = True
) -> list[dict[str, int]]:
    """Open a database, execute statements, and return the rows of the table."""
    database = Database(Address.parse(place.url), place.table)

    def work() -> Work[list[dict[str, int]]]:
        for statement in statements:
            yield Query(statement)
        columns = sorted(schema.tables[place.table])
        rows = yield Query(f"SELECT * FROM {place.table}")
        return [{name: row[name] for name in columns} for row in rows]

    try:
        await database.open(schema, create=create)
        return await (database.write(work) if statements else database.read(work))
    finally:
        await database.close()


async def test_tables_are_made_once(place: Place) -> None:
    """Whoever opens it later finds them."""
    adding = f"INSERT INTO {place.table} VALUES (7)"
    assert await opened(place, schema_of(place, 1), adding) == [{"v1": 7}]
    assert await opened(place, schema_of(place, 1)) == [{"v1": 7}]


async def test_many_may_open_it_at_once(place: Place) -> None:
    """One of them makes the tables, and each migration is made once."""
    await asyncio.gather(*(opened(place, schema_of(place, 1)) for _ in range(5)))
    await opened(place, schema_of(place, 1), f"INSERT INTO {place.table} VALUES (7)")
    found = await asyncio.gather(*(opened(place, schema_of(place, 3)) for _ in range(5)))
    assert found == [[{"v1": 7, "v2": 1, "v3": 1}]] * 5


async def test_tables_from_before_versions_were_kept_are_the_first(place: Place) -> None:
    """They are migrated like any other."""
    version_1 = schema_of(place, 1)
    await opened(place, version_1, f"INSERT INTO {place.table} VALUES (7)")
    forget = f"DELETE FROM ihuyi_schema WHERE name = '{place.table}'"
    await opened(place, version_1, forget)
    assert await opened(place, schema_of(place, 2)) == [{"v1": 7, "v2": 1}]


async def test_a_newer_version_is_refused_in_words(place: Place) -> None:
    """Nobody here can know what it means; nothing is changed."""
    await opened(place, schema_of(place, 3))
    with pytest.raises(StorageUnavailable, match=r"is of version 3, .*knows up to 2: upgrade"):
        await opened(place, schema_of(place, 2))
    assert await opened(place, schema_of(place, 3)) == []


async def test_a_column_that_is_missing_is_named(place: Place) -> None:
    """When it is opened, and not with each row that is lost by it."""
    await opened(place, schema_of(place, 2), f"ALTER TABLE {place.table} DROP COLUMN v1")
    with pytest.raises(StorageUnavailable, match=f"table {place.table} lacks v1"):
        await opened(place, schema_of(place, 2))


async def test_a_migration_that_fails_leaves_everything_as_it_was(place: Place) -> None:
    """It is one transaction."""
    await opened(place, schema_of(place, 1), f"INSERT INTO {place.table} VALUES (7)")
    broken = schema_of(place, 3)
    object.__setattr__(broken, "migrations", {**broken.migrations, 3: failing})
    with pytest.raises(StorageUnavailable, match="nowhere"):
        await opened(place, broken)
    assert await opened(place, schema_of(place, 1)) == [{"v1": 7}]


def failing(_: Dialect) -> Work[None]:
    """Fail."""
    yield Query("SELECT 1 FROM nowhere")


async def test_without_leave_to_make_anything_nothing_is_made(place: Place) -> None:
    """A file that is missing stays so; tables that are missing or older are told of."""
    told = "is empty" if place.is_postgres else "no such file"
    with pytest.raises(StorageUnavailable, match=told):
        await opened(place, schema_of(place, 1), create=False)
    await opened(place, schema_of(place, 1))
    with pytest.raises(StorageUnavailable, match="version 1, not 2: open it once for writing"):
        await opened(place, schema_of(place, 2), create=False)
    assert await opened(place, schema_of(place, 1), create=False) == []
