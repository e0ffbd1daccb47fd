"""A connection is given up a little before the server would close it, and at an age of its own."""

import asyncio

import httpx
import pytest

from ihuyi_voice.http.pool import PoolTransport
from ihuyi_voice.http.pool.connection import Connection
from ihuyi_voice.http.pool.lifetimes import Lifetimes
from ihuyi_voice.http.pool.messages import Bounds
from tests.support.frozen import freezable, on_freezable_loop
from tests.support.sockets import OK, Reader, Writer, always, pool_to, read_request, send, until


def said(hint: bytes) -> bytes:
    """Return a reply with a Keep-Alive header."""
    return OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: %s\r\n\r\n" % hint)


@pytest.mark.parametrize(
    ("hint", "idle", "opened"),
    [
        (b"timeout=5, max=100", 3.9, 1),
        (b"timeout=5, max=100", 4.1, 2),
        (b"timeout=2", 1.5, 1),
        (b"timeout=2", 1.7, 2),
        (b"timeout=0", 0.001, 2),
        (b"timeout=3600", 14.0, 1),
        (b"timeout=3600", 16.0, 2),
    ],
)
@on_freezable_loop
async def test_the_peers_word_is_taken_less_a_margin(hint: bytes, idle: float, opened: int) -> None:
    """A second or a fifth; and a long one doesn't make our own limit longer."""
    async with pool_to(always(said(hint))) as pool:
        await send(pool)
        freezable().freezing.offset += idle
        assert (await send(pool)).text == "ok"
        assert pool.statistics().opened == opened


async def closing_after(pool: PoolTransport, leave: asyncio.Event, seconds: float) -> None:
    """Have the server close a connection that has been idle for so long."""
    await send(pool)
    freezable().freezing.offset += seconds
    leave.set()
    await until(lambda: not pool.statistics().open)
    leave.clear()


@pytest.mark.parametrize(("idle", "opened"), [(3.5, 1), (4.5, 2)])
@on_freezable_loop
async def test_closes_that_were_seen_teach_how_long_the_server_waits(
    idle: float, opened: int
) -> None:
    """Without a word of it: after one close at 5 seconds, none is used after 4."""
    leave = asyncio.Event()

    async def serve(reader: Reader, writer: Writer) -> None:
        async def answer() -> None:
            while True:
                await read_request(reader)
                writer.write(OK)

        answering = asyncio.create_task(answer())
        await leave.wait()
        answering.cancel()

    async with pool_to(serve) as pool:
        await closing_after(pool, leave, 5.0)
        before = pool.statistics().opened
        await send(pool)
        freezable().freezing.offset += idle
        await send(pool)
        assert pool.statistics().opened - before == opened


def idle_connection(closed_after: float | None = None) -> Connection:
    """Return a connection that became idle now."""
    connection = Connection(asyncio.get_running_loop(), Bounds())
    connection.closed_after = closed_after
    return connection


@on_freezable_loop
async def test_what_was_seen_is_believed_for_an_hour() -> None:
    """It may have been a restart; the shortest counts meanwhile."""
    lifetimes = Lifetimes(idle_expiry=15.0, max_age=None)
    connection = idle_connection()
    now = connection.idle_since
    for seconds in (8.0, 5.0, 9.0):
        lifetimes.learn(idle_connection(seconds), now)
    assert not lifetimes.is_over(connection, now + 3.9)
    assert lifetimes.is_over(connection, now + 4.1)
    connection.idle_since = now + 3610.0
    assert not lifetimes.is_over(connection, now + 3610.0 + 14.0)


@on_freezable_loop
async def test_a_restart_under_load_teaches_nothing() -> None:
    """A close after a moment is no limit, or every request would need a connection of its own."""
    lifetimes = Lifetimes(idle_expiry=15.0, max_age=None)
    connection = idle_connection()
    for seconds in (0.0, 0.05, None):
        lifetimes.learn(idle_connection(seconds), connection.idle_since)
    assert not lifetimes.is_over(connection, connection.idle_since + 14.0)


def has_learnt(pool: PoolTransport) -> bool:
    """Say whether some close has taught the pool a limit."""
    lifetimes = pool._lifetimes  # pyright: ignore[reportPrivateUsage] - only seen from inside
    loop = asyncio.get_running_loop()
    fresh = Connection(loop, Bounds())
    return lifetimes.is_over(fresh, fresh.idle_since + 14.9)


@on_freezable_loop
async def test_only_a_close_of_an_idle_connection_teaches() -> None:
    """Neither one in the exchange nor one of our own."""

    async def cuts(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        freezable().freezing.offset += 3.0

    async with pool_to(cuts) as pool:
        with pytest.raises(httpx.RemoteProtocolError):
            await send(pool, timeout={"read": 60.0})
        assert not has_learnt(pool)
    async with pool_to(always()) as pool:
        await send(pool)
        freezable().freezing.offset += 3.0
        await pool.aclose()
        assert not has_learnt(pool)


@on_freezable_loop
async def test_every_connection_has_an_age_of_its_own() -> None:
    """So that they don't all end at once, and a name that moves is followed within `max_age`."""
    lifetimes = Lifetimes(idle_expiry=1e9, max_age=300.0)
    connections = [idle_connection() for _ in range(100)]
    for connection in connections:
        lifetimes.begin(connection)
    ages = [each.retires_at - each.born for each in connections]
    assert all(240.0 <= age <= 300.0 for age in ages)
    assert max(ages) - min(ages) > 20.0
    assert len(set(ages)) == 100


@on_freezable_loop
async def test_a_connection_in_use_retires_at_five_minutes_by_default() -> None:
    """However busy it is."""
    async with pool_to(always()) as pool:
        for _ in range(31):
            await send(pool)
            freezable().freezing.offset += 10.0
        assert pool.statistics().opened == 2
