"""What fails is tried again or given up: handlers, what they raise, and the database meanwhile."""

# Some facts can only be seen from inside.
# pyright: reportPrivateUsage=false

import asyncio
from collections.abc import Awaitable
from typing import Any

import attrs
import pytest

from ihuyi_voice import InvalidRequest
from ihuyi_voice.pushes import DeliveryReport, Handling, InboxUnavailable
from ihuyi_voice.pushes.claims import Claim
from ihuyi_voice.pushes.store import Store
from tests.pushes.handlers import HOUR, NUMBER, Script, Stage, later, pause_left, row, settled
from tests.pushes.support import Place, Recorder, handled_by, report, states
from tests.support.looking import comes_true


async def test_a_handler_that_fails_is_called_again_after_growing_pauses(place: Place) -> None:
    """Up to the longest pause, with up to a tenth of jitter; each failure is counted."""
    script = Script(**{"1": [ValueError(f"no {n}") for n in range(1, 5)]})
    handling = Handling(backoff=10 * HOUR, max_backoff=25 * HOUR)
    async with handled_by(place, script, handling=handling) as inbox:
        await inbox.put(report("1"))
        for tries, pause in ((1, 10), (2, 20), (3, 25), (4, 25)):
            failed = await settled(inbox, "1", tries)
            assert (failed.state, failed.error) == ("pending", f"ValueError: no {tries}")
            left = await pause_left(inbox, "1")
            assert (pause * 0.9 - 0.1) * HOUR <= left <= pause * HOUR
            await later(inbox, left - 0.1 * HOUR)
            await script.turn(inbox)
            assert len(script.seen) == tries
            await later(inbox, 0.1 * HOUR)
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
    failing, handling = Recorder(ValueError()), Handling(backoff=HOUR, max_backoff=HOUR)
    async with handled_by(place, failing, handling=handling) as inbox:
        await inbox.put(report("1"))
        await settled(inbox, "1", 1)
        await later(inbox, HOUR)
    async with handled_by(place, Recorder()) as inbox:
        await states(inbox, handled=1)
        assert (await row(inbox, "1")).tries == 2


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
    async with handled_by(place, slow_at_first, handling=handling) as inbox:
        await inbox.put(report("1"))
        assert (await settled(inbox, "1", 1)).error == "TimeoutError"
        await later(inbox, 10.0)
        await states(inbox, handled=1)
    assert calls == ["call", "cancelled", "call"]


async def test_a_handler_that_lets_a_cancellation_out_has_failed(place: Place) -> None:
    """For example that of a task of its own; the dispatcher goes on."""
    handler = Recorder(asyncio.CancelledError())
    async with handled_by(place, handler) as inbox:
        await inbox.put(report("1"))
        await inbox.put(report("2"))
        await states(inbox, handled=2)
        tries = [(await row(inbox, subject)).tries for subject in ("1", "2")]
    assert sorted(tries) == [1, 2]


async def test_a_database_that_fails_in_a_turn_forgets_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What the handlers have done is stored when it works again; they aren't called again."""
    original = Store.turn
    failed = asyncio.Event()

    async def fails(*_: object) -> list[Claim]:
        failed.set()
        raise InboxUnavailable("the inbox's database failed: ConnectionResetError")

    stage = Stage()
    async with handled_by(place, stage) as inbox:
        await inbox.put(report("1"))
        await stage.entered(1)
        monkeypatch.setattr(Store, "turn", fails)
        stage.leave.set()
        await failed.wait()
        failed.clear()
        await failed.wait()
        monkeypatch.setattr(Store, "turn", original)
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
        (
            Unprintable(),
            f"{__name__}.Unprintable: <exception str() failed>",
        ),
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
        await comes_true(lambda: futures)  # filled by the handler
        await states(inbox, pending=1)
        futures[0].set_exception(ValueError("no"))
        await states(inbox, dead=1)


async def test_what_can_no_longer_be_read_is_dead_in_the_end(place: Place) -> None:
    """The dispatcher survives it, and it holds up nobody."""
    handler = Recorder()
    handling = Handling(max_tries=2, backoff=0.0)
    async with handled_by(place, handler, handling=handling) as inbox:
        unreadable = attrs.evolve(report("1"), body=b"?")
        await inbox.put(unreadable)
        await inbox.put(report("2"))
        await states(inbox, dead=1, handled=1)
        assert "PushUnreadable" in (await row(inbox, "1")).error


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


async def test_a_log_that_fails_changes_nothing(place: Place, log_that_fails: list[str]) -> None:
    """A filter of somebody's raises: what failed is tried again all the same, or dead."""
    script = Script(**{"1": [ValueError()], "2": [ValueError()] * 2})
    async with handled_by(place, script, handling=Handling(backoff=0.0, max_tries=2)) as inbox:
        await inbox.put(report("1"))
        await inbox.put(report("2"))
        await states(inbox, handled=1, dead=1)
    assert len(log_that_fails) == 3


async def test_a_log_that_fails_does_not_end_the_dispatcher(
    place: Place, monkeypatch: pytest.MonkeyPatch, log_that_fails: list[str]
) -> None:
    """When it can't say that the database has failed, either."""
    original = Store.turn
    failed = asyncio.Event()

    async def fails(*_: object) -> list[Claim]:
        failed.set()
        raise InboxUnavailable("the inbox's database failed: ConnectionResetError")

    handler = Recorder()
    monkeypatch.setattr(Store, "turn", fails)
    async with handled_by(place, handler) as inbox:
        await inbox.put(report("1"))
        await failed.wait()
        monkeypatch.setattr(Store, "turn", original)
        await states(inbox, handled=1)
    assert log_that_fails


async def test_a_fault_of_our_own_is_told_at_once(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not only when the inbox is closed, which it is all the same; pushes are stored meanwhile."""

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    inbox = place.inbox()
    inbox.handle(on_report=Recorder())
    with pytest.raises(ZeroDivisionError):
        async with inbox:
            monkeypatch.setattr(Store, "turn", broken)
            await inbox.put(report("1"))
            told = "pushes are handled no more: ZeroDivisionError()"
            await comes_true(lambda: told in caplog.text)
            await inbox.put(report("2"))
    assert not inbox.is_open
    monkeypatch.undo()
    async with inbox:
        await states(inbox, handled=2)
