"""Handlers that do what no handler should: each harms itself only, and no push is lost by it."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from ihuyi_voice.pushes import DeliveryReport, Handling, InboxUnavailable
from ihuyi_voice.pushes.store import Store
from tests.pushes.handlers import HOUR, Script, Stage, row
from tests.pushes.support import Place, Recorder, audit, handled_by, report, states

DISPATCHER = "ihuyi_voice.pushes.handling"


class Stubborn:
    """A handler that swallows cancellations until it is let go.

    Attributes:
        seen: The ids of what it was given.
        cancelled: Set when it has swallowed one.
        leave: Set to let it go.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.cancelled = asyncio.Event()
        self.leave = asyncio.Event()
        self._entered = asyncio.Event()
        self._left = asyncio.Event()

    async def __call__(self, value: DeliveryReport) -> None:
        """Be called as a handler is."""
        self.seen.append(value.voice_id)
        self._entered.set()
        while not self.leave.is_set():
            try:
                await self.leave.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
        self._left.set()

    async def entered(self) -> None:
        """Return once it has been called."""
        await self._entered.wait()

    async def let_go(self) -> None:
        """Let it end, and return when it has."""
        self.leave.set()
        await self._left.wait()


class Renewals:
    """Counts the renewals of leases, and fails them or leaves them out when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.left_out = False
        self.error: Exception | None = None
        self._news = asyncio.Condition()
        renew = Store.renew

        async def counted(store: Store, *arguments: Any) -> None:
            async with self._news:
                self.count += 1
                self._news.notify_all()
            if self.error is not None:
                raise self.error
            if not self.left_out:
                await renew(store, *arguments)

        monkeypatch.setattr(Store, "renew", counted)

    async def more(self, count: int) -> None:
        """Return after so many further ones."""
        wanted = self.count + count
        async with self._news:
            await self._news.wait_for(lambda: self.count >= wanted)


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


async def test_two_hundred_reports_that_hang_hold_up_no_audit(place: Place) -> None:
    """Each kind has places of its own."""
    stage, on_audit = Stage(), Recorder()
    handling = Handling(concurrency=5, grace=0.0)
    async with handled_by(place, stage, on_audit, handling=handling) as inbox:
        await asyncio.gather(*(inbox.put(report(str(number))) for number in range(1, 201)))
        await stage.entered(5)
        for number in range(1, 13):
            await inbox.put(audit(str(number)))
        await on_audit.called(12)
        await states(inbox, pending=200, handled=12)
        assert len(stage.on) == 5


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


class Abort(BaseException):
    """What is no Exception."""


@pytest.mark.parametrize(
    "error", [Abort("no"), GeneratorExit("no"), BaseExceptionGroup("no", [Abort()])]
)
async def test_a_handler_may_raise_what_is_no_exception(
    place: Place, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """It is a failure like any other: tried again, counted, and told to nobody else."""
    handler = Recorder(error)
    async with handled_by(place, handler) as inbox:
        await inbox.put(report("1"))
        await states(inbox, handled=1)
        assert (await row(inbox, "1")).tries == 2
    assert (
        f"handler failed, next try in 0.0 s: {__name__}.Abort: no" in caplog.text
        or type(error).__name__ in caplog.text
    )
    assert not [each for each in caplog.records if each.name == "asyncio" and each.levelno > 20]


@pytest.mark.parametrize("waits", [True, False])
async def test_a_handler_may_cancel_its_own_task(place: Place, *, waits: bool) -> None:
    """If it hears of that, it has failed, which counts; if it had returned before, it has not."""
    calls: list[str] = []

    async def on_report(value: DeliveryReport) -> None:
        calls.append(value.voice_id)
        task = asyncio.current_task()
        assert task is not None
        if len(calls) == 1:
            task.cancel()
        if waits:
            await asyncio.sleep(0)

    async with handled_by(place, on_report) as inbox:
        await inbox.put(report("1"))
        await states(inbox, handled=1)
        assert (await row(inbox, "1")).tries == len(calls) == (2 if waits else 1)


async def test_what_a_handler_returns_to_be_awaited_is_awaited(place: Place) -> None:
    """Also what a coroutine returns: whoever wrote it forgot to await it."""
    done: list[str] = []

    async def later(value: DeliveryReport) -> None:
        await asyncio.sleep(0)
        done.append(value.voice_id)
        if len(done) == 1:
            raise ValueError("no")

    async def on_report(value: DeliveryReport) -> Coroutine[Any, Any, None]:
        return later(value)

    async with handled_by(place, on_report) as inbox:
        await inbox.put(report("1"))
        await states(inbox, handled=1)
        assert (await row(inbox, "1")).tries == 2
    assert done == ["1", "1"]


async def test_what_a_handler_has_begun_is_its_own(place: Place) -> None:
    """A task that it leaves behind is neither waited for nor ended with the inbox."""
    tasks: list[asyncio.Task[None]] = []
    go_on = asyncio.Event()

    async def background() -> None:
        await go_on.wait()

    async def on_report(_: DeliveryReport) -> None:
        tasks.append(asyncio.create_task(background()))

    async with handled_by(place, on_report) as inbox:
        await inbox.put(report("1"))
        await states(inbox, handled=1)
    assert not tasks[0].done()
    go_on.set()
    await tasks[0]


async def test_a_handler_whose_tasks_fail_has_failed(place: Place) -> None:
    """With all their errors; those that it had begun have ended before it is called again."""
    running, most = 0, 0

    async def child(*, fails: bool) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            if fails:
                raise ValueError("no")
            await asyncio.Event().wait()
        finally:
            running -= 1

    async def on_report(_: DeliveryReport) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child(fails=False))
            group.create_task(child(fails=True))

    handling = Handling(backoff=0.0, max_tries=3)
    async with handled_by(place, on_report, handling=handling) as inbox:
        await inbox.put(report("1"))
        await states(inbox, dead=1)
        assert (await row(inbox, "1")).error.startswith("ExceptionGroup: unhandled errors")
    assert (running, most) == (0, 2)


class Unspeakable(Exception):
    """An error whose properties raise."""

    def __getattribute__(self, name: str) -> object:
        if name == "__notes__":
            raise RuntimeError
        return super().__getattribute__(name)


async def test_an_error_that_can_not_be_told_of_is_named(place: Place) -> None:
    """It is counted all the same."""
    handling = Handling(max_tries=1)
    async with handled_by(place, Recorder(Unspeakable()), handling=handling) as inbox:
        await inbox.put(report("1"))
        await states(inbox, dead=1)
        assert "Unspeakable" in (await row(inbox, "1")).error


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
