"""The way to the origin: TCP, a proxy's tunnel if there must be one, TLS; in time or not at all.

Whatever ends an attempt, a cancellation included, closes what it had opened. A timeout lets the
loop turn a few times before it fails: what was established while it stood still counts. And it says
which step was waited for: a server that speaks no TLS may only be silent.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Final, Self, TypeVar, cast

import attrs
import httpx

from ihuyi_voice.http.pool.connection import Connection, cut
from ihuyi_voice.http.pool.messages import Bounds, Reply, ReplyParser
from ihuyi_voice.http.pool.proxies import PORTS, Proxy
from ihuyi_voice.http.pool.trust import Verify, tls_context

_HAPPY_EYEBALLS_DELAY: Final = 0.25  # seconds, as RFC 8305 recommends
_TURNS: Final = 32
_WANTS_CREDENTIALS: Final = 407
_ANSWER: Final = Bounds(head=65_536, body=0)

T = TypeVar("T")


@attrs.define(eq=False)
class Steps:
    """How far an attempt to connect has come.

    Attributes:
        waits_for: What hasn't come yet, in words.
        tls: Whether that is the origin's TLS.
    """

    waits_for: str
    tls: bool = False

    def told(self, wait: float | None) -> str:
        """Return it as the text of an error, whose seconds are over."""
        return self.waits_for if wait is None else f"{self.waits_for} within {wait:g} s"


@attrs.frozen(eq=False)
class Route:
    """How an origin is reached.

    Attributes:
        scheme: http or https.
        host: The origin's, an IPv6 address without brackets.
        port: The origin's.
        tls: For whatever is spoken to over TLS: the origin, the proxy, or both.
        proxy: Through whom.
    """

    scheme: str
    host: str
    port: int
    tls: ssl.SSLContext | None
    proxy: Proxy | None

    @classmethod
    def to(cls, origin: httpx.URL, proxy: Proxy | str | None, verify: Verify) -> Self:
        """Return the way to an origin; a trust store is only read if TLS is spoken on it."""
        through = Proxy.parse(proxy) if isinstance(proxy, str) else proxy
        secured = "https" in {origin.scheme, through.scheme if through else None}
        return cls(
            scheme=origin.scheme,
            host=origin.raw_host.decode("ascii"),
            port=origin.port or PORTS.get(origin.scheme, 0),
            tls=tls_context(verify) if secured else None,
            proxy=through,
        )

    @property
    def is_forwarded(self) -> bool:
        """Whether requests name the whole URL, for a proxy to pass on."""
        return self.proxy is not None and self.scheme == "http"

    @property
    def next_hop(self) -> tuple[str, int]:
        """Host and port that are connected to."""
        return (self.host, self.port) if self.proxy is None else (self.proxy.host, self.proxy.port)

    @property
    def _hop(self) -> str:
        """The same, in words."""
        return f"{'' if self.proxy is None else 'the proxy '}{_place(*self.next_hop)}"

    @property
    def more_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """What a proxy wants beside the headers of a request that it passes on."""
        return self.proxy.headers if self.proxy is not None and self.is_forwarded else ()

    def told(self, wait: float | None) -> dict[str, Any]:
        """Return what a trace is told of an attempt to connect, under httpcore's names."""
        host, port = self.next_hop
        return {"host": host, "port": port, "timeout": wait}

    def steps(self) -> Steps:
        """Return what is told of an attempt that begins."""
        return Steps(f"no connection to {self._hop}")

    async def open(
        self, make: Callable[[], Connection], wait: float | None, steps: Steps
    ) -> Connection:
        """Open a connection.

        Args:
            make: Makes one that isn't connected.
            wait: The longest that it may take, in seconds, tunnel and TLS included.
            steps: Takes note of how far it comes.

        Raises:
            httpx.ConnectTimeout: It took longer.
            httpx.ConnectError: Refused, unknown, not trusted.
            httpx.ProxyError: The proxy won't, or speaks no HTTP.
        """
        connection = make()
        try:
            await _in_time(self._dial(connection, steps), wait)
        except TimeoutError as exc:
            cause = ssl.SSLWantReadError() if steps.tls else exc
            raise httpx.ConnectTimeout(steps.told(wait)) from cause
        except (OSError, UnicodeError) as exc:  # refused, unknown host or no name at all, TLS
            raise httpx.ConnectError(str(exc) or type(exc).__name__) from exc
        return connection

    async def _dial(self, connection: Connection, steps: Steps) -> None:
        try:
            if self.proxy is None:
                await self._connect(connection, self.scheme, steps)
            elif self.is_forwarded:
                await self._connect(connection, self.proxy.scheme, steps)
            else:
                await self._tunnel(connection, self.proxy, steps)
        except BaseException:
            connection.abort()
            raise

    async def _connect(
        self, protocol: asyncio.BaseProtocol, scheme: str, steps: Steps
    ) -> asyncio.Transport:
        loop = asyncio.get_running_loop()
        host, port = self.next_hop
        tls = self.tls if scheme == "https" else None
        options = await happy_eyeballs(loop)

        def connected() -> asyncio.BaseProtocol:
            if tls is not None:
                self._tell_of_tls(steps, loop)
            return protocol

        transport, _ = await loop.create_connection(connected, host, port, ssl=tls, **options)
        return transport

    def _tell_of_tls(self, steps: Steps, loop: asyncio.AbstractEventLoop) -> None:
        """Note what is waited for when a loop asks for the protocol that speaks over TLS."""
        if isinstance(loop, asyncio.BaseEventLoop):  # TCP is there
            steps.waits_for = f"connected to {self._hop}, but no TLS answer"
            steps.tls = self.proxy is None
        else:  # uvloop asks before that
            steps.waits_for = f"no connection to {self._hop}, or no TLS answer,"

    async def _tunnel(self, connection: Connection, proxy: Proxy, steps: Steps) -> None:
        """Have the proxy connect us, then speak TLS with the origin."""
        asking = _Asking(asyncio.get_running_loop())
        origin = _place(self.host, self.port)
        try:
            transport = await self._connect(asking, proxy.scheme, steps)
            steps.waits_for = f"connected to {self._hop}, but no answer to CONNECT"
            await asking.for_way_to(origin.encode(), proxy)
            steps.waits_for = f"{self._hop} connected to {origin}, but no TLS answer"
            steps.tls = True
            await self._secure(transport, connection)
        except BaseException:
            asking.abort()
            raise

    async def _secure(self, transport: asyncio.Transport, connection: Connection) -> None:
        assert self.tls is not None  # noqa: S101 - tunnels are for https
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(
                transport, connection, self.tls, server_hostname=self.host
            )
        except TypeError as exc:  # TLS in TLS stumbles over its own failure, up to Python 3.12
            raise ConnectionAbortedError(str(exc.__context__ or exc)) from exc
        if secured is None or not connection.clean:
            raise ConnectionResetError("the proxy closed the tunnel")
        connection.connection_made(secured)


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Asking(asyncio.Protocol):
    """Asks a proxy for a tunnel."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._parser = ReplyParser(_ANSWER)
        self._parser.begin(head_only=True)  # what follows a 2xx is the tunnel's
        self._answer: asyncio.Future[Reply] = loop.create_future()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take the proxy's answer."""
        if self._answer.done():
            return
        try:
            self._parser.feed(data)
        except httpx.RemoteProtocolError as exc:
            self._answer.set_exception(httpx.ProxyError(f"the proxy's answer is odd: {exc}"))
            return
        if self._parser.complete:
            self._answer.set_result(self._parser.reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Learn that there will be no answer."""
        if not self._answer.done():
            error = httpx.ProxyError("the proxy closed without an answer")
            error.__cause__ = exc
            self._answer.set_exception(error)
            self._answer.exception()  # seen, so that asyncio doesn't report it as lost

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            cut(self._transport)

    async def for_way_to(self, place: bytes, proxy: Proxy) -> None:
        """Return once the way is open.

        Raises:
            httpx.ProxyError: The proxy won't have it.
        """
        assert self._transport is not None  # noqa: S101 - connected before it asks
        lines = [b"CONNECT %s HTTP/1.1" % place, b"Host: %s" % place]
        lines += [b"%s: %s" % header for header in proxy.headers]
        self._transport.write(b"\r\n".join(lines) + b"\r\n\r\n")
        status = (await self._answer).status
        if status == _WANTS_CREDENTIALS:
            raise httpx.ProxyError(f"the proxy wants other credentials: status {status}")
        if not httpx.codes.is_success(status):
            raise httpx.ProxyError(f"the proxy refused the tunnel: status {status}")
        if self._parser.spilt:  # the origin waits for us to begin
            raise httpx.ProxyError("the proxy's answer is odd: it goes on")


async def _in_time(work: Coroutine[Any, Any, T], wait: float | None) -> T:
    """Return what some work comes to.

    Raises:
        TimeoutError: It took longer, and has been cancelled.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task}, timeout=wait)
        for _ in range(_TURNS if wait is None or wait > 0 else 0):
            if task.done():
                break
            await asyncio.sleep(0)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        task.add_done_callback(_seen)
        raise
    if task.cancelled():
        raise TimeoutError
    return task.result()


def _seen(task: "asyncio.Task[Any]") -> None:
    """Look at what a task left behind ended with, so that asyncio doesn't report it as lost."""
    if not task.cancelled():
        task.exception()


async def happy_eyeballs(loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
    """Return the option for RFC 8305 where the loop has it and it works.

    That of uvloop hasn't, and asyncio's trips over tasks that start eagerly (up to Python 3.13,
    at least): whether they do is tried, because a factory may be wrapped.
    """
    if not isinstance(loop, asyncio.BaseEventLoop):
        return {}
    if loop.get_task_factory() is not None:
        ran: list[bool] = []
        task = loop.create_task(_run(ran))
        eager = bool(ran)
        await task
        if eager:
            return {}
    return {"happy_eyeballs_delay": _HAPPY_EYEBALLS_DELAY}


async def _run(ran: list[bool]) -> None:
    ran.append(True)
