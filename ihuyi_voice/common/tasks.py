"""Tasks that run beside whoever began them, and end before them."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from ihuyi_voice.common.logs import tell

T = TypeVar("T")


def is_cancelled() -> bool:
    """Say whether somebody wants this task to end; foreign code may raise CancelledError, too."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def cancelled_since() -> Callable[[], bool]:
    """Return what says whether this task was cancelled after now, also if something swallowed it.

    What was cancelled before doesn't count: that is somebody's cleanup, which is wanted.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine that runs has one
    return partial(_is_cancelled_beyond, task, task.cancelling())


def _is_cancelled_beyond(task: "asyncio.Task[Any]", before: int) -> bool:
    return task.cancelling() > before


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


def told_of(
    logger: logging.Logger, text: str, is_asked: Callable[[], bool]
) -> "Callable[[asyncio.Task[None]], None]":
    """Return what tells, as a task's callback, of an end that nobody has asked for.

    Nobody else would: whoever looks at the task does so when it is to end. It may have been
    cancelled from within, by a hook or a log handler that was called in it.

    Args:
        logger: Whom to tell.
        text: What is no more, with a `%s` for the reason.
        is_asked: Says whether the task is to end.
    """

    def tell_of(task: "asyncio.Task[None]") -> None:
        exc = None if task.cancelled() else task.exception()
        if task.cancelled() and not is_asked():
            tell(logger, logging.ERROR, text, "the task was cancelled")
        elif isinstance(exc, Exception):
            tell(logger, logging.ERROR, text, repr(exc))

    return tell_of


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
