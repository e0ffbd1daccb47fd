"""An address that leads to one server, then to another; connections stay where they are."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import attrs

from tests.support.sockets import Reader, Writer, abort_all


@attrs.define(eq=False)
class Moving:
    """Where an address leads.

    Attributes:
        to: The port of the server that new connections come to.
        port: Its own.
        connections: How many have been made.
    """

    to: int
    port: int = 0
    connections: int = 0

    async def serve(self, reader: Reader, writer: Writer) -> None:
        """Pass one connection on, to its end."""
        self.connections += 1
        there, back = await asyncio.open_connection("127.0.0.1", self.to)
        await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))


async def _pass_on(reader: Reader, writer: Writer) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
    writer.close()


@asynccontextmanager
async def moving(to: int) -> AsyncGenerator[Moving]:
    """Yield an address that leads to a port, until it is told to lead to another."""
    address, writers = Moving(to), list[Writer]()

    async def handle(reader: Reader, writer: Writer) -> None:
        writers.append(writer)
        with suppress(OSError):
            await address.serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    address.port = server.sockets[0].getsockname()[1]
    try:
        yield address
    finally:
        server.close()
        abort_all(writers)
        await server.wait_closed()
