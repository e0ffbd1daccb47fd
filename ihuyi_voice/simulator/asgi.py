"""What the simulator needs of ASGI: to read a request, to answer it, to break its connection."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

import attrs

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

ABORT: Final = "ihuyi_voice.simulator.abort"
"""Where the server leaves the function that breaks a connection, in the scope's state."""

_MAX_BODY: Final = 1_048_576


@attrs.frozen
class HttpReply:
    """An answer: its body, content type and status."""

    body: bytes
    kind: bytes
    status: int = 200


class Disconnected(ConnectionResetError):
    """Raised through the app where no server can break the connection (in-process use)."""


async def read_body(receive: Receive) -> bytes | None:
    """Return the whole body, or None if the caller has gone; more than 1 MiB is cut off."""
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return None
        if len(body) < _MAX_BODY:
            body += event.get("body", b"")
        if not event.get("more_body", False):
            return bytes(body[:_MAX_BODY])


async def respond(send: Send, reply: HttpReply) -> None:
    """Answer with `reply`."""
    length = b"%d" % len(reply.body)
    headers = [(b"content-type", reply.kind), (b"content-length", length)]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def disconnect(scope: Scope, receive: Receive) -> None:
    """Break the connection, as far as there is one."""
    abort = scope.get("state", {}).get(ABORT)
    if abort is None:
        raise Disconnected("the simulator breaks the connection, as it was told to")
    abort()
    await receive()  # the server hears of it before it misses the response
