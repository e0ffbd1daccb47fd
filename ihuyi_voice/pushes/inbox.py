"""The inbox: pushes stored once, handed to handlers, and waited for."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import attrs

from ihuyi_voice.errors import InboxClosed, InvalidRequest
from ihuyi_voice.models import DeliveryReport, TemplateAudit
from ihuyi_voice.protocol import Push, PushKind, PushValue, parse_push
from ihuyi_voice.pushes.handling import Dispatcher, Handler, Handling
from ihuyi_voice.pushes.store import Store
from ihuyi_voice.pushes.table import PushState
from ihuyi_voice.pushes.tail import Tail
from ihuyi_voice.storage import Address

_BATCH: Final = 100

V = TypeVar("V", DeliveryReport, TemplateAudit)


@attrs.frozen
class _Parts:
    """What an open inbox consists of, and how to close it."""

    store: Store
    tail: Tail
    dispatcher: Dispatcher
    closing: AsyncExitStack


class Inbox:
    """Pushes, stored durably and once, in SQLite or PostgreSQL.

    `async with Inbox.open("pushes.sqlite3") as inbox`, or give the unopened inbox to a
    `PushReceiver` that is an ASGI application by itself, which opens and closes it. It may be
    opened again after it was closed. Each process opens its own; many may share one database.
    """

    def __init__(
        self,
        address: Address,
        *,
        handling: Handling,
        poll: float,
        clock: Callable[[], float],
        table: str,
    ) -> None:
        self._address = address
        self._handling = handling
        self._poll = poll
        self._clock = clock
        self._table = table
        self._handlers: dict[PushKind, Handler] = {}
        self._opening = False
        self._parts: _Parts | None = None

    @classmethod
    def open(
        cls,
        path_or_url: str | Path,
        *,
        handling: Handling | None = None,
        poll: float = 1.0,
        clock: Callable[[], float] = time.time,
        table: str = "ihuyi_pushes",
    ) -> Self:
        """Return an inbox to be entered with `async with`.

        Args:
            path_or_url: A path or `sqlite:///…` for SQLite, `postgresql://…` for PostgreSQL. What
                a commit survives on PostgreSQL is its server's `synchronous_commit`.
            handling: How handlers are called.
            poll: Seconds between two looks for what other processes have stored, and for what has
                become due. What this process stores is seen at once.
            clock: Unix time in seconds, UTC.
            table: The table's name; it is created if it is missing.

        Raises:
            InvalidRequest: An argument can't be right.
            ImportError: The extra that the database needs is not installed.
        """
        if not (table.isascii() and table.isidentifier() and len(table) <= 40):  # noqa: PLR2004
            raise InvalidRequest("the table's name must be an identifier", field="table")
        if not poll > 0:
            raise InvalidRequest(f"poll is {poll}; it must be above 0", field="poll")
        return cls(
            Address.parse(path_or_url),
            handling=handling or Handling(),
            poll=poll,
            clock=clock,
            table=table,
        )

    @property
    def is_open(self) -> bool:
        """Whether it has been entered and not been left."""
        return self._parts is not None

    async def __aenter__(self) -> Self:
        """Connect, create the table if it is missing, and go on where the last process ended.

        Raises:
            InboxUnavailable: The database can't be reached, or says no.
        """
        if self._opening or self._parts is not None:
            raise InvalidRequest("the inbox is open already")
        self._opening = True
        try:
            self._parts = await self._open()
        finally:
            self._opening = False
        return self

    async def _open(self) -> _Parts:
        async with AsyncExitStack() as closing:
            store = await closing.enter_async_context(Store(self._address, self._table))
            tail = await closing.enter_async_context(Tail(store, self._poll))
            dispatcher = await closing.enter_async_context(
                Dispatcher(store, self._handlers, self._handling, self._poll, self._clock)
            )
            closing.push_async_callback(store.flush)
            return _Parts(store, tail, dispatcher, closing.pop_all())

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write what has arrived, let handlers end, wake those who wait, and disconnect."""
        parts, self._parts = self._parts, None
        if parts is not None:
            await parts.closing.aclose()

    def handle(
        self,
        *,
        on_report: Callable[[DeliveryReport], Awaitable[object]] | None = None,
        on_audit: Callable[[TemplateAudit], Awaitable[object]] | None = None,
    ) -> None:
        """Have pushes handled by this process, also those that were stored before.

        Pushes of a kind that no process handles stay stored, and wait for a handler.

        Raises:
            InvalidRequest: There is a handler for this kind already.
        """
        for kind, handler in ((PushKind.REPORT, on_report), (PushKind.AUDIT, on_audit)):
            if handler is None:
                continue
            if kind in self._handlers:
                raise InvalidRequest(f"the inbox has a handler for every {kind} already")
            self._handlers[kind] = handler
        if self._parts is not None:
            self._parts.dispatcher.wake()

    async def put(self, push: Push) -> None:
        """Return once the push has been stored durably; a push that is there already is no other.

        Raises:
            InboxUnavailable: It was not stored.
        """
        await self._open_parts().store.put(push, self._clock())

    async def report_of(self, voice_id: str, timeout: float | None = None) -> DeliveryReport:  # noqa: ASYNC109 - part of the surface
        """Return the latest report of a call, waiting for the first one if there is none yet.

        Args:
            voice_id: `Submission.voice_id`.
            timeout: Seconds to wait at most; None for ever.

        Raises:
            TimeoutError: None came in time.
            InboxUnavailable: The database failed, or the inbox was closed.
        """
        return await self._latest(PushKind.REPORT, voice_id, timeout, DeliveryReport)

    async def audit_of(self, template_id: str, timeout: float | None = None) -> TemplateAudit:  # noqa: ASYNC109 - part of the surface
        """Return the latest audit of a template, waiting for the first one if there is none yet.

        Args:
            template_id: `AddedTemplate.template_id`.
            timeout: Seconds to wait at most; None for ever.

        Raises:
            TimeoutError: None came in time.
            InboxUnavailable: The database failed, or the inbox was closed.
        """
        return await self._latest(PushKind.AUDIT, template_id, timeout, TemplateAudit)

    async def _latest(
        self, kind: PushKind, subject: str, seconds: float | None, expected: type[V]
    ) -> V:
        parts = self._open_parts()
        with parts.tail.watched(kind, subject) as event:
            found = await self._newest(parts, kind, subject)
            async with asyncio.timeout(None if found else seconds):
                while found is None:
                    await event.wait()
                    event.clear()
                    found = await self._newest(parts, kind, subject)
        return _expect(found, expected)

    async def _newest(self, parts: _Parts, kind: PushKind, subject: str) -> PushValue | None:
        if parts.tail.closed:
            raise InboxClosed("the inbox was closed while somebody waited for a push")
        row = await parts.store.newest(kind, subject)
        return None if row is None else parse_push(row.body, row.charset).value

    def reports(self) -> AsyncGenerator[DeliveryReport]:
        """Iterate over reports as they are stored, from now on, until the inbox is closed.

        Each comes once, in the order of arrival; one that arrives after a later report of the same
        call is left out. The iterator reads the table as fast as it is consumed and keeps nothing
        in memory. It may begin with what was stored up to `poll` seconds before it was made.
        """
        parts = self._open_parts()
        return self._reports(parts, parts.tail.seen)

    async def _reports(self, parts: _Parts, seq: int) -> AsyncGenerator[DeliveryReport]:
        async for _ in parts.tail.rounds():
            more = True
            while more:
                if parts.tail.closed:
                    return
                rows = await parts.store.after(PushKind.REPORT, seq, _BATCH)
                for row in rows:
                    seq = row.seq
                    yield _expect(parse_push(row.body, row.charset).value, DeliveryReport)
                more = len(rows) == _BATCH

    async def replay(self) -> int:
        """Let every dead push be handled again, and return how many they are.

        Raises:
            InboxUnavailable: The database failed.
        """
        parts = self._open_parts()
        replayed = await parts.store.replay(self._clock())
        parts.dispatcher.wake()
        return replayed

    async def counts(self) -> dict[PushState, int]:
        """Return how many pushes are in each state.

        Raises:
            InboxUnavailable: The database failed.
        """
        return await self._open_parts().store.counts()

    def _open_parts(self) -> _Parts:
        if self._parts is None:
            raise InboxClosed("the inbox is not open: enter it with `async with`")
        return self._parts


def _expect(value: PushValue | None, expected: type[V]) -> V:
    if not isinstance(value, expected):  # pragma: no cover - the kind was asked for
        raise TypeError(value)
    return value
