"""One HTTP/1.1 connection: a request goes out, one reply comes in, and then it is clean or not.

Theory of operation. A connection is *idle*, or in one *exchange*, or *lost*. An exchange writes
the whole request at once and ends with its reply complete, with an error, or with a cancellation.
Only a complete reply that allows keep-alive, with not one byte behind it, leaves the connection
clean; anything else aborts it. Bytes that come while it is idle belong to nobody and abort it too,
and right before it writes it looks whether any are waiting: so the end of one exchange can never
be taken for the reply to the next.

A cancellation in an exchange aborts the connection: its reply may still come and must meet nobody.
"""

import asyncio
import select
from typing import Any, Final, cast

import attrs
import httptools
import httpx

_INFORMATIONAL: Final = range(100, 200)
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


@attrs.frozen
class Bounds:
    """How large a reply may be, in bytes; a larger one is an error.

    Chunk sizes and trailers, which end up in neither, may fill what head and body leave of the sum.
    """

    head: int = 65_536
    body: int = 1_048_576


@attrs.frozen(eq=False)
class Reply:
    """A complete reply."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Connection(asyncio.Protocol):
    """A connection of the pool; it makes one exchange at a time.

    Attributes:
        clean: Whether another exchange may follow.
        born: When it was made, in seconds of the event loop's clock.
        idle_since: When its last exchange ended, same clock.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, bounds: Bounds) -> None:
        self.clean = True
        self.born = self.idle_since = loop.time()
        self.lost: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._bounds = bounds
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Reply] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._poller = _new_poller()
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = self._body_size = 0
        self._complete = self._headers_complete = False
        self._reset()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in deed only
        if self._poller is not None:
            self._poller.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; bytes that nobody waits for end the connection."""
        if self._waiter is None or self._waiter.done():
            self.abort()
            return
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(httpx.RemoteProtocolError("the server wants to switch protocols"))
            return
        except httptools.HttpParserError as exc:
            # Garbage behind a complete reply spoils the connection, not the reply.
            self._keep = False
            if not self._complete:
                self._fail(httpx.RemoteProtocolError(f"not HTTP: {exc}"), exc)
                return
        self._check_bounds()
        if self._complete:
            self._succeed()

    def eof_received(self) -> bool:
        """Take the server's close as the end of a reply that has no other end."""
        self.clean = False
        if self._ends_with_close():
            self._succeed()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits that nothing more will come."""
        self.clean = False
        if exc is None:
            self._fail(httpx.RemoteProtocolError("the server closed without a whole reply"))
        else:
            self._fail(httpx.ReadError(f"the connection broke: {type(exc).__name__}"), exc)
        self.resume_writing()
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        """Note that the server doesn't keep up with a large request."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let a large request go on."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # --- httptools

    def on_message_begin(self) -> None:
        """Notice a second reply behind the first."""
        if self._complete:
            self._keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header, or a trailer, which is dropped."""
        if not self._headers_complete and not self._complete:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Remember that what follows is body."""
        if self._complete:
            return
        self._status = self._parser.get_status_code()
        self._headers_complete = True
        if self._head_only and self._status not in _INFORMATIONAL:
            self._complete = True
            self._keep = False  # the parser would wait for a body that never comes

    def on_body(self, data: bytes) -> None:
        """Collect the body."""
        if not self._complete:
            self._body.append(data)
            self._body_size += len(data)

    def on_message_complete(self) -> None:
        """End the reply, unless it was only a 1xx before it."""
        if self._complete:
            return
        if self._status in _INFORMATIONAL:
            self._headers, self._headers_complete = [], False
            return
        self._complete = True
        self._keep = self._keep and self._parser.should_keep_alive()

    # --- the pool's side

    def is_fresh(self) -> bool:
        """Say whether nothing has come, not even a close, since the last exchange ended."""
        return self.clean and not (self._poller is not None and self._poller.poll(0))

    def abort(self) -> None:
        """Close at once; whoever waits is told."""
        self.clean = False
        if self._transport is not None:
            self._transport.abort()

    async def exchange(
        self, request: bytes, *, read: float | None, write: float | None, head_only: bool
    ) -> Reply:
        """Write a request and return the reply.

        Args:
            request: Head and body.
            read: The longest to wait for the whole reply, in seconds.
            write: The longest to wait until the request is written, in seconds.
            head_only: Whether it is a HEAD request, whose reply has no body.

        Raises:
            httpx.TransportError: No whole reply came. The request may have arrived.
        """
        assert self._transport is not None  # noqa: S101 - connected before anybody gets it
        self._reset()
        self._head_only = head_only
        self._waiter = self._loop.create_future()
        timer = self._loop.call_later(read, self._time_out) if read is not None else None
        done = False
        try:
            self._transport.write(request)
            if self._writable is not None:
                await self._written(self._writable, self._waiter, write)
            reply = await self._waiter
            done = True
            return reply
        finally:
            if timer is not None:
                timer.cancel()
            if self._waiter.done() and not self._waiter.cancelled():
                self._waiter.exception()  # seen, so that asyncio doesn't report it as lost
            self._waiter = None
            self.clean = self.clean and done and self._keep
            if not self.clean:
                self.abort()
            self.idle_since = self._loop.time()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._status = self._size = self._body_size = 0
        self._headers = []
        self._body = []
        self._headers_complete = self._complete = self._head_only = False
        self._keep = True

    def _ends_with_close(self) -> bool:
        """Say whether the reply has begun and only the close ends it (RFC 9112, section 6.3)."""
        if self._complete or not self._headers_complete:
            return False
        return not any(name.lower() in _FRAMING for name, _ in self._headers)

    async def _written(
        self, writable: "asyncio.Future[None]", waiter: "asyncio.Future[Reply]", wait: float | None
    ) -> None:
        """Wait until a large request is written; a reply may come first, and then ends it."""
        futures: set[asyncio.Future[Any]] = {writable, waiter}
        done, _ = await asyncio.wait(futures, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        self._keep = self._keep and writable in done
        if not done:
            raise httpx.WriteTimeout("the server did not take the request in time")

    def _time_out(self) -> None:
        self._fail(httpx.ReadTimeout("no whole reply in time"))

    def _check_bounds(self) -> None:
        bounds = self._bounds
        if self._size > bounds.head and not self._headers_complete:
            self._fail(httpx.RemoteProtocolError(f"head over {bounds.head} bytes"))
        elif self._body_size > bounds.body or self._size > bounds.head + bounds.body:
            self._fail(httpx.RemoteProtocolError(f"body over {bounds.body} bytes"))

    def _succeed(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(Reply(self._status, self._headers, b"".join(self._body)))

    def _fail(self, error: httpx.TransportError, cause: Exception | None = None) -> None:
        error.__cause__ = cause
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)


def _new_poller() -> "select.poll | None":
    """Return what looks at a socket once more; Windows has none, there the event loop suffices."""
    return select.poll() if hasattr(select, "poll") else None
