"""A receiver by itself opens its inbox and closes it; until then nothing is taken."""

# Some facts can only be seen from inside.
# pyright: reportPrivateUsage=false

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ihuyi_voice.pushes import Inbox, PushReceiver
from tests.pushes.requests import TOKEN, push, status
from tests.pushes.support import Place, Recorder, report_form, states


class Life:
    """A server's side of an application's start and end."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def send(self, event: Any) -> None:
        """Take what the application says."""
        self.sent.put_nowait(event)

    def begin(self, app: PushReceiver) -> "asyncio.Task[None]":
        """Start the application."""
        self.events.put_nowait({"type": "lifespan.startup"})
        return asyncio.create_task(app({"type": "lifespan"}, self.events.get, self.send))

    async def started(self) -> dict[str, Any]:
        """Return what the application says of its start."""
        return await self.sent.get()

    async def end(self, running: "asyncio.Task[None]") -> None:
        """Stop the application, which says so."""
        self.events.put_nowait({"type": "lifespan.shutdown"})
        await running
        assert await self.sent.get() == {"type": "lifespan.shutdown.complete"}


STARTED = {"type": "lifespan.startup.complete"}


async def test_until_the_inbox_is_open_pushes_are_answered_503(tmp_path: Path) -> None:
    """And again when it has been closed."""
    inbox = Inbox.open(tmp_path / "pushes.sqlite3")
    app = PushReceiver(inbox, token=TOKEN)
    assert await status(app, push()) == 503
    async with inbox:
        assert await status(app, push()) == 200
    assert await status(app, push()) == 503


async def test_by_itself_it_opens_and_closes_its_inbox(place: Place) -> None:
    """Whose handlers have ended and whose pushes are stored by then; and all over again."""
    handler = Recorder()
    inbox = place.inbox()
    app = PushReceiver(inbox, token=TOKEN, on_report=handler)
    for turn in (1, 2):
        life = Life()
        running = life.begin(app)
        assert await life.started() == STARTED
        assert inbox.is_open
        assert await status(app, push(report_form(str(turn)))) == 200
        await handler.called(turn)
        await life.end(running)
        assert not inbox.is_open
    async with place.inbox() as another:
        await states(another, handled=2)


async def test_an_inbox_that_is_open_stays_open(inbox: Inbox) -> None:
    """Whoever opened it closes it."""
    life = Life()
    running = life.begin(PushReceiver(inbox, token=TOKEN))
    assert await life.started() == STARTED
    await life.end(running)
    assert inbox.is_open
    await states(inbox)


@pytest.mark.parametrize(
    "address", ["{}/missing/pushes.sqlite3", "postgresql://x:pw@127.0.0.1:1/x"]
)
async def test_a_database_that_can_not_be_reached_fails_the_start(
    tmp_path: Path, address: str
) -> None:
    """With a message for whoever reads the server's log, and without a password."""
    inbox = Inbox.open(address.format(tmp_path))
    life = Life()
    running = life.begin(PushReceiver(inbox, token=TOKEN))
    said = await life.started()
    assert said["type"] == "lifespan.startup.failed"
    assert "database failed" in said["message"]
    assert "pw" not in said["message"]
    await running
    assert not inbox.is_open


async def test_an_inbox_that_is_being_opened_elsewhere_fails_the_start(tmp_path: Path) -> None:
    """A clear message instead of an exception, which some servers take for no lifespan at all."""
    inbox = Inbox.open(tmp_path / "pushes.sqlite3")
    opening = asyncio.create_task(inbox.__aenter__())
    await asyncio.sleep(0)
    life = Life()
    running = life.begin(PushReceiver(inbox, token=TOKEN))
    said = await life.started()
    assert said == {"type": "lifespan.startup.failed", "message": "the inbox is open already"}
    await running
    await (await opening).__aexit__(None, None, None)


async def test_a_start_that_is_cancelled_leaves_the_inbox_closed(tmp_path: Path) -> None:
    """Also while it runs: servers cancel it when they end in a hurry."""
    inbox = Inbox.open(tmp_path / "pushes.sqlite3")
    life = Life()
    running = life.begin(PushReceiver(inbox, token=TOKEN))
    await life.started()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not inbox.is_open


async def test_a_websocket_is_closed(inbox: Inbox) -> None:
    """Unread, with the right token too."""
    exchange = push()
    scope: dict[str, Any] = {"type": "websocket", "path": f"/{TOKEN}", "headers": []}
    await PushReceiver(inbox, token=TOKEN)(scope, exchange.receive, exchange.send)
    assert exchange.sent == [{"type": "websocket.close"}]
    assert exchange.received == 0
