"""The pool does what httpx asks of a transport, and tells exactly what was written."""

import asyncio
import gzip
import ssl
from pathlib import Path

import httpx
import pytest
import trustme

from ihuyi_voice.http.pool import Bounds, PoolTransport
from ihuyi_voice.simulator import Simulator
from tests.support.sockets import (
    OK,
    Reader,
    Writer,
    always,
    answering,
    failing,
    never,
    pool_to,
    read_request,
    request,
    send,
    until,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_connections_are_kept_and_used_again() -> None:
    """Ten requests in a row take one connection, and it is idle afterwards."""
    async with pool_to(always()) as pool:
        for _ in range(10):
            assert (await send(pool)).text == "ok"
        assert pool.statistics().opened == 1
        assert (pool.statistics().idle, pool.statistics().in_flight) == (1, 0)


@pytest.mark.parametrize(
    ("reply", "status", "body"),
    [
        (OK, 200, b"ok"),
        (CHUNKED + b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n", 200, b"ok"),
        (CHUNKED + b"2\r\nok\r\n0\r\nX: 1\r\n\r\n", 200, b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b""),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", 500, b""),
    ],
)  # fmt: skip
async def test_replies_of_every_shape_leave_the_connection_clean(
    reply: bytes, status: int, body: bytes
) -> None:
    """With a length, chunked, after 1xx, without a body; and the next request reuses it."""
    async with pool_to(answering(reply, OK)) as pool:
        response = await send(pool)
        assert (response.status_code, response.content) == (status, body)
        assert (await send(pool)).text == "ok"
        assert pool.statistics().opened == 1


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_a_reply_that_ends_the_connection_is_read_and_the_next_opens_another(
    reply: bytes,
) -> None:
    """Delimited by the close, HTTP/1.0, or told by a header."""

    async def serve(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(reply)

    async with pool_to(serve) as pool:
        assert (await send(pool)).text == "ok"
        assert (await send(pool)).text == "ok"
        assert pool.statistics().opened == 2


async def test_a_head_request_has_no_body_whatever_its_length_says() -> None:
    """And its connection is not used again."""
    async with pool_to(always(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")) as pool:
        response = await send(pool, method="HEAD", content=None)
        assert (response.status_code, response.content) == (200, b"")
        assert pool.statistics().idle == 0


async def test_every_response_has_headers_of_its_own() -> None:
    """What a hook does to one is not seen in the next, and different ones stay different."""
    other = OK.replace(b"\r\n\r\n", b"\r\nX: 1\r\nX: 2\r\n\r\n")
    async with pool_to(answering(OK, OK, other, OK)) as pool:
        responses = [await send(pool)]
        responses[0].headers["X"] = "mine"
        responses += [await send(pool) for _ in range(3)]
        assert [each.headers.get_list("X") for each in responses] == [["mine"], [], ["1", "2"], []]
        assert responses[1].headers.raw == [(b"Content-Length", b"2")]


async def test_gzip_is_left_to_httpx() -> None:
    """Which decodes the body as for its own transport."""
    packed = gzip.compress(b"hello")
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with pool_to(always(head + packed)) as pool:
        assert (await send(pool)).text == "hello"


async def test_it_works_as_the_transport_of_an_httpx_client() -> None:
    """With its hooks, cookies and helpers."""
    async with pool_to(always()) as pool:
        async with httpx.AsyncClient(transport=pool) as client:
            url = request(pool).url
            assert (await client.post(url, data={"a": "1"})).text == "ok"


async def test_a_stale_idle_connection_is_replaced_before_anything_is_written() -> None:
    """The server closed it meanwhile; nobody notices."""
    closing = asyncio.Event()
    closed = asyncio.Event()

    async def serve(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(OK)
        await closing.wait()
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with pool_to(serve) as pool:
        await send(pool)
        closing.set()
        await closed.wait()
        assert (await send(pool)).text == "ok"
        assert pool.statistics().opened == 2


@pytest.mark.parametrize("option", ["idle_expiry", "max_age"])
async def test_a_connection_too_old_is_not_used_again(option: str) -> None:
    """Idle for too long, or open for too long."""
    async with pool_to(always(), **{option: -1.0}) as pool:
        await send(pool)
        await send(pool)
        assert pool.statistics().opened == 2


async def test_idle_connections_are_closed_in_time_without_being_asked_for() -> None:
    """By a timer, not by the next request."""
    gone = asyncio.Event()

    async def serve(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(OK)
        await reader.read()
        gone.set()

    async with pool_to(serve, idle_expiry=0.01) as pool:
        await send(pool)
        await gone.wait()
        assert pool.statistics().idle == 0


async def test_idle_connections_are_looked_after_until_the_last_is_closed() -> None:
    """One that became idle later than the others has its turn later."""
    answer = asyncio.Event()

    async def serve(reader: Reader, writer: Writer) -> None:
        if b"late" in await read_request(reader):
            await answer.wait()
        writer.write(OK)
        await reader.read()

    async with pool_to(serve, idle_expiry=0.05) as pool:
        late = asyncio.create_task(send(pool, content=b"late"))
        await send(pool)
        answer.set()
        await late
        await until(lambda: pool.statistics().idle == 0)
        assert pool.statistics().opened == 2


async def test_never_more_connections_than_allowed_and_everybody_gets_a_turn() -> None:
    """In the order of asking."""
    order: list[int] = []

    async def one(pool: PoolTransport, place: int) -> None:
        await send(pool)
        order.append(place)

    async with pool_to(always(), max_connections=1) as pool:
        await asyncio.gather(*(one(pool, place) for place in range(50)))
        assert pool.statistics().opened == 1
    assert order == list(range(50))


async def test_a_refused_connection_is_a_connect_error_and_nothing_was_written() -> None:
    """The server is gone."""
    async with pool_to(always()) as pool:
        pass
    fresh = PoolTransport(request(pool).url)
    fresh.port = request(pool).url.port  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue] - for `request`
    error, written = await failing(fresh)
    assert isinstance(error, httpx.ConnectError)
    assert error.request.method == "POST"
    assert not written


async def test_a_connection_that_takes_too_long_is_a_connect_timeout() -> None:
    """Nothing was written."""
    async with pool_to(always()) as pool:
        error, written = await failing(pool, timeout={"connect": 0.0})
        assert isinstance(error, httpx.ConnectTimeout)
        assert not written
        assert (await send(pool)).text == "ok"


async def test_no_slot_in_time_is_a_pool_timeout() -> None:
    """Nothing was written, and the one in flight is none the worse."""
    async with pool_to(never, max_connections=1) as pool:
        first = asyncio.create_task(send(pool))
        await until(lambda: pool.statistics().in_flight)
        error, written = await failing(pool, timeout={"pool": 0.001})
        assert isinstance(error, httpx.PoolTimeout)
        assert not written
        assert pool.statistics().waiting == 0
        first.cancel()
        await asyncio.wait({first})


async def test_no_reply_in_time_is_a_read_timeout_and_the_connection_is_gone() -> None:
    """The first byte was written."""
    async with pool_to(never) as pool:
        error, written = await failing(pool, timeout={"read": 0.001})
        assert isinstance(error, httpx.ReadTimeout)
        assert written
        assert pool.statistics().idle == 0


async def test_a_request_that_is_not_taken_in_time_is_a_write_timeout() -> None:
    """The server reads nothing of a large body."""
    stop = asyncio.Event()

    async def deaf(reader: Reader, writer: Writer) -> None:
        await stop.wait()

    async with pool_to(deaf) as pool:
        error, written = await failing(
            pool, content=b"x" * 30_000_000, timeout={"write": 0.01, "read": 60.0}
        )
        assert isinstance(error, httpx.WriteTimeout)
        assert written
        stop.set()


async def test_a_large_request_arrives_whole() -> None:
    """Also when the server takes it slowly."""
    async with pool_to(always()) as pool:
        assert (await send(pool, content=b"x" * 5_000_000)).text == "ok"


async def test_an_early_reply_ends_a_large_request_and_its_connection() -> None:
    """The server has heard enough; the rest of the request can't become another one."""

    async def early(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.Event().wait()

    async with pool_to(early) as pool:
        assert (await send(pool, content=b"x" * 30_000_000)).status_code == 413
        assert pool.statistics().idle == 0


async def test_another_origin_is_refused() -> None:
    """One pool, one origin."""
    async with pool_to(always()) as pool:
        asked = httpx.Request("GET", "http://127.0.0.1:1/")
        with pytest.raises(httpx.UnsupportedProtocol, match="only speaks to http"):
            await pool.handle_async_request(asked)


def test_another_event_loop_is_a_clear_error() -> None:
    """One pool for each loop."""
    pool = PoolTransport("http://127.0.0.1:1/")

    async def use() -> None:
        with pytest.raises(httpx.ConnectError):
            await pool.handle_async_request(httpx.Request("GET", "http://127.0.0.1:1/"))

    asyncio.run(use())
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(use())


async def test_closing_waits_for_those_in_flight_and_refuses_the_queued() -> None:
    """And a closed pool says that it is closed."""
    answer = asyncio.Event()

    async def slow(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        await answer.wait()
        writer.write(OK)

    async with pool_to(slow, max_connections=1) as pool:
        first = asyncio.create_task(send(pool))
        await until(lambda: pool.statistics().in_flight)
        queued = asyncio.create_task(failing(pool))
        await asyncio.sleep(0)
        closing = asyncio.create_task(pool.aclose())
        await asyncio.sleep(0)
        assert not closing.done()
        answer.set()
        await closing
        assert (await first).text == "ok"
        error, written = await queued
        assert isinstance(error, RuntimeError)
        assert not written
        error, _ = await failing(pool)
        assert "closed" in str(error)
        assert pool.statistics().idle == 0


async def test_closing_that_is_cancelled_cuts_off_those_in_flight() -> None:
    """Somebody is in a hurry."""
    async with pool_to(never) as pool:
        first = asyncio.create_task(failing(pool))
        await until(lambda: pool.statistics().in_flight)
        closing = asyncio.create_task(pool.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait({closing})
        error, written = await first
        assert isinstance(error, httpx.TransportError)
        assert written


async def test_tls_checks_certificate_and_host_name(tmp_path: Path) -> None:
    """An unknown authority and a wrong name are no connection; verify=False takes both."""
    authority = trustme.CA()
    simulator = Simulator()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)  # pyright: ignore[reportUnknownMemberType] - half typed
    for name, verify, works in (
        ("127.0.0.1", trusting, True),
        ("127.0.0.1", True, False),
        ("else.test", trusting, False),
        ("else.test", False, True),
    ):
        issued = authority.issue_cert(name)
        issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
        pem = str(tmp_path / "both.pem")
        async with simulator.serve(ssl_certfile=pem, ssl_keyfile=pem) as url:
            pool = PoolTransport(url, verify=verify)
            asked = httpx.Request("GET", f"{url}?method=GetNum")
            if works:
                assert (await pool.handle_async_request(asked)).status_code == 200
            else:
                with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                    await pool.handle_async_request(asked)
            await pool.aclose()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2000, "head over 1000"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3000, "body over 1000"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3000, "body over 1000"),
    ],
)
async def test_replies_are_bounded(reply: bytes, reason: str) -> None:
    """A flood is an error, not memory."""
    async with pool_to(always(reply), bounds=Bounds(head=1000, body=1000)) as pool:
        error, written = await failing(pool)
        assert reason in str(error)
        assert written
