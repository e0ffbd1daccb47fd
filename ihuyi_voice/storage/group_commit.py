"""Group commit: pushes that arrive while a commit runs are written together in the next one.

A push that has been put is written even if whoever put it is cancelled meanwhile.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ihuyi_voice.errors import InboxClosed, InboxUnavailable
from ihuyi_voice.storage.database import Database

if TYPE_CHECKING:
    from ihuyi_voice.pushes.store import Store

_MOST_WAITING: Final = 10_000


class _Group:
    """The rows of one transaction, and how it ended."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.ended = asyncio.Event()
        self.error: InboxUnavailable | None = None

    def end(self, error: InboxUnavailable | None = None) -> None:
        self.error = error
        self.ended.set()


class GroupCommit:
    """Writes rows durably, as many in one transaction as there are.

    Args:
        database: Where to write.
        store: How to write.
        on_commit: Called after each commit.
    """

    def __init__(self, database: Database, store: "Store", on_commit: Callable[[], None]) -> None:
        self._database = database
        self._store = store
        self._on_commit = on_commit
        self._next = _Group()
        self._work = asyncio.Event()
        self._closing = False

    async def put(self, row: dict[str, Any]) -> None:
        """Return once the row has been committed.

        Raises:
            InboxUnavailable: It was not stored.
        """
        if self._closing:
            raise InboxClosed("the inbox is being closed")
        group = self._next
        if len(group.rows) >= _MOST_WAITING:
            raise InboxUnavailable("the inbox's database is too slow for what arrives")
        group.rows.append(row)
        self._work.set()
        await group.ended.wait()
        if group.error is not None:
            raise InboxUnavailable(str(group.error)) from group.error

    async def run(self) -> None:
        """Write group after group, until closed and nothing is left to write.

        Cancelled, it tells everybody who still waits that nothing is known to be stored.
        """
        try:
            while self._next.rows or not self._closing:
                await self._work.wait()
                self._work.clear()
                await self._write()
        finally:
            self.close()
            self._next.end(InboxClosed("the inbox was closed before the push was stored"))

    def close(self) -> None:
        """Take no more rows and let `run` end with what it has."""
        self._closing = True
        self._work.set()

    async def _write(self) -> None:
        group, self._next = self._next, _Group()
        error: InboxUnavailable | None = InboxUnavailable("cut short while it was stored")
        try:
            if group.rows:
                await self._database.write(partial(self._store.insert, rows=group.rows))
                self._on_commit()
        except InboxUnavailable as exc:
            error = exc
        else:
            error = None
        finally:
            group.end(error)
