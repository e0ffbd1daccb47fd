"""A task factory that starts tasks eagerly: Python's own from 3.12 on, and its likeness before."""

import asyncio
import sys
import types
from collections.abc import Coroutine, Generator
from typing import Any


def eager_factory() -> Any:
    """Return the factory."""
    if sys.version_info >= (3, 12):
        return asyncio.eager_task_factory
    return _start_at_once


def _start_at_once(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
) -> "asyncio.Task[Any]":
    """Run the first step before there is a task; the task does the rest."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration as done:
        return asyncio.Task(_give(done.value), loop=loop, **options)
    except Exception as exc:  # noqa: BLE001 - it is the task's
        return asyncio.Task(_fail(exc), loop=loop, **options)
    return asyncio.Task(_go_on(coroutine, waits_for), loop=loop, **options)


async def _give(value: object) -> object:
    return value


async def _fail(error: Exception) -> object:
    raise error


async def _go_on(coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> Any:
    return await _rest(coroutine, waits_for)


@types.coroutine
def _rest(coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    while True:
        step, value = coroutine.send, None
        try:
            value = yield waits_for
        except BaseException as exc:  # noqa: BLE001 - it is the coroutine's
            step, value = coroutine.throw, exc
        try:
            waits_for = step(value)
        except StopIteration as done:
            return done.value
