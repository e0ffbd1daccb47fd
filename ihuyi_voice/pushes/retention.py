"""How long pushes are kept, and what of them is forgotten then.

Only what has been HANDLED or SUPERSEDED: what nobody has handled, what is dead and what is
quarantined stays until somebody sees to it. It goes a few hundred at a time, so that others have
their turn between.
"""

# ruff: noqa: S608 - the table's name is an identifier

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import TracebackType
from typing import Final, NamedTuple, Self

from ihuyi_voice.errors import InboxClosed
from ihuyi_voice.pushes.looking import Looking
from ihuyi_voice.pushes.table import DONE, PushState, Table
from ihuyi_voice.storage import Query, Work

_CHUNK: Final = 500  # pushes a transaction
_BREATH: Final = 0.01  # seconds between two transactions, for SQLite queues no other process
_EVERY: Final = 3600.0  # seconds between two purges
_SINCE_EVER: Final = float("-inf")


class Purged(NamedTuple):
    """What one transaction has purged: how many pushes, and where to go on (None: nowhere)."""

    pushes: int
    received_at: float | None


def purged(table: Table, after: float, before: float) -> Work[Purged]:
    """Forget some of what arrived at `after` or later, and earlier than `before` (Unix seconds)."""
    yield from table.pinned()
    rows = yield Query(
        f"SELECT seq, received_at, state FROM {table}{table.by('done')} WHERE {DONE}"
        " AND received_at >= :after AND received_at < :before"
        " ORDER BY received_at, seq LIMIT :chunk",
        {"after": after, "before": before, "chunk": _CHUNK},
    )
    if not rows:
        return Purged(0, None)
    yield Query(
        f"DELETE FROM {table} WHERE {table.among('seq')}",
        {"seqs": table.values(row["seq"] for row in rows)},
    )
    counts = Counter(PushState(row["state"]) for row in rows)
    yield from table.counted({state: -count for state, count in counts.items()})
    return Purged(len(rows), rows[-1]["received_at"] if len(rows) == _CHUNK else None)


class Retention:
    """Purges what is older than it is to be kept: on entering, and every hour until it is left.

    Args:
        purge: Forgets some of what arrived between two times; `Store.purge`.
        keep: How long pushes are kept; None for ever.
        clock: Unix time in seconds.
        poll: Seconds between two looks at the clock.
    """

    def __init__(
        self,
        purge: Callable[[float, float], Awaitable[Purged]],
        keep: timedelta | None,
        clock: Callable[[], float],
        poll: float,
    ) -> None:
        self._purge = purge
        self._keep = keep
        self._clock = clock
        self._next = _SINCE_EVER
        self._looking = Looking(self._look, poll, "purge old pushes")

    async def __aenter__(self) -> Self:
        """Begin, if there is anything to do."""
        if self._keep is not None:
            await self._looking.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End after the transaction that runs."""
        if self._keep is not None:
            await self._looking.__aexit__(exc_type, exc, traceback)

    async def purge(self, before: float) -> int:
        """Forget what arrived before this, in Unix seconds, and return how many pushes it was."""
        total = 0
        after: float | None = _SINCE_EVER
        while after is not None:
            if self._looking.closed:
                raise InboxClosed("the inbox was closed while it was purged")
            pushes, after = await self._purge(after, before)
            total += pushes
            await asyncio.sleep(_BREATH if after is not None else 0)
        return total

    async def _look(self) -> None:
        now = self._clock()
        if self._keep is not None and now >= self._next:
            await self.purge(now - self._keep.total_seconds())
            self._next = now + _EVERY
