"""Handlers get every push, once as a rule, and never out of order."""

import asyncio
import random

import pytest

from ihuyi_voice.pushes import DeliveryReport, Handling, PushState
from tests.pushes.handlers import HOUR, Script, Stage, claim, later, settled
from tests.pushes.support import Place, Recorder, audit, handled_by, report, states


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
    handler, on_audit = Recorder(ValueError()), Recorder()
    handling = Handling(backoff=HOUR, max_backoff=HOUR)
    async with handled_by(place, handler, on_audit, handling=handling) as inbox:
        await inbox.put(report("1", code=-6, second=10))
        await settled(inbox, "1", 1)
        await inbox.put(report("1", code=2, second=50))
        await inbox.put(report("2", code=-4))
        await inbox.put(audit("1"))
        await states(inbox, pending=2, handled=2)
        await later(inbox, HOUR)
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


@pytest.mark.long
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
