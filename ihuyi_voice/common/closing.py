"""Who waits for whom when something is closed from within: nobody waits for who waits for them.

A run may be drained, or a client closed, in a hook, a guard or a ledger of that same client, which
somebody waits for: the task of the call, and whoever waits for that. Each who closes says for whom
it waits; who comes later, and is waited for itself, leaves out those who wait for it.
"""

import asyncio
from collections.abc import Collection, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, Final

_served: Final = ContextVar[tuple["asyncio.Task[Any]", ...]]("served", default=())
_closings: Final[list["Closing"]] = []


class Closing:
    """One who closes.

    Attributes:
        tasks: The running task, and those that wait for it as for an errand of theirs.
        task: The running one alone.
        awaited: Whom they wait for now.
    """

    def __init__(self, *tasks: "asyncio.Task[Any]") -> None:
        self.tasks = frozenset[asyncio.Future[Any]](tasks)
        self.task = tasks[-1]
        self.awaited: Collection[asyncio.Future[Any]] = ()

    def others(self, tasks: "Iterable[asyncio.Future[Any]]") -> "set[asyncio.Future[Any]]":
        """Return those that may be waited for, and note that they are."""
        late = {*tasks} - self._waiting()
        self.awaited = late
        return late

    def _waiting(self) -> "set[asyncio.Future[Any]]":
        """Return all who wait for this one, also by way of each other."""
        waiting = set(self.tasks)
        rest = [each for each in _closings if each is not self]
        while found := [each for each in rest if not waiting.isdisjoint(each.awaited)]:
            for each in found:
                waiting |= each.tasks
                rest.remove(each)
        return waiting


@contextmanager
def closing() -> Generator[Closing]:
    """Let it be known that the running task closes something."""
    one = Closing(*_who_wait())
    _closings.append(one)
    try:
        yield one
    finally:
        _closings.remove(one)


def serving() -> "Token[tuple[asyncio.Task[Any], ...]]":
    """Let each task that is made from here on be one that the running task waits for.

    Returns:
        What ends it, given to `served`: this is done for each call of a guard.
    """
    return _served.set(_who_wait())


served: Final = _served.reset


def moved(task: "asyncio.Task[Any]") -> None:
    """Let it be known that what the running task has begun to close goes on in another one."""
    here = asyncio.current_task()
    for one in _closings:
        if one.task is here:
            one.tasks, one.task = one.tasks | {task}, task


def _who_wait() -> "tuple[asyncio.Task[Any], ...]":
    task, before = asyncio.current_task(), _served.get()
    if before:
        before = tuple(each for each in before if not each.done())
    return before if task is None else (*before, task)
