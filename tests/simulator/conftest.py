"""A vendor on a real socket, requests built by hand, and a receiver of a few lines.

Never the client or the receiver that these tests are about.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import attrs
import httpx
import pytest

from ihuyi_voice.simulator import ManualClock, Simulator

CONTENT = "您的订单号是：9633"
MOBILE = "13900000000"
TARGET = "/webservice/voice.php"
TOKEN = "s3cret"
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


@attrs.define(eq=False)
class Ear:
    """A receiver.

    Attributes:
        answers: What it still has to answer, (status, body); `success` after that.
        heard: The bodies that came, in order.
        kinds: Their content types.
        paths: Where they came to.
        silent: Whether it hears and never answers.
    """

    answers: list[tuple[int, bytes]] = attrs.field(factory=list[tuple[int, bytes]])
    heard: list[bytes] = attrs.field(factory=list[bytes])
    kinds: set[bytes] = attrs.field(factory=set[bytes])
    paths: set[str] = attrs.field(factory=set[str])
    silent: bool = False
    news: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one push."""
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
        self.heard.append(body)
        self.kinds.add(dict(scope["headers"])[b"content-type"])
        self.paths.add(f"{scope['method']} {scope['path']}")
        self.news.set()
        if self.silent:
            await asyncio.Event().wait()
        status, answer = self.answers.pop(0) if self.answers else (200, b"success")
        length = (b"content-length", b"%d" % len(answer))
        await send({"type": "http.response.start", "status": status, "headers": [length]})
        await send({"type": "http.response.body", "body": answer})

    @property
    def forms(self) -> list[dict[str, str]]:
        """The fields of what came."""
        return [
            {
                name: values[0]
                for name, values in parse_qs(body.decode(), keep_blank_values=True).items()
            }
            for body in self.heard
        ]


@attrs.frozen
class Stage:
    """A vendor whose clock can be moved, and the receiver that it pushes to."""

    simulator: Simulator
    clock: ManualClock
    ear: Ear
    web: httpx.AsyncClient

    async def ask(self, **fields: str) -> dict[str, Any]:
        """Ask the vendor for something, and return its reply."""
        known = {"account": self.simulator.account, "password": self.simulator.api_key}
        reply = await self.web.post(
            f"http://vendor.test{TARGET}", data=known | {"format": "json"} | fields
        )
        answer: dict[str, Any] = reply.json()
        return answer

    async def submit(self, mobile: str = MOBILE) -> str:
        """Have a number called; return the voice id."""
        reply = await self.ask(method="Submit", mobile=mobile, content=CONTENT)
        return str(reply["voiceid"])

    async def add(self, content: str = "您好，【变量】。") -> str:
        """Hand in a template; return its id."""
        return str((await self.ask(method="AddTemplate", content=content))["templateid"])

    async def later(self, seconds: float) -> int:
        """Move the clock, and have what is due then pushed; return the number of tries."""
        self.clock.advance(seconds)
        return await self.simulator.push_due()


@pytest.fixture
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """A stage; parametrize it indirectly with the simulator's options."""
    ear, clock = Ear(), ManualClock()
    options: dict[str, Any] = {"limits": (), "clock": clock} | getattr(request, "param", {})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=ear)) as heard:
        simulator = Simulator(push_to=f"http://ear.test/{TOKEN}", push_client=heard, **options)
        transport = httpx.ASGITransport(app=simulator)
        async with httpx.AsyncClient(transport=transport) as web:
            yield Stage(simulator, clock, ear, web)


def options(**values: Any) -> pytest.MarkDecorator:
    """Give the stage's simulator some options."""
    return pytest.mark.parametrize("stage", [values], indirect=True)
