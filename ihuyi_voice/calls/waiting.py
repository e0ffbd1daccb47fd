"""Waiting for a future that the waiting task's own cancellation leaves alone, with a time limit.

`asyncio.wait` does it at six times the cost: a future and a timer for each wait. Here the task
waits for a `Wait`, which is woken by the future itself, by a cancellation, or by a watchdog that
all waits of an event loop share.

Patience is time in which this process ran. One that was stopped, or whose machine slept, finds all
its deadlines passed when it wakes, and what it waited for about to come: so it looks again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Generator
from contextvars import Context
from math import inf
from typing import Any, Final, Self, TypeAlias
from weakref import WeakKeyDictionary

PATIENCE: Final = 5.0
"""How long anybody waits for foreign code that doesn't answer, in seconds."""

_SLICE: Final = 1.0  # seconds to wait at once
_OVERSLEPT: Final = 1.0  # seconds that a wait may take too long while a process runs
_TINY: Final = 1e-3

Wake: TypeAlias = "Callable[[Wait], object]"


class Wait:
    """What a task yields to wait: as much of a future as tasks make use of.

    A task asks for the loop, gives a callback by which it is woken, and then for the result, which
    is None, or the cancellation that it asked for meanwhile. Whoever looks at what tasks wait for,
    as anyio's `wait_all_tasks_blocked` does, asks whether it is done. Once it is over it refers to
    nothing more, for the watchdog may keep it until its time has come, longer than the loop lives.

    Attributes:
        is_over: Whether the task has been woken, or is about to be.
        begun: Since when, by the loop's clock.
        until: When its time is over.
    """

    __slots__ = ("_asyncio_future_blocking", "_cancelled", "_context", "_future", "_wake",
                 "begun", "is_over", "until")  # fmt: skip

    def __init__(self, future: "asyncio.Future[Any]", begun: float, seconds: float) -> None:
        self._asyncio_future_blocking = False
        self._future = future
        self._wake: Wake | None = None
        self._context: Context | None = None
        self._cancelled: asyncio.CancelledError | None = None
        self.begun, self.until = begun, begun + seconds
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
        self._future.add_done_callback(self, context=context)

    def cancel(self, msg: object = None) -> bool:
        """Wake the task with a cancellation; say whether it was not awake already."""
        if self.is_over:
            return False
        self._cancelled = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        self.expire()
        return True

    def done(self) -> bool:
        """Return whether the task has been woken, or is about to be."""
        return self.is_over

    def result(self) -> None:
        """Return, if it was not cancelled."""
        cancelled, self._cancelled = self._cancelled, None
        if cancelled is not None:
            raise cancelled

    # ---

    def expire(self) -> None:
        """Wake the task although the future is not done."""
        if self._wake is not None:
            self._future.remove_done_callback(self)
            loop, context = self.get_loop(), self._context
            loop.call_soon(self._over(self._wake), self, context=context)

    def __call__(self, _: "asyncio.Future[Any]") -> None:
        """Wake the task, now that the future is done."""
        if self._wake is not None:
            self._over(self._wake)(self)  # it is a turn of the loop already

    def _over(self, wake: Wake) -> Wake:
        self.is_over = True
        self._wake = self._context = None
        del self._future
        return wake


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


class Patience:
    """How much longer somebody waits, who may be asleep meanwhile.

    Attributes:
        left: Seconds in which this process runs; 0 when there are none.

    Args:
        seconds: How many there are.
    """

    __slots__ = ("_begun", "_some", "left")

    def __init__(self, seconds: float) -> None:
        self.left = seconds
        self._some = self._begun = 0.0

    def slice(self) -> Self:
        """Return a context for a part of the wait, which gives its seconds."""
        self._some = self.left if self.left == inf else min(self.left, _SLICE)
        return self

    def __enter__(self) -> float:
        self._begun = asyncio.get_running_loop().time()
        return self._some

    def __exit__(self, *_: object) -> None:
        self.take(self._some, self._begun)

    def take(self, some: float, begun: float) -> None:
        """Take what has passed; of a part that was slept through half, so that one looks again.

        Args:
            some: How long one wanted to wait.
            begun: Since when.
        """
        passed = asyncio.get_running_loop().time() - begun
        left = self.left - (some / 2 if passed > some + _OVERSLEPT else min(passed, some))
        self.left = left if left > _TINY else 0.0


async def waited(future: "asyncio.Future[Any]", seconds: float) -> bool:
    """Wait for a future, no longer than so many seconds, and leave it alone; say if it is done."""
    if future.done() or not seconds:
        return future.done()
    some = seconds if seconds == inf else min(seconds, _SLICE)
    wait = _once(future, some)
    await wait
    if future.done():  # as it is, nearly always
        return True
    patience = Patience(seconds)
    patience.take(some, wait.begun)
    while not future.done() and patience.left:
        with patience.slice() as some:
            await _once(future, some)
    return future.done()


def _once(future: "asyncio.Future[Any]", seconds: float) -> Wait:
    """Return what waits once, to be awaited now."""
    loop = future.get_loop()
    wait = Wait(future, loop.time(), seconds)
    if seconds < inf:
        watchdog = _watchdogs.get(loop)
        if watchdog is None:
            watchdog = _watchdogs[loop] = Watchdog()
        watchdog.watch(wait, seconds)
    return wait


async def ended(task: "asyncio.Future[Any]") -> asyncio.CancelledError | None:
    """Wait for a task to its end, however often cancelled, but no longer than `PATIENCE`.

    Returns:
        The last cancellation, which was not heeded; None if there was none.
    """
    if task.done():
        return None
    wait, cancelled = _once(task, _SLICE), None
    try:
        await wait
    except asyncio.CancelledError as exc:
        cancelled = exc
    if task.done():  # as it is, nearly always
        return cancelled
    patience = Patience(PATIENCE)
    patience.take(_SLICE, wait.begun)
    return await _ended(task, patience, cancelled)


async def _ended(
    task: "asyncio.Future[Any]", patience: Patience, cancelled: asyncio.CancelledError | None
) -> asyncio.CancelledError | None:
    while not task.done() and patience.left:
        try:
            with patience.slice() as seconds:
                await _once(task, seconds)
        except asyncio.CancelledError as exc:
            cancelled = exc
    return cancelled


async def all_ended(tasks: "Collection[asyncio.Future[Any]]", seconds: float | None = None) -> bool:
    """Wait for several, no longer than so many seconds; a cancellation passes through.

    Args:
        tasks: They.
        seconds: How long; None for `PATIENCE`.

    Returns:
        Whether all have ended.
    """
    patience = Patience(PATIENCE if seconds is None else seconds)
    late = set(tasks)
    while late and patience.left:
        with patience.slice() as some:
            _, late = await asyncio.wait(late, timeout=None if some == inf else some)
    return not late
