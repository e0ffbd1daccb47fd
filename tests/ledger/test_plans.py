"""No statement of the ledger's daily work reads more of a file than it needs, whatever is in it."""

# pyright: reportPrivateUsage=false

import re
import sqlite3
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ihuyi_voice.ledger import (
    commits,
    entries,
    held,
    loading,
    matching,
    owners,
    recall,
    runs,
)
from ihuyi_voice.ledger.batch import FLOWN, NEW
from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.rows import Book
from ihuyi_voice.ledger.schema import Spelling, Timing
from ihuyi_voice.storage.statements import DIALECTS, Query, Table, Work, arrays, by_rows, numbered

pytestmark = pytest.mark.long

KEY, MOBILE, STATE = "ihuyi_entries_key", "ihuyi_entries_mobile", "ihuyi_entries_state"
PLANS = [
    (commits._ROWS, KEY),
    (commits._KNOWN, KEY),
    (commits._ACCEPTED, STATE),
    (commits._PLACE, KEY),
    (owners._LOST, KEY),
    (entries._ONE, KEY),
    (entries._DECIDE, KEY),
    (matching._SETTLE, KEY),
    (recall._CALLS, MOBILE),
    (matching._CALLS, MOBILE),
    (matching._REPORTS, "ihuyi_reports_mobile"),
    (matching._UNSURE, STATE),
    (owners._LOST_OF, STATE),
    (entries._FIRST, STATE),
    (runs._IN_FLIGHT, STATE),
    (runs._LOST, KEY),
    (runs._ANY, "ihuyi_entries_"),
    (entries._COUNTS["sqlite"], STATE),
    (entries._SOME["sqlite"], STATE),
    (entries._ALL, "INTEGER PRIMARY KEY"),
]
SAY = Spelling(DIALECTS["sqlite"], "ihuyi", own_clock=True)


@pytest.fixture(params=["never analysed", "analysed when empty", "one run", "many runs"])
def on(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A file in each of the states that a planner may be misled by."""
    connection = sqlite3.connect(tmp_path / "calls.db")
    for statement in SAY.schema("ihuyi").create(SAY.dialect):
        connection.execute(statement)
    if request.param == "analysed when empty":
        connection.execute("ANALYZE")
    runs_of = {"one run": 1, "many runs": 50}.get(request.param, 1)
    connection.executemany(
        "INSERT INTO ihuyi_entries (run, key, part, mobile, content, state, epoch, ticket,"
        " attempts, at) VALUES (?, ?, 0, ?, '', 6, 1, 1, 1, 0)",
        [(n % runs_of, str(n), str(n % 40)) for n in range(2000)],
    )
    connection.executemany(
        "INSERT INTO ihuyi_reports VALUES (?, ?, 2, 0, 0, '', 0)",
        [(str(n), str(n % 40)) for n in range(2000)],
    )
    if "run" in request.param:
        connection.execute("ANALYZE")
    yield connection
    connection.close()


@pytest.mark.parametrize(("template", "index"), PLANS)
def test_each_statement_goes_by_its_index(
    on: sqlite3.Connection, template: str, index: str
) -> None:
    """By key, by number or by state, and nothing is sorted."""
    for column in ("key", "owner", "mobile"):
        place = f"{{among_{column}s}}"
        template = template.replace(place, SAY.dialect.among(column, f"{column}s"))
    sql = SAY(template)
    given = dict.fromkeys(re.findall(r":(\w+)", sql), 1)
    plan = [row[3] for row in on.execute(f"EXPLAIN QUERY PLAN {sql}", given)]
    steps = [step for step in plan if "ihuyi_entries" in step or " e" in step or "reports" in step]
    assert any(index in step for step in steps), plan
    assert not [step for step in steps if step.startswith("SCAN")], plan
    assert not [step for step in plan if "TEMP B-TREE" in step], plan


@pytest.mark.parametrize("size", [1, 64])
def test_outcomes_find_their_entries_by_key(on: sqlite3.Connection, size: int) -> None:
    """However many go into one statement."""
    rows = [tuple(range(len(FLOWN)))] * size
    ((sql, given),) = by_rows(Table(SAY(commits._SETTLE), FLOWN, rows, {"now": 1.0}))
    plan = [row[3] for row in on.execute(f"EXPLAIN QUERY PLAN {sql}", given)]
    assert [step for step in plan if step.startswith("SEARCH e ") and KEY in step], plan
    assert not [step for step in plan if "TEMP B-TREE" in step or "SCAN e" in step], plan


GROWN = (
    "INSERT INTO {entries} (run, key, part, mobile, content, state, epoch, ticket, attempts, at)"
    " SELECT 1, CAST(n AS TEXT), 0, CAST(n AS TEXT), '', 6, 1, 1, 1, 0"
    " FROM generate_series(1, 3000) AS n"
)
SQL = {
    "keys": (commits._ROWS, "test_entries_key"),
    "known": (commits._KNOWN, "test_entries_key"),
    "mobiles": (recall._CALLS, "test_entries_mobile"),
    "numbers": (matching._REPORTS, "test_reports_mobile"),
    "lost": (runs._LOST, "test_entries_key"),
}


DIALECT = DIALECTS["postgresql"]
SAID = Spelling(DIALECT, "test", own_clock=False)


OWNERS = Owners(SAID, Timing(), float)


@pytest.fixture
async def unseen(postgres: str) -> AsyncGenerator[asyncpg.Connection]:
    """Tables that have grown since nobody looked at them, in a transaction of ours."""
    connection = await asyncpg.connect(postgres)
    transaction = connection.transaction()
    await transaction.start()
    for statement in SAID.schema("test").create(DIALECT):
        await connection.execute(statement)
    await connection.execute(SAID(GROWN))
    yield connection
    await transaction.rollback()
    await connection.close()


@pytest.fixture
async def grown(unseen: asyncpg.Connection) -> asyncpg.Connection:
    """The same, and a transaction that keeps to the indexes."""
    await unseen.execute(_only(OWNERS.pinned()))
    return unseen


def _only(work: Work[object]) -> str:
    (statement,) = work
    assert isinstance(statement, Query)
    return statement.sql


@pytest.mark.parametrize("asked", SQL)
async def test_postgresql_goes_by_the_index_without_any_statistics(
    grown: asyncpg.Connection, asked: str
) -> None:
    """For a hundred values at once."""
    template, index = SQL[asked]
    for column in ("key", "mobile"):
        listed = "ANY(CAST(:values AS TEXT[]))"
        template = template.replace(f"{{among_{column}s}}", f"{column} = {listed}")
    sql, names = numbered(SAID(template))
    given = {"values": [str(n) for n in range(100)], "run": 1, "text": ""}
    plan = await grown.fetch(f"EXPLAIN {sql}", *[given[name] for name in names])
    assert index in str(plan), plan


@pytest.mark.parametrize("keyed", [False, True])
async def test_postgresql_settles_by_the_index_what_comes_with_new_intents(
    grown: asyncpg.Connection, *, keyed: bool
) -> None:
    """A hundred outcomes and a hundred intents, in one statement."""
    ended = [(1, str(n), 1, 1, n, 6, 1, None, "", "1", 2, None, None) for n in range(100)]
    new = [(f"k{n}", "139", "", None, n) for n in range(100)]
    where = {"run": 1, "part": 0, "epoch": 1, "owner": 1, "opens": 3}
    sql, names = numbered(SAID(commits._AT_ONCE[keyed]))
    given = where | arrays("ended", FLOWN, ended) | arrays("new", NEW, new)
    plan = await grown.fetch(f"EXPLAIN {sql}", *[given[name] for name in names])
    assert "test_entries_key on test_entries e" in str(plan), plan
    assert "Seq Scan on test_entries" not in str(plan), plan


PAGES = {
    "accepted": (commits._ACCEPTED, "pkey"),
    "all": (entries._ALL, "pkey"),
    "some": (entries._SOME["postgresql"], "pkey"),
    "to send": (held._TO_SEND, "part"),
}


@pytest.mark.parametrize(
    "seen", [None, "ANALYZE {entries}", "DELETE FROM {entries}; ANALYZE {entries}"]
)
@pytest.mark.parametrize("asked", PAGES)
async def test_postgresql_sorts_no_run_for_a_page_of_it(
    unseen: asyncpg.Connection, asked: str, seen: str | None
) -> None:
    """Nor does it read one to its end, whatever is known of the tables."""
    await unseen.execute(SAID(loading._INDEX.replace("{entries_part}", "test_entries_part")))
    if seen is not None:
        await unseen.execute(SAID(seen))
    template, index = PAGES[asked]
    sql, names = numbered(SAID(template))
    given: dict[str, Any] = {"run": 1, "part": 1, "after": 1_500, "most": 500, "opens": 3}
    given |= {"states": [6], "dead": 10.0}
    await unseen.execute(_only(OWNERS.in_order()))
    plan = str(await unseen.fetch(f"EXPLAIN {sql}", *[given[name] for name in names]))
    assert f"Index Scan using test_entries_{index}" in plan
    assert "Sort" not in plan


@pytest.mark.parametrize(
    "work",
    [
        commits.Commits(OWNERS).accepted(Book(1), 0),
        commits.Commits(OWNERS).accepted(Book(1), "k"),
        entries.page(OWNERS, 1, None, 0),
        entries.page(OWNERS, 1, [6], 0),
        held._page(OWNERS, {}),
    ],
)
def test_each_page_is_asked_for_in_a_transaction_that_sorts_nothing(work: Work[object]) -> None:
    """Before anything else in it."""
    first = next(work)
    assert isinstance(first, Query)
    assert first.sql == _only(OWNERS.in_order())
