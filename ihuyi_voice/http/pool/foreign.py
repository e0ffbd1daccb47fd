"""What a request brings of somebody else's code: its body, its target, its trace.

Any of it may raise, hang or be cancelled; the pool asks for it at the moments that its theory of
operation names, so that nothing of that costs more than the request.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, cast

import httpx

from ihuyi_voice.http.pool.messages import Head, Reply

REPLY: Final = "ihuyi_voice.reply"
"""The extension that may hold a callable: a reply's status, headers and body are shown to it."""

STARTED: Final = "ihuyi_voice.started"
"""The extension that may hold a callable, called right before the first byte: a cheap trace."""

TARGET: Final = "ihuyi_voice.target"
"""The extension that may hold a callable: it returns the request's target when that is needed."""

Trace: TypeAlias = Callable[[str, dict[str, Any]], Awaitable[None]]


def body_at_hand(request: httpx.Request, head: Head) -> bytes | None:
    """Return a body that is there already, and needn't be taken from a stream.

    Raises:
        httpx.LocalProtocolError: It isn't as long as announced.
    """
    stream = request.stream
    if type(stream) is not httpx.ByteStream:  # its heirs may have views of their own
        return None
    body = b"".join(stream)
    head.check(body)
    return body


def taken_at_once(request: httpx.Request) -> bytes | None:
    """Take a request's body if its stream has it in one piece, by a method `take`; or None.

    By `take_told`, if somebody is told of the first byte: then the taking alone proves nothing.
    """
    name = "take_told" if STARTED in request.extensions else "take"
    take = getattr(request.stream, name, None)
    return None if take is None else cast("bytes", take())


async def taken(request: httpx.Request) -> bytes:
    """Take a request's body, which can be taken once."""
    stream = cast("httpx.AsyncByteStream", request.stream)  # or a TypeError tells what it is
    return b"".join([part async for part in stream])


def target_of(request: httpx.Request) -> bytes:
    """Return the request's target, asked for now if somebody has it."""
    late = request.extensions.get(TARGET)
    return cast("bytes", late()) if callable(late) else request.url.raw_path


async def tell_of_reply(reply: Reply, trace: Trace) -> None:
    """Tell the trace that the reply is there; if it fails, the reply still counts.

    The event loop's exception handler hears of the failure.
    """
    head = (b"HTTP/1.1", reply.status, b"", reply.headers)
    try:
        await trace("http11.receive_response_headers.complete", {"return_value": head})
        await trace("http11.response_closed.complete", {"return_value": None})
    except Exception as exc:  # noqa: BLE001 - somebody else's function
        told = {"message": "a trace function failed after the reply", "exception": exc}
        asyncio.get_running_loop().call_exception_handler(told)
