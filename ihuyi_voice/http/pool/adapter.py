"""Our pool in the shape of httpcore's, for those who patch httpx or httpcore.

Only imported when somebody does: it brings httpcore in.
"""

from collections.abc import AsyncIterable, AsyncIterator
from typing import TYPE_CHECKING, Any

import httpcore
import httpx
from httpcore import AsyncConnectionInterface

from ihuyi_voice.http.pool.seams import Originals

if TYPE_CHECKING:
    from ihuyi_voice.http.pool.seams import PatchableTransport

_ORIGINALS = Originals(httpcore.AsyncConnectionPool, "handle_async_request")


class Adapter(httpcore.AsyncConnectionPool):
    """A pool of httpcore's whose connections all lead to ours."""

    def __init__(self, transport: "PatchableTransport") -> None:
        super().__init__(max_connections=None, max_keepalive_connections=0)
        self._transport = transport

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request: straight to our pool, or first to whoever patched httpcore's."""
        if _ORIGINALS:
            return await _send(self._transport, request)
        # Mocks read the body, and what they read is not sent. They are given a copy.
        rendering = getattr(request.stream, "rendering", None)
        if rendering is not None:
            request.stream = httpx.ByteStream(rendering())
        return await super().handle_async_request(request)

    def create_connection(self, origin: httpcore.Origin) -> AsyncConnectionInterface:
        """Return a connection for one request; this is where httpcore's own function gets to."""
        return _OneRequest(self._transport, origin)


class _OneRequest(AsyncConnectionInterface):
    """A connection of httpcore's shape that is used for one request."""

    def __init__(self, transport: "PatchableTransport", origin: httpcore.Origin) -> None:
        self._transport = transport
        self._origin = origin
        self._used = False

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        self._used = True
        return await _send(self._transport, request)

    async def aclose(self) -> None:
        self._used = True

    def info(self) -> str:
        return "ihuyi-voice"

    def can_handle_request(self, origin: httpcore.Origin) -> bool:
        return origin == self._origin

    def is_available(self) -> bool:
        return False  # whoever asked for it has it

    def has_expired(self) -> bool:
        return False

    def is_idle(self) -> bool:
        return False

    def is_closed(self) -> bool:
        return self._used


async def _send(transport: "PatchableTransport", request: httpcore.Request) -> httpcore.Response:
    url = request.url
    stream: Any = request.stream
    extensions: Any = request.extensions  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - half typed
    rebuilt = httpx.Request(
        request.method.decode("ascii"),
        httpx.URL(
            scheme=url.scheme.decode("ascii"),
            host=url.host.decode("ascii"),
            port=url.port,
            raw_path=url.target,
        ),
        headers=request.headers,
        stream=stream if isinstance(stream, httpx.AsyncByteStream) else _Readable(stream),
        extensions=extensions,
    )
    response = await transport.send_directly(rebuilt)
    content: Any = response.stream
    return httpcore.Response(
        response.status_code,
        headers=response.headers.raw,
        content=content,
        extensions=response.extensions,
    )


class _Readable(httpx.AsyncByteStream):
    """A body of httpcore's, as httpx takes it."""

    def __init__(self, stream: AsyncIterable[bytes]) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._stream.__aiter__()
