"""The pool: at most so many connections to one origin, handed out fairly, never leaked.

Theory of operation. Whoever sends holds one of `max_connections` *slots*, given in the order of
asking; with a slot it takes the idle connection that was used last, or opens a new one. Since
only holders of a slot take or open, there are never more connections than slots. The slot is
given back in a `finally`, whatever happens; the connection goes back to the idle ones if it is
clean, and is aborted otherwise. So a cancellation costs at most its own connection:

- waiting for a slot: the place in the queue is given up, nothing else has happened;
- connecting: the attempt runs on, slot in hand, and the connection joins the idle ones (asyncio
  leaks the socket of an attempt that is cancelled at the wrong moment, up to Python 3.12);
- in the exchange: the connection is aborted, because its reply may still come.

A connection that is not fresh is replaced before anything is written; a new one that the server
has closed by then is a failed attempt to connect. After the first byte, which the request is marked
with beforehand, nothing is ever sent again.
"""

import asyncio
import ssl
from typing import Any, Final

import attrs
import httpx

from ihuyi_voice.http.pool.connection import Bounds, Connection
from ihuyi_voice.http.pool.seams import PatchableTransport

FIRST_BYTE_WRITTEN: Final = "ihuyi_voice.first_byte_written"
"""The extension that marks a request from just before its first byte is written."""

_HAPPY_EYEBALLS_DELAY: Final = 0.25  # seconds, as RFC 8305 recommends
_PORTS: Final = {"http": 80, "https": 443}


@attrs.frozen
class Statistics:
    """A look at the pool: connections idle, requests in flight and waiting, opened ever."""

    idle: int
    in_flight: int
    waiting: int
    opened: int


class PoolTransport(PatchableTransport):
    """An httpx transport for one origin.

    Args:
        url: Any URL of the origin.
        max_connections: The most connections, and requests in flight, at a time.
        verify: Certificates and host names are checked; False not to, or an `ssl.SSLContext`.
        idle_expiry: A connection idle for so many seconds is not used again.
        max_age: Nor is one that was opened so many seconds ago; None for no such limit.
        bounds: How large replies may be.

    The read timeout bounds the wait for a whole reply, which is always read into memory.
    """

    def __init__(
        self,
        url: httpx.URL | str,
        *,
        max_connections: int = 100,
        verify: ssl.SSLContext | str | bool = True,
        idle_expiry: float = 15.0,
        max_age: float | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        super().__init__()
        origin = httpx.URL(url)
        self._origin = (origin.scheme, origin.host, origin.port)
        # By name: before httpx 0.28 the first argument is another one.
        self._tls = httpx.create_ssl_context(verify=verify) if origin.scheme == "https" else None
        self._idle_expiry = idle_expiry
        self._max_age = max_age
        self._bounds = bounds or Bounds()
        self._most = max_connections
        self._slots = asyncio.Semaphore(max_connections)
        self._idle: dict[Connection, None] = {}
        self._alive: set[Connection] = set()
        self._opening: set[asyncio.Task[Connection]] = set()
        self._in_flight = self._waiting = self._opened = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._draining = asyncio.Lock()
        self._sweeper: asyncio.TimerHandle | None = None

    async def send_directly(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its reply, read whole.

        Raises:
            httpx.TransportError: As httpx's own transport does. If the request lacks the
                FIRST_BYTE_WRITTEN extension then, it surely never left.
            RuntimeError: The pool is closed, or belongs to another event loop.
        """
        if FIRST_BYTE_WRITTEN in request.extensions:  # of an earlier attempt
            request.extensions = {**request.extensions}
            del request.extensions[FIRST_BYTE_WRITTEN]
        self._check(request)
        wire = await _to_bytes(request)
        timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
        try:
            await self._take_slot(timeouts.get("pool"))
            connection = self._fresh() or await self._connect(timeouts.get("connect"))
            return await self._exchange(connection, request, wire, timeouts)
        except httpx.TransportError as exc:
            exc.request = request
            raise

    async def aclose(self) -> None:
        """Wait for requests in flight, then close all connections; queued ones are refused.

        If it is cancelled while it waits, those in flight are cut off.
        """
        self._check_loop()
        self._closed = True
        slots = 0
        try:
            async with self._draining:  # two that close at once would each hold half of the slots
                for _ in range(self._most):
                    await self._slots.acquire()
                    slots += 1
        finally:
            self._cut()
            for _ in range(slots):
                self._slots.release()  # whoever still waits for one learns that the pool is closed
        await asyncio.gather(*(connection.lost for connection in self._alive))

    def _cut(self) -> None:
        """End every connection, whatever it is doing."""
        for opening in self._opening:
            opening.cancel()
        for connection in self._alive:
            connection.abort()
        self._idle.clear()
        if self._sweeper is not None:
            self._sweeper.cancel()

    def statistics(self) -> Statistics:
        """Return how the pool is used just now."""
        return Statistics(len(self._idle), self._in_flight, self._waiting, self._opened)

    def _check_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise RuntimeError("this pool belongs to another event loop; make one for each loop")

    def _check(self, request: httpx.Request) -> None:
        self._check_loop()
        if self._closed:
            raise RuntimeError("this pool is closed")
        url = request.url
        if (url.scheme, url.host, url.port) != self._origin:
            scheme, host, port = self._origin
            raise httpx.UnsupportedProtocol(
                f"this pool only speaks to {scheme}://{host}:{port or _PORTS.get(scheme)}",
                request=request,
            )

    async def _take_slot(self, wait: float | None) -> None:
        if self._slots.locked():
            await self._wait_for_slot(wait)
        else:
            await self._slots.acquire()
        if self._closed:
            self._slots.release()
            raise RuntimeError("this pool was closed while the request waited")

    async def _wait_for_slot(self, wait: float | None) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(wait):
                await self._slots.acquire()
        except TimeoutError as exc:
            raise httpx.PoolTimeout("no connection became free in time") from exc
        finally:
            self._waiting -= 1

    def _fresh(self) -> Connection | None:
        """Return the idle connection that was used last, if it can be trusted."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection, _ = self._idle.popitem()
            if not self._expired(connection, now) and connection.is_fresh():
                return connection
            connection.abort()
        return None

    def _expired(self, connection: Connection, now: float) -> bool:
        if now - connection.idle_since > self._idle_expiry:
            return True
        return self._max_age is not None and now - connection.born > self._max_age

    async def _connect(self, wait: float | None) -> Connection:
        """Open a connection; the slot is given back if that fails, and only when it has ended."""
        opening = asyncio.create_task(self._open(wait))
        self._opening.add(opening)
        try:
            await asyncio.wait({opening})
        except asyncio.CancelledError:
            opening.add_done_callback(self._adopt)
            raise
        self._opening.discard(opening)
        try:
            return _usable(opening)
        except BaseException:
            self._slots.release()
            raise

    async def _open(self, wait: float | None) -> Connection:
        loop = asyncio.get_running_loop()
        scheme, host, port = self._origin
        try:
            async with asyncio.timeout(wait):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop, self._bounds),
                    host,
                    port or _PORTS[scheme],
                    ssl=self._tls,
                    **_happy_eyeballs(loop),
                )
        except TimeoutError as exc:
            raise httpx.ConnectTimeout("no connection in time") from exc
        except OSError as exc:  # refused, unknown host, TLS
            raise httpx.ConnectError(str(exc)) from exc
        self._opened += 1
        self._alive.add(connection)
        connection.lost.add_done_callback(lambda _: self._forget(connection))
        return connection

    def _forget(self, connection: Connection) -> None:
        self._alive.discard(connection)
        self._idle.pop(connection, None)

    def _adopt(self, opening: "asyncio.Task[Connection]") -> None:
        """Take over an attempt whose request has gone, and give its slot back."""
        self._opening.discard(opening)
        if not opening.cancelled() and opening.exception() is None:
            self._rest(opening.result())
        self._slots.release()

    async def _exchange(
        self,
        connection: Connection,
        request: httpx.Request,
        wire: bytes,
        timeouts: dict[str, float | None],
    ) -> httpx.Response:
        self._in_flight += 1
        # A dict of its own: httpx before 0.28 lets requests share the one they were made with.
        request.extensions = {**request.extensions, FIRST_BYTE_WRITTEN: True}
        try:
            reply = await connection.exchange(
                wire,
                read=timeouts.get("read"),
                write=timeouts.get("write"),
                head_only=request.method == "HEAD",
            )
        finally:
            self._in_flight -= 1
            self._rest(connection)
            self._slots.release()
        return httpx.Response(
            reply.status, headers=reply.headers, stream=httpx.ByteStream(reply.body)
        )

    def _rest(self, connection: Connection) -> None:
        """Keep a connection for the next request if it is clean."""
        if self._closed or not connection.clean:
            connection.abort()
            return
        self._idle[connection] = None
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(self._idle_expiry, self._sweep)

    def _sweep(self) -> None:
        """Close what has been idle for too long, and come back while anything is idle."""
        self._sweeper = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [c for c in self._idle if not c.clean or self._expired(c, now)]:
            del self._idle[connection]
            connection.abort()
        if self._idle:
            self._sweeper = loop.call_later(self._idle_expiry, self._sweep)


def _usable(opening: "asyncio.Task[Connection]") -> Connection:
    """Return the connection that was opened, if the server has not closed it since."""
    if opening.cancelled():
        raise httpx.ConnectError("the pool was closed meanwhile")
    connection = opening.result()
    if not connection.clean:
        connection.abort()
        raise httpx.ConnectError("the server took the connection and closed it at once")
    return connection


def _happy_eyeballs(loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
    """Return the option for RFC 8305 where the loop has it; uvloop's, for one, has not."""
    if isinstance(loop, asyncio.BaseEventLoop):
        return {"happy_eyeballs_delay": _HAPPY_EYEBALLS_DELAY}
    return {}


async def _to_bytes(request: httpx.Request) -> bytes:
    """Return head and body of a request.

    Raises:
        httpx.LocalProtocolError: A line end would forge a header, or a length another request.
    """
    stream: Any = request.stream
    body = b"".join(stream) if isinstance(stream, httpx.ByteStream) else await request.aread()
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    head = b"\r\n".join(lines)
    if head.count(b"\n") >= len(lines) or head.count(b"\r") >= len(lines) or b"\0" in head:
        raise httpx.LocalProtocolError("a line end or NUL in the request's head", request=request)
    return b"%s\r\n\r\n%s" % (head, _framed(request, head.lower() + b"\r\n", body))


def _framed(request: httpx.Request, head: bytes, body: bytes) -> bytes:
    """Return the body as the head, in small letters, announces it."""
    if b"\r\ntransfer-encoding: chunked\r\n" in head:
        return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    announced = b"\r\ncontent-length:" in head
    if (body or announced) and b"\r\ncontent-length: %d\r\n" % len(body) not in head:
        raise httpx.LocalProtocolError("Content-Length is not the body's", request=request)
    return body
