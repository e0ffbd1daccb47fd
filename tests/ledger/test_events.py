"""What a ledger tells of itself: commits, fences, takeovers, debts, reports."""

# pyright: reportPrivateUsage=false

import asyncio
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import pytest

from ihuyi_voice import InvalidRequest, OutcomeUnknown, RunStopped
from ihuyi_voice.errors import LedgerUnavailable, StorageUnavailable
from ihuyi_voice.events import (
    Event,
    LedgerCommitted,
    LedgerFailed,
    OwnerLost,
    PartLeft,
    PartOpened,
    ReportsTaken,
)
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.storage import Database
from tests.ledger.inboxes import FakeInbox
from tests.support.ledgers import ACCOUNT, World, accepted, draft, unknown

E = TypeVar("E", bound=Event)


def of(kind: type[E], events: list[Event]) -> list[E]:
    """Return the events of a kind."""
    return [event for event in events if isinstance(event, kind)]


async def test_a_commit_tells_what_came_of_its_rows(world: World) -> None:
    """How many were granted, refused and settled, and how long it took."""
    events: list[Event] = []
    now = asyncio.get_running_loop().time
    began = now()
    journal = (await world.process(on_event=events.append)).calls()
    assert await journal.intend(draft("a")) is None
    await asyncio.gather(journal.settle(draft("a"), accepted()), journal.intend(draft("b")))
    assert await journal.intend(draft("a")) == accepted()
    commits = of(LedgerCommitted, events)
    assert sum(each.granted for each in commits) == 2
    assert sum(each.settled for each in commits) == 1
    assert sum(each.refused for each in commits) == 1
    assert not any(each.fenced or each.paid or each.late for each in commits)
    assert min(each.seconds for each in commits) >= 0
    assert sum(each.seconds for each in commits) <= now() - began
    assert len({each.ledger for each in commits}) == 1


async def test_who_is_taken_over_tells_of_the_fence(world: World) -> None:
    """And who takes it tells what was in flight."""
    ours: list[Event] = []
    theirs: list[Event] = []
    first = await world.process(on_event=ours.append)
    second = await world.process(on_event=theirs.append)
    async with first.ledger.run(ACCOUNT, "run") as old:
        assert await old.intend(draft("in flight")) is None
        async with second.ledger.run(ACCOUNT, "run", takeover=True):
            assert isinstance(await old.intend(draft("next")), RunStopped)
    (opened,) = of(PartOpened, ours)
    assert (opened.run, opened.part, opened.taken_over, opened.unknown) == ("run", 0, False, 0)
    (taken,) = of(PartOpened, theirs)
    assert (taken.taken_over, taken.unknown) == (True, 1)
    assert sum(each.fenced for each in of(LedgerCommitted, ours)) == 1
    assert [len(of(PartLeft, each)) for each in (ours, theirs)] == [1, 1]
    assert opened.ledger != taken.ledger


async def test_who_was_buried_alive_tells_so(world: World) -> None:
    """Once; its late answer counts, and is told where a person had decided otherwise."""
    events: list[Event] = []
    sleeper, other = await world.process(on_event=events.append), await world.process()
    assert await sleeper.calls().intend(draft()) is None
    world.now += 11.0
    (end,) = await other.calls().look([draft()])
    assert isinstance(end, OutcomeUnknown)
    await other.ledger.settle("", "k", OutcomeUnknown.status.NOT_SENT)
    assert await other.calls().intend(draft()) is None
    await sleeper.calls().settle(draft(), accepted("of the first"))
    assert sum(each.late for each in of(LedgerCommitted, events)) == 1
    await sleeper.calls().intend(draft("next"))
    await sleeper.beat()
    assert len(of(OwnerLost, events)) == 1


async def test_who_was_buried_alive_is_another_one_from_its_next_beat_on(world: World) -> None:
    """It tells so once, however often it beats."""
    events: list[Event] = []
    sleeper, other = await world.process(on_event=events.append), await world.process()
    assert await sleeper.calls().intend(draft()) is None
    world.now += 11.0
    await other.calls().look([draft()])
    for _ in range(3):
        await sleeper.beat()
    assert len(of(OwnerLost, events)) == 1


Write = Callable[..., Any]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[..., None]]:
    """Yield what breaks all writing, or mends it."""
    write: Write = Database.write

    async def fail(*_: object, **__: object) -> None:
        raise StorageUnavailable("database is locked")

    def switch(*, is_broken: bool) -> None:
        monkeypatch.setattr(Database, "write", fail if is_broken else write)

    yield switch
    switch(is_broken=False)


async def test_what_is_owed_is_told_until_it_is_paid(
    world: World, broken: Callable[..., None]
) -> None:
    """By the commit that failed, and by the next one that doesn't."""
    events: list[Event] = []
    process = await world.process(on_event=events.append)
    journal = process.calls()
    assert await journal.intend(draft("a")) is None
    broken(is_broken=True)
    with pytest.raises(LedgerUnavailable):
        await journal.settle(draft("a"), accepted())
    await process.beat()
    failed = of(LedgerFailed, events)
    assert [(each.work, each.owed) for each in failed] == [("commit", 1), ("beat", 1)]
    assert ["database is locked" in str(each.error) for each in failed] == [True, True]
    broken(is_broken=False)
    assert await journal.intend(draft("b")) is None
    last = of(LedgerCommitted, events)[-1]
    assert (last.paid, last.settled, last.granted) == (1, 1, 1)


async def test_reports_that_settle_something_are_told(world: World) -> None:
    """With how many were new."""
    events: list[Event] = []
    process = await world.process(on_event=events.append)
    journal = process.calls()
    assert await journal.intend(draft()) is None
    await journal.settle(draft(), unknown())
    inbox = FakeInbox()
    inbox.tell("V7", world.now + 30.0)
    await process.ledger.reconcile(inbox)
    taken = of(ReportsTaken, events)
    assert [(each.stored, each.settled, each.waiting) for each in taken] == [(1, 1, 0)]


async def test_where_nobody_listens_no_row_is_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit's rows are counted for those who want to know."""

    def never(*_: object) -> str:
        raise AssertionError

    monkeypatch.setattr("ihuyi_voice.ledger.telling._step", never)
    journal = (await world.process()).calls()
    assert await journal.intend(draft()) is None


@pytest.mark.parametrize("error", [LookupError(), asyncio.CancelledError(), GeneratorExit()])
async def test_a_hook_that_fails_costs_no_commit(world: World, error: BaseException) -> None:
    """Whatever it raises, of whichever event."""

    def fail(_: Event) -> None:
        raise error

    process = await world.process(on_event=fail)
    async with process.ledger.run(ACCOUNT, "run") as journal:
        assert await journal.intend(draft()) is None
        await journal.settle(draft(), accepted())
        assert await journal.look([draft()]) == [accepted()]


def test_what_can_not_be_called_is_refused() -> None:
    """When the ledger is described."""
    with pytest.raises(InvalidRequest, match="on_event"):
        Ledger.open("calls.db", on_event="print")  # type: ignore[arg-type]
