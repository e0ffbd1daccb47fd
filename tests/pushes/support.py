"""Inboxes of a test's own, pushes to put in them, and conditions to wait for."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import attrs

from ihuyi_voice.protocol.pushes import Push, parse_push
from ihuyi_voice.pushes import DeliveryReport, Handling, Inbox, PushState, TemplateAudit
from tests.support import databases
from tests.support.looking import comes_true

FORM = "application/x-www-form-urlencoded"


class Place(databases.Place):
    """A database and a table of the test's own, where inboxes can be opened."""

    def inbox(self, **options: Any) -> Inbox:
        """Return an unopened inbox that looks often and tries again at once."""
        options.setdefault("poll", 0.01)
        options.setdefault("handling", Handling(backoff=0.0))
        return Inbox.open(self.url, table=self.table, **options)


def report_form(voice_id: str = "1", code: int = 2, second: int = 50, **changes: str) -> bytes:
    """Return a report as the vendor posts it, of 17:46 and so many seconds."""
    fields = {
        "code": str(code),
        "msg": "成功",
        "mobilephone": "13900000000",
        "talktime": "12",
        "voiceid": voice_id,
        "report_time": f"2018-05-24 17:46:{second:02d}",
    }
    return urlencode(fields | changes).encode()


def audit_form(template_id: str = "1", code: int = 2, msg: str = "") -> bytes:
    """Return an audit as the vendor posts it."""
    return urlencode({"code": str(code), "msg": msg, "templateid": template_id}).encode()


def report(voice_id: str = "1", code: int = 2, second: int = 50) -> Push:
    """Return a report."""
    return parse_push(report_form(voice_id, code, second))


def audit(template_id: str = "1", code: int = 2, msg: str = "") -> Push:
    """Return an audit."""
    return parse_push(audit_form(template_id, code, msg))


class Recorder:
    """A handler that remembers what it was given, and fails when told to.

    Attributes:
        seen: What it was given, in order.
        failures: What it still has to raise, in order.
    """

    def __init__(self, *failures: BaseException) -> None:
        self.seen: list[Any] = []
        self.failures = list(failures)
        self._news = asyncio.Event()

    async def __call__(self, value: Any) -> None:
        """Be called as a handler is."""
        self.seen.append(value)
        self._news.set()
        if self.failures:
            raise self.failures.pop(0)

    async def called(self, times: int) -> None:
        """Return once it has been called so often."""
        while len(self.seen) < times:
            self._news.clear()
            await self._news.wait()

    @property
    def codes(self) -> list[int]:
        """The codes of the reports, in order."""
        return [value.code for value in self.seen]


async def states(inbox: Inbox, **expected: int) -> None:
    """Return once the inbox has so many pushes in these states, and no others."""
    wanted = dict.fromkeys(PushState, 0) | {
        PushState(name): count for name, count in expected.items()
    }

    async def are_so() -> bool:
        return await inbox.counts() == wanted

    await comes_true(are_so)


@asynccontextmanager
async def handled_by(
    place: Place,
    on_report: Callable[[DeliveryReport], Awaitable[object]] | None = None,
    on_audit: Callable[[TemplateAudit], Awaitable[object]] | None = None,
    **options: Any,
) -> AsyncGenerator[Inbox]:
    """Open an inbox with handlers."""
    inbox = place.inbox(**options)
    inbox.handle(on_report=on_report, on_audit=on_audit)
    async with inbox:
        yield inbox


@attrs.frozen
class Answer:
    """What an ASGI application answered."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


@attrs.define(slots=False)  # tests put their own `receive` and `send` in
class Exchange:
    """One request to an ASGI application, event by event.

    Attributes:
        path: Its path, as ASGI gives it: decoded.
        headers: Its headers; a form's Content-Type if none are given.
        method: Its method.
        client: The address of whoever sends it; None if there is none.
        events: What `receive` returns, in order; after that it never returns.
        root_path: Where the application is mounted, as ASGI gives it.
        sent: What the application sent.
        received: How many events it took.
    """

    path: str
    events: list[dict[str, Any]]
    headers: list[tuple[bytes, bytes]] = attrs.Factory(lambda: [(b"content-type", FORM.encode())])
    method: str = "POST"
    client: tuple[str, int] | None = ("192.0.2.1", 5555)
    root_path: str = ""
    sent: list[dict[str, Any]] = attrs.Factory(list[dict[str, Any]])
    received: int = 0

    async def receive(self) -> dict[str, Any]:
        """Return the next event; wait for ever when there are no more."""
        if self.received == len(self.events):
            await asyncio.Event().wait()
        self.received += 1
        return self.events[self.received - 1]

    async def send(self, event: Any) -> None:
        """Keep what the application sends."""
        self.sent.append(event)

    async def put_to(self, app: Callable[..., Awaitable[None]]) -> Answer | None:
        """Run it; return the answer, None if there was none."""
        await app(self.scope(), self.receive, self.send)
        if not self.sent:
            return None
        start, body = self.sent
        assert (start["type"], body["type"]) == ("http.response.start", "http.response.body")
        answer = Answer(start["status"], dict(start["headers"]), body["body"])
        assert answer.headers[b"content-length"] == b"%d" % len(answer.body)
        return answer

    def scope(self) -> dict[str, Any]:
        """Return it as ASGI describes it."""
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "path": self.path,
            "raw_path": self.path.encode("utf-8", "replace"),
            "root_path": self.root_path,
            "query_string": b"",
            "headers": self.headers,
            "client": self.client,
        }


def body_events(*chunks: bytes) -> list[dict[str, Any]]:
    """Return the events of a body that comes in these chunks."""
    last = len(chunks) - 1
    return [
        {"type": "http.request", "body": chunk, "more_body": number < last}
        for number, chunk in enumerate(chunks)
    ]
