"""The vendor in a box, served from a thread of its own: whatever loop a test has, or none.

What a test calls of the simulator is done in that thread's event loop if it touches connections or
pushes; what only looks, looks from where it is. So synchronous and asynchronous tests, and those
who serve an app in a thread, all have the same simulator.
"""

import asyncio
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from ihuyi_voice.simulator import Simulator
from ihuyi_voice.simulator.http import PATH
from ihuyi_voice.testing.apps import Receiver, address_in, way_into
from ihuyi_voice.testing.home import Home

_PATIENCE: Final = 30.0
"""Seconds that a synchronous call waits for at most."""

T = TypeVar("T")


class ServedSimulator(Simulator):
    """The vendor, served; the fixture `ihuyi_simulator`.

    Attributes:
        url: The address of its voice.php.
    """

    def __init__(self, home: Home, **options: Any) -> None:  # noqa: ANN401 - those of Simulator
        super().__init__(**options)
        self.url = f"{home.address}{PATH}"
        self._home = home

    @contextmanager
    def served(self) -> Generator[None]:
        """Be served while inside."""
        with self._home.hosting(self):
            try:
                yield
            finally:
                self._closing.notify()

    def pushes_to(self, receiver: Receiver, path: str = "/") -> None:
        """Push reports and audits to an app under test, from now on.

        The app finds the simulator by IHUYI_BASE_URL, which the fixture has set, or by
        `simulator.url`; so neither has to be made before the other.

        Args:
            receiver: An address (`http://127.0.0.1:8000`), an ASGI application whose loop is the
                running one, or a synchronous client of it such as Starlette's `TestClient`.
            path: The receiver's path in it, token included.

        Raises:
            TypeError: It is none of these.
            RuntimeError: It is an ASGI application, and no loop runs here.
        """
        self._pusher.use(way_into(receiver))
        self.push_to = address_in(receiver, path)

    async def deliver(self) -> int:
        """Let time pass until every push has been heard or given up.

        A push that isn't heard is tried three times, 60 and 120 seconds apart, as the vendor does.

        Returns:
            How many tries of pushes there were, since the test began.
        """
        return await asyncio.wrap_future(self._home.begin(self._deliver()))

    def deliver_now(self, timeout: float = _PATIENCE) -> int:
        """Do the same as `deliver`, for synchronous tests."""
        return self._waited(self._deliver(), timeout)

    async def push_due(self) -> int:
        """Make every try that is due now by the clock, and return how many they were."""
        return await asyncio.wrap_future(self._home.begin(super().push_due()))

    def wait_pushed(self, count: int = 1, timeout: float = _PATIENCE) -> None:
        """Return once at least `count` tries of pushes have been made; for synchronous tests.

        Raises:
            TimeoutError: They were not, within so many seconds.
        """
        self._waited(self.pushed(count), timeout)

    def wait_arrived(self, count: int = 1, timeout: float = _PATIENCE) -> None:
        """Return once at least `count` requests have arrived; for synchronous tests.

        Raises:
            TimeoutError: They had not, within so many seconds.
        """
        self._waited(self.arrived(count), timeout)

    async def _deliver(self) -> int:
        await self._pusher.landed()
        while self.push_to and (due := self.next_push) is not None:
            if due > self.clock():
                self.clock.advance(due - self.clock())
            await super().push_due()
            await self._pusher.landed()
        return len(self.pushes)

    def _waited(self, work: Coroutine[Any, Any, T], timeout: float) -> T:
        if asyncio._get_running_loop() is not None:  # noqa: SLF001 - asyncio's own, and documented
            work.close()
            raise RuntimeError(
                "this would stop the running event loop; in asynchronous tests, await deliver(), "
                "pushed() and arrived()"
            )
        future = self._home.begin(work)
        try:
            return future.result(timeout)
        finally:
            future.cancel()
