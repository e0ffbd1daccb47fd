"""A signal that can be waited for, in any event loop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Self, TypeAlias

Seconds: TypeAlias = float | None


class Signal:
    """Wakes everybody who waits at that moment; whoever looks and then waits misses nothing.

    It belongs to no event loop: a simulator, for example, may serve many tests, each with its loop,
    from a thread of its own. It may be notified and waited for in any thread.

    Attributes:
        count: How often it was notified.
    """

    def __init__(self) -> None:
        self.count = 0
        # An asyncio.Event belongs to the loop that first waits for it: each wait has its own.
        self._waiters: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    def notify(self) -> None:
        """Wake whoever waits."""
        self.count += 1
        if not self._waiters:
            return
        here = asyncio._get_running_loop()  # noqa: SLF001 - asyncio's own, and documented
        for waiter, loop in tuple(self._waiters.items()):
            if loop is here:
                waiter.set()
            else:
                with suppress(RuntimeError):  # it is closed
                    loop.call_soon_threadsafe(waiter.set)

    async def wait(self, seconds: Seconds = None, *, since: int | None = None) -> None:
        """Return at the next notification, or after so many seconds; None for no such limit.

        Args:
            seconds: The longest to wait.
            since: A `count`: return at once if there was a notification after it.
        """
        waiter = asyncio.Event()
        self._waiters[waiter] = asyncio.get_running_loop()
        try:
            if since in {None, self.count}:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await waiter.wait()
        finally:
            del self._waiters[waiter]

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
            every = self._every() if callable(self._every) else self._every
            await self._signal.wait(every, since=self._seen)
        self._seen = self._signal.count
