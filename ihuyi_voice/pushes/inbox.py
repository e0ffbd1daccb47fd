"""The inbox: pushes stored once, handed to handlers, and waited for."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar

from ihuyi_voice.errors import InboxClosed, InboxUnavailable, InvalidRequest
from ihuyi_voice.events import Hook, PushQuarantined, PushStored, Stream, checked_hook
from ihuyi_voice.inputs import (
    check_above_zero,
    check_called,
    check_identifier,
    check_is,
    check_number,
)
from ihuyi_voice.models import DeliveryReport, TemplateAudit
from ihuyi_voice.protocol import Push, PushKind, PushValue, RawPush
from ihuyi_voice.pushes.options import Handling, check_id, check_place
from ihuyi_voice.pushes.parts import Options, Parts
from ihuyi_voice.pushes.quarantine import Quarantined
from ihuyi_voice.pushes.queries import News
from ihuyi_voice.pushes.reading import meaning_or_none, push_or_none
from ihuyi_voice.pushes.table import PushState
from ihuyi_voice.storage import Address

if TYPE_CHECKING:
    from ihuyi_voice.pushes.calling import Handler

_LONGEST_TABLE: Final = 40
V = TypeVar("V", DeliveryReport, TemplateAudit)


class Inbox:
    """Pushes, stored durably and once, in SQLite or PostgreSQL.

    `async with Inbox.open("pushes.sqlite3") as inbox`, or give the unopened inbox to a
    `PushReceiver` that is an ASGI application by itself, which opens and closes it. It may be
    opened again after it was closed. Each process opens its own, and each event loop; many may
    share one database.

    Attributes:
        events: What `on_event` is told by.
    """

    def __init__(self, options: Options) -> None:
        self.events = options.events
        self._options = options
        self._handlers: dict[PushKind, Handler] = {}
        self._opening = False
        self._parts: Parts | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def open(
        cls,
        path_or_url: str | Path,
        *,
        handling: Handling | None = None,
        poll: float = 1.0,
        clock: Callable[[], float] = time.time,
        table: str = "ihuyi_pushes",
        tries_within: float = 3600.0,
        keep: timedelta | None = None,
        create: bool = True,
        on_event: Hook | None = None,
    ) -> Self:
        """Return an inbox to be entered with `async with`.

        Args:
            path_or_url: A path or `sqlite:///…` for SQLite, `postgresql://…` for PostgreSQL.
            handling: How handlers are called.
            poll: Seconds between two looks for what other processes have stored, and for what has
                become due. What this process stores is seen at once.
            clock: Unix time in seconds, UTC: when pushes arrive. What is due when goes by the
                database's own clock.
            table: The table's name; it is created if it is missing.
            tries_within: Seconds within which pushes of one content are tries of one push, and
                stored once; after that it is news, such as an audit that ends the same way again.
            keep: How long pushes are kept once they have been handled or superseded, at least as
                long as a try of them may come (`tries_within`); None for ever. They are purged on
                opening and every hour.
            create: Whether the table is created if it is missing, and brought to this version if
                it is older. If not, opening writes nothing, and fails if there is none.
            on_event: Called with what becomes of pushes; see `ihuyi_voice.events`.

        Raises:
            InvalidRequest: An argument can't be right.
            ImportError: The extra that the database needs is not installed.
        """
        check_identifier("table", table, _LONGEST_TABLE)
        handling = Handling() if handling is None else handling
        check_is("handling", handling, Handling, "a Handling")
        check_called("clock", clock)
        check_above_zero("poll", poll)
        check_above_zero("tries_within", tries_within)
        if keep is not None:
            check_is("keep", keep, timedelta, "a timedelta")
            if not keep > timedelta(0):
                raise InvalidRequest(f"keep is {keep}; it must be above 0", field="keep")
        return cls(
            Options(
                Address.parse(path_or_url),
                table,
                handling,
                poll,
                clock,
                tries_within,
                keep,
                create,
                Stream(checked_hook(on_event)),
            )
        )

    @property
    def is_open(self) -> bool:
        """Whether it has been entered and not been left."""
        return self._parts is not None

    async def __aenter__(self) -> Self:
        """Connect, create the table if it is missing, and go on where the last process ended.

        Raises:
            InboxUnavailable: The database can't be reached, says no, or is of a newer version.
        """
        if self._opening or self._parts is not None:
            raise InvalidRequest("the inbox is open already")
        self._opening = True
        try:
            self._parts = await Parts(self._options, self._handlers).__aenter__()
            self._loop = asyncio.get_running_loop()
        finally:
            self._opening = False
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write what has arrived, let handlers end, wake those who wait, and disconnect.

        Raises:
            InboxUnavailable: It was opened in another event loop, and stays open.
        """
        if self._parts is not None:
            parts, self._parts = self._open_parts(), None
            await parts.__aexit__(None, None, None)

    def handle(
        self,
        *,
        on_report: Callable[[DeliveryReport], Awaitable[object]] | None = None,
        on_audit: Callable[[TemplateAudit], Awaitable[object]] | None = None,
    ) -> None:
        """Have pushes handled by this process, also those that were stored before.

        Pushes of a kind that no process handles stay stored, and wait for a handler.

        Raises:
            InvalidRequest: There is a handler for this kind already, or that is none.
        """
        for kind, handler in ((PushKind.REPORT, on_report), (PushKind.AUDIT, on_audit)):
            if handler is None:
                continue
            check_called(f"on_{kind}", handler)
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
        check_is("push", push, Push, "a Push")
        began = time.perf_counter()
        await self._open_parts().store.put(push, self._options.clock())
        if self.events.wants(PushStored):
            self.events.tell(PushStored(push.kind.value, time.perf_counter() - began))

    async def quarantine(self, raw: RawPush) -> None:
        """Return once what can't be read has been stored durably, to be parsed again later.

        Raises:
            InboxUnavailable: It was not stored.
        """
        check_is("raw", raw, RawPush, "a RawPush")
        began = time.perf_counter()
        await self._open_parts().store.quarantine(raw, self._options.clock())
        if self.events.wants(PushQuarantined):
            self.events.tell(PushQuarantined(raw.reason, time.perf_counter() - began))

    async def report_of(self, voice_id: str, timeout: float | None = None) -> DeliveryReport:  # noqa: ASYNC109 - part of the surface
        """Return the latest report of a call, waiting for the first one if there is none yet.

        Args:
            voice_id: `Submission.voice_id`.
            timeout: Seconds to wait at most; None for ever. However short it is, the first look
                has a second.

        Raises:
            TimeoutError: None came in time.
            InboxUnavailable: The database failed, or the inbox was closed.
            InvalidRequest: That is no id: ids are texts.
        """
        check_id("voice_id", voice_id)
        return await self._latest(PushKind.REPORT, voice_id, timeout, DeliveryReport)

    async def audit_of(self, template_id: str, timeout: float | None = None) -> TemplateAudit:  # noqa: ASYNC109 - part of the surface
        """Return the latest audit of a template, waiting for the first one if there is none yet.

        Args:
            template_id: `AddedTemplate.template_id`.
            timeout: Seconds to wait at most; None for ever. However short it is, the first look
                has a second.

        Raises:
            TimeoutError: None came in time.
            InboxUnavailable: The database failed, or the inbox was closed.
            InvalidRequest: That is no id: ids are texts.
        """
        check_id("template_id", template_id)
        return await self._latest(PushKind.AUDIT, template_id, timeout, TemplateAudit)

    async def _latest(
        self, kind: PushKind, subject: str, seconds: float | None, expected: type[V]
    ) -> V:
        if seconds is not None:
            check_number("timeout", seconds)
        return _expect(await self._open_parts().tail.latest(kind, subject, seconds), expected)

    @property
    def identity(self) -> str:
        """Which table of which database it is, for who keeps a `seq`; no secret is in it.

        One that was deleted and made anew at the same place is another one.

        Raises:
            InboxClosed: The inbox is not open.
        """
        made = self._open_parts().made
        where = hashlib.sha256(self._options.address.target.encode()).hexdigest()
        return f"{self._options.table}@{where[:16]}" + ("" if made is None else f".{made:x}")

    def reports(
        self, since: int | None = None, *, follow: bool = True
    ) -> AsyncGenerator[DeliveryReport]:
        """Iterate over reports as they are stored, until the inbox is closed.

        Each comes once, in the order of arrival; one that arrives after a later report of the same
        call is left out. The iterator reads the table as fast as it is consumed and keeps nothing
        in memory. If the database fails, it waits, says so in the log, and goes on.

        Args:
            since: The `seq` of the last report that was seen, to go on after it; 0 for all that is
                stored. None begins now; it may begin with what was stored up to `poll` seconds
                before.
            follow: Whether to wait for more. Else it ends with what is stored, and raises
                InboxUnavailable if the database fails.
        """
        if since is not None:
            check_place("since", since)
        tail = self._open_parts().tail
        begin = tail.seen if since is None else since
        return self._reports(tail.pushes(begin) if follow else tail.stored(begin))

    async def _reports(self, pushes: AsyncGenerator[News]) -> AsyncGenerator[DeliveryReport]:
        self._check_loop()
        async with aclosing(pushes):
            async for news in pushes:
                if news.push.kind == PushKind.REPORT and not news.late:
                    value = meaning_or_none(news.push)
                    if value is not None:
                        yield _expect(value, DeliveryReport)

    async def replay(self) -> int:
        """Let every dead push be handled again, and return how many they are.

        Raises:
            InboxUnavailable: The database failed.
        """
        parts = self._open_parts()
        replayed = await parts.store.replay()
        parts.dispatcher.wake()
        return replayed

    async def counts(self) -> dict[PushState, int]:
        """Return how many pushes are in each state.

        Raises:
            InboxUnavailable: The database failed.
        """
        return await self._open_parts().store.counts()

    async def purge(self, before: datetime) -> int:
        """Forget what was received before a time and has been handled or superseded.

        It goes in small transactions, so that others have their turn. What is pending, dead or
        quarantined stays.

        Args:
            before: The time, aware. Of what came within `tries_within`, another try may come
                still, and is a new push then.

        Returns:
            How many pushes were forgotten.

        Raises:
            InvalidRequest: The time has no zone.
            InboxUnavailable: The database failed; what has been forgotten until then, stays so.
        """
        check_is("before", before, datetime, "a datetime")
        if before.utcoffset() is None:
            raise InvalidRequest("before must be an aware datetime", field="before")
        return await self._open_parts().retention.purge(before.timestamp())

    async def quarantined(self) -> list[Quarantined]:
        """Return what could not be read, in the order of its arrival.

        Raises:
            InboxUnavailable: The database failed.
        """
        return [each async for each in self._quarantined()]

    async def parse_again(self) -> int:
        """Try to read what is quarantined, for this version may know better than an earlier one.

        What can be read now becomes an ordinary push, once, however many processes try; an audit
        stands behind those that came after it.

        Returns:
            How many pushes have left the quarantine.

        Raises:
            InboxUnavailable: The database failed.
        """
        store, freed = self._open_parts().store, 0
        async for each in self._quarantined():
            push = push_or_none(each)
            if push is not None:
                freed += await store.free(each.seq, push, each.received_at.timestamp())
        return freed

    async def _quarantined(self) -> AsyncGenerator[Quarantined]:
        seq, more = 0, True
        while more:
            some = await self._open_parts().store.quarantined(seq)
            for each in some:
                seq = each.seq
                yield each
            more = bool(some)

    def _open_parts(self) -> Parts:
        if self._parts is None:
            raise InboxClosed("the inbox is not open: enter it with `async with`")
        self._check_loop()
        return self._parts

    def _check_loop(self) -> None:
        if asyncio._get_running_loop() not in {None, self._loop}:  # noqa: SLF001 - it never raises
            raise InboxUnavailable("the inbox was opened in another event loop: open one in each")


def _expect(value: PushValue, expected: type[V]) -> V:
    if not isinstance(value, expected):  # pragma: no cover - the kind was asked for
        raise TypeError(value)
    return value
