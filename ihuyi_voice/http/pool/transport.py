"""The pool: at most so many connections to one origin, handed out fairly, never leaked.

Theory of operation. Whoever sends holds one of `max_connections` *slots*, given in the order of
asking; with a slot it takes the idle connection that was used last, or opens a new one. Since
only holders of a slot take or open, there are never more connections than slots. The slot is
given back in a `finally`, whatever happens; the connection goes back to the idle ones if it is
clean, and is aborted otherwise. A request then goes through these steps, and what fails or is
cancelled in one costs at most its own connection:

- *checked*: origin, head and length; nothing is held yet;
- *queued* for a slot: the place is given up, nothing else has happened;
- *connecting*: the attempt runs on, slot in hand, and the connection joins the idle ones (asyncio
  leaks the socket of an attempt that is cancelled at the wrong moment, up to Python 3.12); the
  cancellation has for its cause what was waited for, as a ConnectTimeout would say it;
- *taking* body and target, with a fresh connection in hand: nothing was sent, it stays idle. A
  stream can be taken once, so a connection that dies meanwhile is replaced without it;
- *told*: the trace hears `http11.send_request_headers.started`. If it raises, nothing was sent;
- *in the exchange*: from the first byte on nothing is ever sent again, and the connection is
  aborted, because its reply may still come;
- *answered*: connection and slot are back before the trace hears of it, and nothing that fails
  then takes the reply away.

Closing is *open* → *draining* (no new request, the queue is sent away, those in flight end; a
request whose body or trace keeps it waiting is not waited for, and refused when it comes back) →
*over*. Everybody who closes waits for the end; whoever is cancelled while it waits cuts off
those in flight, at once and for all. In another event loop than its own, every use is an error
that changes nothing.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import attrs
import httpx

from ihuyi_voice.http.pool.connection import Connection
from ihuyi_voice.http.pool.dialing import Route, Steps
from ihuyi_voice.http.pool.foreign import (
    REPLY,
    STARTED,
    Trace,
    body_at_hand,
    taken,
    taken_at_once,
    target_of,
    tell_of_reply,
)
from ihuyi_voice.http.pool.idle import IdleConnections
from ihuyi_voice.http.pool.lifetimes import Lifetimes
from ihuyi_voice.http.pool.messages import Bounds, Head, Heads, Reply
from ihuyi_voice.http.pool.proxies import PORTS, Proxy
from ihuyi_voice.http.pool.seams import PatchableTransport
from ihuyi_voice.http.pool.slots import Slots
from ihuyi_voice.http.pool.trust import Verify

Timeouts: TypeAlias = dict[str, float | None]

_TURNS: Final = 3  # of the loop, from an attempt's cancellation to the close of its socket


@attrs.frozen
class Statistics:
    """A look at the pool.

    Attributes:
        idle: Connections that wait for a request.
        in_flight: Requests that are being written or answered.
        waiting: Requests that wait for a slot.
        opened: Connections opened ever.
        open: Connections that are open now.
    """

    idle: int
    in_flight: int
    waiting: int
    opened: int
    open: int


class PoolTransport(PatchableTransport):
    """An httpx transport for one origin.

    If a request has the extension `ihuyi_voice.reply`, that is called with status, headers and body
    of the reply before anything else can fail.

    Args:
        url: Any URL of the origin.
        max_connections: The most connections, and requests in flight, at a time.
        verify: Certificates and host names are checked, by SSL_CERT_FILE and SSL_CERT_DIR if they
            are set; False not to, a path of authorities, or an `ssl.SSLContext`.
        proxy: Whom connections go through: a `Proxy` or its URL (see `proxy_for`).
        idle_expiry: A connection idle for so many seconds is not used again.
        max_age: Nor is one that was opened so many seconds ago, or up to a fifth less, each at an
            age of its own; None for no such limit.
        bounds: How large replies may be.
        permit: Told the origin's host before each connection; may raise, and then nothing was sent.

    Raises:
        ValueError: SSL_CERT_FILE, SSL_CERT_DIR or `verify` names what isn't there (that is a
            FileNotFoundError too) or holds no certificates, or the proxy is none.

    The read timeout bounds the wait for a whole reply, which is always read into memory.
    """

    def __init__(
        self,
        url: httpx.URL | str,
        *,
        max_connections: int = 100,
        verify: Verify = True,
        proxy: Proxy | str | None = None,
        idle_expiry: float = 15.0,
        max_age: float | None = 300.0,
        bounds: Bounds | None = None,
        permit: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        origin = httpx.URL(url)
        self._origin = (origin.scheme, origin.host, origin.port)
        self._route = Route.to(origin, proxy, verify)
        self._permit = permit
        self._heads = Heads(self._route.more_headers)
        self._lifetimes = Lifetimes(idle_expiry, max_age)
        self._bounds = bounds or Bounds()
        self._slots = Slots(max_connections)
        self._idle = IdleConnections(self._lifetimes)
        self._alive: set[Connection] = set()
        self._opening: set[asyncio.Task[Connection]] = set()
        self._opened = 0
        self._last_url: httpx.URL | None = None
        self._last_headers: tuple[list[tuple[bytes, bytes]], httpx.Headers] = ([], httpx.Headers())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = self._over = False

    async def send_directly(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its reply, read whole.

        Raises:
            httpx.TransportError: As httpx's own transport does. If the trace has not heard that
                `http11.send_request_headers.started`, it surely never left.
            RuntimeError: The pool is closed, or belongs to another event loop.
        """
        self._check(request)
        timeouts: Timeouts = request.extensions.get("timeout") or {}
        trace: Trace | None = request.extensions.get("trace")
        try:
            head = self._heads.of(request)
            body = body_at_hand(request, head)
            if not self._slots.take():
                await self._slots.wait(timeouts.get("pool"))
            reply = await self._send(request, head, body, timeouts, trace)
        except httpx.TransportError as exc:
            exc.request = request
            raise
        keep = request.extensions.get(REPLY)
        if keep is not None:
            keep(reply.status, reply.headers, reply.body)
        if trace is not None:
            await tell_of_reply(reply, trace)
        return self._response(reply)

    async def aclose(self) -> None:
        """Wait for requests in flight, then close all connections; queued ones are refused.

        Everybody who calls it waits until that is done. If one is cancelled while it waits, those
        in flight are cut off.

        Raises:
            RuntimeError: The pool belongs to another event loop, and goes on there.
        """
        self._check_loop()
        self._closed = True
        self._slots.refuse("this pool was closed while the request waited")
        try:
            await self._slots.all_back()
        finally:
            self._cut()
            await _to_their_end({*self._opening, *(connection.lost for connection in self._alive)})

    def _cut(self) -> None:
        """End every connection, whatever it is doing."""
        self._over = True
        for opening in self._opening:
            opening.cancel()
        for connection in self._alive:
            connection.abort()
        self._idle.clear()

    def statistics(self) -> Statistics:
        """Return how the pool is used just now."""
        busy = sum(connection.busy for connection in self._alive)
        waiting = self._slots.waiting
        return Statistics(len(self._idle), busy, waiting, self._opened, len(self._alive))

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
        if url is self._last_url:  # it was looked at before, and URLs never change
            return
        if (url.scheme, url.host, url.port) != self._origin:
            scheme, host, port = self._origin
            raise httpx.UnsupportedProtocol(
                f"this pool only speaks to {scheme}://{host}:{port or PORTS.get(scheme)}",
                request=request,
            )
        self._last_url = url

    def _refuse_if_over(self) -> None:
        if self._over:
            raise RuntimeError("this pool was closed while the request waited")

    async def _send(
        self,
        request: httpx.Request,
        head: Head,
        body: bytes | None,
        timeouts: Timeouts,
        trace: Trace | None,
    ) -> Reply:
        """Send a request, with a slot that is given back at the end."""
        connection: Connection | None = None
        try:
            connection = await self._ready(None, timeouts, trace)
            if body is None:
                body = taken_at_once(request)
            if body is None:
                body = await self._slots.aside(taken(request))
            wire = head.with_body(self._target(request), body)
            if not connection.clean or self._over:
                connection = await self._ready(connection, timeouts, trace)
            if trace is not None:
                started = trace("http11.send_request_headers.started", {"request": request})
                await self._slots.aside(started)
                if not connection.clean or self._over:
                    connection = await self._ready(connection, timeouts, trace)
            started_at_once = request.extensions.get(STARTED)
            if started_at_once is not None:
                started_at_once()
            return await connection.exchange(
                wire,
                read=timeouts.get("read"),
                write=timeouts.get("write"),
                head_only=request.method == "HEAD",
            )
        finally:
            if connection is not None:
                self._rest(connection)
            self._slots.give_back()

    async def _ready(
        self, connection: Connection | None, timeouts: Timeouts, trace: Trace | None
    ) -> Connection:
        """Return this connection if it still stands, or else another."""
        self._refuse_if_over()
        if connection is not None and connection.clean:
            return connection
        assert self._loop is not None  # noqa: S101 - whoever sends has been checked
        return self._idle.take(self._loop) or await self._connect(timeouts.get("connect"), trace)

    def _target(self, request: httpx.Request) -> bytes:
        """Return the request's target, asked for now if somebody has it."""
        target = target_of(request)
        if self._route.is_forwarded:
            return b"%s://%s%s" % (request.url.raw_scheme, request.url.netloc, target)
        return target

    async def _connect(self, wait: float | None, trace: Trace | None) -> Connection:
        """Open a connection; if nobody waits for it any more, it keeps a slot until it is open."""
        if self._permit is not None:
            self._permit(self._route.host)
        if trace is not None:
            started = trace("connection.connect_tcp.started", self._route.told(wait))
            await self._slots.aside(started)
            self._refuse_if_over()
        now = asyncio.get_running_loop().time
        steps, began = self._route.steps(), now()
        opening = asyncio.create_task(self._open(wait, steps))
        self._opening.add(opening)
        try:
            await asyncio.wait({opening})
        except asyncio.CancelledError as exc:
            self._slots.keep()
            opening.add_done_callback(self._adopt)
            waited = steps.told(round(now() - began, 1))
            raise exc from httpx.ConnectTimeout(waited)  # for whoever asks what took so long
        self._opening.discard(opening)
        try:
            connection = _usable(opening)
        except httpx.TransportError as exc:
            if trace is not None:
                failed = trace("connection.connect_tcp.failed", {"exception": exc})
                await self._slots.aside(failed)
            raise
        if trace is not None:
            await self._tell_of_connection(connection, trace)
        return connection

    async def _tell_of_connection(self, connection: Connection, trace: Trace) -> None:
        try:
            complete = trace("connection.connect_tcp.complete", {"return_value": connection})
            await self._slots.aside(complete)
        except BaseException:
            self._rest(connection)
            raise

    async def _open(self, wait: float | None, steps: Steps) -> Connection:
        loop = asyncio.get_running_loop()
        connection = await self._route.open(lambda: Connection(loop, self._bounds), wait, steps)
        self._lifetimes.begin(connection)
        self._opened += 1
        self._alive.add(connection)
        connection.lost.add_done_callback(lambda _: self._forget(connection))
        return connection

    def _forget(self, connection: Connection) -> None:
        self._alive.discard(connection)
        self._idle.forget(connection)
        self._lifetimes.learn(connection, connection.lost.get_loop().time())

    def _adopt(self, opening: "asyncio.Task[Connection]") -> None:
        """Take over an attempt whose request has gone, and give its slot back."""
        self._opening.discard(opening)
        if not opening.cancelled() and opening.exception() is None:
            self._rest(opening.result())
        self._slots.give_back()

    def _response(self, reply: Reply) -> httpx.Response:
        """Return httpx's view of a reply.

        Its headers take a tenth of a request's time to make, and are mostly those of the last
        one; httpx copies what it is given.
        """
        if reply.headers != self._last_headers[0]:
            self._last_headers = (reply.headers, httpx.Headers(reply.headers))
        stream = httpx.ByteStream(reply.body)
        return httpx.Response(reply.status, headers=self._last_headers[1], stream=stream)

    def _rest(self, connection: Connection) -> None:
        """Keep a connection for the next request if it is clean."""
        if connection.unanswered_since is not None:
            self._idle.doubt(connection.unanswered_since)
        if self._closed or not connection.clean:
            connection.abort()
            return
        self._idle.put(connection)


async def _to_their_end(ending: "set[asyncio.Future[Any]]") -> None:
    """Wait until all of these have ended, which they do at once; a cancellation counts after that.

    Python's race of addresses leaves its attempts, cancelled, to the loop's next turns.
    """
    cancelled: asyncio.CancelledError | None = None
    turns = _TURNS
    while ending or turns:
        try:
            if ending:
                _, ending = await asyncio.wait(ending)
            else:
                turns -= 1
                await asyncio.sleep(0)
        except asyncio.CancelledError as exc:
            cancelled = exc
    if cancelled is not None:
        raise cancelled


def _usable(opening: "asyncio.Task[Connection]") -> Connection:
    """Return the connection that was opened, if the server has not closed it since."""
    if opening.cancelled():
        raise httpx.ConnectError("the pool was closed meanwhile")
    connection = opening.result()
    if not connection.is_new():
        connection.abort()
        raise httpx.ConnectError("the server took the connection and closed it at once")
    return connection
