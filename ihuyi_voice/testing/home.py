"""Where simulators of a test session are served: one thread, one event loop, one address.

A server takes a tenth of a second to end, so there is one for the session. It serves whichever
simulator lives here, one at a time; each test's moves in and out.
"""

import asyncio
import threading
from collections.abc import Coroutine, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import httpx

from ihuyi_voice.simulator import Simulator

_PATIENCE: Final = 30.0  # seconds
_NAME: Final = "ihuyi-simulator"

T = TypeVar("T")


class Home:
    """A thread that serves.

    Attributes:
        address: Where, without a path.
    """

    def __init__(self) -> None:
        self.address = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tenant: Simulator | None = None
        self._over: asyncio.Event | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401
        """Have the simulator that lives here answer (ASGI 3)."""
        if self._tenant is None:
            raise httpx.ConnectError("a request came to the simulator when its test was over")
        await self._tenant(scope, receive, send)

    def begin(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Begin something in the thread's loop."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the thread of the simulator has ended")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the thread's loop, and return what it comes to."""
        return self.begin(work).result(_PATIENCE)

    @contextmanager
    def hosting(self, simulator: Simulator) -> Generator[None]:
        """Serve a simulator, and push what it has to push, while inside."""
        self._tenant = simulator
        pushing = simulator.pushing()
        self.finish(pushing.__aenter__())
        try:
            yield
        finally:
            self._tenant = None
            self.finish(pushing.__aexit__(None, None, None))

    async def live(self, ready: "Future[None]") -> None:
        """Serve until `over`."""
        from ihuyi_voice.simulator.server import serving  # noqa: PLC0415 - needs the extra

        self._over = asyncio.Event()
        async with serving(self) as self.address:
            self._loop = asyncio.get_running_loop()
            ready.set_result(None)
            await self._over.wait()
            self._loop = None

    def leave(self) -> None:
        """End."""
        if self._loop is not None and self._over is not None:
            self._loop.call_soon_threadsafe(self._over.set)


@contextmanager
def home() -> Generator[Home]:
    """Yield a place to serve simulators; what hangs there doesn't keep the session from its end.

    Raises:
        ImportError: The extra `simulator` is not installed.
    """
    made, ready = Home(), Future[None]()
    thread = threading.Thread(target=_run, args=(made, ready), name=_NAME, daemon=True)
    thread.start()
    try:
        ready.result(_PATIENCE)
        yield made
    finally:
        made.leave()
        thread.join(_PATIENCE)


def _run(made: Home, ready: "Future[None]") -> None:
    try:
        # Of no policy's making: one of a project's may have one loop for all, or for one thread.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(made.live(ready))
    except BaseException as exc:
        if ready.done():
            raise
        ready.set_exception(exc)
