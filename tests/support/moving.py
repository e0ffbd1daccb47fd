"""An address that leads to one server, then to another; connections stay where they are."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import attrs

from tests.support.sockets import Reader, Writer, pass_on, serving


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
        with suppress(OSError):  # of either side
            await asyncio.gather(pass_on(reader, back), pass_on(there, writer))
        back.close()


@asynccontextmanager
async def moving(to: int) -> AsyncGenerator[Moving]:
    """Yield an address that leads to a port, until it is told to lead to another."""
    address = Moving(to)
    async with serving(address.serve) as address.port:
        yield address
