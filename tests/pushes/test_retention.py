"""What has been handled is kept as long as is said, and forgotten a little at a time."""

# Some facts can only be seen from inside.
# pyright: reportPrivateUsage=false

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ihuyi_voice import InvalidRequest
from ihuyi_voice.pushes import Handling, Inbox, InboxClosed, InboxUnavailable, PushState
from ihuyi_voice.pushes.store import Store
from tests.pushes.handlers import HOUR, Clock, Script, rows
from tests.pushes.support import Place, Recorder, audit, handled_by, report, states

DAY = 24 * HOUR
NO_TRIES = Handling(max_tries=1)


def at(seconds: float) -> datetime:
    """Return a time."""
    return datetime.fromtimestamp(seconds, UTC)


async def stocked(inbox: Inbox, clock: Clock) -> None:
    """Store a push in each state: handled, dead, superseded, pending and quarantined."""
    from ihuyi_voice.protocol import RawPush  # noqa: PLC0415

    await inbox.put(report("1", second=50))
    await inbox.put(report("2"))
    await states(inbox, handled=1, dead=1)
    await inbox.put(report("1", second=10))
    await inbox.put(audit("3"))
    await inbox.quarantine(RawPush(b"?", "", "nonsense"))
    await states(inbox, handled=1, dead=1, superseded=1, pending=1, quarantined=1)


async def test_only_what_is_done_is_forgotten(place: Place) -> None:
    """And only if it arrived before; the counts know, and so does a new try of what is gone."""
    clock, script = Clock(), Script(**{"2": [ValueError()]})
    async with handled_by(place, script, clock=clock, handling=NO_TRIES) as inbox:
        await stocked(inbox, clock)
        assert await inbox.purge(before=at(clock.now)) == 0
        clock.now += 1
        assert await inbox.purge(before=at(clock.now)) == 2
        await states(inbox, dead=1, pending=1, quarantined=1)
        assert await rows(inbox, "1") == []
        with pytest.raises(TimeoutError):
            await inbox.report_of("1", timeout=0)
        assert await inbox.purge(before=at(clock.now)) == 0
        await inbox.put(report("1", second=50))
        await states(inbox, handled=1, dead=1, pending=1, quarantined=1)


async def test_a_push_is_kept_while_another_try_of_it_may_come(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However short `keep` is: what was handled is known when the vendor tries again."""
    clock, handler, looked, purge = Clock(), Recorder(), asyncio.Event(), Store.purge

    async def watched(*arguments: Any) -> Any:
        done = await purge(*arguments)
        looked.set()
        return done

    async with handled_by(place, handler, clock=clock) as inbox:
        await inbox.put(report("1"))
        await states(inbox, handled=1)
    clock.now += 600
    monkeypatch.setattr(Store, "purge", watched)
    async with handled_by(place, handler, clock=clock, keep=timedelta(minutes=1)) as inbox:
        await looked.wait()
        await inbox.put(report("1"))
        await states(inbox, handled=1)
        clock.now += HOUR
        await states(inbox)
    assert len(handler.seen) == 1


async def test_numbers_are_never_used_again(place: Place) -> None:
    """Whoever goes on after one that was forgotten misses nothing."""
    clock = Clock()
    async with handled_by(place, Recorder(), clock=clock) as inbox:
        await inbox.put(report("1"))
        await states(inbox, handled=1)
        (row,) = await rows(inbox, "1")
        await inbox.purge(before=at(clock.now + 1))
        await inbox.put(report("2"))
        assert (await inbox.report_of("2")).seq == row.seq + 1


async def test_it_goes_in_small_transactions(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others have their turn between, also when many arrived at the same moment."""
    monkeypatch.setattr("ihuyi_voice.pushes.retention._CHUNK", 10)
    purges: list[int] = []
    purge = Store.purge

    async def watched(store: Store, *arguments: Any) -> Any:
        done = await purge(store, *arguments)
        purges.append(done.pushes)
        return done

    monkeypatch.setattr(Store, "purge", watched)
    clock = Clock()
    async with handled_by(place, Recorder(), clock=clock) as inbox:
        await asyncio.gather(*(inbox.put(report(str(number))) for number in range(1, 36)))
        await states(inbox, handled=35)
        purging = asyncio.create_task(inbox.purge(before=at(clock.now + 1)))
        while not purges:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
        await inbox.put(report("36"))  # and it is not too late for it
        assert not purging.done()
        assert await purging in {35, 36}
    assert purges[:3] == [10, 10, 10]


async def test_what_is_too_old_goes_at_opening_and_every_hour(place: Place) -> None:
    """By the inbox's clock."""
    clock, keep = Clock(), timedelta(days=90)
    async with handled_by(place, Recorder(), clock=clock) as inbox:
        await inbox.put(report("1"))
        await states(inbox, handled=1)
    clock.now += 90 * DAY
    async with handled_by(place, Recorder(), clock=clock, keep=keep) as inbox:
        await inbox.put(report("2"))
        await states(inbox, handled=2)  # not a second too early
        clock.now += HOUR
        await states(inbox, handled=1)
    clock.now += 90 * DAY
    async with place.inbox(clock=clock, keep=keep) as inbox:
        await states(inbox)


async def test_a_database_that_is_away_is_purged_when_it_is_back(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, and nothing else suffers."""
    clock, failed, back, purge = Clock(), asyncio.Event(), asyncio.Event(), Store.purge

    async def away(*arguments: Any) -> Any:
        failed.set()
        if back.is_set():
            return await purge(*arguments)
        raise InboxUnavailable("the inbox's database failed: ConnectionResetError")

    async with handled_by(place, Recorder(), clock=clock) as inbox:
        await inbox.put(report("1"))
        await states(inbox, handled=1)
    clock.now += DAY
    monkeypatch.setattr(Store, "purge", away)
    async with place.inbox(clock=clock, keep=timedelta(hours=1)) as inbox:
        for _ in range(2):
            await failed.wait()
            failed.clear()
        back.set()
        await states(inbox)
    told = [each.getMessage() for each in caplog.records if "purge" in each.getMessage()]
    assert [line.partition(":")[0] for line in told] == [
        "can't purge old pushes",
        "can purge old pushes again",
    ]


async def test_a_purge_ends_when_the_inbox_is_closed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the transaction that runs; one that somebody asked for says so."""
    monkeypatch.setattr("ihuyi_voice.pushes.retention._CHUNK", 1)
    before, clock = asyncio.all_tasks(), Clock()
    async with handled_by(place, Recorder(), clock=clock) as inbox:
        await asyncio.gather(*(inbox.put(report(str(number))) for number in range(1, 51)))
        await states(inbox, handled=50)
    inbox = place.inbox(clock=clock, keep=timedelta(seconds=1), tries_within=1.0)
    clock.now += 2
    async with inbox:
        asked = asyncio.create_task(inbox.purge(before=at(clock.now)))
        await asyncio.sleep(0)
    with pytest.raises(InboxClosed):
        await asked
    assert asyncio.all_tasks() == before
    async with place.inbox() as inbox:
        assert (await inbox.counts())[PushState.HANDLED] > 0


async def test_a_time_without_a_zone_is_refused(place: Place) -> None:
    """Nobody knows which one is meant; any zone will do."""
    async with place.inbox() as inbox:
        with pytest.raises(InvalidRequest) as caught:
            await inbox.purge(before=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the fault
        assert caught.value.field == "before"
        assert await inbox.purge(before=datetime(2026, 1, 1, tzinfo=timezone(timedelta(0)))) == 0


@pytest.mark.parametrize("keep", [timedelta(0), timedelta(days=-1)])
def test_to_keep_nothing_is_refused(keep: timedelta) -> None:
    """A push would be gone before anybody has seen it."""
    with pytest.raises(InvalidRequest, match="keep"):
        Inbox.open("a.db", keep=keep)


class Odd(BaseException):
    """As pytest's `fail` and gevent's `Timeout` are."""


@pytest.mark.parametrize("error", [ValueError, Odd])
async def test_a_clock_that_fails_once_stops_no_purging(
    place: Place, caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    """It is somebody's own; the log says so, and the next look is as good as ever."""
    clock, errors, again = Clock(), [error()], asyncio.Event()

    def failing() -> float:
        if errors:
            raise errors.pop()
        again.set()
        return clock()

    async with place.inbox(clock=failing, keep=timedelta(days=1)):
        await again.wait()
    assert f"can't purge old pushes: {error.__name__}" in caplog.text
