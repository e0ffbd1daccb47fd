"""News that can be waited for, in any event loop."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress


async def wait_for(event: asyncio.Event, seconds: float | None) -> None:
    """Return when the event is set, or after so many seconds; None for no such limit."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class News:
    """Wakes everybody who waits at that moment.

    An asyncio.Event belongs to the loop that first waits for it, so each waiter has one of its own:
    a simulator, for example, may serve many tests, each with its loop.
    """

    def __init__(self) -> None:
        self._waiters: set[asyncio.Event] = set()

    def tell(self) -> None:
        """Wake whoever waits."""
        for waiter in self._waiters:
            waiter.set()

    @contextmanager
    def followed(self) -> Generator[asyncio.Event]:
        """Yield an event that is set by all news while inside."""
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            yield waiter
        finally:
            self._waiters.remove(waiter)

    async def until(self, so: Callable[[], object]) -> None:
        """Return once something is so, looking again at all news."""
        with self.followed() as waiter:
            while not so():
                waiter.clear()
                await waiter.wait()
