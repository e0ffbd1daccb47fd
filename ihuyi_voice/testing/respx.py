"""Lets respx mock clients that use our own pool.

Import this module, then use `respx.mock(using="ihuyi_voice")`.
Clients with an injected `http_client`, or with `transport="httpx"`, need nothing of it.
"""

from typing import Any, ClassVar

import httpx

try:
    from respx.mocks import AbstractRequestMocker
except ImportError as exc:
    raise ImportError(
        "mocking the pool needs an extra: pip install 'ihuyi-voice[testing]'"
    ) from exc


class PoolMocker(AbstractRequestMocker):
    """Tells respx where our pool takes requests; it speaks httpx's own classes there."""

    name = "ihuyi_voice"
    targets: ClassVar[list[str]] = ["ihuyi_voice.http.pool.transport.PoolTransport"]
    target_methods: ClassVar[list[str]] = ["handle_async_request"]

    @classmethod
    def to_httpx_request(cls, **kwargs: Any) -> httpx.Request:  # noqa: ANN401 - respx's signature
        """Return the request as it is."""
        request: httpx.Request = kwargs["request"]
        return request

    @classmethod
    async def from_async_httpx_response(
        cls,
        httpx_response: httpx.Response,
        target: object,  # noqa: ARG003 - respx's signature
        **kwargs: Any,  # noqa: ANN401, ARG003 - likewise
    ) -> httpx.Response:
        """Return the response as it is."""
        return httpx_response
