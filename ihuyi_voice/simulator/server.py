"""The simulator over a real socket, by uvicorn (the extra `simulator`)."""

import asyncio
import re
import socket
import string
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from typing import Any, TypeAlias
from urllib.parse import quote_from_bytes

try:
    import uvicorn
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError as exc:
    raise ImportError(
        "serving the simulator needs an extra: pip install 'ihuyi-voice[simulator]'"
    ) from exc

from ihuyi_voice.simulator.http import ABORT, Receive, Scope, Send

Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_PRINTABLE = string.printable  # these stay as they are, everything else is percent-encoded
_LAST_WORDS = 2  # seconds that requests in flight get when the server stops
_LONGEST_HEAD = 65_536
_TICK = 0.1  # seconds, as uvicorn has it: each tenth one renews the Date of answers
_TURNS = 20  # of the event loop, in which a connection that is closed is told so
_LINE_END = re.compile(rb"\r?\n")
_HEAD_END = re.compile(rb"\n\r?\n")


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, as tolerant as the vendor's nginx, and able to break its connection.

    The parser takes neither lines that end in a bare LF nor raw UTF-8 in the URL, which some
    clients send. So a head is kept until it is whole, mended, and only then parsed; a body passes
    as it comes.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it so too
        # asyncio only does so for sockets whose protocol number is set; without it, head and body
        # of a reply, written apart, wait 40 ms for each other.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
        self.app_state = {**self.app_state, ABORT: transport.abort}
        self._head: bytes = b""
        self._in_body = False

    def data_received(self, data: bytes) -> None:
        while data and not self.transport.is_closing():
            if self._in_body:
                super().data_received(data)
                return
            data = self._take_head(data)

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def _take_head(self, data: bytes) -> bytes:
        """Parse a head once it is whole, and return what is behind it."""
        kept = 0
        if self._head:
            # This much has been looked through, but for an end that is cut in two.
            kept = len(self._head) - 3
            data = self._head + data
        data = data.lstrip(b"\r\n")
        end = _HEAD_END.search(data, max(kept, 0))
        if end is None and len(data) < _LONGEST_HEAD:
            self._head = data
            super().data_received(b"")  # so that the connection doesn't count as idle
            return b""
        self._head, self._in_body = b"", True
        head = data if end is None else data[: end.end()]
        super().data_received(_mended(head))
        return data[len(head) :]


def _mended(head: bytes) -> bytes:
    """Return a head as parsers demand it: each line ends in CR LF, and the first one is ASCII."""
    if head.isascii() and head.count(b"\n") == head.count(b"\r\n"):
        return head
    line, end, rest = _LINE_END.sub(b"\r\n", head).partition(b"\r\n")
    return quote_from_bytes(line, safe=_PRINTABLE).encode() + end + rest


class _Server(uvicorn.Server):
    """A server inside somebody else's program: signals stay theirs, and readiness is awaited.

    It ends at once where nothing is in flight. uvicorn looks every tenth of a second whether it
    shall end, and sleeps as long before it looks who is left; with a simulator for each test, that
    is most of what a test takes.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready, self._end = asyncio.Event(), asyncio.Event()

    def stop(self) -> None:
        """Let it end."""
        self.should_exit = True
        self._end.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        for tick in count():
            if await self.on_tick(tick):
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK):
                    await self._end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await _turn_away(sockets or [])
        for listening in self.servers:
            listening.close()
        if not await self._all_left():
            await super().shutdown(sockets)
            return
        for each in sockets or ():
            each.close()
        await self.lifespan.shutdown()

    async def _all_left(self) -> bool:
        """Close what is idle, and say whether that was all."""
        state = self.server_state
        for _ in range(_TURNS):  # all: some have just come, or are about to end by themselves
            for connection in list(state.connections):
                connection.shutdown()
            await asyncio.sleep(0)
        return not state.connections and not state.tasks

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def _turn_away(sockets: list[socket.socket]) -> None:
    """Take no new connection; if asyncio just takes one when its server closes, it forgets it."""
    for each in sockets:
        with suppress(NotImplementedError, RuntimeError):  # another loop, with ways of its own
            asyncio.get_running_loop().remove_reader(each)
    for _ in range(2):  # what was taken is made a connection in the next turn
        await asyncio.sleep(0)


@asynccontextmanager
async def serving(
    app: Application,
    host: str = "127.0.0.1",
    port: int = 0,
    certfile: str | None = None,
    keyfile: str | None = None,
) -> AsyncGenerator[str]:
    """Serve `app` while inside and yield the address, without a path."""
    options: dict[str, Any] = {"ssl_certfile": certfile, "ssl_keyfile": keyfile}
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # it would write passwords and numbers of GET requests
        timeout_graceful_shutdown=_LAST_WORDS,
        **options,
    )
    async with running(config, host, port) as address:
        yield address


@asynccontextmanager
async def running(
    config: uvicorn.Config, host: str = "127.0.0.1", port: int = 0
) -> AsyncGenerator[str]:
    """Run a server in this process while inside and yield the address, without a path."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=2048) as listening:
        # As above, for applications that uvicorn serves with a protocol of its own.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = _Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        try:
            await _ready(server, serving)
            scheme = "https" if config.is_ssl else "http"
            name = f"[{host}]" if ":" in host else host
            yield f"{scheme}://{name}:{listening.getsockname()[1]}"
        finally:
            server.stop()
            await serving


async def _ready(server: _Server, serving: "asyncio.Task[None]") -> None:
    """Wait until the server listens; if it ends before that, raise what ended it."""
    ready = asyncio.create_task(server.ready.wait())
    try:
        await asyncio.wait({ready, serving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ready.cancel()
    if serving.done():
        await serving
