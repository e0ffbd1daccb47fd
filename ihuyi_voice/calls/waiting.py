"""Waiting for a future that the waiting task's own cancellation leaves alone, with a time limit.

`asyncio.wait` does it at six times the cost: a future and a timer for each wait. Here the task
waits for a `Wait`, which is woken by the future itself, by a cancellation, or by a watchdog that
all waits of an event loop share.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from contextvars import Context
from math import inf
from typing import Any
from weakref import WeakKeyDictionary

Wake = Callable[["Wait"], object]


class Wait:
    """What a task yields to wait: as much of a future as tasks make use of.

    A task asks for the loop, gives a callback by which it is woken, and then for the result, which
    is None, or the cancellation that it asked for meanwhile.

    Attributes:
        is_over: Whether the task has been woken, or is about to be.
    """

    __slots__ = ("_asyncio_future_blocking", "_cancelled", "_context", "_future", "_wake",
                 "is_over", "until")  # fmt: skip

    def __init__(self, future: "asyncio.Future[Any]", until: float) -> None:
        self._asyncio_future_blocking = False
        self._future = future
        self._wake: Wake | None = None
        self._context: Context | None = None
        self._cancelled: asyncio.CancelledError | None = None
        self.until = until
        self.is_over = False

    def __await__(self) -> Generator["Wait", None, None]:
        """Return when the future is done, or the time over."""
        self._asyncio_future_blocking = True
        yield self

    # --- what a task asks of it

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the future's."""
        return self._future.get_loop()

    def add_done_callback(self, wake: Wake, *, context: Context | None = None) -> None:
        """Note how the task is woken."""
        self._wake, self._context = wake, context
        self._future.add_done_callback(self._ended, context=context)

    def cancel(self, msg: object = None) -> bool:
        """Wake the task with a cancellation; say whether it was not awake already."""
        if self.is_over:
            return False
        self._cancelled = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        self.expire()
        return True

    def result(self) -> None:
        """Return, if it was not cancelled."""
        if self._cancelled is not None:
            raise self._cancelled

    # ---

    def expire(self) -> None:
        """Wake the task although the future is not done."""
        if not self.is_over and self._wake is not None:
            self.is_over = True
            self._future.remove_done_callback(self._ended)
            self.get_loop().call_soon(self._wake, self, context=self._context)

    def _ended(self, _: "asyncio.Future[Any]") -> None:
        if not self.is_over and self._wake is not None:
            self.is_over = True
            self._wake(self)  # it is a turn of the loop already


class Watchdog:
    """Ends the waits of one event loop whose time is over, with one timer for all of one length."""

    def __init__(self) -> None:
        self._waits: dict[float, deque[Wait]] = {}  # by length, and so in the order of their ends

    def watch(self, wait: Wait, seconds: float) -> None:
        """End a wait after so many seconds."""
        waits = self._waits.get(seconds)
        if waits is None:
            waits = self._waits[seconds] = deque()
            wait.get_loop().call_at(wait.until, self._look, seconds, waits)
        while waits and waits[0].is_over:
            waits.popleft()
        waits.append(wait)

    def _look(self, seconds: float, waits: deque[Wait]) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while waits and (waits[0].is_over or waits[0].until <= now):
            waits.popleft().expire()
        if waits:
            loop.call_at(waits[0].until, self._look, seconds, waits)
        else:
            del self._waits[seconds]


_watchdogs: WeakKeyDictionary[asyncio.AbstractEventLoop, Watchdog] = WeakKeyDictionary()


async def waited(future: "asyncio.Future[Any]", seconds: float) -> bool:
    """Wait for a future, no longer than so many seconds, and leave it alone; say if it is done."""
    if future.done():
        return True
    loop = future.get_loop()
    wait = Wait(future, loop.time() + seconds)
    if seconds < inf:
        watchdog = _watchdogs.get(loop)
        if watchdog is None:
            watchdog = _watchdogs[loop] = Watchdog()
        watchdog.watch(wait, seconds)
    await wait
    return future.done()
