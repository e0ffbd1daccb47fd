"""The store: the table of pushes and everything asked of it; the same on both databases.

A push is PENDING until its handler has returned (HANDLED), until it has failed too often (DEAD), or
until it turns out that a later push of the same subject has been given to the handler before
(SUPERSEDED: to hand it over now would move a status backwards). Claimed by a dispatcher, it stays
PENDING and is due again when the claim's lease has run out. A push is not claimed while an
earlier one of its subject is PENDING, so per subject there is one handler at a time, in order.
What can't be read is QUARANTINED and concerns no handler.

Its database is its own: what others see of it are these methods, and InboxUnavailable.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeVar

from ihuyi_voice.errors import InboxClosed, InboxUnavailable
from ihuyi_voice.protocol import Push, RawPush
from ihuyi_voice.pushes import queries
from ihuyi_voice.pushes.arrivals import Arrival, arrival, raw_arrival, stored
from ihuyi_voice.pushes.claims import (
    Claim,
    Stored,
    Terms,
    Verdict,
    claimed,
    judged,
    renewed,
    replayed,
)
from ihuyi_voice.pushes.quarantine import Quarantined, freed, quarantined
from ihuyi_voice.pushes.retention import Purged, purged
from ihuyi_voice.pushes.schema import schema_of
from ihuyi_voice.pushes.table import PushState, Table
from ihuyi_voice.storage import Address, Database, GroupCommit, ToldAs, Work

T = TypeVar("T")
_as_inbox: Final = ToldAs(InboxUnavailable, InboxClosed, whose="the inbox")


class Store:
    """Pushes in a table; every method raises InboxUnavailable if the database says no.

    Args:
        address: Where the database is.
        table: The table's name; it is created if it is missing, and may be.
        tries_within: Seconds within which what has the same content is another try of one push.
        create: Whether a table may be created or brought to this version; else it must be there.
    """

    def __init__(
        self, address: Address, table: str, *, tries_within: float, create: bool = True
    ) -> None:
        self._database = Database(address, lock=table)
        self.table = Table(table, self._database.dialect)
        self._tries_within = tries_within
        self._create = create
        self._commits = GroupCommit[Arrival, None](self._store)
        self._listeners: list[Callable[[], None]] = []

    async def __aenter__(self) -> Self:
        """Connect, and create the table if it is missing."""
        try:
            with _as_inbox:
                await self._database.open(schema_of(self.table.name), create=self._create)
        except BaseException:
            await self._database.close()
            raise
        self._commits.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write what has been put, and disconnect."""
        try:
            await self.flush()
        finally:
            await self._database.close()

    def listen(self, listener: Callable[[], None]) -> None:
        """Have a function called after each commit of pushes; it must not raise."""
        self._listeners.append(listener)

    async def put(self, push: Push, now: float) -> None:
        """Return once a push that arrives now (Unix seconds) is stored durably.

        If it is there already, that one stays as it is. It is stored even if this is cancelled.
        """
        with _as_inbox:
            await self._commits.put(arrival(push, now))

    async def quarantine(self, raw: RawPush, now: float) -> None:
        """Return once what can't be read, and arrives now, is stored durably; once, likewise."""
        with _as_inbox:
            await self._commits.put(raw_arrival(raw, now))

    async def flush(self) -> None:
        """Take no more pushes, and return once those that were put have been written."""
        await self._commits.close()

    async def turn(
        self, verdicts: Collection[Verdict], room: Mapping[str, int], terms: Terms
    ) -> list[Claim]:
        """End claims, and claim pushes that are due, the longest due first.

        Claims that have run out and were taken over stay as they are. A machine that dies may
        forget the whole turn. A turn that is cancelled is taken all the same.

        Args:
            verdicts: What came of claims.
            room: How many pushes of each kind are claimed at most.
            terms: How they are claimed.
        """

        def work() -> Work[list[Claim]]:
            yield from self.table.pinned()
            yield from judged(self.table, verdicts)
            return (yield from claimed(self.table, room, terms))

        return await self._write(work, durable=False)

    async def renew(self, claims: Collection[Claim], lease: float) -> list[Claim]:
        """Let claims run out so many seconds from now; return those that are still ours."""
        return await self._write(lambda: renewed(self.table, claims, lease), durable=False)

    async def replay(self) -> int:
        """Make the dead pending again, due at once, and return how many they were."""
        total, after = 0, 0
        while some := await self._write(partial(replayed, self.table, after)):
            total += len(some)
            after = some[-1]
        return total

    async def purge(self, after: float, before: float) -> Purged:
        """Forget some of what has been handled or superseded, and arrived between the two."""
        return await self._write(lambda: purged(self.table, after, before))

    async def quarantined(self, after: int) -> list[Quarantined]:
        """Return some of what is quarantined and has a higher number than `after`, in order."""
        return await self._read(lambda: quarantined(self.table, after))

    async def free(self, seq: int, push: Push, received_at: float) -> int:
        """Let what was quarantined be a push that arrived then; return 1 if it still was."""
        freshly = arrival(push, received_at)
        count = await self._write(lambda: freed(self.table, seq, freshly, self._tries_within))
        self._tell()
        return count

    async def counts(self) -> dict[PushState, int]:
        """Return how many pushes are in each state."""
        return await self._read(lambda: queries.counts(self.table))

    async def made(self) -> int | None:
        """Return the number by which a table that was made anew is known; None if it has none."""
        return await self._read(lambda: queries.made(self.table))

    async def last_seq(self) -> int:
        """Return the highest sequence number, 0 if the table is empty."""
        return await self._read(lambda: queries.last_seq(self.table))

    async def subjects_after(self, seq: int, limit: int) -> list[tuple[int, str, str]]:
        """Return (seq, kind, subject) of what was stored after `seq`, in order."""
        return await self._read(lambda: queries.subjects(self.table, seq, limit))

    async def pushes_after(self, seq: int, limit: int) -> list[queries.News]:
        """Return what was stored after `seq`, in order."""
        return await self._read(lambda: queries.pushes(self.table, seq, limit))

    async def newest(self, kind: str, subjects: Iterable[str]) -> dict[str, Stored]:
        """Return of each subject the push that has the highest rank."""
        return await self._read(lambda: queries.newest(self.table, kind, subjects))

    async def ranked(self, kind: str, subject: str, limit: int) -> list[Stored]:
        """Return the pushes of a subject, the highest rank first."""
        return await self._read(lambda: queries.ranked(self.table, kind, subject, limit))

    async def _store(self, rows: Sequence[Arrival]) -> Sequence[None]:
        await self._insert(rows)
        self._tell()
        return [None] * len(rows)

    async def _insert(self, rows: Sequence[Arrival]) -> None:
        await self._database.write(lambda: stored(self.table, rows, self._tries_within))

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    async def _write(self, work: Callable[[], Work[T]], *, durable: bool = True) -> T:
        with _as_inbox:
            return await self._database.write(work, durable=durable)

    async def _read(self, work: Callable[[], Work[T]]) -> T:
        with _as_inbox:
            return await self._database.read(work)
