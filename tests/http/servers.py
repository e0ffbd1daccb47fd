"""A vendor of a few lines that counts whole requests, and what the tests of sending share."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs

from ihuyi_voice.common.redaction import Redactor
from ihuyi_voice.http.options import HttpOptions
from ihuyi_voice.http.sending import Sender
from ihuyi_voice.models import Operation
from ihuyi_voice.protocol.requests import Call, VoicePhp, WireRequest
from ihuyi_voice.protocol.signing import Credentials
from tests.support.sockets import read_request

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Answer = Callable[[Writer], Awaitable[None]]

ACCEPTED = b'{"code":2,"msg":"","voiceid":"77","num":"5"}'


@attrs.define
class Counting:
    """Where it listens, and the requests that it took."""

    url: str = ""
    requests: list[bytes] = attrs.field(factory=list[bytes])

    @property
    def arrivals(self) -> int:
        """How many whole requests came."""
        return len(self.requests)


@asynccontextmanager
async def counting(answer: Answer) -> AsyncGenerator[Counting]:
    """Serve; each whole request is counted and then answered so."""
    seen = Counting()
    writers: list[Writer] = []

    async def serve(reader: Reader, writer: Writer) -> None:
        writers.append(writer)
        try:
            while not reader.at_eof():
                seen.requests.append(await read_request(reader))
                await answer(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    seen.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/voice.php"
    try:
        yield seen
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


async def hang_up(writer: Writer) -> None:
    """Close the connection."""
    writer.close()


async def reset(writer: Writer) -> None:
    """Reset the connection."""
    writer.transport.abort()


async def silence(writer: Writer) -> None:
    """Say nothing."""


async def accept(writer: Writer) -> None:
    """Say yes."""
    await reply(writer, ACCEPTED)


async def refuse(writer: Writer) -> None:
    """Say that there is a bad gateway."""
    await reply(writer, b"", b"502 Bad Gateway")


async def reply(writer: Writer, body: bytes, status: bytes = b"200 OK") -> None:
    """Write a reply."""
    writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
    await writer.drain()


def sender_to(url: str, **options: Any) -> Sender:
    """Return what a VoiceClient sends through."""
    return Sender(HttpOptions(url, **options), Redactor())


def wire_to(url: str, **options: Any) -> WireRequest:
    """Return a request for the balance, signed for a time long ago."""
    voice = VoicePhp(Credentials("a", "key"), url, **options)
    return voice.build(Call(Operation.BALANCE), lambda: 1_700_000_000.0)
