"""Handlers end with their inbox, and what a dead process had begun is begun again."""

# Some facts can only be seen from inside.
# pyright: reportPrivateUsage=false

import asyncio
from typing import Any

import pytest

from ihuyi_voice.pushes import DeliveryReport, Handling, PushState
from ihuyi_voice.pushes.claims import Claim, Verdict
from ihuyi_voice.pushes.store import Store
from ihuyi_voice.storage import GroupCommit
from tests.pushes.handlers import HOUR, Script, Stage, claim, judge, later, row
from tests.pushes.support import Place, Recorder, handled_by, report, states


async def test_handlers_may_end_while_the_inbox_is_closed(place: Place) -> None:
    """Within the grace; what they have done counts, and nothing new is begun."""
    stage = Stage()
    handling = Handling(concurrency=1, grace=HOUR)
    async with handled_by(place, stage, handling=handling) as inbox:
        await inbox.put(report("1"))
        await inbox.put(report("2"))
        await stage.entered(1)
        asyncio.get_running_loop().call_soon(stage.leave.set)
    assert len(stage.ended) == 1
    async with place.inbox() as inbox:
        await states(inbox, handled=1, pending=1)


async def test_handlers_that_outlast_the_grace_are_called_again(place: Place) -> None:
    """By the next process, at once; the try doesn't count."""
    stage = Stage()
    handling = Handling(grace=0.0, lease=HOUR, max_tries=1)
    async with handled_by(place, stage, handling=handling) as inbox:
        await inbox.put(report("1"))
        await stage.entered(1)
    assert (stage.on, stage.ended) == ([], [])
    async with place.inbox() as inbox:
        left = await row(inbox, "1")
        assert (left.state, left.tries, left.owner, left.error) == ("pending", 0, None, None)
        inbox.handle(on_report=Recorder())
        await states(inbox, handled=1)


async def test_a_cancelled_closing_gives_no_grace(place: Place) -> None:
    """Handlers are cancelled at once, and their pushes given back."""
    stage = Stage()
    inbox = place.inbox(handling=Handling(grace=HOUR))
    inbox.handle(on_report=stage)
    await inbox.__aenter__()
    await inbox.put(report("1"))
    await stage.entered(1)
    dispatcher = inbox._open_parts().dispatcher
    closing = asyncio.create_task(inbox.__aexit__(None, None, None))
    while not dispatcher._closing:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert (stage.on, stage.ended) == ([], [])
    async with place.inbox() as inbox:
        assert (await row(inbox, "1")).tries == 0
        await states(inbox, pending=1)


async def test_handlers_end_however_the_inbox_ends(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if closing is cancelled before it has come to them: none goes on by itself."""
    stage = Stage()
    before = asyncio.all_tasks()
    inbox = place.inbox(handling=Handling(grace=HOUR))
    inbox.handle(on_report=stage)
    await inbox.__aenter__()
    await inbox.put(report("1"))
    await stage.entered(1)

    flushing = asyncio.Event()

    async def never(*_: object) -> None:
        flushing.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(GroupCommit, "close", never)
    closing = asyncio.create_task(inbox.__aexit__(None, None, None))
    await flushing.wait()
    monkeypatch.undo()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert stage.on == []
    assert asyncio.all_tasks() == before
    async with place.inbox() as inbox:
        assert (await row(inbox, "1")).tries == 0


async def test_what_is_claimed_while_the_dispatcher_is_cancelled_is_given_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next process needn't wait for the lease."""
    claiming, go_on = asyncio.Event(), asyncio.Event()
    original = Store.turn

    async def slow(store: Store, *arguments: Any) -> list[Claim]:
        claims = await original(store, *arguments)
        if claims:
            claiming.set()
            await go_on.wait()
        return claims

    monkeypatch.setattr(Store, "turn", slow)
    handler = Recorder()
    inbox = place.inbox(handling=Handling(lease=HOUR, max_tries=1))
    inbox.handle(on_report=handler)
    await inbox.__aenter__()
    await inbox.put(report("1"))
    await claiming.wait()
    closing = asyncio.create_task(inbox.__aexit__(None, None, None))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    closing.cancel()
    for _ in range(20):
        await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert handler.seen == []
    async with handled_by(place, handler) as inbox:
        await states(inbox, handled=1)


async def test_what_a_dead_process_had_claimed_is_free_when_its_lease_ends(place: Place) -> None:
    """And not before; the try of the dead counts."""
    script = Script()
    async with place.inbox() as dead:
        await dead.put(report("1"))
        assert len(await claim(dead, lease=2 * HOUR)) == 1
        assert await claim(dead) == []
    async with handled_by(place, script) as inbox:
        await later(inbox, HOUR)
        await script.turn(inbox)
        assert script.seen == []
        await later(inbox, HOUR)
        await states(inbox, handled=2)
        assert (await row(inbox, "1")).tries == 2


async def test_a_push_that_kills_whoever_handles_it_is_dead_in_the_end(place: Place) -> None:
    """No handler is there any more to say that it failed."""
    script = Script()
    async with place.inbox() as dead:
        await dead.put(report("1"))
        for _ in range(3):
            assert len(await claim(dead, lease=60.0, max_tries=3)) == 1
            await later(dead, 60.0)
    handling = Handling(max_tries=3)
    async with handled_by(place, script, handling=handling) as inbox:
        await states(inbox, dead=1)
        assert (await row(inbox, "1")).error == "nothing was heard of its last handler"
        assert script.seen == []


@pytest.mark.parametrize("state", [PushState.HANDLED, PushState.PENDING, PushState.DEAD])
async def test_a_verdict_on_what_was_taken_over_changes_nothing(
    place: Place, state: PushState
) -> None:
    """The claim that counts is the last one; ended twice, it ends once."""
    async with place.inbox() as inbox:
        await inbox.put(report("1"))
        (first,) = await claim(inbox, lease=60.0)
        await later(inbox, 60.0)
        (second,) = await claim(inbox, lease=60.0)
        held = await row(inbox, "1")
        await judge(inbox, Verdict(first, state, pause=1.0, error="late", counts=False))
        assert await row(inbox, "1") == held
        await judge(inbox, Verdict(second, PushState.HANDLED))
        await judge(inbox, Verdict(first, state), Verdict(second, PushState.PENDING))
        done = await row(inbox, "1")
        assert (done.state, done.tries, done.error) == ("handled", 2, None)


async def test_who_lost_its_claim_does_not_undo_what_the_next_one_did(place: Place) -> None:
    """A process that was held up for longer than its lease, and then fails."""
    stage, handler = Stage(), Recorder()

    async def held_up(value: DeliveryReport) -> None:
        await stage(value)
        raise ValueError

    one = Handling(concurrency=1)  # or it would take its own push over
    async with handled_by(place, held_up, handling=one) as slow:
        await slow.put(report("1"))
        await stage.entered(1)
        await later(slow, 60.0)
        async with handled_by(place, handler) as quick:
            await handler.called(1)
            await states(quick, handled=1)
        stage.leave.set()
    async with place.inbox() as after:
        assert (await row(after, "1")).state == "handled"


@pytest.mark.slow
async def test_closing_that_is_cancelled_again_and_again_stores_what_came_of_everything(
    place: Place,
) -> None:
    """Cancelled at each step of it, handlers have ended, and nothing is claimed any more."""
    for steps in range(1, 30, 3):
        stage, subject = Stage(), str(steps)
        before = asyncio.all_tasks()
        inbox = place.inbox(handling=Handling(grace=HOUR))
        inbox.handle(on_report=stage)
        await inbox.__aenter__()
        await inbox.put(report(subject))
        await stage.entered(1)
        closing = asyncio.create_task(inbox.__aexit__(None, None, None))
        while not closing.done():
            for _ in range(steps):
                await asyncio.sleep(0)
            closing.cancel()
        assert stage.on == []
        assert asyncio.all_tasks() == before
        async with place.inbox() as after:
            left = await row(after, subject)
            assert (left.state, left.tries, left.owner) == ("pending", 0, None)
