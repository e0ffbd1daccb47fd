"""A signal that can be waited for, in any event loop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Self, TypeAlias

Seconds: TypeAlias = float | None


class Signal:
    """Wakes everybody who waits at that moment; whoever looks and then waits misses nothing.

    It belongs to no event loop: a simulator, for example, may serve many tests, each with its loop.
    All methods are for the thread that the loop runs in.

    Attributes:
        count: How often it was notified.
    """

    def __init__(self) -> None:
        self.count = 0
        # An asyncio.Event belongs to the loop that first waits for it: each wait has its own.
        self._waiters: set[asyncio.Event] = set()

    def notify(self) -> None:
        """Wake whoever waits."""
        self.count += 1
        for waiter in self._waiters:
            waiter.set()

    async def wait(self, seconds: Seconds = None) -> None:
        """Return at the next notification, or after so many seconds; None for no such limit."""
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await waiter.wait()
        finally:
            self._waiters.remove(waiter)

    async def wait_until(self, predicate: Callable[[], object]) -> None:
        """Return once something is so, looking again at each notification."""
        async for _ in self.rounds():
            if predicate():
                return

    def rounds(self, every: Seconds | Callable[[], Seconds] = None) -> "Rounds":
        """Iterate, to look for something: at once, and again after each notification.

        Several notifications during one round make one more round. Leaving the loop, however that
        happens, leaves nothing behind.

        Args:
            every: Seconds after which there is a round in any case, or a function that says so
                before each wait; None to wait for a notification however long that takes.
        """
        return Rounds(self, every)


class Rounds:
    """The rounds of one who looks and then waits; see `Signal.rounds`.

    It waits only while it is asked for the next round, so there is nothing to close.
    """

    def __init__(self, signal: Signal, every: Seconds | Callable[[], Seconds]) -> None:
        self._signal = signal
        self._every = every
        self._seen: int | None = None  # the count before the last look

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> None:
        """Return when it is time for the next look; at once if the last one may be out of date."""
        if self._seen == self._signal.count:
            await self._signal.wait(self._every() if callable(self._every) else self._every)
        self._seen = self._signal.count
