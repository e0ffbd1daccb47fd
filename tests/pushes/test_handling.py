"""Handlers get every push: once as a rule, again when something fails, and never out of order."""

# Some facts can only be seen from inside.
# pyright: reportPrivateUsage=false

import asyncio
import random
from collections.abc import Awaitable, Iterable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import insert, select

from ihuyi_voice import InvalidRequest
from ihuyi_voice.pushes import DeliveryReport, Handling, Inbox, PushState
from ihuyi_voice.pushes.handling import Worker
from ihuyi_voice.pushes.store import Claim, Store, Terms, Verdict, push_row
from tests.pushes.support import Place, Recorder, audit, handled_by, report, states

HOUR = 3600.0
NUMBER = "13900000000"


class Clock:
    """Unix time, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_500_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Script:
    """A handler that fails as written, push by push.

    Attributes:
        seen: The ids of what it was given, markers left out.
        failures: What it still has to raise, by id.
    """

    def __init__(self, **failures: Iterable[BaseException]) -> None:
        self.seen: list[str] = []
        self.failures = {subject: list(each) for subject, each in failures.items()}
        self._markers = 0
        self._marked = Recorder()

    async def __call__(self, value: DeliveryReport) -> None:
        """Be called as a handler is."""
        if value.voice_id.startswith("marker"):
            await self._marked(value)
            return
        self.seen.append(value.voice_id)
        failures = self.failures.get(value.voice_id)
        if failures:
            raise failures.pop(0)

    async def turn(self, inbox: Inbox) -> None:
        """Return after a turn: whatever was due before it has been given to a handler."""
        self._markers += 1
        await inbox.put(report(f"marker{self._markers}"))
        await self._marked.called(self._markers)


async def row(inbox: Inbox, subject: str) -> Any:
    """Return the row of a push, by its subject."""
    table = inbox._open_parts().store.table
    asked = select(table).where(table.c.subject == subject)
    return (await inbox._open_parts().database.read(lambda on: on.execute(asked))).one()


async def settled(inbox: Inbox, subject: str, tries: int) -> Any:
    """Return the row of a push once so many of its tries have ended."""
    while True:
        found = await row(inbox, subject)
        if found.owner is None and found.tries == tries:
            return found


async def claim(inbox: Inbox, lease: float = 60.0, max_tries: int = 10) -> list[Claim]:
    """Claim what is due, as a process does which then dies."""
    parts = inbox._open_parts()
    terms = Terms(lease, max_tries)
    work = partial(claimed, parts.store, inbox._clock(), terms)
    return await parts.database.write(work)


async def claimed(store: Store, now: float, terms: Terms, on: Any) -> list[Claim]:
    """Claim reports in a transaction."""
    return await store.claim(on, ["report"], 20, now, terms)


async def judge(inbox: Inbox, *verdicts: Verdict) -> None:
    """End claims."""
    parts = inbox._open_parts()
    await parts.database.write(lambda on: parts.store.judge(on, verdicts))


async def test_every_push_is_handled_once(place: Place) -> None:
    """However often it came; and not again after a restart."""
    handler, later = Recorder(), Recorder()
    async with handled_by(place, handler) as inbox:
        pushes = [report(str(number)) for number in range(1, 51)]
        await asyncio.gather(*(inbox.put(push) for push in pushes for _ in range(3)))
        await states(inbox, handled=50)
    assert sorted(int(value.voice_id) for value in handler.seen) == list(range(1, 51))
    async with handled_by(place, later) as inbox:
        await inbox.put(report("51"))
        await states(inbox, handled=51)
    assert [value.voice_id for value in later.seen] == ["51"]


async def test_each_kind_has_its_own_handler(place: Place) -> None:
    """They get the values, not the bytes."""
    on_report, on_audit = Recorder(), Recorder()
    async with handled_by(place, on_report, on_audit) as inbox:
        await inbox.put(audit("5", code=0, msg="含有敏感字符"))
        await inbox.put(report("7", code=-6))
        await states(inbox, handled=2)
    assert [(value.template_id, value.msg) for value in on_audit.seen] == [("5", "含有敏感字符")]
    assert [(value.voice_id, value.code) for value in on_report.seen] == [("7", -6)]


async def test_what_no_handler_is_for_waits_for_one(place: Place) -> None:
    """Which may come to an open inbox, or to another process much later."""
    on_report, on_audit = Recorder(), Recorder()
    async with place.inbox(poll=HOUR) as inbox:
        await inbox.put(report("7"))
        await inbox.put(audit("5"))
        await states(inbox, pending=2)
        inbox.handle(on_report=on_report)
        await states(inbox, pending=1, handled=1)
    async with handled_by(place, None, on_audit) as inbox:
        await states(inbox, handled=2)
    assert (len(on_report.seen), len(on_audit.seen)) == (1, 1)


async def test_nothing_waits_for_the_next_look(place: Place) -> None:
    """What this process stores, ends or replays is seen at once."""
    script = Script(**{"1": [ValueError()]})
    once = Handling(max_tries=1)
    async with handled_by(place, script, poll=HOUR, handling=once) as inbox:
        await inbox.put(report("1", second=10))
        await states(inbox, dead=1)
        await inbox.put(report("1", second=20))
        await inbox.put(report("1", second=30))
        await states(inbox, dead=1, handled=2)
        assert await inbox.replay() == 1
        await states(inbox, handled=2, superseded=1)


async def test_what_another_process_stores_is_found(place: Place) -> None:
    """By looking."""
    handler = Recorder()
    async with handled_by(place, handler), place.inbox() as other:
        await other.put(report("7"))
        await states(other, handled=1)
    assert len(handler.seen) == 1


async def test_a_handler_that_fails_is_called_again_after_growing_pauses(place: Place) -> None:
    """Up to the longest pause, with up to a tenth of jitter; each failure is counted."""
    clock, script = Clock(), Script(**{"1": [ValueError(f"no {n}") for n in range(1, 5)]})
    handling = Handling(backoff=10.0, max_backoff=25.0)
    async with handled_by(place, script, handling=handling, clock=clock) as inbox:
        await inbox.put(report("1"))
        for tries, pause in ((1, 10.0), (2, 20.0), (3, 25.0), (4, 25.0)):
            failed = await settled(inbox, "1", tries)
            assert (failed.state, failed.error) == ("pending", f"ValueError: no {tries}")
            assert pause * 0.9 <= failed.due - clock.now <= pause
            clock.now = failed.due - 0.001
            await script.turn(inbox)
            assert len(script.seen) == tries
            clock.now = failed.due
        done = await settled(inbox, "1", 5)
        assert (done.state, done.error) == ("handled", None)
    assert script.seen == ["1"] * 5


async def test_a_push_whose_handler_fails_too_often_is_dead_until_replayed(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """It keeps its error; replayed, it has all its tries again."""
    script = Script(**{"1": [ValueError(f"no {n}") for n in range(1, 6)]})
    async with handled_by(place, script, handling=Handling(backoff=0.0, max_tries=3)) as inbox:
        await inbox.put(report("1"))
        await inbox.put(report("2"))
        await states(inbox, dead=1, handled=1)
        dead = await row(inbox, "1")
        assert (dead.tries, dead.error) == (3, "ValueError: no 3")
        await script.turn(inbox)
        assert script.seen.count("1") == 3
        assert await inbox.replay() == 1
        await states(inbox, handled=3)
        assert (await row(inbox, "1")).tries == 3
        assert await inbox.replay() == 0
    assert script.seen.count("1") == 6
    (line,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert f"push {dead.seq} is dead after 3 tries: ValueError: no 3" in line.getMessage()


async def test_a_handler_that_fails_is_called_again_after_a_restart(place: Place) -> None:
    """The tries of the earlier process count."""
    clock, failing, handling = Clock(), Recorder(ValueError()), Handling(backoff=10.0)
    async with handled_by(place, failing, clock=clock, handling=handling) as inbox:
        await inbox.put(report("1"))
        await settled(inbox, "1", 1)
    clock.now += 10.0
    async with handled_by(place, Recorder(), clock=clock) as inbox:
        await states(inbox, handled=1)
        assert (await row(inbox, "1")).tries == 2


async def test_a_late_report_of_an_earlier_time_is_not_handled(place: Place) -> None:
    """A status never moves backwards; other calls have nothing to do with it."""
    handler = Recorder()
    async with handled_by(place, handler) as inbox:
        await inbox.put(report("1", code=2, second=50))
        await states(inbox, handled=1)
        await inbox.put(report("1", code=-6, second=10))
        await states(inbox, handled=1, superseded=1)
        await inbox.put(report("2", code=-6, second=10))
        await inbox.put(report("1", code=-9, second=55))
        await states(inbox, handled=3, superseded=1)
    assert handler.codes == [2, -6, -9]


async def test_many_late_reports_hold_up_nobody(place: Place) -> None:
    """More of them than handlers may run are passed over in one turn."""
    handler = Recorder()
    handling = Handling(concurrency=2)
    async with handled_by(place, handler, poll=HOUR, handling=handling) as inbox:
        await inbox.put(report("1", second=50))
        await states(inbox, handled=1)
        late = (report("1", code=-code, second=code) for code in range(1, 10))
        await asyncio.gather(*(inbox.put(push) for push in late), inbox.put(report("2")))
        await states(inbox, handled=2, superseded=9)


async def test_reports_of_a_call_are_handled_in_the_order_of_their_times(place: Place) -> None:
    """In whatever order they came."""
    handler = Recorder()
    async with place.inbox() as inbox:
        for code, second in ((-9, 40), (2, 40), (-1, 10), (-4, 30), (-6, 20)):
            await inbox.put(report("1", code, second))
        inbox.handle(on_report=handler)
        await states(inbox, handled=5)
    assert handler.codes == [-1, -6, -4, -9, 2]


async def test_audits_of_a_template_are_handled_in_the_order_of_their_arrival(place: Place) -> None:
    """They carry no time; not even a failure changes their order."""
    handler = Recorder(ValueError(), ValueError())
    async with place.inbox() as inbox:
        for msg in ("c", "a", "b"):
            await inbox.put(audit("5", code=0, msg=msg))
        inbox.handle(on_audit=handler)
        await states(inbox, handled=3)
    assert [value.msg for value in handler.seen] == ["c", "c", "c", "a", "b"]


async def test_while_a_push_fails_the_later_ones_of_its_call_wait(place: Place) -> None:
    """Those of other calls don't, nor does the audit of a template with the same id."""
    clock, handler, on_audit = Clock(), Recorder(ValueError()), Recorder()
    handling = Handling(backoff=10.0)
    async with handled_by(place, handler, on_audit, handling=handling, clock=clock) as inbox:
        await inbox.put(report("1", code=-6, second=10))
        await settled(inbox, "1", 1)
        await inbox.put(report("1", code=2, second=50))
        await inbox.put(report("2", code=-4))
        await inbox.put(audit("1"))
        await states(inbox, pending=2, handled=2)
        clock.now += 10.0
        await states(inbox, handled=4)
    assert handler.codes == [-6, -4, -6, 2]
    assert len(on_audit.seen) == 1


async def test_a_dead_push_holds_up_nobody(place: Place) -> None:
    """And is passed over when it is replayed after a later one was handled."""
    handler = Recorder(ValueError())
    async with handled_by(place, handler, handling=Handling(max_tries=1)) as inbox:
        await inbox.put(report("1", code=-6, second=10))
        await states(inbox, dead=1)
        await inbox.put(report("1", code=2, second=50))
        await states(inbox, dead=1, handled=1)
        assert await inbox.replay() == 1
        await states(inbox, superseded=1, handled=1)
    assert handler.codes == [-6, 2]


class Stage:
    """A handler that stays on stage until it is let go.

    Attributes:
        on: The ids of those that are on stage now.
        most: How many have been there at once.
        ended: The ids of those that left, in order.
    """

    def __init__(self, *, leave: bool = False) -> None:
        self.on: list[str] = []
        self.most = 0
        self.ended: list[str] = []
        self.leave = asyncio.Event()
        self._news = asyncio.Condition()
        if leave:
            self.leave.set()

    async def __call__(self, value: DeliveryReport) -> None:
        """Be called as a handler is."""
        self.on.append(value.voice_id)
        self.most = max(self.most, len(self.on))
        try:
            async with self._news:
                self._news.notify_all()
            await self.leave.wait()
            self.ended.append(value.voice_id)
        finally:
            self.on.remove(value.voice_id)

    async def entered(self, count: int) -> None:
        """Return once so many are on stage at once."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.on) >= count)


async def test_while_a_push_is_handled_the_later_ones_of_its_call_wait(place: Place) -> None:
    """One handler at a time for a call, however many there are for all of them."""
    stage, handler = Stage(), Script()

    async def on_report(value: DeliveryReport) -> None:
        await (stage(value) if value.code == -6 else handler(value))

    async with handled_by(place, on_report) as inbox, handled_by(place, on_report) as other:
        await inbox.put(report("1", code=-6, second=10))
        await stage.entered(1)
        await inbox.put(report("1", code=2, second=50))
        await inbox.put(report("2"))
        await states(inbox, pending=2, handled=1)
        await handler.turn(other)
        assert handler.seen == ["2"]
        stage.leave.set()
        await states(inbox, handled=4)
    assert handler.seen == ["2", "1"]


async def test_an_earlier_report_that_comes_while_a_later_one_is_handled_is_too_late(
    place: Place,
) -> None:
    """The handler knows the later one already."""
    stage = Stage()
    async with handled_by(place, stage) as inbox:
        await inbox.put(report("1", code=2, second=50))
        await stage.entered(1)
        await inbox.put(report("1", code=-6, second=10))
        await states(inbox, pending=1, superseded=1)
        stage.leave.set()
        await states(inbox, handled=1, superseded=1)


async def test_no_more_handlers_run_than_may(place: Place) -> None:
    """However many pushes there are."""
    stage, limit = Stage(), 3
    handling = Handling(concurrency=limit)
    async with handled_by(place, stage, handling=handling) as inbox:
        await asyncio.gather(*(inbox.put(report(str(number))) for number in range(1, 11)))
        await stage.entered(limit)
        assert await claim(inbox, lease=0.0, max_tries=99)  # some are left, and stay so for now
        stage.leave.set()
        await states(inbox, handled=10)
    assert stage.most == limit


async def test_a_handler_that_takes_too_long_has_failed(place: Place) -> None:
    """It is cancelled, and called again later."""
    calls: list[str] = []

    async def slow_at_first(value: DeliveryReport) -> None:
        calls.append("call")
        if len(calls) == 1:
            try:
                await asyncio.Event().wait()
            finally:
                calls.append("cancelled")

    handling = Handling(timeout=0.01, backoff=10.0)
    clock = Clock()
    async with handled_by(place, slow_at_first, handling=handling, clock=clock) as inbox:
        await inbox.put(report("1"))
        assert (await settled(inbox, "1", 1)).error == "TimeoutError"
        clock.now += 10.0
        await states(inbox, handled=1)
    assert calls == ["call", "cancelled", "call"]


async def test_a_handler_that_lets_a_cancellation_out_has_failed(place: Place) -> None:
    """For example that of a task of its own; the worker goes on."""
    handler = Recorder(asyncio.CancelledError())
    async with handled_by(place, handler) as inbox:
        await inbox.put(report("1"))
        await inbox.put(report("2"))
        await states(inbox, handled=2)
        tries = [(await row(inbox, subject)).tries for subject in ("1", "2")]
    assert sorted(tries) == [1, 2]


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
    worker = inbox._open_parts().worker
    closing = asyncio.create_task(inbox.__aexit__(None, None, None))
    while not worker._closing:  # noqa: ASYNC110 - it tells nobody
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

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Worker, "close", never)
    closing = asyncio.create_task(inbox.__aexit__(None, None, None))
    for _ in range(3):
        await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    monkeypatch.undo()
    assert stage.on == []
    assert asyncio.all_tasks() == before
    async with place.inbox() as inbox:
        assert (await row(inbox, "1")).tries == 0


async def test_what_is_claimed_while_the_worker_is_cancelled_is_given_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next process needn't wait for the lease."""
    claiming, go_on = asyncio.Event(), asyncio.Event()
    original = Store.claim

    async def slow(store: Store, *arguments: Any) -> list[Claim]:
        claims = await original(store, *arguments)
        if claims:
            claiming.set()
            await go_on.wait()
        return claims

    monkeypatch.setattr(Store, "claim", slow)
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
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert handler.seen == []
    async with handled_by(place, handler) as inbox:
        await states(inbox, handled=1)


async def test_what_a_dead_process_had_claimed_is_free_when_its_lease_ends(place: Place) -> None:
    """And not before; the try of the dead counts."""
    clock, script = Clock(), Script()
    async with place.inbox(clock=clock) as dead:
        await dead.put(report("1"))
        assert len(await claim(dead, lease=60.0)) == 1
        assert await claim(dead) == []
    async with handled_by(place, script, clock=clock) as inbox:
        clock.now += 59.9
        await script.turn(inbox)
        assert script.seen == []
        clock.now += 0.1
        await states(inbox, handled=2)
        assert (await row(inbox, "1")).tries == 2


async def test_a_push_that_kills_whoever_handles_it_is_dead_in_the_end(place: Place) -> None:
    """No handler is there any more to say that it failed."""
    clock, script = Clock(), Script()
    async with place.inbox(clock=clock) as dead:
        await dead.put(report("1"))
        for _ in range(3):
            assert len(await claim(dead, lease=60.0, max_tries=3)) == 1
            clock.now += 60.0
    handling = Handling(max_tries=3)
    async with handled_by(place, script, clock=clock, handling=handling) as inbox:
        await states(inbox, dead=1)
        assert (await row(inbox, "1")).error == "nothing was heard of its last handler"
        assert script.seen == []


@pytest.mark.parametrize("state", [PushState.HANDLED, PushState.PENDING, PushState.DEAD])
async def test_a_verdict_on_what_was_taken_over_changes_nothing(
    place: Place, state: PushState
) -> None:
    """The claim that counts is the last one; ended twice, it ends once."""
    clock = Clock()
    async with place.inbox(clock=clock) as inbox:
        await inbox.put(report("1"))
        (first,) = await claim(inbox, lease=60.0)
        clock.now += 60.0
        (second,) = await claim(inbox, lease=60.0)
        held = await row(inbox, "1")
        await judge(inbox, Verdict(first, state, due=1.0, error="late", counts=False))
        assert await row(inbox, "1") == held
        await judge(inbox, Verdict(second, PushState.HANDLED))
        await judge(inbox, Verdict(first, state), Verdict(second, PushState.PENDING))
        done = await row(inbox, "1")
        assert (done.state, done.tries, done.error) == ("handled", 2, None)


async def test_who_lost_its_claim_does_not_undo_what_the_next_one_did(place: Place) -> None:
    """A process that was held up for longer than its lease, and then fails."""
    clock, stage, handler = Clock(), Stage(), Recorder()

    async def held_up(value: DeliveryReport) -> None:
        await stage(value)
        raise ValueError

    one = Handling(concurrency=1)  # or it would take its own push over
    async with handled_by(place, held_up, clock=clock, handling=one) as slow:
        await slow.put(report("1"))
        await stage.entered(1)
        clock.now += 60.0
        async with handled_by(place, handler, clock=clock) as quick:
            await handler.called(1)
            await states(quick, handled=1)
        stage.leave.set()
    async with place.inbox() as after:
        assert (await row(after, "1")).state == "handled"


async def test_two_processes_share_the_work(place: Place) -> None:
    """At the same time, and every push is handled by one of them."""
    stages = [Stage(), Stage()]
    handling = Handling(concurrency=1)
    async with (
        handled_by(place, stages[0], handling=handling) as here,
        handled_by(place, stages[1], handling=handling),
    ):
        await here.put(report("1"))
        await here.put(report("2"))
        await asyncio.gather(*(stage.entered(1) for stage in stages))
        for stage in stages:
            stage.leave.set()
        await asyncio.gather(*(here.put(report(str(number))) for number in range(3, 41)))
        await states(here, handled=40)
    done = stages[0].ended + stages[1].ended
    assert sorted(map(int, done)) == list(range(1, 41))


@pytest.mark.parametrize("broken", ["judge", "claim"])
async def test_a_database_that_fails_in_a_turn_forgets_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    """What the handlers have done is stored when it works again; they aren't called again."""
    original = getattr(Store, broken)
    failed = asyncio.Event()

    async def fails(*_: object) -> None:
        failed.set()
        raise ConnectionResetError

    stage = Stage()
    async with handled_by(place, stage) as inbox:
        await inbox.put(report("1"))
        await stage.entered(1)
        monkeypatch.setattr(Store, broken, fails)
        stage.leave.set()
        await failed.wait()
        failed.clear()
        await failed.wait()
        monkeypatch.setattr(Store, broken, original)
        await inbox.put(report("2"))
        await states(inbox, handled=2)
    assert sorted(stage.ended) == ["1", "2"]
    assert "can't claim pushes: " in caplog.text


async def test_errors_are_masked_where_they_are_logged_and_stored(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """In what the handler raised, in what caused it, and in its notes."""

    async def careless(value: DeliveryReport) -> None:
        try:
            raise KeyError(value.mobile)  # noqa: TRY301 - the cause, whose trace shows it
        except KeyError as exc:
            error = ValueError(f"can't call {value.mobile}")
            error.add_note(f"asked for by {value.mobile}")
            raise error from exc

    handling = Handling(max_tries=2, backoff=0.0)
    async with handled_by(place, careless, handling=handling) as inbox:
        await inbox.put(report("1"))
        await states(inbox, dead=1)
        stored = (await row(inbox, "1")).error
    assert stored.startswith("ValueError: can't call 139****0000")
    lines = [each.getMessage() for each in caplog.records if each.name == "ihuyi_voice.pushes"]
    assert len(lines) == 2
    for line in lines:
        assert "KeyError: '139****0000'" in line
        assert "asked for by 139****0000" in line
        assert "in careless" in line
        assert NUMBER not in line
    assert NUMBER not in caplog.text


class Unprintable(Exception):
    """An error that can't even be printed."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "stored"),
    [
        (ValueError("a\0b"), "ValueError: ab"),
        (ValueError("a\ud800b"), "ValueError: a?b"),
        (ValueError("x" * 487 + NUMBER), "ValueError: " + "x" * 487 + "1"),
        (ValueError("成" * 10_000), "ValueError: " + "成" * 488),
        (ValueError(), "ValueError"),
        (Unprintable(), "tests.pushes.test_handling.Unprintable: <exception str() failed>"),
        (ExceptionGroup("two", [ValueError("a"), KeyError("b")]), "ExceptionGroup: two (2 sub-"),
    ],
    ids=["nul", "surrogate", "number", "long", "empty", "unprintable", "group"],
)
async def test_any_error_can_be_stored_and_logged(
    place: Place, caplog: pytest.LogCaptureFixture, error: Exception, stored: str
) -> None:
    """Whatever is in its text, and however long that is."""
    async with handled_by(place, Recorder(error), handling=Handling(max_tries=1)) as inbox:
        await inbox.put(report("1"))
        await states(inbox, dead=1)
        found = (await row(inbox, "1")).error
    assert found.startswith(stored)
    assert len(found) <= 500
    caplog.text.encode()


async def test_a_plain_function_is_a_handler_too(place: Place) -> None:
    """What it returns doesn't matter: it has been called, and is not called again."""
    seen: list[str] = []

    def plain(value: DeliveryReport) -> Any:
        seen.append(value.voice_id)
        return {"1": None, "2": True}.get(value.voice_id)

    async with handled_by(place, plain) as inbox:
        for number in (1, 2, 3):
            await inbox.put(report(str(number)))
        await states(inbox, handled=3)
        assert [(await row(inbox, str(number))).tries for number in (1, 2, 3)] == [1, 1, 1]
    assert sorted(seen) == ["1", "2", "3"]


async def test_whatever_can_be_awaited_is_awaited(place: Place) -> None:
    """A future as well: it has been handled when the future is done."""
    futures: list[asyncio.Future[None]] = []

    def promises(value: DeliveryReport) -> Awaitable[None]:
        futures.append(asyncio.get_running_loop().create_future())
        return futures[-1]

    async with handled_by(place, promises, handling=Handling(max_tries=1)) as inbox:
        await inbox.put(report("1"))
        while not futures:  # noqa: ASYNC110 - filled by the handler
            await asyncio.sleep(0)
        await states(inbox, pending=1)
        futures[0].set_exception(ValueError("no"))
        await states(inbox, dead=1)


async def test_what_can_no_longer_be_read_is_dead_in_the_end(place: Place) -> None:
    """The worker survives it, and it holds up nobody."""
    handler = Recorder()
    handling = Handling(max_tries=2, backoff=0.0)
    async with handled_by(place, handler, handling=handling) as inbox:
        parts = inbox._open_parts()
        unreadable = push_row(report("1"), 0.0) | {"body": b"?", "received_at": 0.0, "due": 0.0}
        await parts.database.write(lambda on: on.execute(insert(parts.store.table), unreadable))
        await inbox.put(report("2"))
        await states(inbox, dead=1, handled=1)
        assert "PushUnreadable" in (await row(inbox, "1")).error


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_statuses_move_forwards_to_the_last(place: Place, seed: int) -> None:
    """Random arrivals, failures and turns, two processes: nothing lost, nothing backwards."""
    chance = random.Random(seed)
    told: list[tuple[str, int]] = []

    async def moody(value: DeliveryReport) -> None:
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
        if chance.random() < 0.3:
            raise ValueError
        assert value.report_time is not None
        told.append((value.voice_id, value.report_time.second))

    pushes = [(str(call), second) for call in range(1, 9) for second in range(5)]
    chance.shuffle(pushes)
    handling = Handling(concurrency=3, backoff=0.0, max_tries=1000)
    async with (
        handled_by(place, moody, handling=handling) as here,
        handled_by(place, moody, handling=handling) as there,
    ):
        for call, second in pushes:
            await chance.choice([here, there]).put(report(call, -6, second))
        counts = await here.counts()
        while counts[PushState.PENDING]:
            counts = await here.counts()
    assert counts[PushState.HANDLED] == len(told)
    assert counts[PushState.HANDLED] + counts[PushState.SUPERSEDED] == len(pushes)
    for call in {call for call, _ in pushes}:
        seconds = [second for of, second in told if of == call]
        assert seconds == sorted(set(seconds))
        assert seconds[-1] == 4


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"concurrency": 0}, "concurrency"),
        ({"timeout": 0.0}, "timeout"),
        ({"lease": 30.0}, "lease"),
        ({"timeout": 60.0}, "lease"),
        ({"lease": float("nan")}, "lease"),
        ({"max_tries": 0}, "max_tries"),
        ({"backoff": -1.0}, "backoff"),
        ({"max_backoff": -1.0}, "max_backoff"),
        ({"grace": -1.0}, "grace"),
    ],
)
def test_an_option_that_can_not_be_right_is_named(options: dict[str, Any], field: str) -> None:
    """A lease that ends before the handler does would call it twice."""
    with pytest.raises(InvalidRequest) as caught:
        Handling(**options)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("tries", "longest"), [(1, 1.0), (2, 2.0), (5, 16.0), (9, 256.0), (10, 300.0), (10**6, 300.0)]
)
def test_pauses_double_up_to_the_longest(tries: int, longest: float) -> None:
    """With up to a tenth of jitter, and after however many tries."""
    pauses = {Handling().pause(tries) for _ in range(100)}
    assert longest * 0.9 <= min(pauses) < max(pauses) <= longest
