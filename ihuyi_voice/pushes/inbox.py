"""The inbox: pushes stored once, handed to handlers, and waited for."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import attrs

from ihuyi_voice.errors import InboxClosed, InvalidRequest
from ihuyi_voice.models import DeliveryReport, TemplateAudit
from ihuyi_voice.protocol.pushes import Push, PushKind, PushValue, parse_push
from ihuyi_voice.pushes.handling import Handler, Handling, Worker
from ihuyi_voice.pushes.store import PushState, Store, push_row
from ihuyi_voice.pushes.tail import Tail
from ihuyi_voice.storage.database import Address, Database
from ihuyi_voice.storage.group_commit import GroupCommit

_BATCH: Final = 100

V = TypeVar("V", DeliveryReport, TemplateAudit)


@attrs.frozen
class _Parts:
    """What an open inbox consists of."""

    database: Database
    store: Store
    commits: GroupCommit
    tail: Tail
    worker: Worker


@attrs.frozen
class _Tasks:
    """What runs while an inbox is open; each ends by itself when its part is closed."""

    commits: "asyncio.Task[None]"
    tail: "asyncio.Task[None]"
    worker: "asyncio.Task[None]"


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
        self._tasks: _Tasks | None = None

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
            self._parts = parts = await self._connect()
        finally:
            self._opening = False
        self._tasks = _Tasks(
            asyncio.create_task(parts.commits.run()),
            asyncio.create_task(parts.tail.run()),
            asyncio.create_task(parts.worker.run()),
        )
        return self

    async def _connect(self) -> _Parts:
        database = Database(self._address, self._table)
        store = Store(self._table, database.dialect)
        try:
            await database.check()
            await database.write(store.create)
            seen = await database.read(store.last_seq)
        except BaseException:
            await database.close()
            raise
        tail = Tail(database, store, self._poll, seen)
        worker = Worker(database, store, self._handlers, self._handling, self._poll, self._clock)

        def tell() -> None:
            tail.stored()
            worker.wake()

        commits = GroupCommit(database, store, tell)
        return _Parts(database, store, commits, tail, worker)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write what has arrived, let handlers end, wake those who wait, and disconnect."""
        parts, tasks = self._parts, self._tasks
        if parts is None or tasks is None:
            return
        self._parts = self._tasks = None
        try:
            parts.commits.close()
            await tasks.commits
            await parts.worker.close(tasks.worker)
            parts.tail.close()
            await tasks.tail
        finally:
            try:
                await _cancelled(tasks)
            finally:
                await parts.database.close()

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
            self._parts.worker.wake()

    async def put(self, push: Push) -> None:
        """Return once the push has been stored durably; a push that is there already is no other.

        Raises:
            InboxUnavailable: It was not stored.
        """
        await self._open_parts().commits.put(push_row(push, self._clock()))

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
        row = await parts.database.read(partial(parts.store.newest, kind=kind, subject=subject))
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
                asked = partial(parts.store.after, kind=PushKind.REPORT, seq=seq, limit=_BATCH)
                rows = await parts.database.read(asked)
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
        replayed = await parts.database.write(partial(parts.store.replay, now=self._clock()))
        parts.worker.wake()
        return replayed

    async def counts(self) -> dict[PushState, int]:
        """Return how many pushes are in each state.

        Raises:
            InboxUnavailable: The database failed.
        """
        parts = self._open_parts()
        return await parts.database.read(parts.store.counts)

    def _open_parts(self) -> _Parts:
        if self._parts is None:
            raise InboxClosed("the inbox is not open: enter it with `async with`")
        return self._parts


def _expect(value: PushValue | None, expected: type[V]) -> V:
    if not isinstance(value, expected):  # pragma: no cover - the kind was asked for
        raise TypeError(value)
    return value


async def _cancelled(tasks: _Tasks) -> None:
    """End what is still running, because closing was cancelled or failed."""
    running = attrs.astuple(tasks, recurse=False)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
