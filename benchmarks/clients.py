"""The same submissions through this package and through what a user would pick instead.

Each sends a signed form, POSTs it and parses the XML of the reply; ours does all else too: guard,
retries, classification and, in `submit_many`, scheduling and outcomes. Each rival is set up as a
careful user would: one client shared, as many connections as submissions in flight, a timeout, and
no use of connections that the server is about to close. Each is a context manager that holds the
client open and yields `send(many)`, which returns the latencies in seconds.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from hashlib import md5
from itertools import count
from typing import TypeAlias
from urllib.parse import quote, urlsplit

import aiohttp
import httpx
import rnet
from httpx_aiohttp import HttpxAiohttpClient
from lxml import etree
from pyreqwest.client import ClientBuilder

from ihuyi_voice import OutcomeStatus, VoiceClient
from ihuyi_voice.simulator import Simulator

ACCOUNT, KEY = Simulator().account, Simulator().api_key
CONTENT = "您的订单号是：9633。已由顺风快递发出，请注意查收。"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

Latencies: TypeAlias = list[float]
Send: TypeAlias = Callable[[int], Awaitable[Latencies]]
_numbers = count()


def numbers(many: int) -> list[str]:
    """Return so many numbers that were never used before."""
    return [f"139{next(_numbers):08d}" for _ in range(many)]


def signed_form(mobile: str) -> bytes:
    """Return the form of a submission, as a careful user would write it by hand."""
    now = str(int(time.time()))
    text = f"{ACCOUNT}{KEY}{mobile}{CONTENT}{now}"
    password = md5(text.encode()).hexdigest()  # noqa: S324 - the vendor's choice
    said = f"mobile={mobile}&content={quote(CONTENT, safe='')}"
    return f"account={ACCOUNT}&{said}&password={password}&time={now}".encode()


def check(body: bytes) -> None:
    """Parse a reply and insist on success."""
    root = etree.fromstring(body)
    code = next(each.text for each in root if str(each.tag).endswith("code"))
    if code != "2":
        raise RuntimeError(body.decode())


async def _bounded(
    post: Callable[[bytes], Awaitable[bytes]], many: int, connections: int
) -> Latencies:
    """Gather under a semaphore, the usual way."""
    slots = asyncio.Semaphore(connections)
    latencies: Latencies = []

    async def one(mobile: str) -> None:
        async with slots:
            started = time.perf_counter()
            check(await post(signed_form(mobile)))
            latencies.append(time.perf_counter() - started)

    await asyncio.gather(*(one(mobile) for mobile in numbers(many)))
    return latencies


@asynccontextmanager
async def submit_many(url: str, connections: int) -> AsyncGenerator[Send]:
    """Send ours, in bulk, with everything on; a latency is from the reading of a message on."""
    async with VoiceClient(ACCOUNT, KEY, base_url=url, max_connections=connections) as client:

        async def send(many: int) -> Latencies:
            started: dict[str, float] = {}
            latencies: Latencies = []

            def messages() -> Generator[tuple[str, str]]:
                for mobile in numbers(many):
                    started[mobile] = time.perf_counter()
                    yield mobile, CONTENT

            async with client.submit_many(messages(), concurrency=connections) as run:
                async for outcome in run:
                    if outcome.status is not OutcomeStatus.ACCEPTED:
                        raise RuntimeError(str(outcome))
                    latencies.append(time.perf_counter() - started.pop(outcome.message.mobile))
            return latencies

        yield send


@asynccontextmanager
async def gather_submit(url: str, connections: int) -> AsyncGenerator[Send]:
    """Send ours, one call each, gathered."""
    async with VoiceClient(ACCOUNT, KEY, base_url=url, max_connections=connections) as client:

        async def send(many: int) -> Latencies:
            slots = asyncio.Semaphore(connections)
            latencies: Latencies = []

            async def one(mobile: str) -> None:
                async with slots:
                    started = time.perf_counter()
                    await client.submit(mobile, CONTENT)
                    latencies.append(time.perf_counter() - started)

            await asyncio.gather(*(one(mobile) for mobile in numbers(many)))
            return latencies

        yield send


@asynccontextmanager
async def stock_httpx(url: str, connections: int) -> AsyncGenerator[Send]:
    """Share one httpx.AsyncClient."""
    # Some of its connections idle for seconds beside busy ones; the server closes them after 5 s,
    # and a request that meets that fails, which would end the measurement.
    limits = httpx.Limits(
        max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=3.0
    )
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:
        yield _through_httpx(client, url, connections)


@asynccontextmanager
async def httpx_aiohttp(url: str, connections: int) -> AsyncGenerator[Send]:
    """Share one httpx client on aiohttp's connections."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with HttpxAiohttpClient(limits=limits, timeout=60) as client:
        yield _through_httpx(client, url, connections)


def _through_httpx(client: httpx.AsyncClient, url: str, connections: int) -> Send:
    async def post(form: bytes) -> bytes:
        reply = await client.post(f"{url}?method=Submit", content=form, headers=FORM)
        return reply.content

    return lambda many: _bounded(post, many, connections)


@asynccontextmanager
async def bare_aiohttp(url: str, connections: int) -> AsyncGenerator[Send]:
    """Share one aiohttp session."""
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def post(form: bytes) -> bytes:
            async with session.post(f"{url}?method=Submit", data=form, headers=FORM) as reply:
                return await reply.read()

        yield lambda many: _bounded(post, many, connections)


@asynccontextmanager
async def bare_pyreqwest(url: str, connections: int) -> AsyncGenerator[Send]:
    """Share one client of reqwest, in Rust, on its usual runtime of one thread."""
    builder = ClientBuilder().max_connections(connections).pool_max_idle_per_host(connections)
    builder = builder.pool_idle_timeout(timedelta(seconds=3)).timeout(timedelta(seconds=60))
    async with builder.build() as client:

        async def post(form: bytes) -> bytes:
            request = client.post(f"{url}?method=Submit").body_bytes(form).headers(FORM).build()
            return bytes(await (await request.send()).bytes())

        yield lambda many: _bounded(post, many, connections)


@asynccontextmanager
async def bare_rnet(url: str, connections: int) -> AsyncGenerator[Send]:
    """Share one client of rnet, in Rust, which impersonates nobody here."""
    client = rnet.Client(
        pool_max_idle_per_host=connections,
        pool_max_size=connections,
        pool_idle_timeout=3,
        timeout=60,
        http1_only=True,
    )

    async def post(form: bytes) -> bytes:
        return await (await client.post(f"{url}?method=Submit", body=form, headers=FORM)).bytes()

    yield lambda many: _bounded(post, many, connections)


@asynccontextmanager
async def bare_streams(url: str, connections: int) -> AsyncGenerator[Send]:
    """Write and read by hand over asyncio streams: the floor, with no HTTP client at all."""
    parts = urlsplit(url)
    opened = [await asyncio.open_connection(parts.hostname, parts.port) for _ in range(connections)]

    async def send(many: int) -> Latencies:
        waiting = numbers(many)
        latencies: Latencies = []

        async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while waiting:
                started = time.perf_counter()
                form = signed_form(waiting.pop())
                writer.write(_HEAD % (parts.path.encode(), len(form)) + form)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r")[0])
                check(await reader.readexactly(length))
                latencies.append(time.perf_counter() - started)

        await asyncio.gather(*(one(reader, writer) for reader, writer in opened))
        return latencies

    yield send
    for _, writer in opened:
        writer.close()
        await writer.wait_closed()


_HEAD = (
    b"POST %s?method=Submit HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
)

CLIENTS: dict[str, Callable[[str, int], AbstractAsyncContextManager[Send]]] = {
    "ours, submit_many": submit_many,
    "ours, gather(submit)": gather_submit,
    "aiohttp, bare": bare_aiohttp,
    "pyreqwest, bare": bare_pyreqwest,
    "rnet, bare": bare_rnet,
    "httpx-aiohttp": httpx_aiohttp,
    "httpx, stock": stock_httpx,
    "asyncio streams, the floor": bare_streams,
}
