"""What goes out is one whole request, and the trace is told before it goes."""

import httpx
import pytest

from tests.support.sockets import (
    OK,
    Reader,
    Writer,
    always,
    failing,
    pool_to,
    read_request,
    request,
    send,
)


async def test_the_request_arrives_byte_for_byte() -> None:
    """Request line, headers and body, once each."""
    seen: list[bytes] = []

    async def serve(reader: Reader, writer: Writer) -> None:
        seen.append(await read_request(reader))
        writer.write(OK)

    async with pool_to(serve) as pool:
        asked = request(pool, headers={"X-One": "1"}, content="您好".encode())
        await pool.handle_async_request(asked)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /v.php HTTP/1.1"
    assert b"X-One: 1" in lines
    assert b"Content-Length: 6" in lines
    assert body == "您好".encode()


async def test_a_streamed_body_may_be_chunked() -> None:
    """As httpx sends a body of unknown length."""
    seen = bytearray()

    async def body() -> object:
        yield b"ab"
        yield b"cd"

    async def serve(reader: Reader, writer: Writer) -> None:
        seen.extend(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(OK)

    async with pool_to(serve) as pool:
        await send(pool, content=body())
    assert seen.endswith(b"\r\n\r\n4\r\nabcd\r\n0\r\n\r\n")


async def test_a_line_end_in_a_header_is_refused_before_it_is_sent() -> None:
    """It would forge another header."""
    async with pool_to(always()) as pool:
        for value in ("a\r\nX-Evil: 1", "a\nb", "a\0b", "a\rb"):
            error, written = await failing(pool, headers={"X": value})
            assert isinstance(error, httpx.LocalProtocolError)
            assert not written


@pytest.mark.parametrize("length", ["0", "2", "4", "33", "x"])
async def test_a_length_that_is_not_the_bodys_is_refused_before_it_is_sent(length: str) -> None:
    """The rest would be taken for another request, or waited for in vain."""
    async with pool_to(always()) as pool:
        error, written = await failing(pool, content=b"a=1", headers={"Content-Length": length})
        assert isinstance(error, httpx.LocalProtocolError)
        assert not written


async def test_a_body_without_any_length_is_refused_before_it_is_sent() -> None:
    """It would be taken for another request."""
    async with pool_to(always()) as pool:
        url = request(pool).url
        asked = httpx.Request("POST", url, stream=httpx.ByteStream(b"GET / HTTP/1.1\r\n\r\n"))
        with pytest.raises(httpx.LocalProtocolError, match="Content-Length"):
            await pool.handle_async_request(asked)
        assert pool.statistics().opened == 0
