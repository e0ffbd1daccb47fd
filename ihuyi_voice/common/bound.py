"""A timeout that is meant: whoever swallows its cancellation, or hangs in a cleanup, has another.

`asyncio.timeout` strikes once. What is bounded here is other people's code: a transport whose
connection can't be closed, a hook that tidies up where nobody answers. That would go on for ever
then, and nobody would be told how a call ended.
"""

import asyncio
from types import TracebackType
from typing import Final, Self

_AGAIN: Final = 1.0  # seconds


class Bound:
    """Bounds the time that its block takes: `async with` it.

    Leaving raises TimeoutError in place of its own cancellation, as `asyncio.timeout` does.

    Args:
        seconds: How long it may take; None for ever, unless `begin` says something else.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._strikes = 0
        self._next: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs has one
        self._task, self._before = task, task.cancelling()
        if self._seconds is not None:
            self.begin(self._seconds)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()
        left = self._before
        for _ in range(self._strikes):
            left = self._task.uncancel()
        ours = self._strikes and left <= self._before
        if ours and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error

    def begin(self, seconds: float) -> None:
        """Let it be so many seconds from now on."""
        self._stop()
        self._next = self._loop.call_at(self._loop.time() + seconds, self._strike)

    def _strike(self) -> None:
        self._strikes += 1
        self._task.cancel()
        self.begin(_AGAIN)

    def _stop(self) -> None:
        if self._next is not None:
            self._next.cancel()
