"""What a living process has claimed stays its own, and it claims no more than it can use."""

# Some facts can only be seen from inside.
# pyright: reportPrivateUsage=false

import asyncio
import time
from typing import Any

import pytest

from ihuyi_voice.pushes import DeliveryReport, Handling, Inbox, InboxUnavailable, PushState
from ihuyi_voice.pushes.claims import Claim, Verdict
from ihuyi_voice.pushes.store import Store
from tests.pushes.handlers import (
    HOUR,
    Renewals,
    Script,
    Stage,
    Stubborn,
    claim,
    judge,
    later,
    row,
)
from tests.pushes.support import Place, Recorder, handled_by, report, states

DISPATCHER = "ihuyi_voice.pushes.handling"


@pytest.mark.long
async def test_a_handler_that_swallows_its_cancellation_is_not_called_again(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its lease is renewed while its process lives: neither here nor elsewhere it runs twice."""
    monkeypatch.setattr(f"{DISPATCHER}._LET_GO", 0.01)
    renewals, stubborn, other = Renewals(monkeypatch), Stubborn(), Recorder()
    handling = Handling(concurrency=1, timeout=0.01, lease=0.3, backoff=0.0)
    async with handled_by(place, stubborn, handling=handling) as inbox:
        await inbox.put(report("1"))
        await stubborn.cancelled.wait()
        async with handled_by(place, other, handling=handling):
            await renewals.more(12)  # a lease has three
            await inbox.put(report("2"))
            await other.called(1)
            assert [value.voice_id for value in other.seen] == ["2"]
        assert stubborn.seen == ["1"]
        stubborn.leave.set()
        await states(inbox, handled=2)
        assert (await row(inbox, "1")).tries == 1
    (line,) = [each for each in caplog.messages if "goes on" in each]
    assert "its handler was cancelled after 0.0 s and goes on" in line


@pytest.mark.slow
async def test_closing_leaves_behind_what_does_not_let_go(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told; the push stays with it until its lease ends, and is handled again then."""
    monkeypatch.setattr(f"{DISPATCHER}._LET_GO", 0.01)
    stubborn, again = Stubborn(), Recorder()
    handling = Handling(timeout=0.01, lease=0.5, grace=0.0)
    async with handled_by(place, stubborn, handling=handling) as inbox:
        await inbox.put(report("1"))
        await stubborn.cancelled.wait()
    async with handled_by(place, again, handling=handling) as inbox:
        found = await row(inbox, "1")
        assert (found.state, found.tries) == ("pending", 1)
        await states(inbox, handled=1)
        assert (await row(inbox, "1")).tries == 2
    assert "1 handlers go on though they were cancelled; left behind with pushes" in caplog.text
    await stubborn.let_go()
    assert len(again.seen) == 1


async def test_a_handler_that_does_not_let_go_holds_its_place_only(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others run beside it, and no more than may."""
    monkeypatch.setattr(f"{DISPATCHER}._LET_GO", 0.01)
    stubborn, script = Stubborn(), Script()

    async def on_report(value: DeliveryReport) -> None:
        await (stubborn(value) if value.voice_id == "1" else script(value))

    handling = Handling(concurrency=2, timeout=0.01, grace=0.0)
    async with handled_by(place, on_report, handling=handling) as inbox:
        await inbox.put(report("1"))
        await stubborn.cancelled.wait()
        for number in range(2, 30):
            await inbox.put(report(str(number)))
        await states(inbox, pending=1, handled=28)
        await stubborn.let_go()
        await states(inbox, handled=29)


@pytest.mark.long
@pytest.mark.parametrize("renewed", [True, False])
async def test_a_handler_that_blocks_the_loop_lets_no_other_run_twice(
    place: Place, monkeypatch: pytest.MonkeyPatch, *, renewed: bool
) -> None:
    """For longer than the lease: what runs is renewed at once, or known when it is claimed again.

    Another process may claim it meanwhile, and handles it, for nobody could know there.
    """
    renewals, stubborn = Renewals(monkeypatch), Stubborn()
    renewals.left_out = not renewed

    async def on_report(value: DeliveryReport) -> None:
        if value.voice_id == "2":
            time.sleep(0.4)  # noqa: ASYNC251 - what it is not to do
        else:
            await stubborn(value)

    handling = Handling(timeout=0.2, lease=0.3, backoff=0.0)
    async with handled_by(place, on_report, handling=handling) as inbox:
        await inbox.put(report("1"))
        await stubborn.entered()
        await inbox.put(report("2"))
        await states(inbox, pending=1, handled=1)
        await renewals.more(6)
        stubborn.leave.set()
        await states(inbox, handled=2)
        assert stubborn.seen == ["1"]
        assert ((await row(inbox, "1")).tries == 1) is renewed


async def test_what_can_not_be_renewed_is_told_and_tried_again(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The dispatcher goes on."""
    renewals, stage = Renewals(monkeypatch), Stage()
    renewals.error = InboxUnavailable("the inbox's database failed: no")
    handling = Handling(timeout=0.5, lease=0.6)
    async with handled_by(place, stage, handling=handling) as inbox:
        await inbox.put(report("1"))
        await stage.entered(1)
        await renewals.more(2)
        stage.leave.set()
        await states(inbox, handled=1)
    assert "can't claim pushes: the inbox's database failed: no" in caplog.text


async def test_quick_handlers_have_pushes_claimed_ahead_within_bounds(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most 100 of them, and no more run at once than may."""
    turn, asked, running = Store.turn, list[int](), 0

    async def watched(store: Store, verdicts: Any, room: Any, terms: Any) -> Any:
        asked.append(max(room.values(), default=0))
        return await turn(store, verdicts, room, terms)

    async def on_report(_: DeliveryReport) -> None:
        nonlocal running
        running += 1
        assert running <= 3
        await asyncio.sleep(0)
        running -= 1

    monkeypatch.setattr(Store, "turn", watched)
    async with place.inbox(handling=Handling(concurrency=3)) as inbox:
        await asyncio.gather(*(inbox.put(report(str(number))) for number in range(1, 501)))
        inbox.handle(on_report=on_report)
        await states(inbox, handled=500)
    assert asked[0] == 3
    assert 3 < max(asked) <= 103


@pytest.mark.long
async def test_what_was_claimed_ahead_and_has_to_wait_is_given_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To whoever has time for it, at once and uncounted; here, at most as many wait as may run."""
    monkeypatch.setattr(f"{DISPATCHER}._STALLED", 0.05)
    stage, quick, seen = Stage(), Recorder(), 0

    async def hang_at_last(value: DeliveryReport) -> None:
        nonlocal seen
        seen += 1
        if seen > 50:
            await stage(value)

    handling = Handling(concurrency=2, lease=HOUR, grace=0.0)
    async with handled_by(place, hang_at_last, handling=handling) as inbox:
        await asyncio.gather(*(inbox.put(report(str(number))) for number in range(1, 201)))
        await stage.entered(2)
        async with handled_by(place, quick, handling=handling) as other:
            await states(other, handled=198, pending=2)
        stage.leave.set()
        await states(inbox, handled=200)


async def waiting_in(inbox: Inbox) -> set[int]:
    """Return the numbers of what has been claimed and waits for a handler, once there is some."""
    lane = inbox._open_parts().dispatcher._lanes["report"]
    while not lane.ready:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0)
    return set(lane.ready)


async def test_what_waits_here_and_is_claimed_again_is_handled_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was claimed ahead, and this process was held up for longer than the lease."""
    monkeypatch.setattr(f"{DISPATCHER}._STALLED", HOUR)
    renewals, stage = Renewals(monkeypatch), Stage()
    renewals.left_out = True
    calls: list[str] = []

    async def on_report(value: DeliveryReport) -> None:
        calls.append(value.voice_id)
        if len(calls) > 40:
            await stage(value)

    handling = Handling(concurrency=2, lease=HOUR, grace=0.0)
    async with place.inbox(handling=handling) as inbox:
        await asyncio.gather(*(inbox.put(report(str(number))) for number in range(1, 101)))
        inbox.handle(on_report=on_report)
        await stage.entered(2)
        assert await waiting_in(inbox)
        await later(inbox, HOUR)
        stage.leave.set()
        await states(inbox, handled=100)
    assert len(calls) == len(set(calls)) == 100


async def test_what_waits_here_and_was_taken_over_is_not_begun(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler blocked the loop for longer than the lease; another process was quicker."""
    monkeypatch.setattr(f"{DISPATCHER}._STALLED", HOUR)
    renewals, stage = Renewals(monkeypatch), Stage()
    calls, taken = list[str](), list[Claim]()

    async def on_report(value: DeliveryReport) -> None:
        calls.append(value.voice_id)
        if len(calls) > 40:
            await stage(value)

    handling = Handling(concurrency=2, timeout=HOUR, lease=2 * HOUR, grace=0.0)
    async with place.inbox(handling=handling) as inbox:
        await asyncio.gather(*(inbox.put(report(str(number))) for number in range(1, 101)))
        inbox.handle(on_report=on_report)
        await stage.entered(2)
        dispatcher = inbox._open_parts().dispatcher
        waiting = await waiting_in(inbox)
        await later(inbox, 2 * HOUR)
        while claims := await claim(inbox, lease=3 * HOUR):
            taken += claims
        assert waiting <= {each.push.seq for each in taken}
        dispatcher._renewed -= 2 * HOUR  # as if so much time had passed here
        stage.leave.set()
        await renewals.more(1)
        await judge(inbox, *(Verdict(each, PushState.HANDLED) for each in taken))
        await inbox.put(report("101"))
        await states(inbox, handled=101)
    assert len(calls) == 43
    assert calls[-1] == "101"
