"""The same submissions through this package and through what a user would pick instead.

Each sends a signed form, POSTs it and parses the XML of the reply; ours does all else too: guard,
retries, classification and, in `submit_many`, scheduling and outcomes.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from hashlib import md5
from itertools import count
from urllib.parse import quote, urlsplit

import aiohttp
import httpx
from httpx_aiohttp import HttpxAiohttpClient
from lxml import etree

from ihuyi_voice import OutcomeStatus, VoiceClient
from ihuyi_voice.simulator import Simulator

ACCOUNT, KEY = Simulator().account, Simulator().api_key
CONTENT = "您的订单号是：9633。已由顺风快递发出，请注意查收。"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

Latencies = list[float]
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


async def submit_many(url: str, many: int, connections: int) -> Latencies:
    """Send ours, in bulk, with everything on."""
    messages = [(mobile, CONTENT) for mobile in numbers(many)]
    async with VoiceClient(ACCOUNT, KEY, base_url=url, max_connections=connections) as client:
        async with client.submit_many(messages, concurrency=connections) as run:
            async for outcome in run:
                if outcome.status is not OutcomeStatus.ACCEPTED:
                    raise RuntimeError(str(outcome))
    return []


async def gather_submit(url: str, many: int, connections: int) -> Latencies:
    """Send ours, one call each, gathered."""
    slots = asyncio.Semaphore(connections)
    latencies: Latencies = []
    async with VoiceClient(ACCOUNT, KEY, base_url=url, max_connections=connections) as client:

        async def one(mobile: str) -> None:
            async with slots:
                started = time.perf_counter()
                await client.submit(mobile, CONTENT)
                latencies.append(time.perf_counter() - started)

        await asyncio.gather(*(one(mobile) for mobile in numbers(many)))
    return latencies


async def stock_httpx(url: str, many: int, connections: int) -> Latencies:
    """Share one httpx.AsyncClient."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:

        async def post(form: bytes) -> bytes:
            reply = await client.post(f"{url}?method=Submit", content=form, headers=FORM)
            return reply.content

        return await _bounded(post, many, connections)


async def httpx_aiohttp(url: str, many: int, connections: int) -> Latencies:
    """Share one httpx client on aiohttp's connections."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with HttpxAiohttpClient(limits=limits, timeout=60) as client:

        async def post(form: bytes) -> bytes:
            reply = await client.post(f"{url}?method=Submit", content=form, headers=FORM)
            return reply.content

        return await _bounded(post, many, connections)


async def bare_aiohttp(url: str, many: int, connections: int) -> Latencies:
    """Share one aiohttp session."""
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def post(form: bytes) -> bytes:
            async with session.post(f"{url}?method=Submit", data=form, headers=FORM) as reply:
                return await reply.read()

        return await _bounded(post, many, connections)


async def bare_streams(url: str, many: int, connections: int) -> Latencies:
    """Write and read by hand over asyncio streams: the floor, with no HTTP client at all."""
    parts = urlsplit(url)
    waiting = numbers(many)
    latencies: Latencies = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while waiting:
            started = time.perf_counter()
            form = signed_form(waiting.pop())
            writer.write(_HEAD % (parts.path.encode(), len(form)) + form)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r")[0])
            check(await reader.readexactly(length))
            latencies.append(time.perf_counter() - started)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(one() for _ in range(connections)))
    return latencies


_HEAD = (
    b"POST %s?method=Submit HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
)

CLIENTS: dict[str, Callable[[str, int, int], Awaitable[Latencies]]] = {
    "ours, submit_many": submit_many,
    "ours, gather(submit)": gather_submit,
    "aiohttp, bare": bare_aiohttp,
    "httpx-aiohttp": httpx_aiohttp,
    "httpx, stock": stock_httpx,
    "asyncio streams, the floor": bare_streams,
}
