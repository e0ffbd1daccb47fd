"""Databases of a test's own, pushes to put in them, and conditions to wait for."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import asyncpg
import attrs

from ihuyi_voice.protocol.pushes import Push, parse_push
from ihuyi_voice.pushes import DeliveryReport, Handling, Inbox, PushState, TemplateAudit

FORM = "application/x-www-form-urlencoded"


@attrs.frozen
class Place:
    """A database and a table of the test's own.

    Attributes:
        url: Where it is; a path for SQLite.
        table: The table.
        is_postgres: Which of the two.
    """

    url: str
    table: str
    is_postgres: bool

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
    while await inbox.counts() != wanted:  # noqa: ASYNC110 - only the database knows
        await asyncio.sleep(0)  # each look is a query, which takes its time


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


async def drop(url: str, table: str) -> None:
    """Drop a table on PostgreSQL."""
    connection = await asyncpg.connect(url)
    await connection.execute(f"DROP TABLE IF EXISTS {table}")
    await connection.close()
