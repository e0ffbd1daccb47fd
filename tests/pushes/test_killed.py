"""A receiver that is killed at any moment loses nothing that it said `success` to."""

import asyncio
import random
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import attrs
import pytest

from ihuyi_voice.pushes import PushState
from tests.pushes.support import FORM, Place, report_form, states
from tests.pushes.victim import TOKEN

pytestmark = pytest.mark.long

PUSHES = 10_000
TRIES = 3
KILLS = 5
SENDERS = 32


@attrs.define(eq=False)
class Victim:
    """The receiver's process: killed and started again.

    Attributes:
        command: What starts it.
        port: Where it listens; 0 while it is dead.
        process: The one that lives, or lived last.
    """

    command: list[str]
    port: int = 0
    process: asyncio.subprocess.Process | None = None
    _alive: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        self.process = await asyncio.create_subprocess_exec(
            *self.command, cwd=Path(__file__).parents[2], stdout=asyncio.subprocess.PIPE
        )
        assert self.process.stdout is not None
        self.port = int(await self.process.stdout.readline())
        self._alive.set()

    async def kill(self) -> None:
        """Kill it with SIGKILL, if it lives, and wait until it is dead."""
        self._alive.clear()
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.communicate()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to it once it lives."""
        while True:
            await self._alive.wait()
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", self.port)
            await asyncio.sleep(0)  # killed a moment ago


@attrs.define(eq=False)
class Vendor:
    """Delivers every push three times, in random order, until `success` was heard of each."""

    victim: Victim
    left: list[int]
    acknowledged: int = 0
    broken: int = 0
    news: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def send(self) -> None:
        """Send what is left, over one connection after another."""
        while self.left:
            reader, writer = await self.victim.connect()
            with suppress(OSError, asyncio.IncompleteReadError):
                while self.left:
                    await self._deliver(self.left.pop(), reader, writer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _deliver(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            writer.write(request(number))
            head = await reader.readuntil(b"\r\n\r\n")
            answer = await reader.readexactly(7)
        except (OSError, asyncio.IncompleteReadError):
            self.broken += 1
            self.left.insert(0, number)  # not heard: it is sent again
            raise
        assert (head.split(b"\r\n")[0], answer) == (b"HTTP/1.1 200 OK", b"success")
        self.acknowledged += 1
        self.news.set()

    async def reached(self, count: int) -> None:
        """Return once so many were acknowledged."""
        while self.acknowledged < count:
            self.news.clear()
            await self.news.wait()


def request(number: int) -> bytes:
    """Return a push as the vendor sends it."""
    body = report_form(str(number))
    head = f"POST /{TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def running(place: Place, handled: Path) -> AsyncGenerator[Victim]:
    """Run a victim, and leave none behind."""
    command = [sys.executable, "-m", "tests.pushes.victim", place.url, place.table, str(handled)]
    victim = Victim(command)
    try:
        await victim.start()
        yield victim
    finally:
        await victim.kill()


@pytest.mark.timeout(300)
async def test_ten_thousand_pushes_survive_five_kills(place: Place, tmp_path: Path) -> None:
    """Each delivered three times: 10,000 records, each handled, none lost."""
    chance = random.Random(5)
    deliveries = [number for number in range(1, PUSHES + 1) for _ in range(TRIES)]
    chance.shuffle(deliveries)
    kills = sorted(chance.sample(range(len(deliveries) // 20, len(deliveries)), KILLS))
    handled = tmp_path / "handled"
    async with running(place, handled) as victim:
        vendor = Vendor(victim, deliveries)
        senders = asyncio.gather(*(vendor.send() for _ in range(SENDERS)))
        for count in kills:
            await vendor.reached(count)
            await victim.kill()
            await victim.start()
        await senders
        async with place.inbox() as inbox:
            assert sum((await inbox.counts()).values()) == PUSHES  # none lost, none twice
            await states(inbox, handled=PUSHES)
            assert (await inbox.report_of(str(PUSHES))).voice_id == str(PUSHES)
            assert await inbox.counts() == dict.fromkeys(PushState, 0) | {PushState.HANDLED: PUSHES}
    assert vendor.acknowledged == PUSHES * TRIES
    assert vendor.broken > 0  # some were in flight when it died
    lines = handled.read_text().split()
    assert set(lines) == {str(number) for number in range(1, PUSHES + 1)}
