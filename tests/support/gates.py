"""Transactions that go on until a test lets them end, on both databases."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg
import attrs

from ihuyi_voice.storage import Query, Work
from tests.support.databases import Place


@attrs.define(eq=False)
class Gate:
    """Stops the work that passes through it.

    Attributes:
        begun: Set when some work stands at the gate.
    """

    begun: asyncio.Event
    _key: int
    _opened: threading.Event | None
    _keeper: "asyncpg.Connection | None"
    _loop: asyncio.AbstractEventLoop

    def passed(self) -> Work[None]:
        """Do no more until the gate is open."""
        self._loop.call_soon_threadsafe(self.begun.set)
        if self._opened is not None:  # on a thread of the database's
            self._opened.wait(30)
        else:
            yield Query("SELECT pg_advisory_xact_lock_shared(:key)", {"key": self._key})

    async def open(self) -> None:
        """Let everybody through, from now on."""
        if self._opened is not None:
            self._opened.set()
        elif self._keeper is not None and not self._keeper.is_closed():
            await self._keeper.close()


@asynccontextmanager
async def gate_at(place: Place) -> AsyncGenerator[Gate]:
    """Yield a closed gate for work on a database; it is open in the end."""
    keeper, key = None, int.from_bytes(place.table.encode()[-6:])
    if place.is_postgres:
        keeper = await asyncpg.connect(place.url)
        await keeper.execute("SELECT pg_advisory_lock($1)", key)
    opened = None if place.is_postgres else threading.Event()
    gate = Gate(asyncio.Event(), key, opened, keeper, asyncio.get_running_loop())
    try:
        yield gate
    finally:
        await gate.open()
