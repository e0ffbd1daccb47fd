"""Where other people's patches of httpx meet our pool."""

from types import TracebackType
from typing import Self

import httpx


class PatchableTransport(httpx.AsyncHTTPTransport):
    """An httpx transport that sends by `send_directly`, and lets patches of httpx's have their way.

    It makes no pool of httpcore's.
    """

    def __init__(self) -> None:
        """Leave out httpx's own, which would make a pool."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its reply."""
        return await self.send_directly(request)

    async def send_directly(self, request: httpx.Request) -> httpx.Response:
        """Send a request, whatever is patched."""
        raise NotImplementedError
