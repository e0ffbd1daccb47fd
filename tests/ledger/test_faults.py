"""A ledger whose database fails: nothing is granted twice, nothing is lost, and it says why."""

# pyright: reportPrivateUsage=false

import asyncio
import os
import sqlite3
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from ihuyi_voice import (
    CallInFlight,
    InvalidRequest,
    LedgerClosed,
    LedgerUnavailable,
    NotSent,
    OutcomeStatus,
)
from ihuyi_voice.errors import StorageUnavailable
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.ledger.commits import Committed
from ihuyi_voice.ledger.heart import Heart
from ihuyi_voice.ledger.rows import Put
from ihuyi_voice.storage import Database, Work, sqlite
from tests.support.databases import Place, drop
from tests.support.ledgers import ACCOUNT, Process, World, accepted, draft, held, unknown
from tests.support.looking import comes_true


@pytest.fixture
async def file_world(tmp_path: Path) -> Any:
    """Yield a world on SQLite."""
    world = World(Place(str(tmp_path / "calls.db"), "ihuyi", is_postgres=False))
    yield world
    await world.aclose()


def limit(process: Process, pages: int) -> None:
    """Let the database's file grow to so many pages; 0 for as many as there are."""
    engine = process.desk.heart._database._engine
    assert isinstance(engine, sqlite.Sqlite)
    assert engine._writer is not None
    (used,) = engine._writer.execute("PRAGMA page_count").fetchone()
    engine._writer.execute(f"PRAGMA max_page_count={pages or used}")


async def test_a_full_disk_grants_nothing_and_loses_nothing(file_world: World) -> None:
    """What could not be written is written as soon as there is room, by nobody's doing."""
    process = await file_world.process()
    journal = process.calls()
    assert await journal.intend(draft("in flight")) is None
    limit(process, 0)
    with pytest.raises(LedgerUnavailable, match="full"):
        await fill_and_intend(process)
    with pytest.raises(LedgerUnavailable, match="full"):
        await journal.settle(draft("in flight"), accepted("V" * 20_000))
    limit(process, 100_000)
    await process.beat()
    assert await journal.look([draft("in flight")]) == [accepted("V" * 20_000)]
    assert await journal.intend(draft("new", content="长" * 9_000)) is None


async def fill_and_intend(process: Process) -> None:
    """Intend until there is no room for it."""
    await process.calls().intend(draft("new", content="长" * 9_000))


async def test_a_locked_database_is_told(
    file_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is no longer unavailable than it is locked."""
    monkeypatch.setattr(sqlite, "_BUSY", 0.01)
    process = await file_world.process()
    assert await process.calls().intend(draft("before")) is None
    other = sqlite3.connect(file_world.place.url, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailable, match=r"the ledger's database failed.*locked"):
        await process.calls().intend(draft())
    with pytest.raises(LedgerUnavailable, match="locked"):
        await process.calls().settle(draft("before"), accepted())
    other.execute("ROLLBACK")
    other.close()
    assert await process.calls().look([draft(), draft("before")]) == [None, accepted()]
    assert await process.calls().intend(draft()) is None


def move(source: Path, target: Path) -> None:
    """Move a file."""
    source.rename(target)


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_file_that_vanished_takes_nothing_more(
    file_world: World, *, replaced: bool
) -> None:
    """Whether another one is in its place or not."""
    process = await file_world.process()
    assert await process.calls().intend(draft("before")) is None
    path = Path(file_world.place.url)
    move(path, path.with_suffix(".away"))
    if replaced:
        path.write_bytes(b"")  # noqa: ASYNC240 - in a test
    with pytest.raises(LedgerUnavailable, match="deleted or replaced"):
        await process.calls().intend(draft())
    move(path.with_suffix(".away"), path)
    assert await process.calls().intend(draft()) is None


@pytest.mark.parametrize("where", ["missing/calls.db", "", "text.db"])
async def test_what_can_not_be_opened_is_refused(tmp_path: Path, where: str) -> None:
    """A folder that is missing, one that is meant for a file, a file of something else."""
    (tmp_path / "text.db").write_text("no database" * 100)
    ledger = Ledger.open(tmp_path / where)
    for _ in range(2):
        with pytest.raises(LedgerUnavailable, match="the ledger's database failed"):
            await ledger.__aenter__()
    assert not ledger.is_open


async def test_a_ledger_that_is_only_looked_at_is_not_made(tmp_path: Path) -> None:
    """A name that was mistyped leaves no file behind."""
    with pytest.raises(LedgerUnavailable, match="no such file"):
        async with Ledger.open(tmp_path / "mistyped.db", create=False):
            pass
    assert not os.listdir(tmp_path)  # noqa: PTH208 - in a test
    async with Ledger.open(tmp_path / "calls.db"):
        pass
    async with Ledger.open(tmp_path / "calls.db", create=False) as ledger:
        assert await ledger.runs() == []


async def test_a_newer_ledger_is_refused_in_words(world: World) -> None:
    """Nothing is guessed."""
    process = await world.process()
    table = "UPDATE ihuyi_schema SET version = 99 WHERE name = :name"
    from ihuyi_voice.storage import Query  # noqa: PLC0415

    def work() -> Any:
        yield Query(table, {"name": f"{world.place.table}_ledger"})

    await process.desk.heart.write(work)
    with pytest.raises(LedgerUnavailable, match=r"version 99.*upgrade"):
        await world.process()


async def test_a_ledger_of_another_event_loop_says_so(world: World) -> None:
    """Its futures would never wake anybody there: that would be waited for in vain."""
    process = await world.process()

    async def elsewhere() -> None:
        with pytest.raises(LedgerUnavailable, match="another event loop"):
            process.calls()
        with pytest.raises(LedgerUnavailable, match="another event loop"):
            process.ledger.run(ACCOUNT, "run")
        with pytest.raises(LedgerUnavailable, match="another event loop"):
            await process.ledger.__aexit__(None, None, None)

    await asyncio.to_thread(asyncio.run, elsewhere())
    assert await process.calls().look([draft()]) == [None]


async def test_a_ledger_that_is_closed_says_so(world: World) -> None:
    """Before it was entered, and after it was left; it may be entered again, but not twice."""
    ledger = world.ledger()
    for _ in range(2):
        with pytest.raises(LedgerClosed):
            ledger.calls(ACCOUNT)
        async with ledger:
            with pytest.raises(InvalidRequest, match="open already"):
                await ledger.__aenter__()
    async with ledger:
        journal = ledger.calls(ACCOUNT)
        await journal.look([draft()])
    with pytest.raises(LedgerClosed):
        await journal.look([draft()])
    with pytest.raises(LedgerClosed):
        await journal.intend(draft())


def failing(
    monkeypatch: pytest.MonkeyPatch, process: Process, *, after: bool
) -> Callable[[], None]:
    """Have each write fail, before or after its commit, until what is returned is called."""
    heart = process.desk.heart
    write = heart._database.write

    async def fail(make: Any, *, durable: bool = True) -> Any:
        if after:
            await write(make, durable=durable)
        raise StorageUnavailable("database failed: ConnectionDoesNotExistError")

    monkeypatch.setattr(heart._database, "write", fail)
    return lambda: monkeypatch.setattr(heart._database, "write", write)


@pytest.mark.parametrize("after", [False, True])
async def test_an_intent_whose_commit_nobody_knows_of_is_granted_again(
    world: World, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    """To the process that put it, which has not sent it; others wait until that is written."""
    process, other = await world.process(), await world.process()
    journal = process.calls()
    await journal.look([draft()])
    mended = failing(monkeypatch, process, after=after)
    with pytest.raises(LedgerUnavailable):
        await journal.intend(draft())
    mended()
    (end,) = await other.calls().look([draft()])
    assert isinstance(end, CallInFlight) is after
    assert await journal.look([draft()]) == [None]
    assert await journal.intend(draft()) is None


async def test_an_intent_that_a_commit_says_nothing_of_is_not_granted(
    file_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not granted in words may not be sent."""
    process = await file_world.process()
    journal = process.calls()
    await journal.look([draft()])

    def silent(rows: Sequence[Put], owner: int, _: Collection[int]) -> Work[Committed]:
        yield from ()
        return Committed(owner, [None] * len(rows))

    with monkeypatch.context() as patch:
        patch.setattr(process.desk.heart, "_commits", SimpleNamespace(commit=silent))
        assert isinstance(await journal.intend(draft()), CallInFlight)
    assert await journal.intend(draft()) is None


@pytest.mark.parametrize("after", [False, True])
async def test_a_commit_whose_connection_was_lost_is_made_once_more(
    world: World, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    """Whether it had been made or not: it is granted once, and ends once, to whoever asked."""
    process, other = await world.process(), await world.process()
    journal = process.calls()
    await journal.look([draft()])
    cut_off(monkeypatch, process, after=after)
    assert await journal.intend(draft()) is None
    assert isinstance((await other.calls().look([draft()]))[0], CallInFlight)
    cut_off(monkeypatch, process, after=after)
    await journal.settle(draft(), accepted())
    assert await other.calls().look([draft()]) == [accepted()]


@pytest.mark.parametrize("sqlstate", ["40P01", "40001"])
@pytest.mark.parametrize("times", [9, 10])
async def test_who_lost_a_race_for_locks_tries_again(
    world: World, monkeypatch: pytest.MonkeyPatch, sqlstate: str, times: int
) -> None:
    """Two processes that want the same keys may each have what the other waits for: ten times."""
    process = await world.process()
    journal = process.calls()
    await journal.look([draft()])
    database = process.desk.heart._database
    write, lost = database.write, [asyncpg.PostgresError.new({"C": sqlstate, "M": "…"})] * times

    async def race(make: Any, *, durable: bool = True) -> Any:
        if lost:
            raise StorageUnavailable("database failed: it lost a race") from lost.pop()
        return await write(make, durable=durable)

    monkeypatch.setattr(database, "write", race)
    if times < 10:
        assert await journal.intend(draft()) is None
    else:
        with pytest.raises(LedgerUnavailable, match="it lost a race"):
            await journal.intend(draft())


async def test_an_intent_that_can_not_be_taken_back_at_once_is_taken_back_later(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It was granted when nobody waited for it any more, and then the database was away."""
    process = await world.process()
    await process.calls().look([draft()])
    waiting: list[asyncio.Future[Any]] = []
    database = process.desk.heart._database
    write = database.write

    async def written(make: Any, *, durable: bool = True) -> Any:
        result = await write(make, durable=durable)
        failing(monkeypatch, process, after=False)
        waiting.pop().cancel()
        return result

    monkeypatch.setattr(database, "write", written)
    waiting.append(asyncio.ensure_future(process.calls().intend(draft())))
    (task,) = waiting
    await asyncio.wait({task})
    await process.rests()
    assert task.cancelled()
    monkeypatch.setattr(database, "write", write)
    await process.beat()
    (entry,) = [each async for each in process.ledger.entries("")]
    assert entry.status is OutcomeStatus.NOT_SENT
    assert str(entry.error) == "it was cancelled before it was sent"
    assert caplog.text == ""
    assert await process.calls().intend(draft()) is None


def cut_off(monkeypatch: pytest.MonkeyPatch, process: Process, *, after: bool) -> None:
    """Have the next transaction lose its connection, before or after its commit."""
    heart = process.desk.heart
    write = heart._database.write

    async def fail(make: Any, *, durable: bool = True) -> Any:
        monkeypatch.setattr(heart._database, "write", write)
        if after:
            await write(make, durable=durable)
        raise StorageUnavailable(
            "database failed: ConnectionResetError"
        ) from ConnectionResetError()

    monkeypatch.setattr(heart._database, "write", fail)


@pytest.mark.parametrize(
    ("error", "words"),
    [(RuntimeError("odd"), "RuntimeError('odd')"),
     (asyncio.CancelledError(), "the task was cancelled")],
)  # fmt: skip
async def test_a_ledger_that_can_beat_no_more_says_so(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: BaseException,
    words: str,
) -> None:
    """It will be thought dead soon, though its program seems to work."""

    async def fail(_: Heart) -> None:
        raise error

    monkeypatch.setattr(Heart, "_beat_once", fail)
    process = await world.process()
    await process.calls().look([draft()])
    async with asyncio.timeout(30):
        while not caplog.messages:  # noqa: ASYNC110 - the task's own doing
            await asyncio.sleep(0)
    assert caplog.messages == [f"the ledger beats no more: {words}"]
    await process.dies()


@pytest.mark.parametrize("after", [False, True])
async def test_an_outcome_that_was_not_written_is_written_by_the_next_beat(
    world: World, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    """Whoever settled was told that it failed."""
    process, other = await world.process(), await world.process()
    await process.calls().intend(draft())
    mended = failing(monkeypatch, process, after=after)
    with pytest.raises(LedgerUnavailable):
        await process.calls().settle(draft(), accepted())
    with pytest.raises(LedgerUnavailable):
        await process.calls().settle(draft("never intended"), held())
    mended()
    await process.beat()
    assert await other.calls().look([draft()]) == [accepted()]


async def test_what_is_never_written_is_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When its process has ended; closing tries a last time, and says nothing."""
    process, other = await world.process(), await world.process()
    await process.calls().intend(draft())
    failing(monkeypatch, process, after=False)
    with pytest.raises(LedgerUnavailable):
        await process.calls().settle(draft(), accepted())
    await process.ledger.__aexit__(None, None, None)
    world.now += 11.0
    (end,) = await other.calls().look([draft()])
    assert end is not None
    assert end.status == unknown().status  # type: ignore[union-attr]


async def test_commits_that_fail_at_once_owe_what_each_of_them_had(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of a beat, which makes good what failed before, and that of whoever settles then."""
    process, other = await world.process(), await world.process()
    calls, keys = process.calls(), ("a", "b", "c")
    for key in keys:
        assert await calls.intend(draft(key)) is None
    mended = failing(monkeypatch, process, after=False)
    with pytest.raises(LedgerUnavailable):
        await calls.settle(draft("a"), accepted("a"))
    under_way, away = list[None](), asyncio.Event()

    async def fail(_: Any, *, durable: bool = True) -> Any:
        if durable:
            under_way.append(None)
            await away.wait()
            raise StorageUnavailable("database failed: ConnectionDoesNotExistError")
        return process.desk.heart.owner  # the beat itself

    monkeypatch.setattr(process.desk.heart._database, "write", fail)
    beating = asyncio.ensure_future(process.beat())
    settling = asyncio.ensure_future(calls.settle(draft("b"), accepted("b")))
    async with asyncio.timeout(30):
        while len(under_way) < 2:  # noqa: ASYNC110 - turns of the loop
            await asyncio.sleep(0)
    away.set()
    await asyncio.wait({beating, settling})
    mended()
    await calls.settle(draft("c"), accepted("c"))
    ends = await other.calls().look([draft(key) for key in keys])
    assert ends == [accepted(key) for key in keys]
    with pytest.raises(LedgerUnavailable):
        await settling


async def test_a_beat_that_fails_is_logged(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, however many follow; and the next that is well is as good as ever, and told, too."""
    process = await world.process()
    await process.calls().look([draft()])
    mended = failing(monkeypatch, process, after=False)
    for _ in range(3):
        await process.beat()
    text = "the ledger could not beat: its database failed: ConnectionDoesNotExistError"
    assert caplog.messages == [text]
    mended()
    world.now += 11.0
    for _ in range(3):
        await process.beat()
    assert caplog.messages == [text, "the ledger beats again"]
    other = await world.process()
    assert await process.calls().intend(draft()) is None
    assert isinstance((await other.calls().look([draft()]))[0], CallInFlight)


async def test_a_run_that_can_not_be_left_is_left_by_closing(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says that it could not."""
    process, other = await world.process(), await world.process()
    async with process.ledger.run(ACCOUNT, "run"):
        mended = failing(monkeypatch, process, after=False)
    mended()
    assert "could not be left" in caplog.text
    began = world.now
    async with process.ledger.run(ACCOUNT, "run"):
        assert world.now == began  # it is its own still: nobody has to be watched
        mended = failing(monkeypatch, process, after=False)
    mended()
    await process.ledger.__aexit__(None, None, None)
    async with other.ledger.run(ACCOUNT, "run"):
        pass


async def test_a_run_that_can_not_be_left_is_left_by_a_later_beat(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many fail before: with the database away, or with the beat itself well."""
    process, other = await world.process(), await world.process()
    async with process.ledger.run(ACCOUNT, "run"):
        mended = failing(monkeypatch, process, after=False)
    await process.beat()
    mended()
    database = process.desk.heart._database
    write = database.write

    async def weak(make: Any, *, durable: bool = True) -> Any:
        if durable:
            raise StorageUnavailable("database failed: DiskFullError")
        return await write(make, durable=durable)

    monkeypatch.setattr(database, "write", weak)
    for _ in range(2):
        await process.beat()
    assert [info.in_use for info in await other.ledger.runs()] == [True]
    monkeypatch.setattr(database, "write", write)
    await process.beat()
    assert [info.in_use for info in await other.ledger.runs()] == [False]


async def test_no_room_in_a_group_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the outcome of a call is written later, even so."""
    process = await world.process()
    journal = process.calls()
    assert await journal.intend(draft()) is None
    monkeypatch.setattr(process.desk.heart._group, "_most_waiting", 0)
    with pytest.raises(LedgerUnavailable, match="too slow"):
        await journal.settle(draft(), accepted())
    await process.beat()
    assert await journal.look([draft()]) == [accepted()]


@pytest.mark.parametrize("awaits", range(0, 60, 3))
async def test_opening_may_be_cancelled_at_any_await(world: World, awaits: int) -> None:
    """Nothing is left open, and it may be opened again."""
    ledger = world.ledger()
    await cancelled_after(awaits, enter(ledger))
    async with ledger, ledger.run(ACCOUNT, "run") as journal:
        assert await journal.intend(draft()) is None


async def enter(ledger: Ledger) -> None:
    """Open a ledger and a run, and be left there."""
    async with ledger, ledger.run(ACCOUNT, "run") as journal:
        await journal.settle(draft("x"), NotSent("no connection"))
        await asyncio.Event().wait()


async def cancelled_after(awaits: int, work: Any) -> None:
    """Cancel it after so many turns of the loop, and again in its cleanup."""
    task = asyncio.create_task(work)
    for _ in range(awaits):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def test_backends_that_are_terminated_are_replaced(postgres: str) -> None:
    """Nobody notices: neither between two transactions nor within one."""
    from secrets import token_hex  # noqa: PLC0415

    world = World(Place(postgres, f"test_{token_hex(4)}", is_postgres=True))
    process = await world.process()
    journal = process.calls()
    assert await journal.intend(draft()) is None
    admin = await asyncpg.connect(postgres)
    await terminate(admin, process)
    assert await journal.intend(draft("next")) is None
    async with admin.transaction():
        await admin.execute(f'LOCK TABLE "{world.place.table}_entries"')
        asked = asyncio.ensure_future(journal.settle(draft(), accepted()))
        await waiting(admin, world.place.table)
        await terminate(admin, process)
    await asked
    assert await journal.look([draft()]) == [accepted()]
    await admin.close()
    await world.aclose()
    await drop(world.place.url, world.place.table)


async def terminate(admin: Any, process: Process) -> None:
    """Terminate the backend that writes."""
    database: Database = process.desk.heart._database
    writer: Any = getattr(database._engine, "_writer")  # noqa: B009 - of one engine only
    await admin.execute("SELECT pg_terminate_backend($1)", writer._on.get_server_pid())


async def waiting(admin: Any, table: str) -> None:
    """Wait until somebody waits for a lock of this table."""
    asked = (
        "SELECT count(*) FROM pg_locks WHERE NOT granted"
        " AND relation = (SELECT oid FROM pg_class WHERE relname = $1)"
    )
    await comes_true(partial(admin.fetchval, asked, f"{table}_entries"))
