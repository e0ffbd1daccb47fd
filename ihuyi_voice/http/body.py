"""Proof of sending: a body that is taken once, and signed when it is taken.

What an exception says proves nothing about a transport that we did not write: aiohttp's, behind
httpx-aiohttp, calls a server that took the request and hung up a ConnectTimeout. So a request
carries its body as a stream, and whoever wants to send it has to take it from there:

- nobody took it: nothing was sent, whatever went wrong;
- it is taken a second time, by a transport that sends again behind our back: that is refused, and
  nobody's phone rings twice;
- it is signed when it is taken, so that no wait for a connection makes a signature old;
- to read the request (hooks, auth flows and mocks do) is not to take it: they get a rendering.

A transport that tells httpx's `trace` what it does, as our pool and httpx's own do, is believed
instead, because it knows more exactly. How far it got stands in `Sent`, an object of the call's
own that the stream and the trace lead to: a wrapper may build the request anew around them.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from enum import Enum
from functools import cache
from importlib import import_module
from inspect import currentframe
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import attrs
import httpx

from ihuyi_voice.errors import VoiceError
from ihuyi_voice.http.pool import PoolTransport
from ihuyi_voice.models import RawReply
from ihuyi_voice.protocol.replies import MAX_REPLY_BYTES
from ihuyi_voice.protocol.requests import WireRequest

TARGET: Final = "ihuyi_voice.target"
"""The extension that makes the target of a request late, for transports that can take it late."""
REPLY: Final = "ihuyi_voice.reply"
"""The extension that our own transport shows a reply to, before anybody around it can fail."""

_STARTED: Final = "send_request_headers.started"
# They read a request and answer it themselves; what their doing raises is what a test asked for.
_MOCKS: Final = ("respx", "pytest_httpx", "vcr")
_MOCKS_OF_HTTPX: Final = frozenset({"httpx._transports.mock", "httpx2._transports.mock"})
_ADAPTER: Final = "ihuyi_voice.http.pool.adapter"  # reads only to show mocks a copy
_POOL: Final = PoolTransport.__module__
_CODED: Final = len(b"content-encoding")
_BETWEEN: Final = frozenset({__name__, "httpx._models", "httpx2._models"})


if TYPE_CHECKING:
    # The classes below are mixed with those of httpx, or of its fork httpx2, in `kit_of`.
    _Stream = httpx.AsyncByteStream
    _Request = httpx.Request
else:
    _Stream = _Request = object


class Progress(Enum):
    """Whether the vendor may have seen any of a request."""

    NO = "no"
    MAYBE = "maybe"
    YES = "yes"


class ResendRefused(RuntimeError):
    """Something between us and the network tried to send a request a second time."""


@attrs.define(eq=False)
class Sent:
    """How far one attempt got; each attempt has its own.

    Attributes:
        reply: The vendor's reply, kept the moment its body was whole, whatever fails afterwards.
        error: What we found wrong ourselves: the request can't be signed, or the reply is too long.
        told: Whether the transport tells httpx's trace of itself, so that its silence about a
            beginning proves something.
        started: Whether it told that it begins to write the request.
        handed: Whether a transport may have the request by now; hooks have not.
        taken: Whether the body was taken.
        rendered: Whether somebody read the body without taking it.
        leaked: Whether a transport read the body without taking it, to send what it read perhaps.
        lost: Whether the body may have gone a way that nobody watches.
        mocked: Whether a mock that we know has the request.
        denied: Whether a mock's error says that nothing went out.
        bodyless: Whether there is no body, whose taking would tell.
        on_start: Starts the clock of the reply; called when the transport tells that it begins, or
            when the reply is there to be read.
    """

    reply: RawReply | None = None
    error: VoiceError | None = None
    told: bool = False
    started: bool = False
    handed: bool = False
    taken: bool = False
    rendered: bool = False
    leaked: bool = False
    lost: bool = False
    mocked: bool = False
    denied: bool = False
    bodyless: bool = False
    on_start: Callable[[], None] | None = attrs.field(default=None, repr=False)

    @property
    def progress(self) -> Progress:
        """How far it got, by all that is known."""
        if self.started or self.reply is not None:
            return Progress.YES
        if self.denied:
            return Progress.NO
        if self.lost:
            return Progress.MAYBE
        if self.told:
            return Progress.NO
        gone = self.taken or self.leaked or self.mocked or (self.bodyless and self.handed)
        return Progress.MAYBE if gone else Progress.NO

    @property
    def may_have_arrived(self) -> bool:
        """Whether the vendor may have seen any of it."""
        return self.progress is not Progress.NO

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take note of what a transport tells.

        Raises:
            ResendRefused: It begins to send this request for the second time.
        """
        self.told = True
        # A proxy is asked to CONNECT by a request of its own, which isn't ours yet.
        if event.endswith(_STARTED) and not _is_connect(info):
            if self.started:
                raise ResendRefused("this request was sent before; it is not sent again")
            self.started = True
            self.begin()

    def take(self, reader: FrameType | None) -> None:
        """Take note that the body goes out now.

        Raises:
            ResendRefused: It did before.
        """
        if self.taken:
            raise ResendRefused("the body of this request was taken before; it is not sent again")
        self.taken = True
        name = _module_of(reader)
        if name == _POOL:
            self.told = True  # it tells before it writes
        elif _is_mock(name):
            self.mocked = True
        elif self.told and not self.started:
            # Who told of itself, and takes the body after its beginning, is not the one who takes.
            self.lost = True

    def render(self, reader: FrameType | None) -> None:
        """Take note that the body was read; within a transport that may be the sending itself."""
        self.rendered = True
        if _is_mock(_module_of(reader)):
            self.mocked = True
        elif self.handed:
            self.leaked = True

    def keep(self, response: httpx.Response) -> bool:
        """Keep a reply whose body is in memory already, as our pool's are; else say no.

        To read a reply in httpx's way costs 40 µs.
        """
        stream, headers = response.stream, response.headers.raw
        if not isinstance(stream, httpx.ByteStream):
            return False
        for name, _ in headers:
            if len(name) == _CODED and name.lower() == b"content-encoding":
                return False
        content = b"".join(stream)
        if len(content) > MAX_REPLY_BYTES:
            return False
        self.reply = RawReply(response.status_code, headers, content)
        return True

    def begin(self) -> None:
        """Start the clock of the reply, if it hasn't started."""
        if self.on_start is not None:
            self.on_start()
            self.on_start = None


def _is_connect(info: dict[str, Any]) -> bool:
    return getattr(info.get("request"), "method", b"") in {b"CONNECT", "CONNECT"}


def _module_of(frame: FrameType | None) -> str:
    """Return the name of the module that asks for a body, through httpx's request or directly."""
    while frame is not None:
        name: str = frame.f_globals.get("__name__", "")
        if name not in _BETWEEN:
            return name
        frame = frame.f_back
    return ""


def _is_ready_to_stream(frame: FrameType | None) -> bool:
    """Say whether who asks for the content names httpx's error for a body that wasn't read."""
    caller = None if frame is None else frame.f_back
    return caller is not None and "RequestNotRead" in caller.f_code.co_names


def _is_mock(name: str) -> bool:
    return name == _ADAPTER or name in _MOCKS_OF_HTTPX or name.partition(".")[0] in _MOCKS


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
        except VoiceError as error:
            self._sent.error = error
            raise

    def take(self) -> bytes:
        """Return the body, signed for now, to be sent.

        Raises:
            ResendRefused: It was taken before.
        """
        frame = currentframe()
        content = b"" if self._sent.taken else self._content()
        self._sent.take(frame)
        return content


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
