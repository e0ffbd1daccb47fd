"""Closing a ledger, cancelled at each of its waits, and again in its clean-up."""

# pyright: reportPrivateUsage=false

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

import attrs
import pytest

from ihuyi_voice import OutcomeUnknown, Submission
from ihuyi_voice.events import Event, PartOpened
from ihuyi_voice.ledger.heart import Heart
from tests.support.cancelling import EACH, Again, cancelled_at, gone
from tests.support.ledgers import ACCOUNT, Process, World, accepted, draft
from tests.support.sockets import until

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("again", EACH)
async def test_what_was_put_is_written_whenever_closing_is_cancelled(
    world: World, again: Again
) -> None:
    """While a commit runs and another waits; nothing of it is UNKNOWN afterwards."""
    reader = await world.process()
    for at in count(1):
        ledger = world.ledger()
        process = Process(world, await ledger.__aenter__())
        drafts = [draft(f"{name}{at}", f"139{place:08d}") for place, name in enumerate("ab")]
        for each in drafts:
            assert await process.calls().intend(each) is None
        ends = [process.calls().settle(drafts[0], accepted("V0"))]
        while process.desk.heart._group._next.rows:  # noqa: ASYNC110 - a turn of the loop
            await asyncio.sleep(0)
        ends.append(process.calls().settle(drafts[1], accepted("V1")))
        end = await cancelled_at(at, again, ledger.__aexit__(None, None, None))
        found = await reader.calls().look(drafts)
        assert [type(each) for each in found] == [Submission, Submission]
        if not end.waited:
            break


@pytest.mark.parametrize("again", EACH)
async def test_no_task_is_left_whenever_closing_is_cancelled(world: World, again: Again) -> None:
    """Also while a run is left that was opened when nobody waited for it any more."""
    before = asyncio.all_tasks()

    async def used() -> None:
        async with world.ledger() as ledger, ledger.run(ACCOUNT, "run") as journal:
            await journal.intend(draft())

    for at in count(1):
        end = await cancelled_at(at, again, used())
        await gone(before)
        if not end.waited:
            break


async def test_what_is_in_flight_when_a_ledger_is_closed_is_unknown_at_once(world: World) -> None:
    """Nobody waits until its beat is old: its runs are free, as if they had been left."""
    events: list[PartOpened] = []
    ending, other = await world.process(), await world.process(on_event=opened_to(events))
    run = ending.ledger.run(ACCOUNT, "run")
    journal = await run.__aenter__()
    for each in (journal, ending.calls()):
        assert await each.intend(draft()) is None
    began = world.now
    await ending.ledger.__aexit__(None, None, None)
    assert not any(each.in_use for each in await other.ledger.runs())
    (keyed,) = await other.calls().look([draft()])
    async with other.ledger.run(ACCOUNT, "run") as journal:
        (of_run,) = await journal.look([draft()])
    assert [type(end) for end in (keyed, of_run)] == [OutcomeUnknown] * 2
    assert world.now == began
    assert [(each.taken_over, each.unknown) for each in events] == [(False, 1)]


async def test_an_intent_that_nobody_waits_for_when_its_ledger_is_closed_is_taken_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is granted by the last commit, and cancelled just before that is known."""
    ending, other = await world.process(), await world.process()
    await ending.calls().look([draft()])
    heart, made, go_on = ending.desk.heart, asyncio.Event(), asyncio.Event()
    write = heart._database.write

    async def slow(make: Any, *, durable: bool = True) -> Any:
        result = await write(make, durable=durable)
        made.set()
        await go_on.wait()
        return result

    monkeypatch.setattr(heart._database, "write", slow)
    intending = asyncio.ensure_future(ending.calls().intend(draft()))
    await made.wait()
    closing = asyncio.create_task(ending.ledger.__aexit__(None, None, None))
    await until(lambda: heart._group._closing)
    intending.cancel()
    go_on.set()
    await closing
    (entry,) = [each async for each in other.ledger.entries("")]
    assert str(entry.error) == "it was cancelled before it was sent"


@attrs.define(eq=False)
class SlowBeat:
    """A beat for which the database takes its time.

    Attributes:
        begun: Set when it has begun.
        go_on: Set when it may end.
        ended: Whether it did.
    """

    begun: asyncio.Event = attrs.field(factory=asyncio.Event)
    go_on: asyncio.Event = attrs.field(factory=asyncio.Event)
    ended: bool = False

    async def beat(self) -> None:
        """Beat."""
        self.begun.set()
        await self.go_on.wait()
        self.ended = True


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_beat_is_let_end_when_its_ledger_is_closed(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    cancelled: bool,
) -> None:
    """It may be writing what was owed; nobody is told if it is cancelled with all other tasks."""
    slow = SlowBeat()

    async def beat(_: Heart) -> None:
        await slow.beat()

    monkeypatch.setattr(Heart, "_beat_once", beat)
    process = await world.process()
    heart = process.desk.heart
    await process.calls().look([draft()])
    await slow.begun.wait()
    closing = asyncio.create_task(process.ledger.__aexit__(None, None, None))
    await until(lambda: heart._group._closing)
    assert heart._beating is not None
    if cancelled:
        heart._beating.cancel()
    slow.go_on.set()
    await closing
    assert (slow.ended, caplog.messages) == (not cancelled, [])


def opened_to(events: list[PartOpened]) -> Callable[[Event], None]:
    """Return a hook that keeps who opened what."""

    def note(event: Event) -> None:
        events.extend([event] if isinstance(event, PartOpened) else [])

    return note
