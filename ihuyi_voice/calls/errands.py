"""Calls of other people's code that go on to their end, whoever is cancelled while waiting.

Each errand is a task of its own. Whoever waits for one may do so to its end, however often it is
cancelled meanwhile (`ended`), or let a cancellation pass (`waited`); never longer than it has
patience. Then the errand goes on by itself, and `aclose` waits for it.

Patience is time in which this process ran. One that was stopped, or whose machine slept, finds all
its deadlines passed when it wakes, and what it waited for about to come: so it looks again.

A cancellation that arrives when the vendor's answer is already there must not replace the answer,
and must not be lost either: it is put off, and strikes at the next await of whoever was cancelled.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Generator
from functools import partial
from math import inf
from types import coroutine
from typing import Any, Final, Self, TypeVar, cast

from ihuyi_voice.common.redaction import mask_numbers

PATIENCE: Final = 5.0
"""How long anybody waits for foreign code that doesn't answer, in seconds."""

_LAST_WORDS: Final = 1.0  # seconds for those that were cancelled to end
_SLICE: Final = 1.0  # seconds to wait at once
_OVERSLEPT: Final = 1.0  # seconds that a wait may take too long while a process runs
_TINY: Final = 1e-3

T = TypeVar("T")


class Errands:
    """The errands of one client, or of one run."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Future[Any]] = set()

    def begin(self, call: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run a call in a task of its own."""
        task = asyncio.get_running_loop().create_task(call)
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._over)
        return task

    def start(self, call: Awaitable[T]) -> "asyncio.Future[T]":
        """Take a call's first step, and run the rest, if there is any, in a task of its own.

        It costs a fraction of a task where there is no rest, and where a future is given, which is
        an errand as it is. The first step belongs to the running task: it must not begin a timeout
        or a scope of that task's.
        """
        loop = asyncio.get_running_loop()
        if isinstance(call, asyncio.Future):
            return self._kept(call)
        steps = (
            cast("Coroutine[Any, Any, T]", call) if asyncio.iscoroutine(call) else _awaited(call)
        )
        try:
            waits_for: object = steps.send(None)
        except StopIteration as end:
            done: asyncio.Future[T] = loop.create_future()
            done.set_result(end.value)
            return done
        except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - told by the future
            return failed(exc)
        return self.begin(_rest(steps, waits_for))

    def _kept(self, future: "asyncio.Future[T]") -> "asyncio.Future[T]":
        if future.done():
            self._over(future)
        else:
            self._tasks.add(future)
            future.add_done_callback(self._over)
        return future

    async def claimed(
        self, task: "asyncio.Future[T]", give_back: Callable[[T], None], patience: float
    ) -> T:
        """Return what an errand gives; what arrives when nobody waits any more is given back.

        Raises:
            TimeoutError: It did not answer in time.
            RuntimeError: It was cancelled from inside.
            Exception: Whatever it raised.
        """
        taken = False
        try:
            taken = await waited(task, patience)
        finally:
            if not taken and task.done():
                _given_back(task, give_back)  # at once: `aclose` may look before a callback ran
            elif not taken:
                task.add_done_callback(lambda late: _given_back(late, give_back))
        if not taken:
            raise TimeoutError(f"no answer within {patience:g} s")
        return result(task)

    async def aclose(self) -> None:
        """Wait until every errand has ended, no longer than `PATIENCE`; then cancel them."""
        patience = Patience(PATIENCE)
        while self._tasks and patience.left:  # one that ends may begin another
            with patience.slice() as seconds:
                await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_WORDS)

    def _over(self, task: "asyncio.Future[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: whoever still cares has it from the task


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
        self._some = self.left if self.left in {0.0, inf} else min(self.left, _SLICE)
        return self

    def __enter__(self) -> float:
        self._begun = asyncio.get_running_loop().time()
        return self._some

    def __exit__(self, *_: object) -> None:
        """Take what has passed; of a part that was slept through half, so that one looks again."""
        passed, some = asyncio.get_running_loop().time() - self._begun, self._some
        left = self.left - (some / 2 if passed > some + _OVERSLEPT else min(passed, some))
        self.left = left if left > _TINY else 0.0


def result(task: "asyncio.Future[T]") -> T:
    """Return what an errand gave.

    Raises:
        RuntimeError: It was cancelled from inside.
        Exception: Whatever it raised.
    """
    if task.cancelled():
        raise RuntimeError("it was cancelled from inside")
    return task.result()


def words(exc: BaseException) -> str:
    """Return what an exception of foreign code says, with its numbers masked."""
    return mask_numbers(f"{type(exc).__name__}: {exc}".rstrip(": "))


async def waited(task: "asyncio.Future[Any]", seconds: float) -> bool:
    """Wait for an errand, no longer than so many seconds, and leave it alone; say if it has ended.

    `asyncio.wait` does the same at three times the cost.
    """
    patience = Patience(seconds)
    while not task.done() and patience.left:
        with patience.slice() as some:
            await _waited(task, some)
    return task.done()


async def _waited(task: "asyncio.Future[Any]", seconds: float) -> None:
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()
    wake = partial(_wake, waiter)
    task.add_done_callback(wake)
    timer = loop.call_later(seconds, wake, None)
    try:
        await waiter
    finally:
        timer.cancel()
        task.remove_done_callback(wake)


async def ended(task: "asyncio.Future[Any]") -> asyncio.CancelledError | None:
    """Wait for a task to its end, however often cancelled, but no longer than `PATIENCE`.

    Returns:
        The last cancellation, which was not heeded; None if there was none.
    """
    patience = Patience(PATIENCE)
    cancelled: asyncio.CancelledError | None = None
    while not task.done() and patience.left:
        try:
            with patience.slice() as seconds:
                await _waited(task, seconds)
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


def put_off(cancelled: asyncio.CancelledError) -> None:
    """Let a cancellation that came too late strike at the next await of the running task.

    If the task ends before, or whoever cancelled takes it back (as `asyncio.timeout` does when its
    block has ended), there is nothing left to cancel.
    """
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().call_soon(_strike, task, cancelled)


def _strike(task: "asyncio.Task[Any]", cancelled: asyncio.CancelledError) -> None:
    if not task.done() and task.cancelling():
        task.uncancel()  # it counts once, not twice
        task.cancel(*cancelled.args)


def _given_back(task: "asyncio.Future[T]", give_back: Callable[[T], None]) -> None:
    if not task.cancelled() and task.exception() is None:
        give_back(task.result())


def _wake(waiter: "asyncio.Future[None]", _: object) -> None:
    if not waiter.done():
        waiter.set_result(None)


def failed(exc: BaseException) -> "asyncio.Future[Any]":
    """Return an errand that has failed."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    if isinstance(exc, asyncio.CancelledError):
        future.cancel()
    else:
        future.set_exception(exc)
        future.exception()  # seen: whoever still cares has it from the future
    return future


async def _awaited(call: Awaitable[T]) -> T:
    return await call


async def _rest(call: Coroutine[Any, Any, T], waits_for: object) -> T:
    return await _resumed(call, waits_for)


@coroutine
def _resumed(call: Coroutine[Any, Any, T], waits_for: object) -> Generator[Any, Any, T]:
    """Go on with a coroutine that has begun, and waits for something."""
    while True:
        try:
            yield waits_for
        except BaseException as exc:  # noqa: BLE001 - the coroutine's business
            try:
                waits_for = call.throw(exc)
            except StopIteration as end:
                return cast("T", end.value)
        else:
            return cast("T", (yield from call))
