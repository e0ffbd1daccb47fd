"""Proof of sending: a body that is taken once, and signed when it is taken.

What an exception says proves nothing about a transport that we did not write: aiohttp's, behind
httpx-aiohttp, calls a server that took the request and hung up a ConnectTimeout. So a request
carries its body as a stream, and whoever wants to send it has to take it from there:

- nobody took it: nothing was sent, whatever went wrong. Once that was found it can't be taken any
  more: a transport may go on in a task of its own when we have given up;
- it is taken a second time, by a transport that sends again behind our back: that is refused, and
  nobody's phone rings twice;
- it is signed when it is taken, so that no wait for a connection makes a signature old;
- to read the request (hooks, auth flows and mocks do) is not to take it: they get a rendering.

A transport that tells httpx's `trace` what it does, as our pool and httpx's own do, is believed
instead, because it knows more exactly. How far it got stands in `Sent`, an object of the call's
own that the stream and the trace lead to: a wrapper may build the request anew around them.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from importlib import import_module
from inspect import currentframe
from types import FrameType
from typing import TYPE_CHECKING, Any

import attrs
import httpx

from ihuyi_voice.common.foreign import ENDING
from ihuyi_voice.errors import GuardUnavailable, InvalidRequest, NotSent
from ihuyi_voice.http.sent import Sent
from ihuyi_voice.protocol import WireRequest

if TYPE_CHECKING:
    # The classes below are mixed with those of httpx, or of its fork httpx2, in `kit_of`.
    _Stream = httpx.AsyncByteStream
    _Request = httpx.Request
else:
    _Stream = _Request = object


class OneBody(_Stream):
    """The body of one attempt, for streams of httpx or httpx2."""

    def __init__(self, wire: WireRequest, sent: Sent) -> None:
        self._wire = wire
        self._sent = sent
        self._rendering: bytes | None = None

    def __iter__(self) -> Iterator[bytes]:
        yield self.take()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Taking(self)  # asyncio keeps a book of generators, which costs 2 µs each

    def rendering(self) -> bytes:
        """Return the body as it would be now, signed, without taking it."""
        if self._rendering is None:
            self._rendering = self._content()
        self._sent.render(currentframe())  # who reads it decides what it means
        return self._rendering

    def _content(self) -> bytes:
        try:
            return self._wire.signed() if self._wire.length else b""
        except InvalidRequest as error:
            self._sent.error = error
            raise
        except (StopIteration, StopAsyncIteration) as exc:  # of a clock: a stream would end by it
            raise RuntimeError(f"the request could not be signed ({type(exc).__name__})") from exc

    def take(self) -> bytes:
        """Return the body, signed for now, to be sent.

        Raises:
            ResendRefused: It was taken before.
            NotSent: It may not go out any more.
        """
        return self._taken(currentframe(), promised=False)

    def take_told(self) -> bytes:
        """Return the same to one who tells `Sent.start`, or `ensure_started`, before it writes."""
        return self._taken(None, promised=True)

    def _taken(self, frame: FrameType | None, *, promised: bool) -> bytes:
        content = b""
        if not self._sent.taken:
            content = self._content()
            self._sent.check_wanted()  # last, for a clock may block
            if self._sent.lapsed is not None:
                self._check_lapsed(self._sent.lapsed)
        self._sent.take(frame, promised=promised)
        return content

    def _check_lapsed(self, lapsed: Callable[..., object]) -> None:
        try:
            if not lapsed():
                return
            error = NotSent("it was ready too late: the guard's lease had lapsed")
        except ENDING:
            raise
        except BaseException as exc:  # noqa: BLE001 - a lease is the guard's, and foreign code
            error = GuardUnavailable(f"the lease could not be asked ({type(exc).__name__})")
            error.__cause__ = exc
        self._sent.error = error
        raise error


def _is_ready_to_stream(frame: FrameType | None) -> bool:
    """Say whether who asks for the content names httpx's error for a body that wasn't read."""
    caller = None if frame is None else frame.f_back
    return caller is not None and "RequestNotRead" in caller.f_code.co_names


class _Taking:
    """An iterator of one chunk."""

    def __init__(self, body: OneBody) -> None:
        self._body: OneBody | None = body

    def __aiter__(self) -> "_Taking":
        return self

    async def __anext__(self) -> bytes:
        if self._body is None:
            raise StopAsyncIteration
        body, self._body = self._body, None
        return body.take()


class OneRequest(_Request):
    """A request whose body is taken once, for the classes of httpx or httpx2.

    It is made without their `__init__`, which would look at every argument's form.
    """

    not_read: type[Exception]
    again: type["ReadAgain"]

    def __init__(
        self,
        method: str,
        url: httpx.URL,
        headers: httpx.Headers,
        body: OneBody,
        extensions: dict[str, Any],
        sent: Sent,
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.stream = self.body = body
        self.extensions = extensions
        self.sent = sent

    @property
    def content(self) -> bytes:
        """The body, signed; those who are ready to stream it are made to."""
        if _is_ready_to_stream(currentframe()):
            raise self.not_read
        return self.read()

    def read(self) -> bytes:
        """Return the body, signed, without taking it."""
        return self.body.rendering()

    async def aread(self) -> bytes:
        """Return the body, signed, without taking it."""
        return self.read()

    def __repr__(self) -> str:
        return f"<Request({self.method!r}, {str(self.url).partition('?')[0]!r})>"

    def __getstate__(self) -> dict[str, Any]:
        url = self.url.copy_with(query=None)
        return {"method": self.method, "url": url, "headers": self.headers}


class ReadAgain(_Stream):
    """The stream of a reply that has been read already, for streams of httpx or httpx2."""

    def __init__(self, content: bytes, stream: httpx.AsyncByteStream) -> None:
        self._content = content
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content

    async def aclose(self) -> None:
        """Close what it was read from."""
        await self._stream.aclose()

    def __getattr__(self, name: str) -> object:  # httpx2 asks it for `elapsed`
        return getattr(self._stream, name)


@attrs.frozen
class Kit:
    """What a client of httpx, or of its fork httpx2, takes.

    Attributes:
        body: A stream that is taken once.
        request: A request around it.
    """

    body: type[OneBody]
    request: type[OneRequest]


@cache
def kit_of(name: str) -> Kit:
    """Return the kit for `httpx` or `httpx2`."""
    module: Any = import_module(name)
    streams = (module.AsyncByteStream, module.SyncByteStream)
    names = {
        "not_read": module.RequestNotRead,
        "again": type("ReadAgain", (ReadAgain, module.AsyncByteStream), {}),
    }
    request = type("Request", (OneRequest, module.Request), names)
    return Kit(type("Body", (OneBody, *streams), {}), request)
