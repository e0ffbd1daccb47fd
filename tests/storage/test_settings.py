"""What a transaction on PostgreSQL sets for itself: where it is said, and for how long it holds."""

from collections.abc import AsyncGenerator
from typing import Any

import asyncpg
import pytest

from ihuyi_voice.errors import StorageUnavailable
from ihuyi_voice.storage import Address, Database, Query, Work

A, B = "SET LOCAL enable_seqscan = off", "SET LOCAL enable_sort = off"


@pytest.fixture
async def database(postgres: str) -> AsyncGenerator[Database]:
    """An open database, of which nothing is made."""
    opened = Database(Address.parse(postgres), None)
    await opened._engine.open(create=False)  # pyright: ignore[reportPrivateUsage]
    yield opened
    await opened.close()


@pytest.fixture
def said(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is sent without parameters, each in a trip of its own."""
    told = list[str]()
    execute: Any = asyncpg.Connection.execute

    async def telling(self: object, sql: str, *given: object, **options: object) -> object:
        told.append(sql)
        return await execute(self, sql, *given, **options)

    monkeypatch.setattr(asyncpg.Connection, "execute", telling)
    return told


def asking(*settings: str, between: str = "") -> Work[list[str]]:
    """Say settings, and return how these two stand; one more may be said between."""
    for each in settings:
        yield Query(each)
    first = yield Query("SELECT current_setting('enable_seqscan') AS one")
    if between:
        yield Query(between)
    second = yield Query("SELECT current_setting('enable_sort') AS one")
    return [first[0]["one"], second[0]["one"]]


@pytest.mark.parametrize("access", ["read", "write"])
async def test_what_a_work_begins_with_takes_no_trip_of_its_own(
    database: Database, said: list[str], access: str
) -> None:
    """It holds from the first statement on, and not a transaction longer."""
    do = getattr(database, access)
    assert await do(lambda: asking(A, B)) == ["off", "off"]
    begin, commit = said
    assert begin.endswith(f"; {A}; {B}")
    assert commit == "COMMIT"
    assert await do(asking) == ["on", "on"]


async def test_what_is_set_later_holds_from_there_on(database: Database, said: list[str]) -> None:
    """And is a trip of its own."""
    assert await database.write(lambda: asking(A, between=B)) == ["off", "off"]
    assert [sql for sql in said if sql in {A, B}] == [B]


async def test_a_work_may_be_nothing_but_settings(database: Database, said: list[str]) -> None:
    """Or nothing at all; what it comes to is what it returns."""

    def nothing(*settings: str) -> Work[str]:
        for each in settings:
            yield Query(each)
        return "done"

    assert await database.write(lambda: nothing(A)) == "done"
    assert await database.read(nothing) == "done"
    assert [sql for sql in said if A in sql] == [said[0]]


@pytest.mark.parametrize("after", [0, 1])
async def test_a_work_that_fails_before_its_first_statement_begins_nothing(
    database: Database, said: list[str], after: int
) -> None:
    """And the connection is as good as before."""

    def failing() -> Work[None]:
        for _ in range(after):
            yield Query(A)
        raise LookupError

    with pytest.raises(StorageUnavailable, match="LookupError"):
        await database.write(failing)
    assert not said
    assert await database.write(asking) == ["on", "on"]


async def test_a_setting_that_the_server_refuses_fails_its_work(database: Database) -> None:
    """As any statement would, and the next one finds the connection whole."""
    with pytest.raises(StorageUnavailable, match="enable_nothing"):
        await database.write(lambda: asking("SET LOCAL enable_nothing = off"))
    assert await database.write(asking) == ["on", "on"]


async def test_a_connection_that_was_lost_is_replaced_before_anything_begins(
    database: Database,
) -> None:
    """With the settings that the work begins with."""

    def own() -> Work[int]:
        rows = yield Query("SELECT pg_backend_pid() AS pid")
        return int(rows[0]["pid"])

    lost = await database.write(own)
    await database.read(lambda: _ended(lost))
    assert await database.write(lambda: asking(A)) == ["off", "on"]
    assert await database.write(own) != lost


def _ended(pid: int) -> Work[None]:
    yield Query("SELECT pg_terminate_backend(CAST(:pid AS INTEGER), 5000)", {"pid": pid})
