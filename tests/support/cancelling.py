"""A task that is cancelled where it waits for the n-th time, and again in its clean-up."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Literal, TypeAlias

import attrs

Again: TypeAlias = Literal["once", "twice", "always"]
"""How often: `always` is what a cancelled scope of anyio does, at each further wait."""

EACH: tuple[Again, ...] = ("once", "twice", "always")
_TIMES = {"once": 1, "twice": 2, "always": 10_000}


class _Counted(Coroutine[Any, Any, Any]):
    """A coroutine whose task is cancelled once it has waited so often."""

    def __init__(self, inside: Coroutine[Any, Any, Any], at: int, again: Again) -> None:
        self.waits = 0
        self._inside = inside
        self._at = at
        self._left = _TIMES[again]

    def send(self, value: Any) -> Any:
        """Go on."""
        return self._waiting(self._inside.send(value))

    def throw(self, *error: Any) -> Any:
        """Go on with an error."""
        return self._waiting(self._inside.throw(*error))

    def close(self) -> None:
        """Close it."""
        self._inside.close()

    def __await__(self) -> Any:
        return self._inside.__await__()

    def _waiting(self, waits_for: Any) -> Any:
        self.waits += 1
        if self.waits >= self._at and self._left:
            self._left -= 1
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_soon(task.cancel)
        return waits_for


@attrs.frozen
class Ended:
    """What was cancelled, and has ended.

    Attributes:
        waited: Whether it waited so often.
        task: Keeps the error, and by that whatever was not closed: no garbage collector helps.
    """

    waited: bool
    task: "asyncio.Task[Any]"


async def cancelled_at(at: int, again: Again, operation: Coroutine[Any, Any, Any]) -> Ended:
    """Run something to its end, cancelled at its n-th wait.

    Raises:
        Exception: What it raised, but for the cancellation.
    """
    counted = _Counted(operation, at, again)
    task = asyncio.Task(counted)
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
    return Ended(counted.waits >= at, task)


async def gone(tasks: set[asyncio.Task[Any]]) -> None:
    """Return once no tasks are left but these; tasks that never end keep the test waiting."""
    while left := asyncio.all_tasks() - tasks:
        await asyncio.wait(left)
