"""Handlers that do what no handler should: each harms itself only, and no push is lost by it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from ihuyi_voice.pushes import DeliveryReport, Handling
from tests.pushes.handlers import Stage, row
from tests.pushes.support import Place, Recorder, audit, handled_by, report, states


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
