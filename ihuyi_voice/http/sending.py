"""The one place that sends: a wire request in, the raw reply out, or a word on whether it left.

Every request goes through the `send` of an httpx client, ours or an injected one. What a failure
means is decided by proof (`body.py`), not by the exception's class:

- the transport told that it began, or the body was taken: OutcomeUnknown;
- neither: nothing was sent, and nothing will be, for what the transport left behind gets no body
  any more. A trouble of the network is NotSent, and anything else is raised as what it is: a closed
  client, a hook that fails, a mock without a route.

A reply is kept in `Sent.reply` the moment it is whole, and nothing that fails afterwards, a hook,
a close, a log handler, takes its place. A cancellation passes through untouched; whoever cancelled
finds in `Sent` how far it got.
"""

import asyncio
import logging
import ssl
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any, Final, NoReturn

import httpx

from ihuyi_voice.common import network
from ihuyi_voice.common.closing import closing
from ihuyi_voice.common.foreign import PASSING
from ihuyi_voice.common.logs import tell
from ihuyi_voice.common.redaction import Redactor, quiet_httpx
from ihuyi_voice.common.signal import Signal
from ihuyi_voice.errors import NotSent, OutcomeUnknown, VoiceError
from ihuyi_voice.http.body import OneRequest
from ihuyi_voice.http.client import InjectedClient, OwnClient
from ihuyi_voice.http.options import HttpOptions
from ihuyi_voice.http.replies import bounded, finish
from ihuyi_voice.http.sent import Sent
from ihuyi_voice.models import OutcomeStatus, RawReply
from ihuyi_voice.protocol import WireRequest

__all__ = ["Sender", "Sent", "step_at"]

logger = logging.getLogger("ihuyi_voice")

_PLAIN_ADDRESS: Final = "http://api.vm.ihuyi.com/webservice/voice.php"
_OTHER_LOOP: Final = (
    "this VoiceClient belongs to another event loop, that of its first use; make one client for "
    "each loop. A web app opens it in its lifespan, and a synchronous test of that app says `with "
    "TestClient(app) as web:`, for without the block each request has a loop of its own"
)
_TLS_HINT: Final = (
    f"; the vendor's document gives the address {_PLAIN_ADDRESS}, without TLS: with it, the key or "
    "the password, and the number, can be read on the way. Nothing is sent so by itself"
)
# What httpx, or its fork httpx2, raises after a request went out, by what its classes mean.
_AFTER_SENDING: Final = frozenset(
    {
        "CloseError",
        "DecodingError",
        "ReadError",
        "ReadTimeout",
        "RemoteProtocolError",
        "TooManyRedirects",
        "WriteError",
        "WriteTimeout",
    }
)
_BEFORE_SENDING: Final = frozenset(
    {
        "ConnectError",
        "ConnectTimeout",
        "InvalidURL",
        "LocalProtocolError",
        "PoolTimeout",
        "ProxyError",
        "UnsupportedProtocol",
    }
)
_OF_SENT: Final = frozenset({OutcomeStatus.UNKNOWN, OutcomeStatus.REJECTED})
_QUEUED: Final = frozenset({"PoolTimeout"})
_OF_TLS: Final = (ssl.SSLError, ConnectionResetError, ConnectionAbortedError)
_HTTPX: Final = frozenset({"httpx", "httpx2"})
_NETWORKS: Final = frozenset({"aiohttp", "anyio", "h11", "h2", "httpcore", "httpcore2"})
# What opening a file raises, and a network doesn't: a mock's canned reply isn't where it looks.
_OF_FILES: Final = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)


class Sender:
    """Sends the requests of one VoiceClient; it belongs to the event loop of its first use."""

    def __init__(self, options: HttpOptions, redact: Redactor) -> None:
        self._redact = redact
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._warned = False
        self._in_flight: list[asyncio.Task[Any]] = []  # through an injected client
        self._landed = Signal()
        network.stand_guard()  # if the environment says so
        self._options = options
        self._route = options.route() if options.http_client is None else None

    @property
    def http_client(self) -> httpx.AsyncClient:
        """The client of httpx, or of httpx2, that requests go through; made on first use."""
        return self._way.client

    @cached_property
    def _way(self) -> OwnClient | InjectedClient:
        if self._route is not None:
            return OwnClient(self._options, self._route)
        return InjectedClient(self._options)

    def open(self) -> None:
        """Bind this to the running event loop.

        Raises:
            RuntimeError: It is closed, or belongs to another event loop.
        """
        self.check_loop()
        if self._closed:
            raise RuntimeError("this VoiceClient is closed; make a new one")

    async def send(self, wire: WireRequest, sent: Sent) -> RawReply:
        """Send a request and return the reply, whatever its status.

        Args:
            wire: The request.
            sent: Tells, also after a cancellation, how far it got.

        Raises:
            NotSent: It surely never reached the vendor.
            OutcomeUnknown: It may have, and no whole reply came.
            RuntimeError: The client is closed, or belongs to another event loop.
            BaseException: Something is wrong with the program, a hook or a mock; nothing was sent.
        """
        self.open()
        way, task = self._way, asyncio.current_task()
        way.hooks.ensure()
        try:
            request = way.request(wire, sent)
        except Exception as exc:  # noqa: BLE001 - an address that is too long, for one
            self._raise(exc, sent)
        try:
            await self._through(way, request)
        except BaseException as exc:
            sent.over = True  # before it is asked how far it got
            # Others may have put a stream of their own in place of ours, which nobody watches.
            if request.stream is not request.body and not sent.mocked:
                sent.lost = True
            if isinstance(exc, PASSING) and not _is_nobodys(exc, task):
                raise
            return self._in_spite_of(exc, sent)
        finally:
            sent.over = True
            if sent.bodyless:
                self._warn_of_get(sent)
        return _kept(sent)

    async def aclose(self) -> None:
        """Wait for those in flight and close what was opened here; safe to call twice, or at once.

        Raises:
            RuntimeError: It belongs to another event loop; it stays as it was.
        """
        self.check_loop()
        self._closed = True
        if "_way" not in vars(self):
            return
        if isinstance(self._way, InjectedClient):  # our own waits by itself
            await self._land()
        await self._way.aclose()

    async def _land(self) -> None:
        """Wait until no request is in flight but those in whose hooks this is waited for."""
        with closing() as one:
            await self._landed.wait_until(lambda: not one.others(self._in_flight))

    def check_loop(self) -> None:
        """Bind this to the running event loop, if it is bound to none.

        Raises:
            RuntimeError: It belongs to another one.
        """
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise RuntimeError(_OTHER_LOOP)

    async def _through(self, way: OwnClient | InjectedClient, request: OneRequest) -> None:
        if isinstance(way, OwnClient):
            response = await way.client.send(request, stream=True)
            if request.sent.reply is None or not isinstance(response.stream, httpx.ByteStream):
                async with bounded(request):
                    await finish(response, request)
            return
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs has one
        self._in_flight.append(task)
        try:
            with quiet_httpx(lambda: request.sent.may_have_arrived):
                async with bounded(request):
                    response = await way.client.send(request, stream=True, follow_redirects=False)
                    await finish(response, request)
        finally:
            self._in_flight.remove(task)
            self._landed.notify()

    def _warn_of_get(self, sent: Sent) -> None:
        if sent.handed and not (sent.told or sent.mocked or self._warned):
            self._warned = True
            tell(
                logger,
                logging.WARNING,
                "GET through a transport that doesn't tell httpx's trace of itself: if it sends "
                "a request again by itself, nobody can see or prevent that; use POST",
            )

    def _in_spite_of(self, exc: BaseException, sent: Sent) -> RawReply:
        """Return the reply if there is one; otherwise raise what the exception comes to."""
        if sent.reply is None:
            if sent.error is not None:  # and others may have made something else of it
                raise sent.error
            self._raise(exc, sent)
        kind = type(exc).__name__
        tell(logger, logging.WARNING, "the vendor's answer is kept; after it came %s", kind)
        return sent.reply

    def _raise(self, exc: BaseException, sent: Sent) -> NoReturn:
        for each in _chain(exc):
            _strip_request(each)
            _mask(each, self._redact)
        reason = self._redact(f"{type(exc).__name__}: {exc}".rstrip(": "))
        if _was_denied(exc, sent):
            sent.denied = True
        if sent.may_have_arrived or (sent.rendered and not sent.told and _is(exc, _AFTER_SENDING)):
            raise OutcomeUnknown(f"the request may have gone out ({reason})") from exc
        if not _is_trouble(exc, sent):
            raise exc
        hint = _TLS_HINT if self._is_of_tls(exc) else ""
        error = NotSent(f"the request never went out ({reason}){hint}")
        error.queued = _is(exc, _QUEUED)  # our own queue: that is not the vendor's trouble
        raise error from exc

    def _is_of_tls(self, exc: BaseException) -> bool:
        """Say whether TLS didn't come about; a server that knows none of it may just hang up."""
        secured = self._options.base_url.lower().startswith("https:")
        through = not _is(exc, frozenset({"ProxyError"}))
        return secured and through and any(isinstance(each, _OF_TLS) for each in _chain(exc))


def step_at(timeout: TimeoutError) -> str | None:
    """Return which step of connecting a timeout cut short, in words, if our pool told it."""
    cancelled = timeout.__cause__
    told = None if cancelled is None else cancelled.__cause__
    return str(told) if isinstance(told, httpx.ConnectTimeout) else None


def _kept(sent: Sent) -> RawReply:
    if sent.reply is None:
        raise OutcomeUnknown("a reply came, and nothing of it could be read")
    return sent.reply


def _is_nobodys(exc: BaseException, task: "asyncio.Task[Any] | None") -> bool:
    """Say whether this is an end of foreign code's own making, and nobody wanted it.

    A task whose turn it is may be cancelled, but is being closed by nobody.
    """
    if isinstance(exc, GeneratorExit):
        return task is not None and _running() is task
    return isinstance(exc, asyncio.CancelledError) and task is not None and not task.cancelling()


def _running() -> "asyncio.Task[Any] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs any more
        return None


def _was_denied(exc: BaseException, sent: Sent) -> bool:
    """Say whether a mock's exception means that nothing went out."""
    if not sent.mocked or sent.told or sent.lost or _is(exc, _AFTER_SENDING):
        return False
    if not sent.taken:
        return True
    return _is(exc, _BEFORE_SENDING) or not _is_trouble(exc, sent)


def _is(exc: BaseException, names: frozenset[str]) -> bool:
    """Say whether an exception is one of these of httpx's, or of its fork's."""
    mro = type(exc).__mro__
    return any(cls.__name__ in names and _package(cls) in _HTTPX for cls in mro)


def _is_trouble(exc: BaseException, sent: Sent) -> bool:
    """Say whether the network failed, or a call that a hook made, and not the program."""
    if isinstance(exc, VoiceError):  # of this request nobody can say so: nothing of it was sent
        return exc.status in _OF_SENT and not sent.mocked
    if sent.mocked and (type(exc).__name__ == "TimeoutException" or isinstance(exc, _OF_FILES)):
        return False  # pytest-httpx says so that there is no route
    if isinstance(exc, OSError | EOFError | asyncio.CancelledError):
        return True
    if _is(exc, frozenset({"RequestError", "InvalidURL"})):
        return True
    return any(_package(cls) in _NETWORKS for cls in type(exc).__mro__)


def _package(cls: type) -> str:
    return cls.__module__.partition(".")[0]


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        seen.add(id(exc))
        yield exc
        exc = exc.__cause__ or exc.__context__


def _strip_request(exc: BaseException) -> None:
    """Take password and number out of what hangs on an exception of httpx as its evidence."""
    family = next(
        (_package(cls) for cls in type(exc).__mro__ if cls.__name__ == "RequestError"), ""
    )
    request = getattr(exc, "_request", None)
    if family not in _HTTPX or request is None:
        return
    url = str(request.url).partition("?")[0]
    exc.request = sys.modules[family].Request(request.method, url)  # type: ignore[attr-defined]


def _mask(exc: BaseException, redact: Redactor) -> None:
    """Take secrets and numbers out of an exception's texts: some, aiohttp's for one, name URLs."""
    texts = [arg for arg in [*exc.args, *getattr(exc, "__notes__", ())] if isinstance(arg, str)]
    if all(redact(text) == text for text in texts):
        return
    with suppress(Exception):  # it may be of a class that won't have it
        exc.args = tuple(redact(arg) if isinstance(arg, str) else arg for arg in exc.args)
        exc.__notes__ = [redact(note) for note in getattr(exc, "__notes__", ())]
