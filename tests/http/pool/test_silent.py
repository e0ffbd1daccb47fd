"""Connections that are cut without a word: no FIN, no RST, nothing comes any more."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from ihuyi_voice import OutcomeUnknown, VoiceClient
from ihuyi_voice.http.pool import PoolTransport
from ihuyi_voice.simulator import Simulator
from tests.support.servers import make_certificate, server_side
from tests.support.sockets import Reader, Writer, failing, request, send, serving, until
from tests.support.vendor import CONTENT, MOBILE


@attrs.define(eq=False)
class Wall:
    """A firewall between a pool and a server, which forgets connections.

    Attributes:
        to: The server's port.
        port: Its own.
        opened: How many connections were made through it.
        cut: What happens to those; the next ones pass.
    """

    to: int
    port: int = 0
    opened: int = 0
    _writers: list[Writer] = attrs.field(factory=list[Writer])
    _forgotten: "set[Writer]" = attrs.field(factory=set[Writer])
    _resets: bool = False

    async def serve(self, reader: Reader, writer: Writer) -> None:
        """Pass on what comes, as long as it knows the connection."""
        self.opened += 1
        self._writers.append(writer)
        there, back = await asyncio.open_connection("127.0.0.1", self.to)
        try:
            await asyncio.gather(
                self._pass_on(reader, back, writer), self._pass_on(there, writer, writer)
            )
        finally:
            back.close()

    async def _pass_on(self, reader: Reader, to: Writer, side: Writer) -> None:
        while data := await reader.read(65_536):
            if side not in self._forgotten:
                to.write(data)
            elif self._resets:
                reset(side)
        if side not in self._forgotten:
            to.close()

    def forget(self, *, resets: bool = False) -> None:
        """Forget all connections: swallow what comes on them, or answer it with a reset."""
        self._forgotten |= set(self._writers)
        self._resets = resets

    def reset_all(self) -> None:
        """Reset all connections at once."""
        for writer in self._writers:
            reset(writer)


def reset(writer: Writer) -> None:
    """Send a RST, not a FIN."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


@attrs.define(eq=False)
class Scene:
    """A pool, the wall it speaks through, and the server behind it.

    Attributes:
        pool: The pool.
        wall: The wall.
        seen: How many requests the server has seen.
        stuck: Which of them it never answers.
        hold: Until when it answers none.
    """

    pool: PoolTransport
    wall: Wall
    seen: int = 0
    stuck: int = 0
    hold: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def fill(self, count: int) -> None:
        """Have so many connections idle."""
        self.hold.clear()
        sending = [asyncio.create_task(send(self.pool)) for _ in range(count)]
        before = self.seen
        await until(lambda: self.seen == before + count)
        self.hold.set()
        await asyncio.gather(*sending)
        assert self.pool.statistics().idle == count


@asynccontextmanager
async def scene(tls: ssl.SSLContext | None = None, **options: Any) -> AsyncGenerator[Scene]:
    """Yield them; the server answers once it may."""

    async def answer(reader: Reader, writer: Writer) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))
            play.seen += 1
            if play.seen == play.stuck:
                await reader.read()
            await play.hold.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with serving(answer, tls=tls) as to:
        wall = Wall(to)
        async with serving(wall.serve) as wall.port:
            scheme = "http" if tls is None else "https"
            pool = PoolTransport(f"{scheme}://127.0.0.1:{wall.port}/", **options)
            pool.port = wall.port  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue] - for `request`
            play = Scene(pool, wall)
            play.hold.set()
            try:
                yield play
            finally:
                await pool.aclose()


async def test_a_call_on_a_connection_that_went_silent_may_have_been_made() -> None:
    """It was written, and no reply came; nobody sends it again, and the connection is used up."""
    async with scene() as play:
        await play.fill(1)
        play.wall.forget()
        error, begun = await failing(play.pool, timeout={"read": 0.1})
        assert (type(error), begun) == (httpx.ReadTimeout, True)
        await until(lambda: play.pool.statistics().open == 0)
        assert play.seen == 1
        assert (await send(play.pool)).text == "ok"
        assert (play.seen, play.wall.opened) == (2, 2)


@pytest.mark.slow
async def test_over_tls_it_is_the_same(tmp_path: Path) -> None:
    """There is no polite end that would be waited for."""
    certificate = make_certificate(tmp_path)
    async with scene(server_side(certificate), verify=certificate.trust) as play:
        asked = request(play.pool)
        over_tls = httpx.Request(
            "POST", asked.url.copy_with(scheme="https"), content=b"a=1", extensions=asked.extensions
        )
        asked.extensions["timeout"]["read"] = 0.5
        assert (await play.pool.handle_async_request(over_tls)).status_code == 200
        play.wall.forget()
        with pytest.raises(httpx.ReadTimeout):
            await play.pool.handle_async_request(over_tls)
        assert (await play.pool.handle_async_request(over_tls)).status_code == 200
        assert (play.seen, play.wall.opened) == (2, 2)


async def cancelled(play: Scene) -> None:
    """Send a request, and cancel it after a while, as a timeout of the whole call does."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await send(play.pool)


async def timed_out(play: Scene) -> None:
    """Send a request that meets its read timeout."""
    assert (await failing(play.pool, timeout={"read": 0.05}))[1]


@pytest.mark.parametrize(
    ("lose", "resets"),
    [(timed_out, False), (timed_out, True), (cancelled, False)],
    ids=["swallowed", "answered with a reset", "swallowed, and cancelled"],
)
async def test_one_call_is_the_price_of_all_that_were_cut_off(
    lose: Callable[[Scene], Any], monkeypatch: pytest.MonkeyPatch, *, resets: bool
) -> None:
    """The idle ones that have shown no life since are dropped: each would cost a call, too."""
    monkeypatch.setattr("ihuyi_voice.http.pool.connection._SILENCE", 0.01)
    async with scene() as play:
        await play.fill(5)
        play.wall.forget(resets=resets)
        await lose(play)
        assert play.pool.statistics().idle == 0
        for _ in range(5):
            assert (await send(play.pool)).text == "ok"
        assert play.seen == 10
        assert play.wall.opened == 6


async def test_those_that_have_answered_meanwhile_stay() -> None:
    """One request that a server is slow at says nothing about them."""
    async with scene() as play:
        await play.fill(2)
        play.stuck = 3
        slow = asyncio.create_task(failing(play.pool, timeout={"read": 0.1}))
        await until(lambda: play.seen == 3)
        assert (await send(play.pool)).text == "ok"
        await slow
        assert play.pool.statistics().idle == 1
        assert (await send(play.pool)).text == "ok"
        assert play.wall.opened == 2


async def test_who_is_cancelled_at_once_says_nothing_about_the_others() -> None:
    """The caller has lost patience, not the server its life."""
    async with scene() as play:
        await play.fill(3)
        play.hold.clear()
        task = asyncio.create_task(send(play.pool))
        await until(lambda: play.seen == 4)
        task.cancel()
        await asyncio.wait({task})
        assert play.pool.statistics().idle == 2


async def test_connections_that_are_reset_while_they_are_idle_are_not_used() -> None:
    """The next call opens its own, and no byte of it is lost."""
    async with scene() as play:
        await play.fill(3)
        play.wall.reset_all()
        await asyncio.sleep(0)  # now it is sent, and lies in the pool's sockets
        assert (await send(play.pool)).text == "ok"
        assert (play.seen, play.wall.opened) == (4, 4)


async def test_a_submission_on_it_is_unknown_and_the_next_one_is_sent_once() -> None:
    """Through the client: UNKNOWN, by a timeout; what comes after has a connection of its own."""
    simulator = Simulator(limits=())
    async with simulator.serve() as url:
        wall = Wall(int(httpx.URL(url).port or 0))
        async with serving(wall.serve) as wall.port:
            here = str(httpx.URL(url).copy_with(port=wall.port))
            waits = httpx.Timeout(5.0, read=0.2)
            options: dict[str, Any] = {"base_url": here, "timeout": waits}
            key = simulator.api_key
            async with VoiceClient(simulator.account, key, **options) as client:
                await client.submit("13900000001", CONTENT)
                wall.forget()
                with pytest.raises(OutcomeUnknown, match="ReadTimeout"):
                    await client.submit(MOBILE, CONTENT)
                await client.submit("13900000002", CONTENT)
    assert [mobile for mobile, _ in simulator.rung()] == ["13900000001", "13900000002"]
