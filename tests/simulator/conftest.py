"""A vendor on a real socket, and requests built by hand: never by the client that they test."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import quote, urlsplit

import attrs
import pytest

from ihuyi_voice.simulator import Simulator

CONTENT = "您的订单号是：9633"
MOBILE = "13900000000"
TARGET = "/webservice/voice.php"
SUBMIT = f"{TARGET}?method=Submit"
URLENCODED = "Content-Type: application/x-www-form-urlencoded"
RAW_FORM = f"account=VM00000000&password=simulator-key&mobile={MOBILE}&content={CONTENT}"
FORM = quote(RAW_FORM, safe="=&")


@attrs.frozen
class Reply:
    """What came back, as it came."""

    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.head.split(b" ")[1])

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@attrs.frozen
class Line:
    """One connection, kept alive."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def exchange(self, request: bytes) -> Reply:
        """Send raw bytes and read one reply."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        fields = (line.lower().partition(b":") for line in head.split(b"\r\n"))
        length = next(int(value) for name, _, value in fields if name == b"content-length")
        return Reply(head, await self.reader.readexactly(length))

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        await self.writer.wait_closed()


async def dial(url: str) -> Line:
    """Open a connection to the simulator."""
    parts = urlsplit(url)
    return Line(*await asyncio.open_connection(parts.hostname, parts.port))


async def exchange(url: str, request: bytes) -> Reply:
    """Send raw bytes on a connection of their own and return the reply."""
    line = await dial(url)
    reply = await line.exchange(request)
    await line.close()
    return reply


def post(target: str, body: bytes, *headers: str, version: str = "1.1") -> bytes:
    """Return a POST request."""
    lines = [f"POST {target} HTTP/{version}", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def get(target: str) -> bytes:
    """Return a GET request."""
    return f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@pytest.fixture
def simulator() -> Simulator:
    """Return a vendor that takes any content."""
    return Simulator(limits=())


@pytest.fixture
async def url(simulator: Simulator) -> AsyncIterator[str]:
    """Serve it, and yield its address."""
    async with simulator.serve() as address:
        yield address
