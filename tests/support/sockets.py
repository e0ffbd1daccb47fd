"""Servers that do as they are told, byte by byte, and pools that speak to them."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx

from ihuyi_voice.http.pool import PoolTransport

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Serve = Callable[[Reader, Writer], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TIMEOUT = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0}


@asynccontextmanager
async def serving(serve: Serve, *, tls: ssl.SSLContext | None = None) -> AsyncGenerator[int]:
    """Run a server, over TLS if it is given; yield its port, and break its connections at last."""
    writers: list[Writer] = []

    async def handle(reader: Reader, writer: Writer) -> None:
        writers.append(writer)
        try:
            await serve(reader, writer)
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            with suppress(AttributeError):  # of one whose TLS has ended, up to Python 3.11.2
                writer.transport.abort()
        await server.wait_closed()


async def pass_on(reader: Reader, writer: Writer) -> None:
    """Write what is read, to its end."""
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def pool_to(serve: Serve, **options: Any) -> AsyncGenerator[PoolTransport]:
    """Run a server and yield a pool that speaks to it; both are closed afterwards."""
    async with serving(serve) as port:
        pool = PoolTransport(f"http://127.0.0.1:{port}/", **options)
        pool.port = port  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue] - for `request`
        try:
            yield pool
        finally:
            async with asyncio.timeout(30.0):  # a pool that never closes is a failure, not a hang
                await pool.aclose()


def request(pool: PoolTransport, **options: Any) -> httpx.Request:
    """Return a POST request for the pool's server."""
    port: int = pool.port  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue] - see above
    usual: dict[str, Any] = {"method": "POST", "content": b"a=1", "timeout": TIMEOUT, **options}
    timeout = {**TIMEOUT, **usual.pop("timeout")}
    method = usual.pop("method")
    url = f"http://127.0.0.1:{port}/v.php"
    return httpx.Request(method, url, extensions={"timeout": timeout}, **usual)


async def send(pool: PoolTransport, **options: Any) -> httpx.Response:
    """Send one request and read its reply."""
    response = await pool.handle_async_request(request(pool, **options))
    await response.aread()
    return response


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop turn until something is so."""
    async with asyncio.timeout(30.0):
        while not condition():  # noqa: ASYNC110 - the condition is some state, not an event
            await asyncio.sleep(0)


def beginnings(asked: httpx.Request) -> list[str]:
    """Return a list that gets an entry whenever a request is about to be written."""
    begun: list[str] = []

    async def trace(event: str, info: dict[str, Any]) -> None:
        if event == "http11.send_request_headers.started":
            begun.append(event)

    asked.extensions["trace"] = trace
    return begun


async def failing(pool: PoolTransport, **options: Any) -> tuple[Exception, bool]:
    """Send a request that must fail; return the error and whether its first byte was written."""
    asked = request(pool, **options)
    begun = beginnings(asked)
    try:
        await pool.handle_async_request(asked)
    except (httpx.TransportError, RuntimeError) as error:
        return error, bool(begun)
    raise AssertionError("it should have failed")


def answering(*replies: bytes) -> Serve:
    """Return a server that answers each request of a connection with the next reply."""

    async def serve(reader: Reader, writer: Writer) -> None:
        for reply in replies:
            await read_request(reader)
            writer.write(reply)
            await writer.drain()
        await reader.read()

    return serve


def always(reply: bytes = OK) -> Serve:
    """Return a server that answers every request so."""

    async def serve(reader: Reader, writer: Writer) -> None:
        while True:
            await read_request(reader)
            writer.write(reply)

    return serve


async def read_request(reader: Reader) -> bytes:
    """Read one request with its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(x.split(b":")[1]) for x in lines if x.startswith(b"content-length:")), 0)
    return head + await reader.readexactly(length)


async def never(reader: Reader, writer: Writer) -> None:
    """Take requests and never answer."""
    await reader.read()
