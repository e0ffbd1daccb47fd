"""What an inbox and its receiver tell: pushes stored, quarantined, refused and handled."""

import asyncio
from typing import Any

import pytest

from ihuyi_voice import InvalidRequest
from ihuyi_voice.events import Event, PushHandled, PushQuarantined, PushRefused, PushStored
from ihuyi_voice.pushes import Handling, Inbox, PushReceiver
from tests.pushes.requests import TOKEN, push, status
from tests.pushes.support import (
    Place,
    Recorder,
    audit_form,
    handled_by,
    report,
    report_form,
    states,
)


async def test_each_push_is_told_by_what_became_of_it(place: Place) -> None:
    """Stored, quarantined, or refused with a status."""
    events: list[Event] = []
    async with place.inbox(on_event=events.append) as inbox:
        app = PushReceiver(inbox, token=TOKEN)
        assert await status(app, push(report_form("7"))) == 200
        assert await status(app, push(audit_form("8"))) == 200
        assert await status(app, push(b"nothing of ours")) == 200
        wrong = push(report_form("9"))
        wrong.path = "/wrong"
        assert await status(app, wrong) == 404
    assert [type(event) for event in events] == [
        PushStored,
        PushStored,
        PushQuarantined,
        PushRefused,
    ]
    assert [event.kind for event in events if isinstance(event, PushStored)] == ["report", "audit"]
    assert events[-1] == PushRefused(404)


async def test_what_could_not_be_stored_is_refused() -> None:
    """By 503, as the vendor is told."""
    events: list[Event] = []
    inbox = Inbox.open("never.sqlite3", on_event=events.append)
    assert await status(PushReceiver(inbox, token=TOKEN), push(report_form())) == 503
    assert events == [PushRefused(503)]


async def test_each_try_of_a_handler_is_told(place: Place) -> None:
    """Failed, handled at last, or dead."""
    events: list[Event] = []
    handler = Recorder(LookupError("13900000000"))
    options: dict[str, Any] = {"on_event": events.append}
    async with handled_by(place, on_report=handler, **options) as inbox:
        await inbox.put(report("7"))
        await states(inbox, handled=1)
    handled = [event for event in events if isinstance(event, PushHandled)]
    assert [(each.kind, each.end, each.tries) for each in handled] == [
        ("report", "failed", 1),
        ("report", "handled", 2),
    ]
    assert all(each.seconds >= 0 for each in handled)


async def test_a_push_that_is_given_up_is_told_as_dead(place: Place) -> None:
    """And one whose handler is cut off as interrupted."""
    events: list[Event] = []
    begun = asyncio.Event()

    async def handler(given: Any) -> None:
        if given.voice_id == "1":
            raise LookupError
        begun.set()
        await asyncio.Event().wait()

    handling = Handling(max_tries=1, grace=0.01)
    options: dict[str, Any] = {"on_event": events.append, "handling": handling}
    async with handled_by(place, on_report=handler, **options) as inbox:
        await inbox.put(report("1"))
        await inbox.put(report("2"))
        await states(inbox, dead=1, pending=1)
        await begun.wait()
    ends = [event.end for event in events if isinstance(event, PushHandled)]
    assert sorted(ends) == ["dead", "interrupted"]


@pytest.mark.parametrize("error", [LookupError(), asyncio.CancelledError(), GeneratorExit()])
async def test_a_hook_that_fails_costs_no_push(place: Place, error: BaseException) -> None:
    """It is stored, answered and handled."""

    def fail(_: Event) -> None:
        raise error

    handler = Recorder()
    async with handled_by(place, on_report=handler, on_event=fail) as inbox:
        app = PushReceiver(inbox, token=TOKEN)
        assert await status(app, push(report_form("7"))) == 200
        await states(inbox, handled=1)
    assert len(handler.seen) == 1


def test_what_can_not_be_called_is_refused() -> None:
    """When the inbox is described."""
    with pytest.raises(InvalidRequest, match="on_event"):
        Inbox.open("pushes.db", on_event="print")  # type: ignore[arg-type]
