"""Closing drains, and nobody waits for ever, whoever closes and however often."""

import asyncio
import socket
from contextlib import ExitStack

import httpx
import pytest

from ihuyi_voice.http.pool import PoolTransport
from ihuyi_voice.http.pool.connection import Connection
from ihuyi_voice.http.pool.dialing import Steps
from tests.support.sockets import (
    OK,
    Reader,
    Writer,
    always,
    beginnings,
    failing,
    never,
    pool_to,
    read_request,
    request,
    send,
    until,
)


async def test_two_that_close_at_once_both_come_to_an_end() -> None:
    """Neither holds slots that the other waits for."""
    answer = asyncio.Event()

    async def slow(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        await answer.wait()
        writer.write(OK)

    async with pool_to(slow, max_connections=4) as pool:
        sending = [asyncio.create_task(send(pool)) for _ in range(4)]
        await until(lambda: pool.statistics().in_flight == 4)
        closing = [asyncio.create_task(pool.aclose()) for _ in range(2)]
        await asyncio.sleep(0)
        answer.set()
        await asyncio.gather(*closing)
        assert [(await each).text for each in sending] == ["ok"] * 4


async def test_those_who_wait_for_a_slot_learn_of_a_close_that_was_cancelled() -> None:
    """They don't wait on for a slot that nobody will give back."""
    async with pool_to(never, max_connections=1) as pool:
        first = asyncio.create_task(failing(pool))
        await until(lambda: pool.statistics().in_flight == 1)
        queued = asyncio.create_task(failing(pool, timeout={"pool": None}))
        await asyncio.sleep(0)
        closing = asyncio.create_task(pool.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        async with asyncio.timeout(30.0):
            await asyncio.wait({closing, first, queued})
        error, written = await queued
        assert isinstance(error, RuntimeError)
        assert not written


async def test_half_a_reply_that_a_close_cuts_off_is_an_error() -> None:
    """Also when only the end of the connection would have ended it."""
    begun = asyncio.Event()

    async def half(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n<half")
        await writer.drain()
        begun.set()
        await reader.read()

    async with pool_to(half) as pool:
        sending = asyncio.create_task(failing(pool))
        await begun.wait()
        for _ in range(5):  # until the client has read it
            await asyncio.sleep(0)
        closing = asyncio.create_task(pool.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait({closing})
        error, written = await sending
        assert isinstance(error, httpx.RemoteProtocolError)
        assert written


class NeverConnects(PoolTransport):
    """A pool whose server doesn't answer the knock."""

    async def _open(self, wait: float | None, steps: Steps) -> Connection:
        await asyncio.Event().wait()
        return await super()._open(wait, steps)


async def test_a_close_that_is_cancelled_also_ends_attempts_to_connect() -> None:
    """With an error: nobody cancelled the request."""
    pool = NeverConnects("http://127.0.0.1:1/", max_connections=1)
    asked = httpx.Request("GET", "http://127.0.0.1:1/")
    begun = beginnings(asked)
    sending = asyncio.create_task(pool.handle_async_request(asked))
    await asyncio.sleep(0)
    closing = asyncio.create_task(pool.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing})
    with pytest.raises(httpx.ConnectError, match="closed meanwhile"):
        await sending
    assert not begun


@pytest.mark.parametrize("gone", [False, True], ids=["awaited", "whose request has gone"])
async def test_a_close_that_is_cancelled_leaves_no_attempt_to_connect(*, gone: bool) -> None:
    """Not even cancelled, for a loop that ends now would complain of its sockets and tasks."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, ExitStack() as others:
        address = deaf.getsockname()
        for _ in range(3):  # so many that no more are taken
            other = others.enter_context(socket.socket())
            other.settimeout(0.0)
            other.connect_ex(address)
        before = asyncio.all_tasks()
        asked = httpx.Request("GET", f"http://127.0.0.1:{address[1]}/")
        pool = PoolTransport(str(asked.url))
        asking = asyncio.create_task(pool.handle_async_request(asked))
        await until(lambda: len(asyncio.all_tasks() - before) > 1)
        for _ in range(10):  # until it waits for the server
            await asyncio.sleep(0)
        if gone:
            asking.cancel()
            await asyncio.wait({asking})
        closing = asyncio.create_task(pool.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait({closing})
        assert asyncio.all_tasks() - before <= {asking}
        await asyncio.wait({asking})


async def test_a_request_that_comes_while_it_closes_is_refused() -> None:
    """Even if the body took its time to come and the close had begun by then."""
    body_wanted, body = asyncio.Event(), asyncio.Event()

    async def late() -> object:
        body_wanted.set()
        await body.wait()
        yield b"a=1"

    async with pool_to(always(), max_connections=1) as pool:
        sending = asyncio.create_task(failing(pool, content=late()))
        await body_wanted.wait()
        await pool.aclose()
        body.set()
        error, written = await sending
        assert "closed" in str(error)
        assert not written


def test_closing_in_another_event_loop_is_a_clear_error() -> None:
    """As every other use."""
    pool = PoolTransport("http://127.0.0.1:1/")

    async def use() -> None:
        with pytest.raises(httpx.ConnectError):
            await pool.handle_async_request(httpx.Request("GET", "http://127.0.0.1:1/"))

    asyncio.run(use())
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(pool.aclose())


async def test_a_connection_that_the_server_closed_is_not_counted_as_idle() -> None:
    """It is forgotten as soon as the close is known."""
    leave = asyncio.Event()

    async def serve(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(OK)
        await leave.wait()

    async with pool_to(serve, idle_expiry=3600.0) as pool:
        await send(pool)
        assert pool.statistics().idle == 1
        leave.set()
        await until(lambda: pool.statistics().idle == 0)
        assert (await send(pool)).text == "ok"


async def test_whoever_closes_second_also_waits_until_it_is_done() -> None:
    """Not only until it has begun, and not with half of it undone."""
    answer = asyncio.Event()

    async def slow(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        await answer.wait()
        writer.write(OK)

    async with pool_to(slow, max_connections=2) as pool:
        sending = asyncio.create_task(send(pool))
        await until(lambda: pool.statistics().in_flight)
        closing = [asyncio.create_task(pool.aclose()) for _ in range(3)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert not any(each.done() for each in closing)
        answer.set()
        for each in closing:
            await each
            assert not pool.statistics().open
        assert (await sending).text == "ok"


async def test_a_close_that_is_cancelled_at_its_very_end_does_not_spoil_the_next() -> None:
    """It only stops waiting for the sockets."""
    async with pool_to(always()) as pool:
        await send(pool)
        closing = asyncio.create_task(pool.aclose())
        await asyncio.sleep(0)  # nothing is in flight: it waits for the connection to be gone
        assert not closing.done()
        closing.cancel()
        await asyncio.wait({closing})
        assert closing.cancelled()
        await pool.aclose()
        assert not pool.statistics().open


async def test_a_close_that_is_cancelled_again_and_again_leaves_nothing_open() -> None:
    """The first cancellation has cut off everything before anything is awaited."""
    async with pool_to(never, max_connections=3) as pool:
        sending = [asyncio.create_task(failing(pool)) for _ in range(3)]
        await until(lambda: pool.statistics().in_flight == 3)
        for _ in range(3):
            closing = asyncio.create_task(pool.aclose())
            await asyncio.sleep(0)
            closing.cancel()
            closing.cancel()
            await asyncio.wait({closing})
        errors = [await each for each in sending]
        assert all(isinstance(error, httpx.TransportError) for error, _ in errors)
        await until(lambda: not pool.statistics().open)


async def test_another_loop_that_tries_to_close_spoils_nothing() -> None:
    """The pool stays open in its own."""
    async with pool_to(always()) as pool:
        await send(pool)

        def elsewhere() -> None:
            asyncio.run(pool.aclose())

        with pytest.raises(RuntimeError, match="another event loop"):
            await asyncio.to_thread(elsewhere)
        assert (await send(pool)).text == "ok"
        assert pool.statistics().opened == 1


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_close_does_not_wait_for_a_body_that_never_comes(*, cancelled: bool) -> None:
    """Somebody else's code may hang; nothing of that request was sent, and nothing will be."""
    body_wanted, body = asyncio.Event(), asyncio.Event()
    seen: list[bytes] = []

    async def late() -> object:
        body_wanted.set()
        await body.wait()
        yield b"a=1"

    async def serve(reader: Reader, writer: Writer) -> None:
        while True:
            seen.append(await read_request(reader))
            writer.write(OK)

    async with pool_to(serve, max_connections=1) as pool:
        sending = asyncio.create_task(failing(pool, content=late()))
        await body_wanted.wait()
        closing = asyncio.create_task(pool.aclose())
        if cancelled:
            await asyncio.sleep(0)
            closing.cancel()
        await asyncio.wait({closing})
        assert not sending.done()
        body.set()
        error, written = await sending
        assert "closed" in str(error)
        assert (written, seen) == (False, [])


async def test_a_request_that_comes_back_in_time_is_still_served_while_others_end() -> None:
    """Draining is not yet the end."""
    body_wanted, body, answer = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def late() -> object:
        body_wanted.set()
        await body.wait()
        yield b"a=1"

    async def slow(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        await answer.wait()
        writer.write(OK)

    async with pool_to(slow, max_connections=2) as pool:
        first = asyncio.create_task(send(pool))
        await until(lambda: pool.statistics().in_flight)
        headers = {"Content-Length": "3"}
        second = asyncio.create_task(send(pool, content=late(), headers=headers))
        await body_wanted.wait()
        closing = asyncio.create_task(pool.aclose())
        await asyncio.sleep(0)
        body.set()
        await until(lambda: pool.statistics().in_flight == 2)
        answer.set()
        assert [(await each).text for each in (first, second)] == ["ok", "ok"]
        await closing


@pytest.mark.parametrize(
    "event", ["connection.connect_tcp.started", "http11.send_request_headers.started"]
)
async def test_a_close_does_not_wait_for_a_trace_that_hangs(event: str) -> None:
    """Nothing is opened or sent when it comes back."""
    hanging, go_on = asyncio.Event(), asyncio.Event()
    seen: list[bytes] = []

    async def trace(name: str, info: object) -> None:
        if name == event:
            hanging.set()
            await go_on.wait()

    async def serve(reader: Reader, writer: Writer) -> None:
        seen.append(await read_request(reader))

    async with pool_to(serve, max_connections=1) as pool:
        asked = request(pool)
        asked.extensions["trace"] = trace
        sending = asyncio.create_task(pool.send_directly(asked))
        await hanging.wait()
        opened = pool.statistics().opened
        await pool.aclose()
        go_on.set()
        with pytest.raises(RuntimeError, match="closed"):
            await sending
        assert (seen, pool.statistics().opened, pool.statistics().open) == ([], opened, 0)
