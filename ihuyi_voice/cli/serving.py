"""A server that says where it listens, and that signals end in good order."""

import asyncio
import os
import socket
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import uvicorn

from ihuyi_voice.cli.interrupts import heeding
from ihuyi_voice.cli.output import say
from ihuyi_voice.pushes import PushReceiver

_LAST_WORDS: Final = 10  # seconds that requests in flight get when the server stops


class _Server(uvicorn.Server):
    """The one of uvicorn raises signals again when it ends, which would cut the inbox short."""

    def __init__(self, config: uvicorn.Config, begin: Callable[[], None]) -> None:
        super().__init__(config)
        self._begin = begin

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        with heeding(self.handle_exit):
            yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            host, port = listening.getsockname()[:2]
            # Not the token: what is on a screen ends up in logs.
            say("receive.listening", host=f"[{host}]" if ":" in host else host, port=port)
        self._begin()


async def serve(
    receiver: PushReceiver,
    sockets: list[socket.socket],
    *,
    begin: Callable[[], None],
    until: asyncio.Event,
) -> None:
    """Serve a receiver, whose inbox is open, until a signal comes, or the event.

    Args:
        receiver: What is served.
        sockets: Where it listens. Ours, because uvicorn exits if a port is taken, with a code that
            means something else.
        begin: Called once it listens and has said so.
        until: Ends it.
    """
    config = uvicorn.Config(
        receiver,
        lifespan="off",  # the inbox is opened before, where an error can be told
        proxy_headers=False,  # the receiver has its own, stricter, way with them
        log_config=None,
        access_log=False,  # nobody asked for one
        timeout_graceful_shutdown=_LAST_WORDS,
    )
    server = _Server(config, begin)
    ending = asyncio.create_task(_end(server, until))
    try:
        await server.serve(sockets)
    finally:
        ending.cancel()


async def _end(server: uvicorn.Server, until: asyncio.Event) -> None:
    await until.wait()
    server.should_exit = True


async def listen(host: str, port: int) -> list[socket.socket]:
    """Return sockets that are bound to each address of a host; an empty one is any.

    Raises:
        OSError: It can't listen there.
    """
    found = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    with ExitStack() as stack:
        bound = [stack.enter_context(_bound(*each)) for each in dict.fromkeys(found)]
        stack.pop_all()
        return bound


def _bound(
    family: socket.AddressFamily,
    kind: socket.SocketKind,
    protocol: int,
    _: str,
    address: tuple[Any, ...],
) -> socket.socket:
    # With its protocol, without which asyncio lets the head and the body of an answer wait for each
    # other; `socket.create_server` leaves it out.
    made = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except BaseException:
        made.close()
        raise
    return made
