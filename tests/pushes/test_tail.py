"""Those who wait hear of what is stored, by this process or another; iterators get each report."""

# Some facts can only be seen from inside.
# pyright: reportPrivateUsage=false

import asyncio
from contextlib import aclosing

import pytest

from ihuyi_voice.pushes import InboxClosed, InboxUnavailable
from ihuyi_voice.pushes.store import Store
from tests.pushes.support import Place, audit, report


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
    """However much that is."""
    async with place.inbox() as inbox:
        await asyncio.gather(*(inbox.put(report(str(number))) for number in range(1, 601)))
        seqs = [each.seq async for each in inbox.reports(since=0, follow=False)]
        assert len(seqs) == 600
        assert [each async for each in inbox.reports(since=seqs[-1], follow=False)] == []


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
