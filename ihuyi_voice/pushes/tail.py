"""Tells those who wait what has been stored, by this process or by another on the same database."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Final

from ihuyi_voice.common.signal import Rounds, Signal
from ihuyi_voice.errors import InboxUnavailable
from ihuyi_voice.pushes.store import Store
from ihuyi_voice.storage.database import Database

logger = logging.getLogger("ihuyi_voice.pushes")

_BATCH: Final = 1000


class Tail:
    """Follows the table, for those who wait for a certain subject, with one query for all of them.

    While nobody waits, it only looks from time to time how far the table has grown.

    Attributes:
        seen: The sequence number up to which it has looked.
        closed: Whether it tells nobody anything any more.

    Args:
        database: Where to look.
        store: How to look.
        poll: Seconds between two looks for what other processes store.
        seen: The sequence number that the table ends with.
    """

    def __init__(self, database: Database, store: Store, poll: float, seen: int) -> None:
        self.seen = seen
        self.closed = False
        self._database = database
        self._store = store
        self._poll = poll
        self._look = Signal()
        self._stored = Signal()
        self._waiting: defaultdict[tuple[str, str], set[asyncio.Event]] = defaultdict(set)

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

    def stored(self) -> None:
        """Hear that this process has stored something."""
        self._stored.notify()
        if self._waiting:
            self._look.notify()

    async def run(self) -> None:
        """Follow the table until closed."""
        async for _ in self._look.rounds(every=self._poll):
            if self.closed:
                break
            if self._waiting:
                await self._follow()
            else:
                await self._measure()

    def close(self) -> None:
        """Wake everybody and let `run` end."""
        self.closed = True
        self._look.notify()
        self._stored.notify()
        for event in chain.from_iterable(self._waiting.values()):
            event.set()

    async def _measure(self) -> None:
        with _logged():
            last = await self._database.read(self._store.last_seq)
            if not self._waiting:  # else something between `seen` and `last` may be waited for
                self.seen = last

    async def _follow(self) -> None:
        with _logged():
            more = True
            while more and self._waiting and not self.closed:
                asked = partial(self._store.subjects_after, seq=self.seen, limit=_BATCH)
                rows = await self._database.read(asked)
                for row in rows:
                    self._tell(*row)
                more = len(rows) == _BATCH

    def _tell(self, seq: int, kind: str, subject: str) -> None:
        self.seen = seq
        for event in self._waiting.get((kind, subject), ()):
            event.set()


@contextmanager
def _logged() -> Generator[None]:
    try:
        yield
    except InboxUnavailable as exc:
        logger.warning("can't look for new pushes: %s", exc)
