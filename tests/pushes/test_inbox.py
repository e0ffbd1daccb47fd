"""What every inbox does, on both databases: keep pushes once, and tell those who wait."""

# Some facts can only be seen from inside.
# pyright: reportPrivateUsage=false

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from ihuyi_voice import InvalidRequest, VoiceError
from ihuyi_voice.models import CHINA
from ihuyi_voice.protocol import RawPush
from ihuyi_voice.pushes import Inbox, InboxClosed, InboxUnavailable, PushState
from ihuyi_voice.pushes.arrivals import Arrival
from ihuyi_voice.pushes.claims import Terms
from ihuyi_voice.pushes.store import Store
from ihuyi_voice.storage import Work
from tests.pushes.support import Place, audit, report, report_form, states


async def test_tries_that_arrive_at_once_are_one_record(place: Place) -> None:
    """In two processes on one database as well."""
    async with place.inbox() as here, place.inbox() as there:
        pushes = [report(str(voice_id)) for voice_id in range(1, 51)]
        await asyncio.gather(*(box.put(push) for push in pushes for box in (here, there, here)))
        await states(here, pending=50)


async def test_what_is_put_is_there_after_a_restart(place: Place) -> None:
    """In the same inbox, opened again, and in another."""
    inbox = place.inbox()
    async with inbox:
        await inbox.put(report("7"))
    async with inbox:
        assert (await inbox.report_of("7", timeout=0)).voice_id == "7"
    async with place.inbox() as another:
        assert (await another.report_of("7", timeout=0)).voice_id == "7"


async def test_the_payload_is_kept_as_it_came(place: Place) -> None:
    """Fields that nobody knows included, and the first try's."""
    async with place.inbox() as inbox:
        await inbox.put(report("7"))
        stored = await inbox._open_parts().store.newest("report", ["7"])
    assert stored["7"].body == report_form("7")


async def test_the_latest_report_of_a_call_counts(place: Place) -> None:
    """By the vendor's time, in whatever order they arrive."""
    async with place.inbox() as inbox:
        await inbox.put(report("7", code=2, second=50))
        await inbox.put(report("7", code=-6, second=10))
        found = await inbox.report_of("7", timeout=0)
        assert found.report_time == datetime(2018, 5, 24, 17, 46, 50, tzinfo=CHINA)
        await states(inbox, pending=2)


async def test_the_last_audit_of_a_template_counts(place: Place) -> None:
    """They carry no time, so it is the order of their arrival that counts."""
    async with place.inbox() as inbox:
        await inbox.put(audit("5", code=0, msg="含有敏感字符"))
        assert (await inbox.audit_of("5", timeout=0)).msg == "含有敏感字符"
        await inbox.put(audit("5", code=2))
        assert (await inbox.audit_of("5")).approved


async def test_pushes_that_arrive_together_share_a_commit(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred pushes need a handful of transactions."""
    groups: list[int] = []
    insert = Store._insert

    async def counted(self: Store, rows: Sequence[Arrival]) -> None:
        groups.append(len(rows))
        await insert(self, rows)

    monkeypatch.setattr(Store, "_insert", counted)
    async with place.inbox() as inbox:
        await asyncio.gather(*(inbox.put(report(str(number))) for number in range(1, 101)))
    assert sum(groups) == 100
    assert len(groups) <= 3


async def test_a_put_that_was_cancelled_is_stored_all_the_same(place: Place) -> None:
    """Its sender will try again, which changes nothing."""
    async with place.inbox() as inbox:
        put = asyncio.create_task(inbox.put(report("1")))
        await asyncio.sleep(0)
        put.cancel()
        await asyncio.gather(put, return_exceptions=True)
        assert put.cancelled()
        assert (await inbox.report_of("1", timeout=30)).voice_id == "1"


async def test_closing_writes_what_has_been_put(place: Place) -> None:
    """Whoever puts is told so, as ever."""
    async with place.inbox() as inbox:
        puts = [asyncio.create_task(inbox.put(report(str(number)))) for number in range(1, 11)]
        await asyncio.sleep(0)
    await asyncio.gather(*puts)
    async with place.inbox() as inbox:
        await states(inbox, pending=10)


async def test_a_failed_commit_fails_all_of_its_pushes_and_no_later_ones(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told that something was stored which wasn't."""

    def broken(*_: object) -> Work[None]:
        yield from ()
        raise OSError("No space left on device")

    async with place.inbox() as inbox:
        monkeypatch.setattr("ihuyi_voice.pushes.store.stored", broken)
        puts = (inbox.put(report(str(number))) for number in (1, 2))
        errors = await asyncio.gather(*puts, return_exceptions=True)
        assert [type(error) for error in errors] == [InboxUnavailable] * 2
        await states(inbox)
        monkeypatch.undo()
        await inbox.put(report("1"))
        await states(inbox, pending=1)


async def test_more_than_the_database_can_take_is_refused(place: Place) -> None:
    """Memory is bounded; the sender tries again."""
    async with place.inbox() as inbox:
        inbox._open_parts().store._commits._most_waiting = 2
        puts = (inbox.put(report(str(number))) for number in (1, 2, 3))
        errors = await asyncio.gather(*puts, return_exceptions=True)
        assert [type(error) for error in errors] == [type(None), type(None), InboxUnavailable]
        assert "too slow" in str(errors[2])


async def test_an_inbox_of_another_event_loop_says_so(place: Place) -> None:
    """Its futures would never wake anybody there: a push would be refused that was stored."""
    async with place.inbox() as inbox:
        await inbox.put(report("1"))

        async def elsewhere() -> None:
            for call in (
                inbox.put(report("2")),
                inbox.quarantine(RawPush(b"?", "", "odd")),
                inbox.report_of("1", timeout=0),
                inbox.audit_of("1", timeout=0),
                inbox.replay(),
                inbox.counts(),
                inbox.purge(datetime.now(UTC)),
                inbox.quarantined(),
                inbox.parse_again(),
                inbox.__aexit__(None, None, None),
            ):
                with pytest.raises(InboxUnavailable, match="another event loop"):
                    await call
            with pytest.raises(InboxUnavailable, match="another event loop"):
                inbox.reports()

        await asyncio.to_thread(asyncio.run, elsewhere())
        assert inbox.is_open
        assert (await inbox.report_of("1")).voice_id == "1"
        assert sum((await inbox.counts()).values()) == 1


async def test_an_inbox_that_is_not_open_says_so(place: Place) -> None:
    """Before, and after."""
    inbox = place.inbox()
    for _ in range(2):
        assert not inbox.is_open
        for call in (inbox.put(report()), inbox.report_of("1"), inbox.replay(), inbox.counts()):
            with pytest.raises(InboxClosed):
                await call
        with pytest.raises(InboxClosed):
            inbox.reports()
        async with inbox:
            assert inbox.is_open


async def test_an_inbox_can_be_opened_once_at_a_time(place: Place) -> None:
    """And is none the worse for the attempt; closing a closed one is nothing."""
    inbox = place.inbox()
    async with inbox:
        with pytest.raises(InvalidRequest):
            await inbox.__aenter__()
        await inbox.put(report())
    await inbox.__aexit__(None, None, None)


async def test_two_processes_may_open_a_new_database_at_once(place: Place) -> None:
    """The table is created once."""
    inboxes = [place.inbox() for _ in range(4)]
    await asyncio.gather(*(inbox.__aenter__() for inbox in inboxes))
    await inboxes[0].put(report())
    await states(inboxes[3], pending=1)
    for inbox in inboxes:
        await inbox.__aexit__(None, None, None)


async def test_closing_that_is_cancelled_leaves_nothing_running(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tasks have ended and the connections are closed."""
    before = asyncio.all_tasks()
    inbox = place.inbox()
    await inbox.__aenter__()

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Store, "_store", never)
    put = asyncio.create_task(inbox.put(report()))
    await asyncio.sleep(0)
    closing = asyncio.create_task(inbox.__aexit__(None, None, None))
    for _ in range(3):
        await asyncio.sleep(0)
    put.cancel()
    closing.cancel()
    await asyncio.gather(closing, put, return_exceptions=True)
    assert closing.cancelled()
    assert asyncio.all_tasks() == before


async def test_a_closed_database_is_not_used_again(place: Place) -> None:
    """Whoever still has it in hand is told."""
    async with place.inbox() as inbox:
        store, terms = inbox._open_parts().store, Terms(60.0, 10)
    for use in (
        store.counts(),
        store.replay(),
        store.put(report(), 0.0),
        store.turn([], {"report": 1}, terms),
    ):
        with pytest.raises(InboxClosed, match="the inbox's database"):
            await use


async def test_no_log_line_shows_a_number(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Not even at DEBUG, and whatever the driver says."""
    caplog.set_level(logging.DEBUG)
    async with place.inbox() as inbox:
        await inbox.put(report())
        await states(inbox, pending=1)
    assert "13900000000" not in caplog.text


async def test_counts_has_every_state(place: Place) -> None:
    """Also those that nothing is in."""
    async with place.inbox() as inbox:
        assert await inbox.counts() == dict.fromkeys(PushState, 0)


def test_unavailable_is_an_error_of_ours() -> None:
    """One except clause is enough for everything of this package."""
    assert issubclass(InboxClosed, InboxUnavailable)
    assert issubclass(InboxUnavailable, VoiceError)
    assert not hasattr(Inbox, "__del__")
