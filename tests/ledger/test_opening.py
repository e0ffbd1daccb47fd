"""A run within one open ledger: in use, taken over, and left whatever is cancelled."""

# pyright: reportPrivateUsage=false

import asyncio
from functools import partial
from typing import Any

import asyncpg
import pytest

from ihuyi_voice import OutcomeStatus, RunInUse, RunStopped
from ihuyi_voice.ledger.heart import Heart
from ihuyi_voice.ledger.journal import Journal
from ihuyi_voice.ledger.runs import Runs
from ihuyi_voice.storage import Query, Work
from tests.support.ledgers import ACCOUNT, Process, World, accepted, draft
from tests.support.looking import comes_true

IN_USE = r"the run 'run', begun 7 s ago, .* last beat was 7\.0 s ago: this one, which has it"


async def granted(journal: Journal, key: str) -> None:
    """Intend what must be granted."""
    assert await journal.intend(draft(key)) is None


async def test_a_run_that_is_open_here_is_refused_like_any_other(world: World) -> None:
    """By its name, its age and its last beat; and whoever has it keeps it."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, "run") as journal:
        world.now += 7.0
        for _ in range(2):
            with pytest.raises(RunInUse, match=IN_USE):
                await process.ledger.run(ACCOUNT, "run").__aenter__()
        await granted(journal, "a")
        async with process.ledger.run(ACCOUNT, "other") as other:
            await granted(other, "a")
    async with process.ledger.run(ACCOUNT, "run") as journal:
        await granted(journal, "b")


async def test_a_run_that_is_open_here_is_taken_over_like_any_other(world: World) -> None:
    """Who had it sends nothing more, and leaves it to whom it belongs when it is left."""
    process, elsewhere = await world.process(), await world.process()
    first = process.ledger.run(ACCOUNT, "run")
    earlier = await first.__aenter__()
    async with process.ledger.run(ACCOUNT, "run", takeover=True) as later:
        assert isinstance(await earlier.intend(draft("a")), RunStopped)
        await first.__aexit__(None, None, None)
        await granted(later, "a")
        world.now += 7.0
        with pytest.raises(RunInUse, match=IN_USE):
            await process.ledger.run(ACCOUNT, "run").__aenter__()
        assert [info.in_use for info in await elsewhere.ledger.runs()] == [True]
    assert [info.in_use for info in await elsewhere.ledger.runs()] == [False]


async def test_of_several_that_open_a_run_at_once_one_has_it(world: World) -> None:
    """The others are told so."""
    process = await world.process()
    managers = [process.ledger.run(ACCOUNT, "run") for _ in range(4)]
    got = await asyncio.gather(*(each.__aenter__() for each in managers), return_exceptions=True)
    kinds = sorted(type(each).__name__ for each in got)
    assert kinds == ["Journal", *["RunInUse"] * 3]


async def test_a_run_whose_owner_was_buried_is_open_to_its_own_process(world: World) -> None:
    """It slept so long that somebody has buried it: it holds nothing any more."""
    process, other = await world.process(), await world.process()
    async with process.ledger.run(ACCOUNT, "run"):
        world.now += 11.0
        await other.desk.heart.write(other.desk.owners.bury_all)
        async with process.ledger.run(ACCOUNT, "run") as journal:
            await granted(journal, "a")


def lost_as_of_before(runs: Runs, where: dict[str, int]) -> Work[int]:
    """Look for what is in flight at a time when everything still was, and go on now."""
    work = LOST(runs, where)
    next(work)
    everything = runs.owners.say("SELECT key FROM {entries} WHERE run = :run")
    found = yield Query(everything, {"run": where["run"]})
    try:
        while True:
            found = yield work.send(found)
    except StopIteration as end:
        return int(end.value)


LOST = Runs._lost


async def test_what_ends_while_its_run_is_taken_over_has_its_own_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who takes it over has seen it in flight, and calls only that UNKNOWN which still is."""
    first, second = await world.process(), await world.process()
    earlier = await first.ledger.run(ACCOUNT, "run").__aenter__()
    for key in "ab":
        await granted(earlier, key)
    await earlier.settle(draft("a"), accepted())
    monkeypatch.setattr(Runs, "_lost", lost_as_of_before)
    async with second.ledger.run(ACCOUNT, "run", takeover=True):
        entries = [entry async for entry in second.ledger.entries("run")]
    found = {entry.key: entry.status for entry in entries}
    assert found == {"a": OutcomeStatus.ACCEPTED, "b": OutcomeStatus.UNKNOWN}


async def test_whoever_opens_a_part_leaves_the_others_alone(world: World) -> None:
    """What a living process has in flight there is in flight; what it had here is UNKNOWN."""
    first, second = await world.process(), await world.process()
    async with first.ledger.parts.hold(ACCOUNT, "run", 1) as one:
        await granted(one.journal, "a")
        async with second.ledger.parts.hold(ACCOUNT, "run", 2) as two:
            await granted(two.journal, "b")
            assert (await second.ledger.summary("run"))["OPEN"] == 2
            async with second.ledger.parts.hold(ACCOUNT, "run", 1, takeover=True):
                entries = [entry async for entry in second.ledger.entries("run")]
    assert {each.key: each.status for each in entries} == {"a": "UNKNOWN", "b": "OPEN"}


async def test_a_run_that_was_taken_from_here_is_taken_back_from_the_dead_alone(
    world: World,
) -> None:
    """That it is open here still, by who had it before, changes nothing."""
    process, other = await world.process(), await world.process()
    async with process.ledger.run(ACCOUNT, "run"):
        taken = other.ledger.run(ACCOUNT, "run", takeover=True)
        await taken.__aenter__()
        world.slept = other.beat
        with pytest.raises(RunInUse, match=r"ago$"):
            await process.ledger.run(ACCOUNT, "run").__aenter__()
        world.slept = None
        await other.dies()
        async with process.ledger.run(ACCOUNT, "run") as journal:
            await granted(journal, "a")


async def test_of_two_that_open_a_run_at_once_the_second_sees_the_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the other's transaction before it looks who has the run."""
    if not world.place.is_postgres:  # which has one writer at a time
        return
    monkeypatch.setattr("ihuyi_voice.ledger.runs._MOMENT", 30.0)
    first, second = await world.process(), await world.process()
    async with first.ledger.run(ACCOUNT, "run"):
        pass
    world.slept = first.beat
    link = await asyncpg.connect(world.place.url)
    async with link.transaction():  # as that of the first
        parts = f'"{world.place.table}_parts"'
        await link.execute(f"SELECT 1 FROM {parts} FOR UPDATE")  # noqa: S608 - the test's own
        opening = asyncio.ensure_future(second.ledger.run(ACCOUNT, "run").__aenter__())
        waits = "SELECT 1 FROM pg_locks WHERE $1 = ANY(pg_blocking_pids(pid))"
        await comes_true(partial(link.fetchval, waits, link.get_server_pid()))
        await link.execute(f"UPDATE {parts} SET owner = $1", first.desk.heart.owner)  # noqa: S608 - as above
    with pytest.raises(RunInUse, match="is worked on by process"):
        await opening
    await link.close()


@pytest.mark.parametrize("awaits", range(16))
async def test_a_run_whose_opening_is_cancelled_is_free(world: World, awaits: int) -> None:
    """Whenever that was; another process has it at once, while this one lives."""
    process, other = await world.process(), await world.process()
    await process.desk.heart.born()
    task = asyncio.create_task(opened(process))
    for _ in range(awaits):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    await process.rests()
    assert {info.in_use for info in await other.ledger.runs()} <= {False}


async def test_a_run_that_is_taken_after_its_opening_was_cancelled_is_free(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction goes on, and nobody waits for what it takes."""
    process, other = await world.process(), await world.process()
    await process.desk.heart.born()
    write, begun, go_on = Heart.write, asyncio.Event(), asyncio.Event()

    async def slow(heart: Heart, make: Any, **options: Any) -> Any:
        result = await write(heart, make, **options)
        begun.set()
        await go_on.wait()
        return result

    monkeypatch.setattr(Heart, "write", slow)
    task = asyncio.create_task(opened(process))
    await begun.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert [info.in_use for info in await other.ledger.runs()] == [True]
    go_on.set()
    await process.rests()
    assert [info.in_use for info in await other.ledger.runs()] == [False]


async def opened(process: Process) -> None:
    """Open a run and leave it when cancelled."""
    async with process.ledger.run(ACCOUNT, "run"):
        await asyncio.Event().wait()
