"""An event loop that stands still when told to, as in a process that was stopped and goes on.

Python's selectors, woken by SIGCONT after their timeout has passed, report no events although
there are some: so the timers come first. That is what a freeze does here.
"""

import asyncio
import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Reports nothing once after a freeze."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = 0.0
        self.silent = False
        self.at_connect = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.at_connect and self._connecting():
            self.offset, self.silent, self.at_connect = self.at_connect, True, 0.0
        if self.silent:
            self.silent = False
            return []
        return super().select(timeout)

    def _connecting(self) -> bool:
        return any(key.events & selectors.EVENT_WRITE for key in self.get_map().values())


class FreezableLoop(asyncio.SelectorEventLoop):
    """The loop; its clock goes on while it is frozen."""

    def __init__(self) -> None:
        self.freezing = _Selector()
        super().__init__(self.freezing)

    def time(self) -> float:
        """Return the time, with what passed while it was frozen."""
        return super().time() + self.freezing.offset

    def freeze(self, seconds: float) -> None:
        """Stand still for so long, from now on."""
        self.freezing.offset += seconds
        self.freezing.silent = True

    def freeze_at_connect(self, seconds: float) -> None:
        """Stand still for so long as soon as some connection is being made."""
        self.freezing.at_connect = seconds


def run_freezable(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on such a loop."""
    with asyncio.Runner(loop_factory=FreezableLoop) as runner:
        return runner.run(main)


def on_freezable_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test on such a loop."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_freezable(test(*args, **kwargs))

    return run


def freezable() -> FreezableLoop:
    """Return the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, FreezableLoop)
    return loop


class AnsweringThread:
    """A server of one connection in a thread, which goes on while the loop stands still.

    Args:
        replies: What it sends, a reply to each request, once it is told to.
        reads: Whether it reads the requests.
        tls: To speak over TLS.
    """

    def __init__(
        self, *replies: bytes, reads: bool = True, tls: ssl.SSLContext | None = None
    ) -> None:
        self.asked, self.go, self.answered = (threading.Event() for _ in range(3))
        self._replies, self._reads, self._tls = replies, reads, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._end.set()
        self.go.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        # Or a reply behind TLS's session tickets is held back until those are acknowledged.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True)
        with connection:
            for reply in self._replies:
                if self._reads:
                    connection.recv(65_536)
                self.asked.set()
                self.go.wait()
                connection.sendall(reply)
                self.answered.set()
            self._end.wait()
