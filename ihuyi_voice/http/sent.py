"""How far one attempt got: an object of the call's own, which body and trace lead to.

It is no mark on the request, because a wrapper may build the request anew around its stream and
its extensions. What proves what is told in `body.py`.
"""

from collections.abc import Callable
from enum import Enum
from types import FrameType
from typing import Any, Final

import attrs
import httpx

from ihuyi_voice.errors import NotSent, VoiceError
from ihuyi_voice.models import RawReply
from ihuyi_voice.protocol.replies import MAX_REPLY_BYTES

_STARTED: Final = "send_request_headers.started"
# They read a request and answer it themselves; what their doing raises is what a test asked for.
_MOCKS: Final = ("respx", "pytest_httpx", "vcr")
_MOCKS_OF_HTTPX: Final = frozenset({"httpx._transports.mock", "httpx2._transports.mock"})
_ADAPTER: Final = "ihuyi_voice.http.pool.adapter"  # reads only to show mocks a copy
_BODY: Final = "ihuyi_voice.http.body"
_BETWEEN: Final = frozenset({_BODY, "httpx._models", "httpx2._models"})
_TOO_LATE: Final = "the call has ended without this request; it is not sent any more"
_UNWANTED: Final = "it was ready too late: its caller had been cancelled, or its time was over"
_CODED: Final = len(b"content-encoding")


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
        now: The clock for `left`; None if nobody asks.
        reply: The vendor's reply, kept the moment its body was whole, whatever fails afterwards.
        error: What we found wrong ourselves: the request can't be signed, or the reply is too long.
        told: Whether the transport tells httpx's trace of itself, so that its silence about a
            beginning proves something.
        started: Whether it told that it begins to write the request, or a reply has begun.
        handed: Whether a transport may have the request by now; hooks have not.
        taken: Whether the body was taken.
        rendered: Whether somebody read the body without taking it.
        leaked: Whether a transport read the body without taking it, to send what it read perhaps.
        lost: Whether the body may have gone a way that nobody watches.
        mocked: Whether a mock that we know has the request.
        denied: Whether a mock's error says that nothing went out.
        over: Whether the attempt has ended: what was not taken by then is never taken, by whatever
            a transport left behind (a task that was shielded from our cancellation, for one).
        bodyless: Whether there is no body, whose taking would tell.
        lapsed: Says, when the request is about to go out, whether it may not any more; None if it
            always may.
        unwanted: Says, at the same moment, whether nobody wants it any more: its caller was
            cancelled, though something swallowed that, or its time is over; None if it is wanted.
        left: When the request left, by that clock: its body was taken, or its first byte written.
        on_start: Starts the clock of the reply; called when the transport tells that it begins, or
            when the reply is there to be read.
    """

    now: Callable[[], float] | None = attrs.field(default=None, repr=False)
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
    over: bool = False
    bodyless: bool = False
    lapsed: Callable[..., object] | None = attrs.field(default=None, repr=False)
    unwanted: Callable[[], bool] | None = attrs.field(default=None, repr=False)
    on_start: Callable[[], None] | None = attrs.field(default=None, repr=False)
    left: float | None = None

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
            self.start()

    def start(self) -> None:
        """Take note that the first byte goes out now; our own pool tells so, without a trace.

        Raises:
            ResendRefused: It did before, or the attempt has ended.
        """
        self.told = True
        if self.started:
            raise ResendRefused("this request was sent before; it is not sent again")
        if self.over:
            raise ResendRefused(_TOO_LATE)
        self.check_wanted()
        self.begin()

    def check_wanted(self) -> None:
        """Let nothing go out for somebody who was cancelled; what may be on its way goes on.

        Raises:
            NotSent: It may not go out any more.
        """
        if self.unwanted is None or not self.unwanted() or self.may_have_arrived:
            return
        self.error = NotSent(_UNWANTED)
        raise self.error

    def ensure_started(self) -> None:
        """Take note of the same where a trace may have told it: somebody may have replaced ours.

        Raises:
            ResendRefused: The attempt has ended.
        """
        if not self.started:
            self.start()

    def take(self, reader: FrameType | None, *, promised: bool = False) -> None:
        """Take note that the body goes out now.

        Args:
            reader: Who takes it.
            promised: Whether they tell `start` before they write, as our pool does if it was asked.

        Raises:
            ResendRefused: It did before, or the attempt has ended.
        """
        if self.taken:
            raise ResendRefused("the body of this request was taken before; it is not sent again")
        self.taken = True
        if self.over:  # looked at last: in whatever thread this is, one of both sees the other
            raise ResendRefused(_TOO_LATE)
        self._leave()
        if promised:
            self.told = True
        elif _is_mock(_module_of(reader)):
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
        stream = response.stream
        if not isinstance(stream, httpx.ByteStream):
            return False
        return self.keep_whole(response.status_code, response.headers.raw, b"".join(stream))

    def keep_whole(self, status: int, headers: list[tuple[bytes, bytes]], content: bytes) -> bool:
        """Keep a reply, unless it has to be decoded first, or is too long."""
        for name, _ in headers:
            if len(name) == _CODED and name.lower() == b"content-encoding":
                return False
        if len(content) > MAX_REPLY_BYTES:
            return False
        self.reply = RawReply(status, headers, content)
        return True

    def begin(self) -> None:
        """Take note that it goes out, or that a reply has begun; start the reply's clock."""
        self.started = True
        self._leave()
        if self.on_start is not None:
            self.on_start()
            self.on_start = None

    def _leave(self) -> None:
        if self.left is None and self.now is not None:
            self.left = self.now()


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


def _is_mock(name: str) -> bool:
    return name == _ADAPTER or name in _MOCKS_OF_HTTPX or name.partition(".")[0] in _MOCKS
