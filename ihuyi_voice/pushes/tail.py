"""Tells those who wait what has been stored, by this process or by another on the same database.

One task looks for all who wait for a certain subject. Whoever comes new asks first for what is
there already, all of them in one query; then they wait for what is stored from then on, which is
followed by its numbers. A subject is read and parsed once for all who wait for it.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import contextmanager
from itertools import chain
from types import TracebackType
from typing import Final, Self, TypeAlias

import attrs

from ihuyi_voice.common.signal import Signal
from ihuyi_voice.errors import InboxClosed, InboxUnavailable
from ihuyi_voice.protocol import PushValue
from ihuyi_voice.pushes.looking import Looking, Outage
from ihuyi_voice.pushes.queries import News
from ihuyi_voice.pushes.reading import meaning_or_none
from ihuyi_voice.pushes.store import Store

_BATCH: Final = 1000  # subjects a query
_PAGE: Final = 100  # pushes a query, with their bodies
_LOOK: Final = 1.0  # seconds that the first look may take, whatever the timeout
_FALLBACKS: Final = 100  # pushes of a subject that are tried if the latest can't be read

_Subject: TypeAlias = tuple[str, str]  # kind and subject


@attrs.define(eq=False)
class _Waiter:
    """One who waits for the latest push of a subject.

    Attributes:
        news: Set when somebody has looked.
        value: What was found.
        error: Why nothing can be found.
    """

    news: asyncio.Event = attrs.field(factory=asyncio.Event)
    value: PushValue | None = None
    error: Exception | None = None

    async def looked(self) -> PushValue | None:
        """Return what has been found once somebody has looked; None for nothing."""
        await self.news.wait()
        self.news.clear()
        if self.error is not None:
            raise type(self.error)(str(self.error)) from self.error
        return self.value


_Waiting: TypeAlias = defaultdict[_Subject, set[_Waiter]]


class Tail:
    """Follows the table; while nobody waits, it only looks how far the table has grown.

    Attributes:
        seen: The sequence number up to which it has looked.

    Args:
        store: Where to look.
        poll: Seconds between two looks for what other processes store.
    """

    def __init__(self, store: Store, poll: float) -> None:
        self.seen = 0
        self._store = store
        self._poll = poll
        self._looking = Looking(self._look, poll, "look for new pushes")
        self._stored = Signal()
        self._asking: _Waiting = defaultdict(set)
        self._waiting: _Waiting = defaultdict(set)

    async def __aenter__(self) -> Self:
        """Begin at the table's end.

        Raises:
            InboxUnavailable: The database failed.
        """
        self.seen = await self._store.last_seq()
        self._store.listen(self._hear)
        await self._looking.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wake everybody, and end."""
        self._looking.closed = True
        self._stored.notify()
        closed = InboxClosed("the inbox was closed while somebody waited for a push")
        _fail(chain(*self._asking.values(), *self._waiting.values()), closed)
        await self._looking.__aexit__(exc_type, exc, traceback)

    async def latest(self, kind: str, subject: str, seconds: float | None) -> PushValue:
        """Return the latest push of a subject, waiting for the first one if there is none yet.

        Args:
            kind: Its kind.
            subject: Whose it is.
            seconds: How long to wait at most; None for ever. Whoever doesn't want to wait at all
                has a second for the look itself.

        Raises:
            TimeoutError: None came in time.
            InboxUnavailable: The database failed at the first look, or the inbox was closed.
        """
        until = None if seconds is None else asyncio.get_running_loop().time() + seconds
        first = None if seconds is None else max(seconds, _LOOK)
        with self._registered((kind, subject)) as waiter:
            async with asyncio.timeout(first) as limit:
                while (found := await waiter.looked()) is None:
                    limit.reschedule(until)
        return found

    async def pushes(self, seq: int) -> AsyncGenerator[News]:
        """Iterate over what is stored after `seq`, through outages, until this is closed."""
        outage = Outage("read new pushes")
        async for _ in outage.rounds(self._stored, self._poll):
            more = True
            while more and not self._looking.closed:
                news: list[News] = []
                with outage.bridged():
                    news = await self._store.pushes_after(seq, _PAGE)
                for each in news:
                    seq = each.push.seq
                    yield each
                more = len(news) == _PAGE
            if self._looking.closed:
                return

    async def stored(self, seq: int) -> AsyncGenerator[News]:
        """Iterate over what is stored after `seq` by now.

        Raises:
            InboxUnavailable: The database failed.
        """
        more = True
        while more:
            news = await self._store.pushes_after(seq, _PAGE)
            for each in news:
                seq = each.push.seq
                yield each
            more = len(news) == _PAGE

    @contextmanager
    def _registered(self, key: _Subject) -> Generator[_Waiter]:
        if self._looking.closed:
            raise InboxClosed("the inbox is being closed")
        waiter = _Waiter()
        self._asking[key].add(waiter)
        self._looking.wake()
        try:
            yield waiter
        finally:
            for place in (self._asking, self._waiting):
                if key in place:
                    place[key].discard(waiter)
                    if not place[key]:
                        del place[key]

    def _hear(self) -> None:
        self._stored.notify()
        if self._waiting:
            self._looking.wake()

    async def _look(self) -> None:
        await self._answer()
        if self._waiting:
            await self._follow()
        else:
            self.seen = await self._store.last_seq()

    async def _answer(self) -> None:
        """Look for those who came since the last look."""
        asking, self._asking = self._asking, defaultdict(set)
        for key, waiters in asking.items():
            self._waiting[key] |= waiters
        try:
            await self._find(asking)
        except InboxUnavailable as exc:
            _fail(chain.from_iterable(asking.values()), exc)
            raise
        for waiter in chain.from_iterable(asking.values()):
            waiter.news.set()

    async def _follow(self) -> None:
        """Look for those who wait in what has been stored since the last look."""
        more = True
        while more and self._waiting and not self._looking.closed:
            rows = await self._store.subjects_after(self.seen, _BATCH)
            stored = {(kind, subject) for _, kind, subject in rows}
            await self._find(stored & self._waiting.keys())
            self.seen = rows[-1][0] if rows else self.seen
            more = len(rows) == _BATCH

    async def _find(self, keys: Iterable[_Subject]) -> None:
        """Tell those who wait for these subjects what is there."""
        of_kind: defaultdict[str, list[str]] = defaultdict(list)
        for kind, subject in keys:
            of_kind[kind].append(subject)
        for kind, subjects in of_kind.items():
            for start in range(0, len(subjects), _BATCH):
                found = await self._store.newest(kind, subjects[start : start + _BATCH])
                for subject, push in found.items():
                    value = meaning_or_none(push) or await self._readable(kind, subject)
                    self._tell((kind, subject), value)

    async def _readable(self, kind: str, subject: str) -> PushValue | None:
        """Return the latest push of a subject that can be read."""
        ranked = await self._store.ranked(kind, subject, _FALLBACKS)
        return next((value for push in ranked[1:] if (value := meaning_or_none(push))), None)

    def _tell(self, key: _Subject, value: PushValue | None) -> None:
        if value is not None:
            for waiter in self._waiting.get(key, ()):
                waiter.value = value
                waiter.news.set()


def _fail(waiters: Iterable[_Waiter], error: Exception) -> None:
    for waiter in waiters:
        waiter.error = error
        waiter.news.set()
