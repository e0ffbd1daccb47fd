"""One HTTP/1.1 connection: a request goes out, one reply comes in, and then it is clean or not.

Theory of operation. A connection is *idle*, or in one *exchange*, or *lost*. An exchange writes
the whole request at once and ends with its reply complete, with an error, or with a cancellation.
Only a complete reply that allows keep-alive, with not one byte behind it, leaves the connection
clean; anything else aborts it. Bytes that come while it is idle belong to nobody and abort it too,
and right before it writes it looks whether any are waiting: so the end of one exchange can never
be taken for the reply to the next.

A cancellation in an exchange aborts the connection: its reply may still come and must meet nobody.

A timeout looks before it fails: what already lies in the socket when its time is over was there in
time (the process or its loop may have stood still), so the loop turns as long as there is any.
"""

import asyncio
import math
import select
from contextlib import suppress
from typing import Any, Final, cast

import httpx

from ihuyi_voice.http.pool.messages import Bounds, Reply, ReplyParser

_LOOKS: Final = 64
"""How often a timeout looks at the socket, at most: a server that drips won't keep it for ever."""

_READ_AT_ONCE: Final = 4_096
"""How much is read at a time, in bytes; the vendor's replies have about 400.

Into a buffer of our own: without one, asyncio makes 256 KiB for each read, at 14 µs.
"""

_DECRYPTED_AT_ONCE: Final = 65_536
"""The same of TLS, in which a look at the socket doesn't see what is still to be decrypted."""

_SILENCE: Final = 1.0
"""How long a request was without a reply, in seconds, if its cancellation tells of the server."""

_BLIND_LOOKS: Final = 4
"""How often the loop turns instead where sockets can't be looked at."""


class Connection(asyncio.BufferedProtocol):
    """A connection of the pool; it makes one exchange at a time.

    Attributes:
        clean: Whether another exchange may follow.
        born: When it was made, in seconds of the event loop's clock.
        retires_at: When it must not be used any more, same clock.
        idle_since: When its last exchange ended, same clock.
        kept_for: How long the server says that it keeps it idle, in seconds.
        closed_after: How long it had been idle when the server closed it, in seconds.
        unanswered_since: When the request was written that got no reply; same clock.
        lost: Done when it is closed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, bounds: Bounds) -> None:
        self.clean = True
        self.born = self.idle_since = loop.time()
        self.retires_at = math.inf
        self.closed_after: float | None = None
        self.unanswered_since: float | None = None
        self.lost: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._parser = ReplyParser(bounds)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Reply] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._poller = _new_poller()
        self._buffer = memoryview(bytearray(_READ_AT_ONCE))
        self._secured = False
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = self._deadline = math.inf

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in deed only
        self._secured = transport.get_extra_info("ssl_object") is not None
        if self._secured:
            self._buffer = memoryview(bytearray(_DECRYPTED_AT_ONCE))
        if self._poller is not None:
            self._poller.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - ours is as large as it is
        """Return where the next bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has come."""
        self.data_received(bytes(self._buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Feed the parser; bytes that nobody waits for end the connection."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            self._note_close()
            self.abort()
            return
        try:
            self._parser.feed(data)
        except httpx.RemoteProtocolError as exc:
            waiter.set_exception(exc)
            return
        if self._parser.complete:
            waiter.set_result(self._parser.reply)

    def eof_received(self) -> bool:
        """Take the server's close as the end of a reply that has no other end."""
        self._note_close()
        self.clean = False
        if self._waiter is not None and not self._waiter.done() and self._parser.close():
            self._waiter.set_result(self._parser.reply)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits that nothing more will come."""
        self._note_close()
        self.clean = False
        if exc is None:
            self._fail(httpx.RemoteProtocolError("the server closed without a whole reply"))
        else:
            self._fail(httpx.ReadError(f"the connection broke: {type(exc).__name__}"), exc)
        self.resume_writing()
        self._stop_timer()
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

    # --- the pool's side

    @property
    def busy(self) -> bool:
        """Whether it is in an exchange."""
        return self._waiter is not None

    @property
    def kept_for(self) -> float | None:
        """How long the server says that it keeps it idle, in seconds."""
        return self._parser.kept_for

    def is_fresh(self) -> bool:
        """Say whether nothing has come, not even a close, since the last exchange ended."""
        if not self.clean:
            return False
        if self._poller is None or not self._poller.poll(0):
            return True
        if not self._secured:  # or it may be a word of TLS's own
            self._note_close()
        return False

    def is_new(self) -> bool:
        """Say of one just opened whether it still stands and the server has not spoken first.

        Over TLS it may have, of the session; then only the event loop knows.
        """
        return self.clean if self._secured else self.is_fresh()

    def abort(self) -> None:
        """Close at once; whoever waits is told."""
        self.clean = False
        self._stop_timer()
        if self._transport is not None:
            cut(self._transport)

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
        self._parser.begin(head_only=head_only)
        waiter: asyncio.Future[Reply] = self._loop.create_future()
        self._waiter = waiter
        self._set_timer(read)
        done, begun = False, self._loop.time()
        try:
            self._transport.write(request)
            if self._writable is not None:
                await self._written(self._writable, waiter, write)
            reply = await waiter
            done = True
            return reply
        finally:
            if not done and waiter.done() and not waiter.cancelled():
                waiter.exception()  # seen, so that asyncio doesn't report it as lost
            self._waiter = None
            self.clean = self.clean and done and self._parser.keep
            if not self.clean:
                self.abort()
            self.idle_since = self._loop.time()
            if not (done or (waiter.cancelled() and self.idle_since - begun < _SILENCE)):
                self.unanswered_since = begun

    async def _written(
        self, writable: "asyncio.Future[None]", waiter: "asyncio.Future[Reply]", wait: float | None
    ) -> None:
        """Wait until a large request is written; a reply may come first, and then ends it."""
        futures: set[asyncio.Future[Any]] = {writable, waiter}
        done, _ = await asyncio.wait(futures, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        for _ in range(0 if done else _BLIND_LOOKS):
            await asyncio.sleep(0)
        if not writable.done():
            self._parser.keep = False
            if not waiter.done():
                raise httpx.WriteTimeout("the server did not take the request in time")

    def _note_close(self) -> None:
        """Remember after how long the server closed an idle connection; bytes count as a close."""
        if self.clean and self._waiter is None:
            self.closed_after = self._loop.time() - self.idle_since

    # One timer serves many exchanges: it is set again only when it rings too early.

    def _set_timer(self, seconds: float | None) -> None:
        self._deadline = math.inf if seconds is None else self._loop.time() + seconds
        if self._deadline < self._rings_at:
            self._stop_timer()
            self._rings_at = self._deadline
            self._timer = self._loop.call_at(self._deadline, self._ring)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._rings_at = None, math.inf

    def _ring(self) -> None:
        now, self._timer, self._rings_at = self._rings_at, None, math.inf
        if self._waiter is None or self._waiter.done():
            return
        if self._deadline <= now:
            self._look(self._waiter, _LOOKS)
        elif self._deadline < math.inf:
            self._rings_at = self._deadline
            self._timer = self._loop.call_at(self._deadline, self._ring)

    def _look(self, waiter: "asyncio.Future[Reply]", looks: int) -> None:
        """Fail for want of time, unless more of the reply lies in the socket."""
        if waiter.done() or waiter is not self._waiter:
            return
        if looks and self._has_more(looks):
            self._loop.call_soon(self._look, waiter, looks - 1)
        else:
            waiter.set_exception(httpx.ReadTimeout("no whole reply in time"))

    def _has_more(self, looks: int) -> bool:
        if self._poller is not None and self._poller.poll(0):
            return True
        blind = self._poller is None or self._secured
        return blind and looks > _LOOKS - _BLIND_LOOKS

    def _fail(self, error: httpx.TransportError, cause: Exception | None = None) -> None:
        error.__cause__ = cause
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)


def _new_poller() -> "select.poll | None":
    """Return what looks at a socket once more; Windows has none, there the event loop suffices."""
    return select.poll() if hasattr(select, "poll") else None


def cut(transport: asyncio.Transport) -> None:
    """Close at once; one whose TLS has ended is closed, and Python up to 3.11.2 stumbles there."""
    with suppress(AttributeError):
        transport.abort()
