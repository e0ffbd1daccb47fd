"""The guard of one process: rolling windows in memory, small enough for millions of numbers.

State of a number: nothing; locked (in flight); the times of its last calls; a block taught by the
vendor. Times are one float for a number called once, which nearly all are, and a tuple after
that. The queue holds every call in order of time, so what has expired lies at its front: each
commit takes a few of those away, and no background task is needed.

Nothing but `freed` ever suspends, so a cancellation can't come in between.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

import attrs

from ihuyi_voice.guards.contract import Lease, Wait
from ihuyi_voice.guards.limits import Limits, window_of_code

_Key: TypeAlias = int | str
_Times: TypeAlias = float | tuple[float, ...]

_IN_FLIGHT: Final = Wait(None)
_SWEPT_EACH_TIME: Final = 3  # more than one, so that the queue shrinks as it is used


def _key(mobile: str) -> _Key:
    """A number in few bytes: an int, negative for landlines, whose leading 0 would be lost."""
    if mobile.isdigit() and mobile.isascii():
        return -int(mobile) if mobile[0] == "0" else int(mobile)
    return mobile


def _as_tuple(times: _Times) -> tuple[float, ...]:
    return times if isinstance(times, tuple) else (times,)


@attrs.define(eq=False)
class _Book:
    """What is known of the numbers of one account."""

    times: dict[_Key, _Times] = attrs.field(factory=dict[_Key, _Times])
    locked: dict[_Key, list[asyncio.Future[None]] | None] = attrs.field(
        factory=dict[_Key, list[asyncio.Future[None]] | None]
    )
    blocked: dict[_Key, float] = attrs.field(factory=dict[_Key, float])
    purge_at: int = 1024
    queue: deque[_Key] = attrs.field(factory=deque[_Key])
    queued_at: deque[float] = attrs.field(factory=deque[float])


@attrs.frozen
class Statistics:
    """How much a guard remembers: numbers with calls, in flight, and blocked by the vendor."""

    numbers: int
    in_flight: int
    blocked: int


class MemoryGuard:
    """Keeps the limits per number within one process; the default guard.

    Share one among clients of the same account: what one of them called is then known to all.

    Args:
        limits: The windows.
        clock: Seconds of a clock that never goes back; wall-clock jumps don't matter to it.
    """

    def __init__(
        self, limits: Limits | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits or Limits()
        self._clock = clock
        self._windows = tuple((w.count, w.seconds) for w in self.limits.windows)
        self._longest = max((seconds for _, seconds in self._windows), default=0.0)
        self._most = max((count for count, _ in self._windows), default=0)
        self._books: dict[str, _Book] = {}

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        """Lock the number for one call, or say how long it is closed."""
        book = self._books.get(account)
        if book is None:
            book = self._books[account] = _Book()
        key = _key(mobile)
        if key in book.locked:
            return _IN_FLIGHT
        times = book.times.get(key)
        if times is not None or book.blocked:
            seconds = self._closed_for(book, key, times)
            if seconds > 0:
                return Wait(seconds)
        book.locked[key] = None
        return Lease(account, mobile, key)

    async def commit(self, lease: Lease) -> None:
        """End the lease; the number's windows start now."""
        book, key = self._unlock(lease)
        if not self._windows:
            return
        now = self._clock()
        known = book.times.get(key)
        book.times[key] = now if known is None else self._appended(known, now)
        book.queue.append(key)
        book.queued_at.append(now)
        if book.queued_at[0] <= now - self._longest:
            self._sweep(book, now)

    async def release(self, lease: Lease) -> None:
        """End the lease; nothing is counted."""
        self._unlock(lease)

    async def teach(self, lease: Lease, code: int) -> None:
        """End the lease; the number is closed for the window of `code` from now on."""
        book, key = self._unlock(lease)
        now = self._clock()
        until = now + window_of_code(code)
        book.blocked[key] = max(until, book.blocked.get(key, until))
        if len(book.blocked) > book.purge_at:
            book.blocked = {k: t for k, t in book.blocked.items() if t > now}
            book.purge_at = max(1024, 2 * len(book.blocked))

    async def freed(self, account: str, mobile: str) -> None:
        """Return once the call in flight has ended; everybody who waits is woken, then tries.

        If it is cancelled, the wait is forgotten and nothing else changes.
        """
        book, key = self._books.get(account), _key(mobile)
        if book is None or key not in book.locked:
            return
        waiter = asyncio.get_running_loop().create_future()
        waiters = book.locked[key]
        if waiters is None:
            book.locked[key] = [waiter]
        else:
            waiters.append(waiter)
        await waiter

    def statistics(self) -> Statistics:
        """Return how much is remembered just now."""
        books = self._books.values()
        return Statistics(
            sum(len(book.times) for book in books),
            sum(len(book.locked) for book in books),
            sum(len(book.blocked) for book in books),
        )

    def _closed_for(self, book: _Book, key: _Key, times: _Times | None) -> float:
        now = self._clock()
        known = () if times is None else _as_tuple(times)
        until = book.blocked.get(key, now)
        for count, seconds in self._windows:
            if len(known) >= count:
                until = max(until, known[-count] + seconds)
        return until - now

    def _appended(self, known: _Times, now: float) -> tuple[float, ...]:
        earlier = _as_tuple(known)
        since = now - self._longest
        return (*[t for t in earlier[1 - self._most :] if t > since], now)

    def _unlock(self, lease: Lease) -> tuple[_Book, _Key]:
        book, key = self._books[lease.account], lease.key
        waiters = book.locked.pop(key)
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        return book, key

    def _sweep(self, book: _Book, now: float) -> None:
        since = now - self._longest
        for _ in range(_SWEPT_EACH_TIME):
            if not book.queued_at or book.queued_at[0] > since:
                return
            book.queued_at.popleft()
            key = book.queue.popleft()
            times = book.times.get(key)
            if times is not None and _as_tuple(times)[-1] <= since:
                del book.times[key]
