"""Servers that lie, drip, break off and smuggle; over real sockets."""

import asyncio
from itertools import pairwise

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihuyi_voice.http.pool.connection import Connection
from ihuyi_voice.http.pool.messages import Bounds, Reply
from tests.support.sockets import (
    OK,
    Reader,
    Writer,
    always,
    answering,
    failing,
    pool_to,
    read_request,
    send,
)

SMUGGLED = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "reply",
    [
        b"not HTTP at all\r\n\r\n",
        b"\0\xff" * 50,
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
async def test_garbage_is_a_protocol_error_after_the_first_byte(reply: bytes) -> None:
    """And the connection is never used again."""
    async with pool_to(always(reply)) as pool:
        error, written = await failing(pool)
        assert isinstance(error, httpx.RemoteProtocolError)
        assert written
        assert pool.statistics().idle == 0


@pytest.mark.parametrize("length", [0, 1, 20, len(OK) - 2, len(OK) - 1])
async def test_a_close_before_the_reply_is_whole_is_an_error(length: int) -> None:
    """Wherever it comes."""

    async def serve(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(OK[:length])

    async with pool_to(serve) as pool:
        error, written = await failing(pool)
        assert isinstance(error, httpx.RemoteProtocolError)
        assert written


@pytest.mark.parametrize("place", [5, 30])
async def test_a_reset_is_a_read_error(place: int) -> None:
    """The first byte was written."""

    async def serve(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK[:place])
        await writer.drain()
        writer.transport.abort()

    async with pool_to(serve) as pool:
        error, written = await failing(pool, content=b"x" * 1000)
        assert isinstance(error, httpx.ReadError | httpx.RemoteProtocolError)
        assert written


@pytest.mark.parametrize("reply", [OK, CHUNKED])
async def test_a_reply_may_come_byte_by_byte(reply: bytes) -> None:
    """Split at every place, with the loop turning in between."""

    async def drip(reader: Reader, writer: Writer) -> None:
        while True:
            await read_request(reader)
            for place in range(len(reply)):
                writer.write(reply[place : place + 1])
                await asyncio.sleep(0)

    async with pool_to(drip) as pool:
        for _ in range(3):
            assert (await send(pool)).text == "ok"
        assert pool.statistics().opened == 1


async def test_a_drip_that_never_ends_meets_the_read_timeout() -> None:
    """It bounds the wait for the whole reply, not for the next byte."""

    async def drip(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.001)

    async with pool_to(drip) as pool:
        error, _ = await failing(pool, timeout={"read": 0.05})
        assert isinstance(error, httpx.ReadTimeout)


@pytest.mark.parametrize("extra", [SMUGGLED, b"x", b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"])
async def test_bytes_behind_a_reply_never_become_the_next_reply(extra: bytes) -> None:
    """In the same packet: the reply counts, the connection doesn't."""
    async with pool_to(answering(OK + extra)) as pool:
        assert (await send(pool)).text == "ok"
        assert pool.statistics().idle == 0
        assert (await send(pool)).text == "ok"
        assert pool.statistics().opened == 2


async def test_bytes_that_come_while_it_is_idle_end_a_connection() -> None:
    """Nobody asked for them."""
    more = asyncio.Event()
    sent = asyncio.Event()

    async def serve(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(OK)
        await more.wait()
        writer.write(SMUGGLED)
        await writer.drain()
        sent.set()
        await reader.read()

    async with pool_to(serve) as pool:
        assert (await send(pool)).text == "ok"
        more.set()
        await sent.wait()
        assert (await send(pool)).text == "ok"
        assert pool.statistics().opened == 2


async def test_bytes_that_already_wait_when_the_next_request_is_due_are_noticed() -> None:
    """Between two requests of the same moment, the socket is looked at once more."""

    async def serve(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(OK)
        await writer.drain()
        writer.write(SMUGGLED)
        await reader.read()

    async with pool_to(serve, max_connections=1) as pool:
        replies = await asyncio.gather(*(send(pool) for _ in range(20)))
        assert {reply.text for reply in replies} == {"ok"}


class FakeTransport(asyncio.Transport):
    """A transport without a socket behind it, for parsing alone."""

    def __init__(self, fileno: int) -> None:
        super().__init__()
        self._fileno = fileno

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Stand for the socket too."""
        return self

    def fileno(self) -> int:
        """Return some file that is open."""
        return self._fileno

    def write(self, data: object) -> None:
        """Forget the request."""

    def abort(self) -> None:
        """Do nothing: there is no connection."""


async def parse(chunks: list[bytes]) -> Reply:
    """Feed chunks to a connection and return the reply."""
    connection = Connection(asyncio.get_running_loop(), Bounds())
    connection.connection_made(FakeTransport(0))
    waiting = asyncio.create_task(connection.exchange(b"x", read=None, write=None, head_only=False))
    await asyncio.sleep(0)
    for chunk in chunks:
        connection.data_received(chunk)
    if not waiting.done():
        connection.connection_lost(None)
    return await waiting


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * 3000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;" + b"x" * 3000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
    ],
    ids=["trailer", "chunk extension", "informational"],
)
async def test_what_is_neither_head_nor_body_is_bounded_too(reply: bytes) -> None:
    """Nothing of it is kept, but it may not go on for ever."""
    async with pool_to(always(reply), bounds=Bounds(head=1000, body=1000)) as pool:
        error, written = await failing(pool)
        assert "over 1000 bytes" in str(error)
        assert written


async def test_a_reset_names_its_cause() -> None:
    """The operating system's error hangs on ours."""
    connection = Connection(asyncio.get_running_loop(), Bounds())
    connection.connection_made(FakeTransport(0))
    waiting = asyncio.create_task(connection.exchange(b"x", read=None, write=None, head_only=False))
    await asyncio.sleep(0)
    reset = ConnectionResetError()
    connection.connection_lost(reset)
    with pytest.raises(httpx.ReadError) as caught:
        await waiting
    assert caught.value.__cause__ is reset


@settings(deadline=None)
@given(st.sampled_from([OK, CHUNKED]), st.lists(st.integers(1, 60), max_size=12))
def test_no_chunk_boundary_changes_a_reply(reply: bytes, cuts: list[int]) -> None:
    """Wherever the network cuts it."""
    places = sorted({0, len(reply), *(cut for cut in cuts if cut < len(reply))})
    chunks = [reply[start:end] for start, end in pairwise(places)]
    parsed = asyncio.run(parse(chunks))
    assert (parsed.status, parsed.body) == (200, b"ok")


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
def test_random_bytes_are_a_protocol_error_or_a_reply_and_never_a_hang(chunks: list[bytes]) -> None:
    """Whatever comes, the exchange ends."""
    with pytest.raises(httpx.RemoteProtocolError):
        asyncio.run(parse(chunks))
