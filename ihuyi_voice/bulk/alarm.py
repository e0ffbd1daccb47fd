"""One timer that is set anew and again: it rings no later than was last asked for."""

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls somebody at a time, or a little earlier.

    A timer that is set for an earlier time than wanted is left as it is: to look in vain once
    costs less than to set a timer for each message.

    Args:
        loop: Whose clock it goes by.
        ring: What to call.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._call = ring
        self._timer: asyncio.TimerHandle | None = None
        self._turn: asyncio.Handle | None = None

    def set(self, when: float | None) -> None:
        """Ring at `when` at the latest; None for not at all."""
        if self._turn is not None and when is None:
            self._turn.cancel()
            self._turn = None
        timer = self._timer
        if timer is not None and (when is None or when < timer.when()):
            timer.cancel()
            timer = self._timer = None
        if timer is None and when is not None:
            self._timer = self._loop.call_at(when, self._ring)

    def set_now(self) -> None:
        """Ring when the event loop comes round."""
        if self._turn is None:
            self._turn = self._loop.call_soon(self._ring_now)

    def _ring(self) -> None:
        self._timer = None
        self._call()

    def _ring_now(self) -> None:
        self._turn = None
        self._call()
