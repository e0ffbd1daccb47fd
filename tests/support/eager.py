"""A task factory that starts tasks eagerly: Python's own from 3.12 on, and its likeness before."""

import asyncio
import contextvars
import sys
from asyncio.tasks import (
    _enter_task,  # pyright: ignore[reportPrivateUsage] - for loops and factories of others
    _leave_task,  # pyright: ignore[reportPrivateUsage]
)
from collections.abc import Coroutine
from typing import Any


def eager_factory() -> Any:
    """Return the factory."""
    if sys.version_info >= (3, 12):
        return asyncio.eager_task_factory
    return _start_at_once


def _start_at_once(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, Any],
    context: contextvars.Context | None = None,
    **options: Any,
) -> "asyncio.Task[Any]":
    """Take the first step inside the call; the task does the rest, from the next turn on."""
    begun = _Begun(coroutine)
    context = context or contextvars.copy_context()
    task = asyncio.Task(begun, loop=loop, context=context, **options)
    if not loop.is_running():
        return task
    outer = asyncio.current_task(loop)
    if outer is not None:
        _leave_task(loop, outer)
    _enter_task(loop, task)
    try:
        context.run(begun.begin)
    finally:
        _leave_task(loop, task)
        if outer is not None:
            _enter_task(loop, outer)
    return task


class _Begun(Coroutine[Any, Any, Any]):
    """A coroutine whose first step is taken by `begin`, and told of when it is asked for."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._waits_for: Any = None
        self._end: BaseException | None = None
        self._has_begun = self._is_told = False

    def begin(self) -> None:
        """Take the first step."""
        self._has_begun = True
        try:
            self._waits_for = self._coroutine.send(None)
        except (KeyboardInterrupt, SystemExit):  # the loop's, as with Python's own
            raise
        except BaseException as end:  # noqa: BLE001 - its own
            self._end = end

    def send(self, value: Any) -> Any:
        """Tell of the first step, or take the next one."""
        if self._end is not None:
            raise self._end
        if self._is_told or not self._has_begun:
            return self._coroutine.send(value)
        self._is_told = True
        return self._waits_for

    def throw(self, *error: Any) -> Any:
        """Throw into the coroutine; one that has ended has ended."""
        if self._end is not None:
            raise self._end
        self._is_told = True
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """Close the coroutine."""
        self._coroutine.close()

    def __await__(self) -> Any:
        return self._coroutine.__await__()
