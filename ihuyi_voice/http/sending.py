"""The one place that sends: a wire request in, the raw reply out, or a word on whether it left.

It knows when the first byte of a request may have gone out, because that alone decides between
NotSent and OutcomeUnknown:

- our own pool marks the request just before it writes;
- httpx's transport reports `…send_request_headers.started` to a trace function;
- any other transport reports nothing, and then only an error that can't come later than the
  connection is taken as NotSent.

A cancellation passes through untouched; whoever cancelled finds the same mark in `Transmission`.
Everything is bound to the event loop of its first use.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal, Protocol, TypeAlias
from urllib.request import getproxies, proxy_bypass

import attrs
import httpx

from ihuyi_voice.common.redaction import Redactor, quiet_httpx
from ihuyi_voice.errors import NotSent, OutcomeUnknown, UnreadableReply, VoiceError
from ihuyi_voice.http.pool import PoolTransport
from ihuyi_voice.http.pool.transport import FIRST_BYTE_WRITTEN
from ihuyi_voice.models import RawReply
from ihuyi_voice.protocol.replies import MAX_REPLY_BYTES
from ihuyi_voice.protocol.requests import WireRequest

TransportName: TypeAlias = Literal["pool", "httpx"]

_MOST_KEPT: Final = 1_000
_NEVER_LATER_THAN_CONNECT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
_COMMON_HEADERS: Final = (
    (b"accept", b"*/*"),
    (b"accept-encoding", b"identity"),
    (b"user-agent", b"ihuyi-voice"),
)
# Ours never raises one of these before the first byte; a mock in its place may.
_NEVER_BEFORE_WRITING: Final = (
    httpx.ReadError,
    httpx.ReadTimeout,
    httpx.RemoteProtocolError,
    httpx.WriteError,
    httpx.WriteTimeout,
)


@attrs.define
class Transmission:
    """How far one attempt got.

    Attributes:
        handed_over: Whether a transport has it.
        first_byte: Whether the transport has begun to write it.
        observed: Whether the transport tells of itself, so that silence proves something.
    """

    handed_over: bool = False
    first_byte: bool = False
    observed: bool = False
    reply: RawReply | None = None

    @property
    def may_have_arrived(self) -> bool:
        """Whether the vendor may have seen any of it."""
        return self.first_byte or (self.handed_over and not self.observed)

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take note of an event of httpx's own transport."""
        self.observed = True
        # A proxy is asked to CONNECT by a request of its own, which isn't ours yet.
        connecting = getattr(info.get("request"), "method", b"") == b"CONNECT"
        if event.endswith("send_request_headers.started") and not connecting:
            self.first_byte = True


@attrs.frozen
class ExchangeOptions:
    """How to reach the vendor; the client documents them."""

    base_url: str
    timeout: "float | httpx.Timeout | None" = None
    max_connections: int = 100
    http_client: httpx.AsyncClient | None = None
    transport: TransportName = "pool"
    proxy: str | None = attrs.field(default=None, repr=False)  # may hold a password
    verify: Any = True


class Exchange:
    """Sends requests of one client, through our pool or through an httpx client."""

    def __init__(self, options: ExchangeOptions, redact: Redactor) -> None:
        self._options = options
        self._redact = redact
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sender: _Sender | None = None
        self._closed = False

    async def send(self, wire: WireRequest, sent: Transmission) -> RawReply:
        """Send a request and return the reply, whatever its status.

        Raises:
            NotSent: It surely never reached the vendor.
            OutcomeUnknown: It may have, and no whole reply came.
            RuntimeError: The client is closed, or belongs to another event loop.
        """
        sender = self.open()
        try:
            return await sender.send(wire, sent)
        except VoiceError:
            raise
        # An injected client's hooks and transports may raise anything at all.
        except Exception as exc:
            raise self._translate(exc, sent) from exc

    def open(self) -> "_Sender":
        """Return the sender, made on first use; only here is the loop checked."""
        loop = asyncio.get_running_loop()
        if self._sender is not None and loop is self._loop:
            return self._sender
        if self._closed:
            raise RuntimeError("this VoiceClient is closed; make a new one")
        if self._loop is not None and loop is not self._loop:
            raise RuntimeError(
                "this VoiceClient belongs to another event loop; make one client for each loop"
            )
        self._loop = loop
        self._sender = _make_sender(self._options, self._redact)
        return self._sender

    async def aclose(self) -> None:
        """Close what was opened here; an injected client stays open. Safe to call twice."""
        self._closed = True
        sender, self._sender = self._sender, None
        if sender is not None:
            await sender.aclose()

    def _translate(self, exc: Exception, sent: Transmission) -> VoiceError:
        if isinstance(exc, httpx.RequestError):
            _strip_request(exc)
        reason = self._redact(f"{type(exc).__name__}: {exc}".rstrip(": "))
        if sent.first_byte:
            return OutcomeUnknown(f"no usable reply after the request went out ({reason})")
        observed = sent.observed and not isinstance(exc, _NEVER_BEFORE_WRITING)
        if observed or isinstance(exc, _NEVER_LATER_THAN_CONNECT):
            return NotSent(f"the request never went out ({reason})")
        return OutcomeUnknown(f"the request may have gone out ({reason})")


def _strip_request(exc: httpx.RequestError) -> None:
    """Take password and number out of what hangs on an httpx error as its evidence."""
    try:
        request = exc.request
    except RuntimeError:  # httpx's way to say that there is none
        return
    exc.request = httpx.Request(request.method, request.url.copy_with(query=None))


def _make_sender(options: ExchangeOptions, redact: Redactor) -> "_Sender":
    if options.http_client is not None:
        return _HttpxSender(options.http_client, options.timeout, redact, owned=False)
    timeout = _timeout(options.timeout)
    proxy = options.proxy or _environment_proxy(options.base_url)
    if options.transport == "pool" and proxy is None:
        pool = PoolTransport(
            options.base_url, max_connections=options.max_connections, verify=options.verify
        )
        return _PoolSender(pool, timeout, redact)
    # Keep-alive limit equal to max_connections, and never more in flight: httpx's idle count is
    # off otherwise, and its queue is rescanned at every step.
    limits = httpx.Limits(
        max_connections=options.max_connections, max_keepalive_connections=options.max_connections
    )
    client = httpx.AsyncClient(
        timeout=timeout, limits=limits, verify=options.verify, proxy=proxy, trust_env=False
    )
    slots = asyncio.Semaphore(options.max_connections)
    return _HttpxSender(client, timeout, redact, owned=True, slots=slots)


def _timeout(given: "float | httpx.Timeout | None") -> httpx.Timeout:
    if given is None:
        return httpx.Timeout(30.0, connect=10.0)
    return httpx.Timeout(given)


def _environment_proxy(url: str) -> str | None:
    target = httpx.URL(url)
    proxies = getproxies()
    if not proxies or proxy_bypass(target.host):
        return None
    return proxies.get(target.scheme) or proxies.get("all")


class _Sender(Protocol):
    async def send(self, wire: WireRequest, sent: Transmission) -> RawReply: ...

    async def aclose(self) -> None: ...


class _PoolSender:
    """Sends through our pool, straight to the transport: no cookies, no redirects, no auth."""

    def __init__(
        self, transport: httpx.AsyncBaseTransport, timeout: httpx.Timeout, redact: Redactor
    ) -> None:
        self._transport = transport
        self._extensions = {"timeout": timeout.as_dict()}
        self._redact = redact
        self._urls: dict[str, httpx.URL] = {}
        self._headers: dict[tuple[str | None, int], httpx.Headers] = {}

    async def send(self, wire: WireRequest, sent: Transmission) -> RawReply:
        request = self._request(wire)
        sent.handed_over = sent.observed = True
        try:
            response = await self._transport.handle_async_request(request)
        finally:
            sent.first_byte = FIRST_BYTE_WRITTEN in request.extensions
        content = _whole(response) or await _bounded(response)
        return RawReply(response.status_code, response.headers.raw, content)

    async def aclose(self) -> None:
        await self._transport.aclose()

    def _request(self, wire: WireRequest) -> httpx.Request:
        url = self._url(wire)
        stream = httpx.ByteStream(b"" if wire.method == "GET" else wire.signed())
        headers = self._headers_of(wire, url)
        return httpx.Request(
            wire.method, url, headers=headers, stream=stream, extensions=self._extensions
        )

    def _headers_of(self, wire: WireRequest, url: httpx.URL) -> httpx.Headers:
        """Return the headers, kept by all that they depend on: there are few lengths."""
        key = (wire.content_type, wire.length)
        headers = self._headers.get(key)
        if headers is None:
            pairs = [(b"host", url.netloc), *_COMMON_HEADERS]
            if wire.content_type is not None:
                pairs.append((b"content-type", wire.content_type.encode()))
                pairs.append((b"content-length", b"%d" % wire.length))
            if len(self._headers) >= _MOST_KEPT:
                self._headers.clear()
            headers = self._headers[key] = httpx.Headers(pairs)
        return headers

    def _url(self, wire: WireRequest) -> httpx.URL:
        if wire.method == "GET":  # each has its own password, so there is nothing to keep
            return httpx.URL(wire.url)
        url = self._urls.get(wire.url)
        if url is None:
            url = self._urls[wire.url] = httpx.URL(wire.url)
        return url


class _HttpxSender:
    """Sends through an httpx client: the caller's, or one of ours."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        timeout: "float | httpx.Timeout | None",
        redact: Redactor,
        *,
        owned: bool,
        slots: asyncio.Semaphore | None = None,
    ) -> None:
        self._client = client
        self._timeout = timeout
        self._redact = redact
        self._owned = owned
        self._slots = slots

    async def send(self, wire: WireRequest, sent: Transmission) -> RawReply:
        request = self._request(wire, sent)
        sent.handed_over = True
        sent.observed = self._owned
        with quiet_httpx():
            async with self._slot(), self._stream(request) as response:
                content = await _bounded(response)
        return RawReply(response.status_code, response.headers.raw, content)

    async def aclose(self) -> None:
        if self._owned:
            await self._client.aclose()

    def _request(self, wire: WireRequest, sent: Transmission) -> httpx.Request:
        headers = dict(_COMMON_HEADERS)
        if wire.content_type is not None:
            headers[b"content-type"] = wire.content_type.encode()
        timeout = self._client.timeout if self._timeout is None else self._timeout
        return self._client.build_request(
            wire.method,
            wire.url,
            headers=headers,
            content=wire.signed() if wire.length else None,
            timeout=timeout,
            extensions={"trace": sent.trace},
        )

    @asynccontextmanager
    async def _slot(self) -> AsyncGenerator[None]:
        """Hold one of our own client's places; wait for it no longer than the pool timeout."""
        if self._slots is None:
            yield
            return
        try:
            async with asyncio.timeout(httpx.Timeout(self._timeout).pool):
                await self._slots.acquire()
        except TimeoutError as exc:
            raise httpx.PoolTimeout("no free connection in time") from exc
        try:
            yield
        finally:
            self._slots.release()

    @asynccontextmanager
    async def _stream(self, request: httpx.Request) -> AsyncGenerator[httpx.Response]:
        response = await self._client.send(request, stream=True, follow_redirects=False)
        try:
            yield response
        finally:
            await response.aclose()


def _whole(response: httpx.Response) -> bytes | None:
    """Return a body that is there already, as the pool's are; to read it otherwise costs 40 µs."""
    stream = response.stream
    if not isinstance(stream, httpx.ByteStream) or "content-encoding" in response.headers:
        return None
    content = b"".join(stream)
    return content if len(content) <= MAX_REPLY_BYTES else None


async def _bounded(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > MAX_REPLY_BYTES:
            raise UnreadableReply(f"the reply is longer than {MAX_REPLY_BYTES} bytes")
    return bytes(content)
