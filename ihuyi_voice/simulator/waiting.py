"""News that can be waited for in any event loop: one simulator may serve many tests."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager


class News:
    """Wakes everybody who waits at that moment.

    An asyncio.Event belongs to the loop that first waits for it, so each waiter has one of its own.
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
