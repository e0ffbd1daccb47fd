"""The guard of one process: rolling windows in memory, small enough for millions of numbers.

State of a number: nothing; locked (in flight); the times of its last calls; blocked by the
vendor. Times are one float for a number called once, which nearly all are, and a tuple after
that. The queue holds every call in order of time, so what has expired lies at its front: each
commit takes a few of those away, and no background task is needed. The times are spread over many
small dicts: growing one of a million numbers would hold up the event loop for tens of
milliseconds. A number is kept as an int; the caller's text is not kept.

Nothing here ever suspends, so a cancellation can't come in between.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import ClassVar, Final, TypeAlias

import attrs

from ihuyi_voice.guards.contract import Lease, Wait, check_clock
from ihuyi_voice.guards.limits import Limits, checked_limits

_Key: TypeAlias = int | str
_Times: TypeAlias = float | tuple[float, ...]
_Shard: TypeAlias = dict[_Key, _Times]

# Seconds between two looks at a number that somebody else has in flight.
_SHORTEST_LOOK: Final = 0.1
_LONGEST_LOOK: Final = 1.0
_SWEPT_EACH_TIME: Final = 3  # more than one, so that the queue shrinks as it is used
_SHARDS: Final = 61  # prime: a power of 2 would leave the keys of a dict with equal low bits


def _key(mobile: str) -> _Key:
    """A number in few bytes: an int; below 0 and led by a 1 if leading zeros would be lost."""
    if mobile.isdigit() and mobile.isascii():
        return -int(f"1{mobile}") if mobile[0] == "0" else int(mobile)
    return mobile


def _as_tuple(times: _Times) -> tuple[float, ...]:
    return times if isinstance(times, tuple) else (times,)


@attrs.define(eq=False)
class _Book:
    """What is known of the numbers of one account."""

    times: tuple[_Shard, ...] = attrs.field(factory=lambda: tuple(_Shard() for _ in range(_SHARDS)))
    locked: dict[_Key, Lease] = attrs.field(factory=dict[_Key, Lease])
    blocked: dict[_Key, tuple[float, float]] = attrs.field(
        factory=dict[_Key, tuple[float, float]]
    )  # until when, and for how long it was
    purge_at: int = 1024
    queue: deque[_Key] = attrs.field(factory=deque[_Key])
    queued_at: deque[float] = attrs.field(factory=deque[float])


@attrs.define(eq=False, repr=False)
class _Held(Lease):
    """A lease that knows its place, so that ending it looks nothing up again."""

    book: _Book
    key: _Key
    shard: _Shard


@attrs.frozen
class Statistics:
    """How much a guard remembers: numbers with calls, in flight, and blocked by the vendor."""

    numbers: int
    in_flight: int
    blocked: int


class MemoryGuard:
    """Keeps the limits per number within one process; the default guard.

    Share one among clients of the same account: what one of them called is then known to all.
    It belongs to one event loop at a time, and may serve many accounts.

    Args:
        limits: The windows.
        clock: Seconds of a clock that never goes back; wall-clock jumps don't matter to it.
    """

    never_suspends: ClassVar[bool] = True

    def __init__(
        self, limits: Limits | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = checked_limits(limits)
        check_clock(clock)
        self._clock = clock
        self._windows = tuple((w.count, w.seconds) for w in self.limits.windows)
        self._longest = max((seconds for _, seconds in self._windows), default=0.0)
        self._most = max((count for count, _ in self._windows), default=0)
        shortest = min((seconds for _, seconds in self._windows), default=_SHORTEST_LOOK)
        self._in_flight = Wait(min(shortest, _LONGEST_LOOK))
        self._books: dict[str, _Book] = {}

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        """Lock the number for one call, or say how long it is closed."""
        book = self._books.get(account)
        if book is None:
            book = self._books[account] = _Book()
        key = _key(mobile)
        if key in book.locked:
            return self._in_flight
        shard = book.times[hash(key) % _SHARDS]
        times = shard.get(key)
        if times is not None or key in book.blocked:
            wait = self._closed(book, key, times)
            if wait is not None:
                return wait
        lease = book.locked[key] = _Held(account, mobile, book, key, shard)
        return lease

    async def commit(self, lease: Lease) -> None:
        """End the lease; the number's windows start now."""
        held = self._unlock(lease)
        if not self._windows:
            return
        book, key, shard = held.book, held.key, held.shard
        now = self._clock()
        known = shard.get(key)
        shard[key] = now if known is None else self._appended(known, now)
        book.queue.append(key)
        book.queued_at.append(now)
        if book.queued_at[0] <= now - self._longest:
            self._sweep(book, now)

    async def release(self, lease: Lease) -> None:
        """End the lease; nothing is counted."""
        self._unlock(lease)

    async def block(self, lease: Lease, seconds: float) -> None:
        """End the lease; the number is closed for so many seconds from now on."""
        held = self._unlock(lease)
        book, key = held.book, held.key
        now = self._clock()
        book.blocked[key] = (now + seconds, seconds)  # an earlier one has passed: it was leased
        if len(book.blocked) > book.purge_at:
            book.blocked = {k: block for k, block in book.blocked.items() if block[0] > now}
            book.purge_at = max(1024, 2 * len(book.blocked))

    def remembers(self, account: str, mobile: str) -> bool:
        """Say whether anything is known of a number: a call, one in flight, or a block."""
        book, key = self._books.get(account), _key(mobile)
        if book is None:
            return False
        return key in book.times[hash(key) % _SHARDS] or key in book.locked or key in book.blocked

    def restore(self, account: str, mobile: str, ages: Iterable[float]) -> None:
        """Note calls that were made before, by another process perhaps, as a ledger knows them.

        It does nothing for a number that is remembered: its calls were restored before.

        Args:
            account: Whose calls they are.
            mobile: The number.
            ages: How many seconds ago each of them was.
        """
        now = self._clock()
        times = sorted(now - max(0.0, age) for age in ages if age < self._longest)
        if not times or self.remembers(account, mobile):
            return
        book, key = self._books.setdefault(account, _Book()), _key(mobile)
        book.times[hash(key) % _SHARDS][key] = tuple(times[-self._most :])
        book.queue.append(key)
        book.queued_at.append(now)  # the queue is in order: it is forgotten a little late

    def statistics(self) -> Statistics:
        """Return how much is remembered just now."""
        books = self._books.values()
        return Statistics(
            sum(len(shard) for book in books for shard in book.times),
            sum(len(book.locked) for book in books),
            sum(len(book.blocked) for book in books),
        )

    def _closed(self, book: _Book, key: _Key, times: _Times | None) -> Wait | None:
        now = self._clock()
        known = () if times is None else _as_tuple(times)
        until, window = book.blocked.get(key, (now, 0.0))
        for count, seconds in self._windows:
            if len(known) >= count and known[-count] + seconds > until:
                until, window = known[-count] + seconds, seconds
        return Wait(until - now, window) if until > now else None

    def _appended(self, known: _Times, now: float) -> tuple[float, ...]:
        earlier = _as_tuple(known)
        since = now - self._longest
        return (*[t for t in earlier[1 - self._most :] if t > since], now)

    def _unlock(self, lease: Lease) -> _Held:
        if not isinstance(lease, _Held) or lease.book.locked.get(lease.key) is not lease:
            raise RuntimeError(f"{lease} has ended already, or is another guard's")
        book = lease.book
        del book.locked[lease.key]
        return lease

    def _sweep(self, book: _Book, now: float) -> None:
        since = now - self._longest
        for _ in range(_SWEPT_EACH_TIME):
            if not book.queued_at or book.queued_at[0] > since:
                return
            book.queued_at.popleft()
            key = book.queue.popleft()
            shard = book.times[hash(key) % _SHARDS]
            times = shard.get(key)
            if times is not None and _as_tuple(times)[-1] <= since:
                del shard[key]
