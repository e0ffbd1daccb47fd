"""Tells those who wait what has been stored, by this process or by another on the same database."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from itertools import chain
from types import TracebackType
from typing import Final, Self

from ihuyi_voice.common.logs import tell
from ihuyi_voice.common.signal import Rounds, Signal
from ihuyi_voice.common.tasks import ended
from ihuyi_voice.errors import InboxUnavailable
from ihuyi_voice.pushes.store import Store

logger = logging.getLogger("ihuyi_voice.pushes")

_BATCH: Final = 1000


class Tail:
    """Follows the table, for those who wait for a certain subject, with one query for all of them.

    While nobody waits, it only looks from time to time how far the table has grown.

    Attributes:
        seen: The sequence number up to which it has looked.
        closed: Whether it tells nobody anything any more.

    Args:
        store: Where to look.
        poll: Seconds between two looks for what other processes store.
    """

    def __init__(self, store: Store, poll: float) -> None:
        self.seen = 0
        self.closed = False
        self._store = store
        self._poll = poll
        self._look = Signal()
        self._stored = Signal()
        self._waiting: defaultdict[tuple[str, str], set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        """Begin at the table's end.

        Raises:
            InboxUnavailable: The database failed.
        """
        self.seen = await self._store.last_seq()
        self._store.listen(self._hear)
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wake everybody, and end."""
        self.closed = True
        self._look.notify()
        self._stored.notify()
        for event in chain.from_iterable(self._waiting.values()):
            event.set()
        await ended(self._task, at_once=exc_type is not None)

    @contextmanager
    def watched(self, kind: str, subject: str) -> Generator[asyncio.Event]:
        """Yield an event that is set when a push of this subject has been stored, or on closing."""
        event = asyncio.Event()
        waiting = self._waiting[kind, subject]
        waiting.add(event)
        self._look.notify()  # from now on every push counts, not just how far the table has grown
        try:
            yield event
        finally:
            waiting.discard(event)
            if not waiting:
                self._waiting.pop((kind, subject), None)

    def rounds(self) -> Rounds:
        """Iterate at once and whenever something may have been stored, or this was closed."""
        return self._stored.rounds(every=self._poll)

    def _hear(self) -> None:
        self._stored.notify()
        if self._waiting:
            self._look.notify()

    async def _run(self) -> None:
        async for _ in self._look.rounds(every=self._poll):
            if self.closed:
                break
            if self._waiting:
                await self._follow()
            else:
                await self._measure()

    async def _measure(self) -> None:
        with _logged():
            last = await self._store.last_seq()
            if not self._waiting:  # else something between `seen` and `last` may be waited for
                self.seen = last

    async def _follow(self) -> None:
        with _logged():
            more = True
            while more and self._waiting and not self.closed:
                rows = await self._store.subjects_after(self.seen, _BATCH)
                for row in rows:
                    self._wake(*row)
                more = len(rows) == _BATCH

    def _wake(self, seq: int, kind: str, subject: str) -> None:
        self.seen = seq
        for event in self._waiting.get((kind, subject), ()):
            event.set()


@contextmanager
def _logged() -> Generator[None]:
    try:
        yield
    except InboxUnavailable as exc:
        tell(logger, logging.WARNING, "can't look for new pushes: %s", exc)
