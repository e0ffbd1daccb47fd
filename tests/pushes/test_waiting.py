"""Those who wait are told at once, all by one look; those who iterate miss nothing."""

# Some facts can only be seen from inside.
# pyright: reportPrivateUsage=false

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import attrs
import pytest

from ihuyi_voice.protocol import parse_push
from ihuyi_voice.pushes import Inbox, InboxClosed, InboxUnavailable
from ihuyi_voice.pushes.store import Store
from tests.pushes.handlers import HOUR
from tests.pushes.support import Place, Recorder, audit, handled_by, report, states


@attrs.define
class Counted:
    """How often a store was asked, and a push was parsed; how many answers are under way."""

    under_way: int = 0
    newest: int = 0
    subjects: int = 0
    pushes: int = 0
    parsed: int = 0


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Return what counts itself."""
    counted = Counted()

    def count(name: str, method: str) -> None:
        original = getattr(Store, method)

        async def counting(*arguments: Any) -> Any:
            setattr(counted, name, getattr(counted, name) + 1)
            counted.under_way += 1
            try:
                return await original(*arguments)
            finally:
                counted.under_way -= 1

        monkeypatch.setattr(Store, method, counting)

    def parse(*arguments: Any) -> Any:
        counted.parsed += 1
        return parse_push(*arguments)

    count("newest", "newest")
    count("subjects", "subjects_after")
    count("pushes", "pushes_after")
    monkeypatch.setattr("ihuyi_voice.pushes.reading.parse_push", parse)
    return counted


async def all_wait(inbox: Inbox, count: int) -> None:
    """Return once so many wait, and it is known that nothing is there for them yet."""
    waiting = inbox._open_parts().tail._waiting
    while sum(map(len, waiting.values())) < count:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0)


@pytest.mark.long
async def test_twenty_thousand_wait_for_one_report(place: Place, counted: Counted) -> None:
    """One query wakes all of them, and one parsing."""
    async with place.inbox(poll=HOUR) as inbox:
        waits = [asyncio.create_task(inbox.report_of("1")) for _ in range(20_000)]
        await all_wait(inbox, 20_000)
        while counted.under_way:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        before = counted.newest
        assert before <= 3
        await inbox.put(report("1"))
        found = await asyncio.gather(*waits)
        assert {each.voice_id for each in found} == {"1"}
        assert counted.newest == before + 1
        assert counted.parsed == 1
        assert not inbox._open_parts().tail._waiting


@pytest.mark.long
async def test_thousands_wait_for_a_report_each(place: Place, counted: Counted) -> None:
    """A thousand of them share a query, to look whether it is there, and when they come."""
    ids = [str(number) for number in range(1, 3001)]
    async with place.inbox(poll=HOUR) as inbox:
        waits = [asyncio.create_task(inbox.report_of(each)) for each in ids]
        await all_wait(inbox, len(ids))
        assert counted.newest <= 6
        await asyncio.gather(*(inbox.put(report(each)) for each in ids))
        assert [each.voice_id for each in await asyncio.gather(*waits)] == ids
        assert counted.newest <= 20
        assert counted.parsed == len(ids)


async def test_those_who_gave_up_leave_nothing_behind(place: Place) -> None:
    """Cancelled at the first look or later, or timed out; others wait on."""
    async with place.inbox() as inbox:
        tail = inbox._open_parts().tail
        early = asyncio.create_task(inbox.report_of("1"))
        await asyncio.sleep(0)
        early.cancel()
        late, other = (asyncio.create_task(inbox.report_of("1")) for _ in range(2))
        await all_wait(inbox, 2)
        late.cancel()
        with pytest.raises(TimeoutError):
            await inbox.report_of("1", timeout=0.01)
        await asyncio.gather(early, late, return_exceptions=True)
        assert (early.cancelled(), late.cancelled()) == (True, True)
        await inbox.put(report("1"))
        assert (await other).code == 2
        assert (tail._asking, tail._waiting) == ({}, {})


async def test_a_look_costs_what_is_new(place: Place, counted: Counted) -> None:
    """An iterator asks once for what came, and parses that, however much is stored."""
    async with place.inbox(poll=HOUR) as inbox:
        await asyncio.gather(*(inbox.put(report(str(number))) for number in range(1, 301)))
        reports = inbox.reports(since=(await inbox.report_of("300")).seq)
        following = asyncio.ensure_future(anext(reports))
        while not counted.pushes:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
        before = attrs.evolve(counted)
        await inbox.put(report("301"))
        assert (await following).voice_id == "301"
        assert counted.pushes <= before.pushes + 1
        assert counted.parsed == before.parsed + 1


async def test_each_report_knows_its_number_and_where_to_go_on(place: Place) -> None:
    """Whoever hears of it: iterators, those who wait, and handlers; audits count, too."""
    handler = Recorder()
    async with handled_by(place, handler) as inbox:
        await inbox.put(report("1"))
        await inbox.put(audit("1"))
        await inbox.put(report("2"))
        await states(inbox, handled=2, pending=1)
        all_of_them = inbox.reports(since=0)
        seqs = [(await anext(all_of_them)).seq for _ in range(2)]
        assert seqs == [1, 3]
        assert sorted(value.seq for value in handler.seen) == seqs
        assert (await inbox.report_of("2")).seq == 3
        rest = inbox.reports(since=1)
        assert (await anext(rest)).voice_id == "2"
    async with place.inbox() as inbox:
        await inbox.put(report("3"))
        assert (await anext(inbox.reports(since=3))).voice_id == "3"


async def test_an_iterator_survives_an_outage(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It waits and goes on, and says so once, and once more when it is over."""
    looks, back, after = asyncio.Semaphore(0), asyncio.Event(), Store.pushes_after

    async def away(store: Store, *arguments: Any) -> Any:
        looks.release()
        if back.is_set():
            return await after(store, *arguments)
        raise InboxUnavailable("the inbox's database failed: ConnectionResetError")

    async with place.inbox() as inbox:
        monkeypatch.setattr(Store, "pushes_after", away)
        reports = inbox.reports()
        following = asyncio.ensure_future(anext(reports))
        await inbox.put(report("1"))
        for _ in range(3):
            await looks.acquire()
        back.set()
        assert (await following).voice_id == "1"
        await inbox.put(report("2"))
        assert (await anext(reports)).voice_id == "2"
    told = [line for line in caplog.messages if "read new pushes" in line]
    assert [line.partition(":")[0] for line in told] == [
        "can't read new pushes",
        "can read new pushes again",
    ]


async def test_a_database_that_is_away_at_the_first_look_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To whoever asked, each with an error of his own."""

    async def away(*_: object) -> Any:
        raise InboxUnavailable("the inbox's database failed: ConnectionResetError")

    async with place.inbox() as inbox:
        monkeypatch.setattr(Store, "newest", away)
        asked = (inbox.report_of("1"), inbox.report_of("1", timeout=0))
        errors = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(error) for error in errors] == [InboxUnavailable] * 2
        assert errors[0] is not errors[1]
        monkeypatch.undo()
        await inbox.put(report("1"))
        assert (await inbox.report_of("1", timeout=0)).code == 2


@asynccontextmanager
async def locked(url: str, table: str) -> AsyncGenerator[None]:
    """Lock a table of PostgreSQL's, also for those who read."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


@pytest.mark.long
@pytest.mark.parametrize("postgres_or_none", ["postgresql"], indirect=True)
async def test_a_timeout_holds_while_the_table_is_locked(place: Place) -> None:
    """The first look is within it, too; nothing keeps others from reading a file of SQLite's."""
    async with place.inbox() as inbox:
        await inbox.put(report("1"))
        async with locked(place.url, place.table):
            for timeout in (1.0, 0):
                with pytest.raises(TimeoutError):
                    await inbox.report_of("1", timeout=timeout)
        assert (await inbox.report_of("1", timeout=30)).code == 2


@pytest.mark.slow
async def test_a_timeout_holds_while_the_database_hangs(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever it is, and closing ends a wait in its first look."""
    hanging, on = asyncio.Event(), asyncio.Event()

    async def hang(*_: object) -> Any:
        hanging.set()
        await on.wait()
        return {}

    async with place.inbox() as inbox:
        monkeypatch.setattr(Store, "newest", hang)
        with pytest.raises(TimeoutError):
            await inbox.report_of("1", timeout=0)
        wait = asyncio.create_task(inbox.report_of("1"))
        await hanging.wait()
        asyncio.get_running_loop().call_later(0.01, on.set)
    with pytest.raises(InboxClosed):
        await wait


async def test_an_inbox_that_must_be_there_is_not_made(place: Place) -> None:
    """Nor is anything written when it is opened to be read, and locked by a writer."""
    with pytest.raises(InboxUnavailable):
        await place.inbox(create=False).__aenter__()
    assert place.is_postgres or not Path(place.url).exists()  # noqa: ASYNC240 - once
    async with place.inbox() as inbox:
        await inbox.put(report("1"))
        async with inbox_locked_for_writing(place), place.inbox(create=False) as reading:
            assert (await reading.report_of("1", timeout=5)).code == 2
            assert sum((await reading.counts()).values()) == 1


@asynccontextmanager
async def inbox_locked_for_writing(place: Place) -> AsyncGenerator[None]:
    """Hold the lock by which writers take turns."""
    if place.is_postgres:
        connection = await asyncpg.connect(place.url)
        turn = "SELECT pg_advisory_lock(hashtextextended($1, 0))"
        await connection.execute("SET statement_timeout = 5000")
        await connection.fetch(turn, place.table)
        yield
        await connection.close()
    else:
        on = sqlite3.connect(place.url, isolation_level=None)
        on.execute("BEGIN IMMEDIATE")
        yield
        on.close()
