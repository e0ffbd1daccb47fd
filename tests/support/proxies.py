"""A small HTTP proxy: tunnels, passes requests on, or answers as a test wants it to."""

import asyncio
import re
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import attrs

from tests.support.sockets import Reader, Writer, pass_on, read_request, serving


@attrs.define(eq=False)
class SmallProxy:
    """What a proxy has seen, and how it answers.

    Attributes:
        port: Where it listens on 127.0.0.1.
        heads: The heads of the requests to it, as they came.
        answer: What it answers instead of doing its work; None: it does its work.
        close: Whether it closes after that answer.
    """

    port: int = 0
    heads: list[bytes] = attrs.field(factory=list[bytes])
    answer: bytes | None = None
    close: bool = False

    async def serve(self, reader: Reader, writer: Writer) -> None:
        """Serve one connection."""
        asked = await read_request(reader)
        self.heads.append(asked)
        if self.answer is not None:
            writer.write(self.answer)
            if not self.close:
                await reader.read()
            return
        host, port = _place(asked)
        there, back = await asyncio.open_connection(host, port)
        try:
            if asked.startswith(b"CONNECT "):
                writer.write(b"HTTP/1.0 200 Connection established\r\n\r\n")
                await asyncio.gather(pass_on(reader, back), pass_on(there, writer))
            while True:
                back.write(re.sub(rb" http://[^/]*", b" ", asked, count=1))
                writer.write(await read_request(there))  # a reply is read alike
                asked = await read_request(reader)
        finally:
            back.close()


def _place(asked: bytes) -> tuple[str, int]:
    """Return whom a request is for."""
    target = asked.split(b" ", 2)[1].removeprefix(b"http://").partition(b"/")[0]
    host, _, port = target.decode().rpartition(":")
    return host.strip("[]"), int(port)


@asynccontextmanager
async def running(
    answer: bytes | None = None, *, close: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[SmallProxy]:
    """Run a proxy, over TLS if `tls` is given."""
    proxy = SmallProxy(answer=answer, close=close)
    async with serving(proxy.serve, tls=tls) as proxy.port:
        yield proxy
