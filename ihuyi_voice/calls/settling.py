"""Foreign calls that must end, whatever happens to whoever waits for them.

A guard is told how a call ended, even if the caller is cancelled, and cancelled again: each call of
a guard is a task of its own. Whoever waits for it waits to its end, however often it is cancelled
meanwhile, but no longer than `PATIENCE`; then the task goes on by itself, and `aclose` waits for it.

A cancellation that arrives when the vendor's answer is already there must not replace the answer,
and must not be lost either: it is put off, and strikes at the next await of whoever was cancelled.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

PATIENCE: Final = 5.0
"""How long anybody waits for a guard that doesn't answer, in seconds."""

T = TypeVar("T")


class Settling:
    """The foreign calls of one client that have begun and not ended."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, call: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Start a call that is finished whatever happens to whoever waits for it."""
        task = asyncio.get_running_loop().create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    async def finish(self, task: "asyncio.Task[T]") -> asyncio.CancelledError | None:
        """Wait until a call has ended, but not longer than `PATIENCE`.

        Returns:
            The last cancellation of whoever waited, which was not heeded; None if there was none.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        cancelled: asyncio.CancelledError | None = None
        while not task.done() and loop.time() < until:
            try:
                await asyncio.wait({task}, timeout=until - loop.time())
            except asyncio.CancelledError as exc:
                cancelled = exc
        return cancelled

    async def aclose(self) -> None:
        """Wait for what has not ended, no longer than `PATIENCE`, and then give it up."""
        if not self._tasks:
            return
        await asyncio.wait(self._tasks, timeout=PATIENCE)
        for task in self._tasks:
            task.cancel()

    def _over(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: whoever still cares has it from the task


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
