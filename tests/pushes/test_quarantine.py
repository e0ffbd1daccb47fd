"""What can't be read is kept as it came, once, until somebody knows better."""

import asyncio
import logging
from datetime import UTC, datetime

import attrs
import pytest

from ihuyi_voice.protocol import Push, PushUnreadable, RawPush, parse_push
from ihuyi_voice.pushes import PushState
from tests.pushes.handlers import NUMBER, Clock, change
from tests.pushes.support import (
    FORM,
    Place,
    Recorder,
    audit,
    audit_form,
    handled_by,
    report,
    report_form,
    states,
)

ODD = RawPush(b"voiceid=1&code=DELIVRD&mobilephone=13900000000", FORM, "code is odd")


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the parser read what it could not read before: an odd code is 2."""

    def parse(body: bytes, content_type: str = "") -> Push:
        return parse_push(body.replace(b"DELIVRD", b"2"), content_type)

    monkeypatch.setattr("ihuyi_voice.pushes.reading.parse_push", parse)


@pytest.fixture
def stricter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the parser refuse reports of an odd second, or fail at them."""

    def parse(body: bytes, content_type: str = "") -> Push:
        if b"3A31" in body:
            raise PushUnreadable(f"no longer, {NUMBER}\n")
        if b"3A33" in body:
            raise ZeroDivisionError
        return parse_push(body, content_type)

    monkeypatch.setattr("ihuyi_voice.pushes.reading.parse_push", parse)


async def test_what_can_not_be_read_is_kept_as_it_came(place: Place) -> None:
    """With its reason and its time; its number stays out of every text."""
    clock = Clock()
    async with place.inbox(clock=clock) as inbox:
        await inbox.quarantine(ODD)
        await states(inbox, quarantined=1)
        (found,) = await inbox.quarantined()
    assert (found.body, found.content_type, found.reason) == attrs.astuple(ODD)
    assert found.received_at == datetime.fromtimestamp(clock.now, UTC)
    assert NUMBER not in repr(found)
    assert "DELIVRD" in repr(found)


async def test_three_tries_of_what_can_not_be_read_are_one(place: Place) -> None:
    """In any process; with another Content-Type, it is another."""
    async with place.inbox() as here, place.inbox() as there:
        await asyncio.gather(*(box.quarantine(ODD) for box in (here, there, here)))
        await here.quarantine(attrs.evolve(ODD, content_type="text/plain"))
        await states(there, quarantined=2)
        assert [each.content_type for each in await there.quarantined()] == [FORM, "text/plain"]


async def test_no_handler_and_nobody_who_waits_sees_it(place: Place) -> None:
    """What comes after it is none the worse."""
    handler = Recorder()
    async with handled_by(place, handler, handler) as inbox:
        reports = inbox.reports()
        await inbox.quarantine(ODD)
        await inbox.put(report("2"))
        await states(inbox, quarantined=1, handled=1)
        assert (await anext(reports)).voice_id == "2"
        with pytest.raises(TimeoutError):
            await inbox.report_of("1", timeout=0)
        assert await inbox.replay() == 0
    assert len(handler.seen) == 1


async def test_texts_that_a_database_does_not_take_are_made_such(place: Place) -> None:
    """A NUL, or half a surrogate pair, in what comes from outside."""
    odd = RawPush(b"\x00\xff", "text/\0plain\ud800", "a \0 in it \ud800")
    async with place.inbox() as inbox:
        await inbox.quarantine(odd)
        (found,) = await inbox.quarantined()
    assert (found.body, found.content_type, found.reason) == (odd.body, "text/plain?", "a  in it ?")


async def test_many_are_listed_in_their_order(place: Place) -> None:
    """However many there are."""
    bodies = [b"%d" % number for number in range(250)]
    async with place.inbox() as inbox:
        await asyncio.gather(*(inbox.quarantine(RawPush(body, "", "odd")) for body in bodies))
        assert [each.body for each in await inbox.quarantined()] == bodies


async def test_what_can_still_not_be_read_stays(place: Place) -> None:
    """Nothing is lost by trying."""
    async with place.inbox() as inbox:
        await inbox.quarantine(ODD)
        assert await inbox.parse_again() == 0
        await states(inbox, quarantined=1)


@pytest.mark.usefixtures("newer")
async def test_what_can_be_read_now_is_an_ordinary_push(place: Place) -> None:
    """Handled, waited for, iterated over; and it arrived when it arrived."""
    clock, handler = Clock(), Recorder()
    async with handled_by(place, handler, clock=clock) as inbox:
        await inbox.quarantine(ODD)
        await inbox.quarantine(RawPush(b"?", "", "nonsense"))
        reports = inbox.reports()
        waiting = asyncio.create_task(inbox.report_of("1"))
        clock.now += 1e6
        assert await inbox.parse_again() == 1
        await states(inbox, quarantined=1, handled=1)
        assert (await waiting).code == (await anext(reports)).code == 2
        assert await inbox.parse_again() == 0
        assert await inbox.purge(before=datetime.fromtimestamp(clock.now, UTC)) == 1
    assert [value.voice_id for value in handler.seen] == ["1"]


@pytest.mark.usefixtures("newer")
async def test_what_is_parsed_again_by_many_is_one_push(place: Place) -> None:
    """And if the same push came in another form meanwhile, it is that one."""
    readable = parse_push(ODD.body.replace(b"DELIVRD", b"2"), FORM)
    async with place.inbox() as here, place.inbox() as there:
        await here.quarantine(ODD)
        freed = await asyncio.gather(*(box.parse_again() for box in (here, there) * 3))
        assert sum(freed) == 1
        await states(here, pending=1)
        await here.put(readable)
        await here.quarantine(ODD)
        assert await there.parse_again() == 1
        await states(here, pending=1)


@pytest.mark.usefixtures("newer")
async def test_an_audit_that_is_read_late_moves_no_status_backwards(place: Place) -> None:
    """It stands behind what came after it, before it is handled and after that."""
    odd = RawPush(audit_form("1").replace(b"code=2", b"code=DELIVRD"), FORM, "code is odd")
    clock, handler = Clock(), Recorder()
    async with place.inbox(clock=clock) as inbox:
        await inbox.quarantine(odd)
        clock.now += 60
        await inbox.put(audit("1", code=0, msg="no"))
        assert await inbox.parse_again() == 1
        assert not (await inbox.audit_of("1", timeout=0)).approved
        inbox.handle(on_audit=handler)
        await states(inbox, handled=2)
        assert [each.approved for each in handler.seen] == [True, False]
        clock.now -= 30
        await inbox.quarantine(attrs.evolve(odd, body=odd.body.replace(b"msg=", b"msg=.")))
        assert await inbox.parse_again() == 1
        await states(inbox, handled=2, superseded=1)


@pytest.mark.usefixtures("newer")
async def test_what_is_read_late_takes_no_tries_from_what_is_new(place: Place) -> None:
    """The same push came again weeks later, and so does its third try."""
    clock = Clock()
    readable = parse_push(ODD.body.replace(b"DELIVRD", b"2"), FORM)
    async with place.inbox(clock=clock) as inbox:
        await inbox.quarantine(ODD)
        clock.now += 1e6
        await inbox.put(readable)
        assert await inbox.parse_again() == 1
        await inbox.put(readable)
        await states(inbox, pending=2)


async def test_a_parser_that_fails_at_one_reads_the_others(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What made it fail when it came stays in quarantine, and holds up nothing behind it."""

    def parse(body: bytes, content_type: str = "") -> Push:
        if body == ODD.body:
            raise ZeroDivisionError
        return parse_push(body, content_type)

    monkeypatch.setattr("ihuyi_voice.pushes.reading.parse_push", parse)
    async with place.inbox() as inbox:
        await inbox.quarantine(ODD)
        await inbox.quarantine(RawPush(report_form("2"), FORM, "odd"))
        assert await inbox.parse_again() == 1
        await states(inbox, quarantined=1, pending=1)
    assert "push 1 can't be read: ZeroDivisionError" in caplog.text


@pytest.mark.usefixtures("newer")
async def test_one_transaction_frees_a_push(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, the push is in quarantine as before."""

    def broken(*_: object) -> object:
        raise OSError("No space left on device")

    async with place.inbox() as inbox:
        await inbox.quarantine(ODD)
        monkeypatch.setattr("ihuyi_voice.pushes.quarantine.stored", broken)
        with pytest.raises(Exception, match="No space left"):
            await inbox.parse_again()
        await states(inbox, quarantined=1)


@pytest.mark.usefixtures("stricter")
async def test_a_stored_push_that_can_no_longer_be_read_poisons_nothing(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """The one before it counts, iterators pass it over, and the log says so on one line."""
    async with place.inbox() as inbox:
        for call, second in (("1", 30), ("1", 31), ("1", 33), ("2", 31), ("3", 30)):
            body = report_form(call, second=second)
            await inbox.put(Push(report(call, second=second).value, body, FORM))
        reports = inbox.reports(since=0)
        assert [(await anext(reports)).voice_id for _ in range(2)] == ["1", "3"]
        found = await inbox.report_of("1", timeout=0)
        assert found.report_time is not None
        assert found.report_time.second == 30
        with pytest.raises(TimeoutError):
            await inbox.report_of("2", timeout=0)
        waiting = asyncio.create_task(inbox.report_of("2"))
        await inbox.put(report("2", second=32))
        assert (await waiting).code == 2
        assert (await inbox.counts())[PushState.PENDING] == 6
    told = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert any("can't be read any more: no longer, 139****0000\\n" in line for line in told)
    assert any(line.endswith("can't be read any more: ZeroDivisionError") for line in told)


async def test_a_kind_that_nobody_knows_concerns_nobody(place: Place) -> None:
    """A newer version may store it."""
    handler = Recorder()
    async with place.inbox() as inbox:
        await inbox.put(audit("1"))
        await change(inbox, "kind = 'fax'")
        inbox.handle(on_report=handler, on_audit=handler)
        reports = inbox.reports(since=0)
        await inbox.put(report("1"))
        assert (await anext(reports)).voice_id == "1"
        await states(inbox, pending=1, handled=1)
    assert len(handler.seen) == 1
