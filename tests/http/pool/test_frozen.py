"""A timeout looks before it fails: what came while the process stood still came in time."""

import asyncio
import select
from pathlib import Path
from typing import Any

import httpx
import pytest

from ihuyi_voice.http.pool import PoolTransport
from tests.support.frozen import AnsweringThread, freezable, run_freezable
from tests.support.servers import make_certificate, server_side
from tests.support.sockets import OK, until

HOUR = 3600.0


def asked(server: AnsweringThread, content: bytes = b"a=1", **timeout: float) -> httpx.Request:
    """Return a request with a few seconds for everything that has no other timeout."""
    timeouts = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0, **timeout}
    extensions = {"timeout": timeouts}
    return httpx.Request("POST", server.url, content=content, extensions=extensions)


def wait_until_readable(pool: PoolTransport) -> None:
    """Block, without a turn of the loop, until something lies in the client's socket."""
    inside: Any = pool
    (connection,) = inside._alive
    readable, _, _ = select.select([connection._transport.get_extra_info("socket")], [], [], 30.0)
    assert readable


async def freeze_with(server: AnsweringThread, pool: PoolTransport) -> None:
    """Have the server answer, and stand still until long after every timeout."""
    await until(server.asked.is_set)
    server.go.set()
    assert server.answered.wait(30.0)
    wait_until_readable(pool)
    freezable().freeze(HOUR)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("size", [2, 30_000])
def test_a_reply_that_lies_in_the_socket_wins_over_its_timeout(
    tmp_path: Path, size: int, *, tls: bool
) -> None:
    """A process that was stopped for an hour; small and large, plain and over TLS."""
    certificate = make_certificate(tmp_path) if tls else None
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (size, b"x" * size)

    async def main() -> None:
        context = server_side(certificate) if certificate else None
        with AnsweringThread(reply, tls=context) as server:
            pool = PoolTransport(server.url, verify=certificate.trust if certificate else True)
            sending = asyncio.create_task(pool.send_directly(asked(server)))
            await freeze_with(server, pool)
            response = await sending
            assert len(await response.aread()) == size
            assert pool.statistics().idle == 1
            await pool.aclose()

    run_freezable(main())


def test_a_reply_that_ends_with_the_close_wins_too() -> None:
    """The close lies in the socket behind it."""

    async def main() -> None:
        server = AnsweringThread(b"HTTP/1.1 200 OK\r\n\r\nok")
        with server:
            pool = PoolTransport(server.url)
            sending = asyncio.create_task(pool.send_directly(asked(server)))
            await until(server.asked.is_set)
        wait_until_readable(pool)
        freezable().freeze(HOUR)
        assert await (await sending).aread() == b"ok"
        await pool.aclose()

    run_freezable(main())


@pytest.mark.parametrize("reply", [OK[:10], OK[:-1]])
def test_half_a_reply_in_the_socket_is_a_timeout(reply: bytes) -> None:
    """The look ends when the socket is empty."""

    async def main() -> None:
        with AnsweringThread(reply) as server:
            pool = PoolTransport(server.url)
            sending = asyncio.create_task(pool.send_directly(asked(server)))
            await freeze_with(server, pool)
            with pytest.raises(httpx.ReadTimeout):
                await sending
            await pool.aclose()

    run_freezable(main())


def test_where_sockets_cannot_be_polled_the_loop_turns_a_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Windows has no `select.poll`; the reply wins all the same."""
    monkeypatch.delattr(select, "poll")
    test_a_reply_that_lies_in_the_socket_wins_over_its_timeout(Path(), 2, tls=False)


def test_a_connection_that_was_established_meanwhile_wins_over_its_timeout() -> None:
    """The loop only hadn't heard of it."""

    async def main() -> None:
        with AnsweringThread(OK) as server:
            server.go.set()
            pool = PoolTransport(server.url)
            freezable().freeze_at_connect(HOUR)
            response = await pool.send_directly(asked(server))
            assert response.status_code == 200
            assert freezable().freezing.offset == HOUR
            await pool.aclose()

    run_freezable(main())


def test_a_slot_that_comes_free_by_a_reply_in_the_socket_wins_over_its_timeout() -> None:
    """Whoever waits for it is served."""

    async def main() -> None:
        with AnsweringThread(OK, OK) as server:
            pool = PoolTransport(server.url, max_connections=1, idle_expiry=2 * HOUR, max_age=None)
            sending = [
                asyncio.create_task(pool.send_directly(asked(server, pool=1.0))) for _ in range(2)
            ]
            await freeze_with(server, pool)
            assert [(await each).status_code for each in sending] == [200, 200]
            await pool.aclose()

    run_freezable(main())


def test_an_early_reply_in_the_socket_wins_over_the_write_timeout() -> None:
    """The server has heard enough of a large request."""
    reply = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"

    async def main() -> None:
        with AnsweringThread(reply, reads=False) as server:
            pool = PoolTransport(server.url)
            large = asked(server, content=b"x" * 30_000_000)
            sending = asyncio.create_task(pool.send_directly(large))
            await until(lambda: pool.statistics().in_flight)
            await freeze_with(server, pool)
            assert (await sending).status_code == 413
            await pool.aclose()

    run_freezable(main())


def test_a_timeout_of_one_exchange_never_hits_the_next() -> None:
    """The timer is kept from one to the next and goes by the latest deadline."""

    async def main() -> None:
        with AnsweringThread(OK, OK, OK) as server:
            server.go.set()
            pool = PoolTransport(server.url, idle_expiry=2 * HOUR, max_age=None)
            await pool.send_directly(asked(server, read=1.0))
            freezable().freeze(2.0)
            await pool.send_directly(asked(server, read=HOUR))
            freezable().freeze(HOUR)
            assert (await pool.send_directly(asked(server, read=5.0))).status_code == 200
            assert pool.statistics().opened == 1
            await pool.aclose()

    run_freezable(main())
