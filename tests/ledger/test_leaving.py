"""A run is left: what is told of it, and what fails without anybody who waits."""

# pyright: reportPrivateUsage=false

import asyncio
import gc
import logging
from typing import Any

import pytest

from ihuyi_voice.errors import StorageUnavailable
from ihuyi_voice.events import Event, LedgerFailed, PartLeft, PartOpened
from ihuyi_voice.ledger import LedgerUnavailable
from ihuyi_voice.ledger.heart import Heart
from ihuyi_voice.storage import Database
from tests.support.ledgers import ACCOUNT, Process, World

SAID = "the ledger's database is locked"


async def opened(process: Process) -> None:
    """Open a run."""
    async with process.ledger.run(ACCOUNT, "run"):
        raise AssertionError


async def test_an_opening_that_fails_when_nobody_waits_for_it_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing was taken, so nothing is left; no task complains of it."""
    process = await world.process()
    await process.desk.heart.born()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def fail(_heart: Heart, _make: Any, **_options: Any) -> Any:
        begun.set()
        await go_on.wait()
        raise LedgerUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(Heart, "write", fail)
        task = asyncio.create_task(opened(process))
        await begun.wait()
        task.cancel()
        await asyncio.wait({task})
        go_on.set()
        await process.rests()
    assert task.cancelled()
    del task
    gc.collect()
    assert caplog.messages == []
    assert await process.ledger.runs() == []


async def test_a_run_that_can_not_be_left_is_told_with_the_reason(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log, and to whoever listens; it is left as soon as the database is there again."""
    events: list[Event] = []
    process = await world.process(on_event=events.append)
    error = StorageUnavailable("database is locked")

    async def fail(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING, "ihuyi_voice.ledger"):
        async with process.ledger.run(ACCOUNT, "run"):
            patched.setattr(Database, "write", fail)
    assert caplog.messages == [f"a run could not be left yet: {SAID}"]
    failed = [event for event in events if isinstance(event, LedgerFailed)]
    assert [(each.work, each.owed, str(each.error)) for each in failed] == [("leave", 0, SAID)]
    assert [run.in_use for run in await process.ledger.runs()] == [True]
    await process.beat()
    assert [run.in_use for run in await process.ledger.runs()] == [False]


async def test_how_long_a_run_was_opened_and_held_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In seconds of the event loop's clock."""
    events: list[Event] = []
    process = await world.process(on_event=events.append)
    await process.desk.heart.born()
    loop = asyncio.get_running_loop()
    now = loop.time
    later = 0.0
    monkeypatch.setattr(loop, "time", lambda: now() + later)
    write = Heart.write

    async def slow(heart: Heart, make: Any, **options: Any) -> Any:
        nonlocal later
        later += 100.0
        return await write(heart, make, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Heart, "write", slow)
        run = process.ledger.run(ACCOUNT, "run")
        await run.__aenter__()
    later += 1_000.0
    await run.__aexit__(None, None, None)
    told = [event for event in events if isinstance(event, PartOpened | PartLeft)]
    assert [(type(each), each.run, each.part) for each in told] == [
        (PartOpened, "run", 0), (PartLeft, "run", 0),
    ]  # fmt: skip
    assert 100.0 <= told[0].seconds < 200.0
    assert 1_000.0 <= told[1].seconds < 1_100.0


async def test_a_ledger_that_was_never_entered_may_be_left(world: World) -> None:
    """As one that was left already."""
    ledger = world.ledger()
    for _ in range(2):
        await ledger.__aexit__(None, None, None)
    async with ledger:
        pass
    await ledger.__aexit__(None, None, None)
    assert not ledger.is_open
