"""Tasks that run beside whoever began them, and end before them."""

import asyncio
from typing import TypeVar

T = TypeVar("T")


def is_cancelled() -> bool:
    """Say whether somebody wants this task to end; foreign code may raise CancelledError, too."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def ended(task: "asyncio.Task[None]", *, at_once: bool = False) -> None:
    """Wait for a task that was told to end. If this is cancelled, so is the task, and waited for.

    Args:
        task: The task.
        at_once: Cancel it now, because something else went wrong, which matters more than how the
            task ends.

    Raises:
        Exception: What the task raised, unless it was to end at once.
    """
    if at_once:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return
    try:
        await task
    except asyncio.CancelledError:
        if is_cancelled() or not task.cancelled():
            raise  # else a hook or a log handler has cancelled the task in which it was called


async def to_its_end(task: "asyncio.Task[T]") -> T:
    """Wait for a task that must not be cut short; a cancellation meanwhile counts after that.

    Raises:
        Exception: What the task raised.
    """
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as exc:
            cancelled = exc
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result
