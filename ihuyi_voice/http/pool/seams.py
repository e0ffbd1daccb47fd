"""Where other people's patches of httpx and httpcore meet our pool.

pytest-httpx, vcrpy and OpenTelemetry replace `httpx.AsyncHTTPTransport.handle_async_request`, and
respx replaces httpcore's pool. All of them may hand a request on to what they replaced. So:

- a request first asks whether anything is replaced, and if not it goes straight to the pool;
- otherwise it takes httpx's own way, the replaced functions included, down to `_pool`, an object
  of httpcore's shape that leads back to our pool. Nothing leaves in any other way.

What is replaced is not told by comparing with what was there at import, which may have been the
replacement itself, but by where the function was written.
"""

import sys
from abc import ABC, abstractmethod
from functools import cached_property
from types import FunctionType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

if TYPE_CHECKING:
    from ihuyi_voice.http.pool.adapter import Adapter


class Originals:
    """Says whether methods of a class are still those that were written in its own package.

    Args:
        cls: The class.
        names: The methods.
    """

    def __init__(self, cls: type, *names: str) -> None:
        self._cls = cls
        self._attributes = vars(cls)
        self._known: list[tuple[str, Any]] = [(name, None) for name in names]

    def __bool__(self) -> bool:
        for name, known in self._known:
            # By identity: proxies of functions say that they equal what they wrap.
            if self._attributes.get(name) is not known or known is None:
                return self._look()
        return True

    def _look(self) -> bool:
        """Look at where each function was written, and remember those that are originals."""
        found = [(name, self._attributes.get(name)) for name, _ in self._known]
        if not all(self._is_original(name, function) for name, function in found):
            return False
        self._known = found
        return True

    def _is_original(self, name: str, function: object) -> bool:
        if type(function) is not FunctionType:  # a proxy would say that it is one
            return False
        package = self._cls.__module__.partition(".")[0]
        home = str(function.__globals__.get("__name__", "")).partition(".")[0]
        return home == package and function.__code__.co_qualname == f"{self._cls.__name__}.{name}"


_HTTPX: Final = Originals(httpx.AsyncHTTPTransport, "handle_async_request")
_HTTPCORE: Final[list[Originals]] = []


def _nothing_is_replaced() -> bool:
    """Say whether httpx and httpcore are themselves; what was never imported nobody replaced."""
    if not _HTTPX:
        return False
    if not _HTTPCORE:
        httpcore = sys.modules.get("httpcore")
        if httpcore is None:
            return True
        _HTTPCORE.append(Originals(httpcore.AsyncConnectionPool, "handle_async_request"))
    return bool(_HTTPCORE[0])


class PatchableTransport(httpx.AsyncHTTPTransport, ABC):
    """An httpx transport that sends by `send_directly`, and lets patches have their way."""

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
        if _nothing_is_replaced():
            return await self.send_directly(request)
        request.headers = httpx.Headers(request.headers)  # others may write into them
        return await super().handle_async_request(request)

    @abstractmethod
    async def send_directly(self, request: httpx.Request) -> httpx.Response:
        """Send a request, whatever is patched."""

    @cached_property
    def _pool(self) -> "Adapter":  # type: ignore[override]
        """What httpx's own function sends through: httpcore's shape, our pool."""
        from ihuyi_voice.http.pool.adapter import Adapter  # noqa: PLC0415 - it imports httpcore

        return Adapter(self)
