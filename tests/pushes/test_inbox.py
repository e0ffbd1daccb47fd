"""What every inbox does, on both databases: keep pushes once, and tell those who wait."""

# Some facts can only be seen from inside.
# pyright: reportPrivateUsage=false

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime

import pytest

from ihuyi_voice import InvalidRequest, VoiceError
from ihuyi_voice.protocol.times import CHINA
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


async def test_a_report_ends_the_wait_for_it_and_no_other(place: Place) -> None:
    """The one who waits for another goes on waiting."""
    async with place.inbox() as inbox:
        one = asyncio.create_task(inbox.report_of("1", timeout=30))
        two = asyncio.create_task(inbox.report_of("2", timeout=30))
        same = asyncio.create_task(inbox.audit_of("1", timeout=30))
        await inbox.put(report("1"))
        assert (await one).voice_id == "1"
        assert not two.done()
        await inbox.put(audit("1"))
        await inbox.put(report("2"))
        assert (await same).template_id == "1"
        assert (await two).voice_id == "2"


async def test_many_wait_for_one_report(place: Place) -> None:
    """And all of them get it."""
    async with place.inbox() as inbox:
        waits = [asyncio.create_task(inbox.report_of("1", timeout=30)) for _ in range(20)]
        await asyncio.sleep(0)
        await inbox.put(report("1"))
        assert {each.voice_id for each in await asyncio.gather(*waits)} == {"1"}


async def test_another_process_wakes_those_who_wait(place: Place) -> None:
    """What is stored there is seen here."""
    async with place.inbox() as here, place.inbox() as there:
        wait = asyncio.create_task(here.report_of("1", timeout=30))
        await there.put(report("2"))
        await there.put(report("1"))
        assert (await wait).voice_id == "1"
        await there.put(report("3"))
        assert (await here.report_of("3", timeout=30)).voice_id == "3"


async def test_a_report_that_does_not_come_is_a_timeout(place: Place) -> None:
    """TimeoutError, as everywhere in asyncio."""
    async with place.inbox() as inbox:
        for timeout in (0, 0.02):
            with pytest.raises(TimeoutError):
                await inbox.report_of("1", timeout=timeout)
            with pytest.raises(TimeoutError):
                await inbox.audit_of("1", timeout=timeout)


async def test_closing_ends_every_wait(place: Place) -> None:
    """With an error that says so; iterators just end."""
    async with place.inbox() as inbox:
        wait = asyncio.create_task(inbox.report_of("1"))
        reports = inbox.reports()
        follow = asyncio.ensure_future(anext(reports, None))
        await inbox.counts()  # both have begun to wait by the time that a query has been answered
    with pytest.raises(InboxClosed):
        await wait
    assert await follow is None


async def test_the_iterator_yields_what_is_stored_from_now_on(place: Place) -> None:
    """By this process and by another, each once, audits left out."""
    async with place.inbox() as there:
        await there.put(report("1"))
        async with place.inbox() as here:
            reports = here.reports()
            await here.put(report("2"))
            await here.put(report("2"))
            await there.put(audit("2"))
            await there.put(report("3"))
            assert [(await anext(reports)).voice_id for _ in range(2)] == ["2", "3"]
            following = asyncio.ensure_future(anext(reports))
            await there.put(report("4"))
            assert (await following).voice_id == "4"


async def test_the_iterator_never_goes_back_in_time(place: Place) -> None:
    """A report that comes after a later one of the same call is left out."""
    async with place.inbox() as inbox:
        reports = inbox.reports()
        for code, second in ((-6, 10), (2, 50), (-4, 20)):
            await inbox.put(report("1", code, second))
        await inbox.put(report("2"))
        found = [await anext(reports) for _ in range(3)]
        assert [(each.voice_id, each.code) for each in found] == [("1", -6), ("1", 2), ("2", 2)]


async def test_the_iterator_pages_through_a_backlog(place: Place) -> None:
    """However much was stored while its consumer was busy."""
    async with place.inbox() as inbox:
        reports = inbox.reports()
        await asyncio.gather(*(inbox.put(report(str(number))) for number in range(1, 251)))
        found = {(await anext(reports)).voice_id for _ in range(250)}
        assert found == {str(number) for number in range(1, 251)}


async def test_the_iterator_ends_with_what_is_stored_if_it_shall(place: Place) -> None:
    """However much that is; and the inbox has a name under which a `seq` can be kept."""
    async with place.inbox() as inbox:
        await asyncio.gather(*(inbox.put(report(str(number))) for number in range(1, 601)))
        seqs = [each.seq async for each in inbox.reports(since=0, follow=False)]
        assert len(seqs) == 600
        assert [each async for each in inbox.reports(since=seqs[-1], follow=False)] == []
        assert inbox.identity == place.inbox().identity
        assert inbox.identity != Inbox.open("elsewhere.db").identity


async def test_the_idle_tail_keeps_up_with_the_table(place: Place) -> None:
    """So that a later iterator doesn't begin at the beginning."""
    async with place.inbox() as inbox:
        await inbox.put(report("1"))
        tail = inbox._open_parts().tail
        while not tail.seen:  # noqa: ASYNC110 - it tells nobody when it has looked
            await asyncio.sleep(0)
        async with aclosing(inbox.reports(tail.seen)) as reports:
            await inbox.put(report("2"))
            assert (await anext(reports)).voice_id == "2"


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


async def test_a_database_that_goes_away_and_comes_back_is_bridged(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Those who wait go on waiting, and the log says why it takes so long."""
    follow = Store.subjects_after
    failed = asyncio.Event()

    async def broken(*_: object, **__: object) -> list[tuple[int, str, str]]:
        failed.set()
        raise InboxUnavailable("the inbox's database failed: ConnectionResetError")

    monkeypatch.setattr(Store, "subjects_after", broken)
    async with place.inbox() as inbox:
        wait = asyncio.create_task(inbox.report_of("1", timeout=30))
        await failed.wait()
        monkeypatch.setattr(Store, "subjects_after", follow)
        await inbox.put(report("1"))
        assert (await wait).voice_id == "1"
    assert "can't look for new pushes: the inbox's database failed: Conn" in caplog.text


async def test_a_log_that_fails_ends_nobodys_wait(
    place: Place, monkeypatch: pytest.MonkeyPatch, log_that_fails: list[str]
) -> None:
    """A filter of somebody's raises when the database is away: it is bridged all the same."""
    follow = Store.subjects_after

    async def broken(*_: object, **__: object) -> list[tuple[int, str, str]]:
        monkeypatch.setattr(Store, "subjects_after", follow)
        raise InboxUnavailable("the inbox's database failed: ConnectionResetError")

    monkeypatch.setattr(Store, "subjects_after", broken)
    async with place.inbox() as inbox:
        wait = asyncio.create_task(inbox.report_of("1", timeout=30))
        await inbox.put(report("1"))
        assert (await wait).voice_id == "1"
        later = asyncio.create_task(inbox.report_of("2", timeout=30))
        await inbox.counts()  # by the time that a query has been answered, it waits
        await inbox.put(report("2"))
        assert (await later).voice_id == "2"
    assert log_that_fails


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
