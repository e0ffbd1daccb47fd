"""Whatever is asked of the table is answered from an index, whatever the planners' statistics say.

Each statement of each access is explained where it is executed, in its own transaction.
"""

# ruff: noqa: S608 - the table is the test's own
# Some facts can only be seen from inside.
# pyright: reportPrivateUsage=false

import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
import pytest

from ihuyi_voice.protocol import RawPush
from ihuyi_voice.pushes.claims import Terms, Verdict
from ihuyi_voice.pushes.store import Store
from ihuyi_voice.pushes.table import PushState
from ihuyi_voice.storage import Address, Copy, Many, Query, Work
from tests.pushes.support import Place, audit, report

pytestmark = pytest.mark.long

T = TypeVar("T")

MANY = 20_000
TERMS = Terms(60.0, 3)
REPORTS = {"report": 20, "audit": 20}


class Explainer:
    """A database that explains every statement before it executes it.

    Attributes:
        plans: Statements and their plans, line by line.
    """

    def __init__(self, database: Any) -> None:
        self.plans: list[tuple[str, list[str]]] = []
        self.dialect = database.dialect
        self._database = database
        is_sqlite = self.dialect.name == "sqlite"
        self._explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        self._column = "detail" if is_sqlite else "QUERY PLAN"

    async def write(self, make: Callable[[], Work[T]], *, durable: bool = True) -> T:
        """Do work, explained."""
        done: T = await self._database.write(lambda: self._explained(make()), durable=durable)
        return done

    async def read(self, make: Callable[[], Work[T]]) -> T:
        """Do work that only reads, explained."""
        done: T = await self._database.read(lambda: self._explained(make()))
        return done

    async def close(self) -> None:
        """Close it."""
        await self._database.close()

    def _explained(self, work: Work[T]) -> Work[T]:
        rows: list[Any] | None = None
        while True:
            try:
                statement = next(work) if rows is None else work.send(rows)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]  # it is the work's T
            assert not isinstance(statement, Copy)  # no plan is made of one
            parameters = statement.rows[0] if isinstance(statement, Many) else statement.parameters
            if "set_config" not in statement.sql:
                lines = yield Query(f"{self._explain} {statement.sql}", parameters)
                self.plans.append((statement.sql, [line[self._column] for line in lines]))
            rows = yield statement


async def filled(store: Store, state: str, *, subjects: int = MANY) -> None:
    """Put many reports into the table, all in one state, and of so many calls."""
    due = "0" if state == "pending" else "NULL"
    tries = 0 if state == "pending" else 1

    def work() -> Work[None]:
        yield Query(
            f"INSERT INTO {store.table} (key, kind, subject, rank, body, content_type,"
            " received_at, state, tries, due) WITH RECURSIVE n (i) AS"
            f" (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})"
            f" SELECT 'key' || i, 'report', CAST(i % {subjects} AS TEXT), 0, :body, '', i,"
            f" '{state}', {tries}, {due} FROM n",
            {"body": b"?"},
        )

    await store._database.write(work)


async def changed(store: Store, change: str) -> None:
    """Change all rows."""

    def work() -> Work[None]:
        yield Query(f"UPDATE {store.table} SET {change}")

    await store._database.write(work)


async def analyzed(place: Place, store: Store) -> None:
    """Let the planner see how the table is now."""
    if place.is_postgres:  # in a transaction of SQLite's it would lock the table
        connection = await asyncpg.connect(place.url)
        await connection.execute(f"ANALYZE {place.table}")
        await connection.close()
    else:

        def work() -> Work[None]:
            yield Query("ANALYZE")

        await store._database.write(work)


async def never(place: Place, store: Store) -> None:
    """Fill the table with what is pending; nobody has analyzed it."""
    await filled(store, "pending")


async def fresh(place: Place, store: Store) -> None:
    """Fill it and analyze it."""
    await filled(store, "pending")
    await analyzed(place, store)


async def when_empty(place: Place, store: Store) -> None:
    """Analyze it, and fill it then."""
    await analyzed(place, store)
    await filled(store, "pending")


async def when_handled(place: Place, store: Store) -> None:
    """Analyze it when nothing was pending; now everything is."""
    await filled(store, "handled")
    await analyzed(place, store)
    await changed(store, "state = 'pending', tries = 0, due = 0")


async def when_pending(place: Place, store: Store) -> None:
    """Analyze it when everything was pending; now nothing is."""
    await filled(store, "pending")
    await analyzed(place, store)
    await changed(store, "state = 'handled', tries = 1, due = NULL")


async def when_of_one_call(place: Place, store: Store) -> None:
    """Analyze it when everything was about one call; now each is about another one."""
    await filled(store, "handled", subjects=1)
    await analyzed(place, store)
    await changed(store, "subject = key, state = 'pending', tries = 0, due = 0")


async def backing_off(place: Place, store: Store) -> None:
    """Let everything have failed, and be due in an hour."""
    await filled(store, "pending")
    await analyzed(place, store)
    await changed(store, f"tries = 1, due = {store.table.dialect.clock} + 3600")


async def of_no_handler(place: Place, store: Store) -> None:
    """Fill it with audits, and analyze it when it had none."""
    await filled(store, "pending")
    await analyzed(place, store)
    await changed(store, "kind = 'audit'")


async def empty(place: Place, store: Store) -> None:
    """Leave it empty."""


STATES = [
    never,
    fresh,
    when_empty,
    when_handled,
    when_pending,
    when_of_one_call,
    backing_off,
    of_no_handler,
    empty,
]


@pytest.fixture(params=STATES, ids=lambda state: str(state.__name__))
async def store(place: Place, request: pytest.FixtureRequest) -> AsyncGenerator[Store]:
    """Yield a store whose statements are explained."""
    store = Store(Address.parse(place.url), place.table, tries_within=3600.0)
    async with store:
        if place.is_postgres:
            connection = await asyncpg.connect(place.url)
            await connection.execute(f"ALTER TABLE {place.table} SET (autovacuum_enabled = off)")
            await connection.close()
        state: Callable[[Place, Store], Awaitable[None]] = request.param
        await state(place, store)
        store._database = Explainer(store._database)  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]  # a double
        yield store


async def everything(store: Store) -> None:
    """Do whatever can be done with a table, each on little of it."""
    now = time.time()
    for push in (report("a", second=10), report("a", second=5), report("a", second=10), audit("a")):
        await store.put(push, now)
    await store.put(report("a", second=10), now + 7200)
    await store.quarantine(RawPush(b"?", "", "nonsense"), now)
    claims = await store.turn([], {"report": 20}, TERMS)
    await store.renew(claims, 60.0)
    pending, dead = PushState.PENDING, PushState.DEAD
    verdicts = [Verdict(each, state) for each, state in zip(claims, [pending, dead], strict=False)]
    verdicts += [Verdict(each, PushState.HANDLED) for each in claims[2:]]
    await store.turn(verdicts, REPORTS, TERMS)
    await store.turn([], REPORTS, Terms(60.0, 1))  # which finds what was tried too often
    await store.replay()
    await store.counts()
    last = await store.last_seq()
    await store.subjects_after(last - 10, 10)
    await store.pushes_after(last - 10, 10)
    await store.newest("report", ["a", "b"])
    await store.ranked("report", "a", 10)
    for each in await store.quarantined(0):
        await store.free(each.seq, report("b"), now)
    await store.purge(0.0, 1e10)


def is_bad(line: str, table: str) -> bool:
    """Return whether a line of a plan reads or sorts what it needn't."""
    if re.search(r"\bTEMP B-TREE|\bSort\b|\bSort Key\b|\bHash Join\b|\bHash Anti\b", line):
        return True
    whole = re.search(rf"SCAN ({table}|[a-z])\b(?!_)|Seq Scan on \"?{table}\"?(?!_counts)", line)
    return whole is not None


def bad(place: Place, store: Store) -> list[tuple[str, list[str]]]:
    """Return the statements that read or sort what they needn't, with their plans."""
    plans: Any = store._database
    assert plans.plans
    return [
        (sql, lines)
        for sql, lines in plans.plans
        if any(is_bad(line, place.table) for line in lines)
    ]


async def test_every_statement_finds_its_rows_in_an_index(place: Place, store: Store) -> None:
    """No scan and no sort of what is stored, however old the statistics are."""
    await everything(store)
    assert not bad(place, store)


@pytest.mark.parametrize("store", [fresh], indirect=True, ids=["fresh"])
@pytest.mark.parametrize("asked", ["body = '?'", "due <= 0 ORDER BY received_at"])
async def test_a_scan_or_a_sort_would_be_seen(place: Place, store: Store, asked: str) -> None:
    """Or the test above would prove nothing."""

    def work() -> Work[None]:
        yield Query(f"SELECT seq FROM {store.table} WHERE {asked}")

    await store._database.read(work)
    assert bad(place, store)
