"""What is another try of one push, and what is news: by the key, and by a window of time."""

# Some facts can only be seen from inside.
# pyright: reportPrivateUsage=false

import asyncio

import pytest

from ihuyi_voice import InvalidRequest
from ihuyi_voice.pushes import Inbox
from tests.pushes.handlers import HOUR, Clock, rows
from tests.pushes.support import Place, Recorder, audit, handled_by, report, states

DAY = 24 * HOUR


async def test_three_tries_within_an_hour_are_one_push(place: Place) -> None:
    """Minutes apart, in another process, and at a clock that is a little behind."""
    clock = Clock()
    async with place.inbox(clock=clock) as here, place.inbox(clock=clock) as there:
        for box, minutes in ((here, 0), (there, 59), (there, -5)):
            clock.now = 1.5e9 + minutes * 60
            await box.put(report("1"))
        await states(here, pending=1)
        assert len(await rows(here, "1")) == 1


async def test_tries_at_once_are_one_push(place: Place) -> None:
    """From two processes, and also when the same was stored long ago."""
    clock = Clock()
    async with place.inbox(clock=clock) as here, place.inbox(clock=clock) as there:
        for count in (1, 2):
            puts = (box.put(audit("5", code=0, msg="no")) for box in (here, there) * 10)
            await asyncio.gather(*puts)
            await states(here, pending=count)
            clock.now += DAY


async def test_the_same_audit_weeks_later_is_news(place: Place) -> None:
    """Rejected, approved, rejected again with the same reason: it is rejected, and handled so."""
    clock, handler = Clock(), Recorder()
    async with handled_by(place, None, handler, clock=clock) as inbox:
        for count, code in enumerate((0, 2, 0), 1):
            for _ in range(3):
                await inbox.put(audit("5", code=code, msg="" if code else "no"))
            await states(inbox, handled=count)
            clock.now += 14 * DAY
        assert not (await inbox.audit_of("5", timeout=0)).approved
    assert [value.approved for value in handler.seen] == [False, True, False]


async def test_how_long_tries_take_can_be_said(place: Place) -> None:
    """In seconds."""
    clock = Clock()
    async with place.inbox(clock=clock, tries_within=10.0) as inbox:
        for second in (0, 9.9, 10.0, 19.9, 20.1):
            clock.now = 1.5e9 + second
            await inbox.put(audit("5"))
        stored = await rows(inbox, "5")
    assert [row.received_at - 1.5e9 for row in stored] == [0, 10, pytest.approx(20.1)]
    assert len({row.key for row in stored}) == 3


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan")])
def test_tries_take_time(wrong: float) -> None:
    """Or every try would be a push of its own."""
    with pytest.raises(InvalidRequest, match="tries_within"):
        Inbox.open("a.db", tries_within=wrong)


@pytest.mark.parametrize("hours", [-1, 1 / 12, 24 * 365])
async def test_a_fresh_push_is_due_at_once(place: Place, hours: float) -> None:
    """Whatever the clock of the receiver says, and whatever it said when others were stored."""
    clock, handler = Clock(), Recorder()
    async with handled_by(place, handler, clock=clock) as inbox:
        await inbox.put(report("1"))
        clock.now += hours * HOUR
        await inbox.put(report("2"))
        await states(inbox, handled=2)
    async with place.inbox(clock=clock) as inbox:
        clock.now += hours * HOUR
        await inbox.put(report("3"))
        clock.now -= 3 * hours * HOUR
        inbox.handle(on_report=handler)
        await states(inbox, handled=3)
