"""A connection is opened on every platform and event loop, and used only if it still stands."""

import asyncio
import select
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from ihuyi_voice.http.pool import PoolTransport
from ihuyi_voice.http.pool.connection import Connection
from ihuyi_voice.http.pool.dialing import Steps, happy_eyeballs
from tests.support.eager import eager_factory
from tests.support.sockets import (
    Reader,
    Writer,
    always,
    beginnings,
    never,
    pool_to,
    request,
    send,
    serving,
)

LEAKS = """
import asyncio
import httpx
from ihuyi_voice.http.pool import PoolTransport
from tests.support.sockets import always, pool_to, send

async def main():
    asyncio.get_running_loop().slow_callback_duration = 60.0  # a busy machine is no finding
    async with pool_to(always(), max_connections=3) as pool:
        for turns in range(12):
            tasks = [asyncio.create_task(send(pool)) for _ in range(9)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            await asyncio.wait(tasks)
    url = f"http://127.0.0.1:{pool.port}/"
    refused = PoolTransport(url)
    try:
        await refused.handle_async_request(httpx.Request("GET", url))
    except httpx.ConnectError:
        pass
    await refused.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}

asyncio.run(main())
"""


@pytest.mark.slow
def test_development_mode_finds_nothing_left_open() -> None:
    """No socket, transport or task, after cancellations at every step and a refused connection."""
    run = subprocess.run(  # noqa: S603 - the script above
        [sys.executable, "-X", "dev", "-W", "error", "-c", LEAKS],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


async def test_a_server_that_closes_at_once_is_a_connect_error_and_nothing_was_written() -> None:
    """It is not waited for, and the request may be sent again."""
    gone = asyncio.Event()

    class HangsUp(PoolTransport):
        """Lets the close be known before the request goes on."""

        async def _open(self, wait: float | None, steps: Steps) -> Connection:
            connection = await super()._open(wait, steps)
            await connection.lost
            gone.set()
            return connection

    async def serve(reader: Reader, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")

    async with pool_to(serve) as plain:
        asked = httpx.Request("GET", request(plain).url)
        begun = beginnings(asked)
        pool = HangsUp(asked.url, max_connections=1)
        for _ in range(3):
            with pytest.raises(httpx.ConnectError, match="closed it at once"):
                await pool.handle_async_request(asked)
        assert gone.is_set()
        assert not begun
        assert pool.statistics().idle == 0
        await pool.aclose()


async def timed_out(url: str) -> httpx.ConnectTimeout:
    """Return the error of a request there, of which no byte was written."""
    asked = httpx.Request("GET", url, extensions={"timeout": {"connect": 0.1}})
    begun = beginnings(asked)
    pool = PoolTransport(url)
    try:
        with pytest.raises(httpx.ConnectTimeout) as caught:
            await pool.handle_async_request(asked)
    finally:
        await pool.aclose()
    assert not begun
    return caught.value


async def test_a_server_that_is_silent_where_it_should_speak_tls_is_told_apart() -> None:
    """It speaks no TLS, perhaps, or a firewall takes connections and swallows what comes."""
    async with serving(never) as port:
        error = await timed_out(f"https://127.0.0.1:{port}/")
    assert str(error) == f"connected to 127.0.0.1:{port}, but no TLS answer within 0.1 s"
    assert isinstance(error.__cause__, ssl.SSLError)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_connection_that_nobody_takes_says_nothing_of_tls(scheme: str) -> None:
    """The listener's queue is full, so that TCP itself goes on waiting."""
    listener = socket.socket()
    with listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        place = f"127.0.0.1:{listener.getsockname()[1]}"
        with socket.create_connection(listener.getsockname()):
            error = await timed_out(f"{scheme}://{place}/")
    assert str(error) == f"no connection to {place} within 0.1 s"
    assert not isinstance(error.__cause__, ssl.SSLError)


def test_on_uvloop_no_step_is_claimed() -> None:
    """It doesn't say when TCP is there."""
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")

    async def main() -> None:
        async with serving(never) as port:
            error = await timed_out(f"https://127.0.0.1:{port}/")
        place = f"127.0.0.1:{port}"
        assert str(error) == f"no connection to {place}, or no TLS answer, within 0.1 s"

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
async def test_an_ipv6_address_is_an_address() -> None:
    """In brackets, as URLs have it."""
    try:
        server = await asyncio.start_server(_answer, "::1", 0)
    except OSError:
        pytest.skip("no IPv6 loopback")
    async with server:
        url = f"http://[::1]:{server.sockets[0].getsockname()[1]}/"
        pool = PoolTransport(url)
        response = await pool.handle_async_request(httpx.Request("GET", url))
        assert response.status_code == 204
        await pool.aclose()


async def _answer(reader: Reader, writer: Writer) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
    await reader.read()
    writer.close()


async def test_a_name_with_several_addresses_finds_the_one_that_answers() -> None:
    """`localhost` may be IPv6 first, where nobody listens."""
    async with pool_to(always()) as plain:
        url = request(plain).url.copy_with(host="localhost")
        pool = PoolTransport(url)
        assert (await pool.handle_async_request(httpx.Request("GET", url))).status_code == 200
        await pool.aclose()


async def test_where_sockets_cannot_be_polled_the_pool_still_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Windows has no `select.poll`."""
    monkeypatch.delattr(select, "poll")
    async with pool_to(always()) as pool:
        for _ in range(3):
            assert (await send(pool)).text == "ok"
        assert pool.statistics().opened == 1


async def test_happy_eyeballs_are_asked_for_where_the_event_loop_has_them() -> None:
    """That of uvloop connects without, and refuses the option."""
    assert await happy_eyeballs(asyncio.get_running_loop()) == {"happy_eyeballs_delay": 0.25}
    assert await happy_eyeballs(cast("asyncio.AbstractEventLoop", object())) == {}


def test_it_works_on_uvloop() -> None:
    """Whose transports are none of asyncio's classes."""
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")

    async def main() -> None:
        async with pool_to(always(), max_connections=2) as pool:
            replies = await asyncio.gather(*(send(pool) for _ in range(20)))
            assert {reply.text for reply in replies} == {"ok"}
            assert pool.statistics().opened == 2

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def _lazy(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> "asyncio.Task[Any]":
    return asyncio.Task(coroutine, loop=loop, **options)


async def test_eager_tasks_are_noticed_and_happy_eyeballs_left_out() -> None:
    """The race for the best address trips over them; other factories keep it."""
    loop = asyncio.get_running_loop()
    loop.set_task_factory(eager_factory())
    try:
        assert await happy_eyeballs(loop) == {}
    finally:
        loop.set_task_factory(None)
    loop.set_task_factory(_lazy)
    try:
        assert await happy_eyeballs(loop) == {"happy_eyeballs_delay": 0.25}
    finally:
        loop.set_task_factory(None)


async def test_everything_works_with_eager_tasks() -> None:
    """Connecting, a refused connection, a cancelled one, a timeout, closing."""
    loop = asyncio.get_running_loop()
    async with pool_to(always(), max_connections=2) as pool:
        loop.set_task_factory(eager_factory())
        try:
            replies = await asyncio.gather(*(send(pool) for _ in range(20)))
            assert {reply.text for reply in replies} == {"ok"}
            fresh = PoolTransport(request(pool).url, max_connections=1)
            task = asyncio.create_task(fresh.send_directly(request(pool)))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            late = request(pool, timeout={"connect": 0.0})
            await fresh.aclose()
            other = PoolTransport(request(pool).url, max_connections=1)
            with pytest.raises(httpx.ConnectTimeout):
                await other.send_directly(late)
            assert (await other.send_directly(request(pool))).status_code == 200
            await other.aclose()
        finally:
            loop.set_task_factory(None)
    gone = PoolTransport(request(pool).url)
    loop.set_task_factory(eager_factory())
    try:
        with pytest.raises(httpx.ConnectError):
            await gone.send_directly(request(pool))
    finally:
        loop.set_task_factory(None)
