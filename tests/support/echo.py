"""An ASGI app that echoes, for the servers that the pool must get along with."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]


async def app(scope: Event, receive: Receive, send: Send) -> None:
    """Answer /echo whole, /chunked in pieces without a length, /empty with 204."""
    body = b""
    more = True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    if scope["path"] == "/empty":
        await _answer(send, 204, [], b"")
    elif scope["path"] == "/chunked":
        await _answer(send, 200, [], body[:1], body[1:2], body[2:])
    else:
        length = (b"content-length", str(len(body)).encode())
        await _answer(send, 200, [length], body)


async def _answer(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], *pieces: bytes
) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for place, piece in enumerate(pieces, start=1):
        more = place < len(pieces)
        await send({"type": "http.response.body", "body": piece, "more_body": more})
