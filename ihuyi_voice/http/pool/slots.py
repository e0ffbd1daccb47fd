"""Slots: the most that may be in flight, given in the order of asking.

A slot is given back by whoever took it, once. Somebody who waits and is cancelled loses only the
place in the queue; a slot that was given at that very moment goes to the next.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable
from typing import Final, TypeVar

import httpx

_TURNS: Final = 8
"""How often the loop turns after a timeout, so that what had happened by then is known."""

T = TypeVar("T")


class Slots:
    """At most `most` slots at a time.

    Attributes:
        taken: How many are out.
    """

    def __init__(self, most: int) -> None:
        self.taken = self._aside = 0
        self._most = most
        self._queue: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._watchers: list[asyncio.Future[None]] = []

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._queue)

    def take(self) -> bool:
        """Take a slot if one is free."""
        if self.taken >= self._most:
            return False
        self.taken += 1
        return True

    def keep(self) -> None:
        """Count one more as taken: whoever calls gives one back at once, and another later."""
        self.taken += 1

    async def wait(self, seconds: float | None) -> None:
        """Wait for a slot, behind all who asked earlier.

        Raises:
            httpx.PoolTimeout: None became free in time.
            RuntimeError: The queue was told to go.
        """
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._queue[turn] = None
        timer = None if seconds is None else loop.call_later(seconds, _give_up, turn, _TURNS)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.exception() is None:
                self.give_back()
            raise
        finally:
            self._queue.pop(turn, None)
            if timer is not None:
                timer.cancel()

    def give_back(self) -> None:
        """Give a slot back, to whoever has waited longest."""
        self.taken -= 1
        while self._queue and self.taken < self._most:
            turn, _ = self._queue.popitem(last=False)
            if not turn.done():
                self.taken += 1
                turn.set_result(None)
        self._look_after()

    async def aside(self, foreign: Awaitable[T]) -> T:
        """Await somebody else's code; nobody who waits until all are back waits for that."""
        self._aside += 1
        self._look_after()
        try:
            return await foreign
        finally:
            self._aside -= 1

    def refuse(self, reason: str) -> None:
        """Send everybody away who waits."""
        while self._queue:
            turn, _ = self._queue.popitem(last=False)
            if not turn.done():
                turn.set_exception(RuntimeError(reason))

    async def all_back(self) -> None:
        """Return once no slot is taken but by those who await somebody else's code."""
        while self.taken > self._aside:
            watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._watchers.append(watcher)
            await watcher

    def _look_after(self) -> None:
        if not self._watchers or self.taken > self._aside:
            return
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            if not watcher.done():
                watcher.set_result(None)


def _give_up(turn: "asyncio.Future[None]", turns: int) -> None:
    """End a wait, unless a slot comes free by what has already happened."""
    if turn.done():
        return
    if turns:
        turn.get_loop().call_soon(_give_up, turn, turns - 1)
    else:
        turn.set_exception(httpx.PoolTimeout("no connection became free in time"))
