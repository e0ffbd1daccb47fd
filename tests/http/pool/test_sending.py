"""The body is taken as late as can be, the trace hears of each step, what fails costs little."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from ihuyi_voice.http.pool import PoolTransport
from tests.support.sockets import (
    OK,
    Reader,
    Writer,
    always,
    failing,
    never,
    pool_to,
    read_request,
    request,
    send,
    until,
)

STARTED = "http11.send_request_headers.started"


class Once(httpx.AsyncByteStream):
    """A body that can be taken once, and tells of it."""

    def __init__(self, body: bytes = b"a=1", on_taken: Callable[[], object] | None = None) -> None:
        self.taken = 0
        self._body = body
        self._on_taken = on_taken

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the body, after whatever the test wants to happen."""
        self.taken += 1
        if self.taken > 1:
            raise AssertionError("taken twice")
        if self._on_taken is not None:
            happened = self._on_taken()
            if asyncio.iscoroutine(happened):
                await happened
        for place in range(0, len(self._body), 2):
            yield self._body[place : place + 2]


def streamed(pool: PoolTransport, stream: Once, length: int = 3, **options: Any) -> httpx.Request:
    """Return a request with this body and an announced length."""
    asked = request(pool, content=None, headers={"Content-Length": str(length)}, **options)
    asked.stream = stream
    return asked


def traced(asked: httpx.Request, *, fail_at: str = "") -> list[str]:
    """Have a request traced, and return the list of events; fail at one of them."""
    events: list[str] = []

    async def trace(event: str, info: dict[str, Any]) -> None:
        events.append(event)
        if event == fail_at:
            raise ValueError("the trace function's own fault")

    asked.extensions["trace"] = trace
    return events


def counting(seen: list[bytes]) -> Callable[[Reader, Writer], Any]:
    """Return a server that keeps what it is sent."""

    async def serve(reader: Reader, writer: Writer) -> None:
        while True:
            seen.append(await read_request(reader))
            writer.write(OK)

    return serve


async def test_the_body_is_taken_only_with_a_connection_in_hand() -> None:
    """Those who wait for a slot haven't given theirs."""
    async with pool_to(never, max_connections=2) as pool:
        bodies = [Once() for _ in range(10)]
        tasks = [asyncio.create_task(pool.send_directly(streamed(pool, each))) for each in bodies]
        await until(lambda: pool.statistics().in_flight == 2)
        assert [each.taken for each in bodies] == [1, 1] + [0] * 8
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert sum(each.taken for each in bodies) == 2


async def test_a_body_is_not_taken_where_there_is_no_connection() -> None:
    """Refused, or no slot in time."""
    async with pool_to(always()) as gone:
        pass
    body = Once()
    with pytest.raises(httpx.ConnectError):
        await PoolTransport(request(gone).url).send_directly(streamed(gone, body))
    async with pool_to(never, max_connections=1) as pool:
        first = asyncio.create_task(failing(pool))
        await until(lambda: pool.statistics().in_flight)
        with pytest.raises(httpx.PoolTimeout):
            await pool.send_directly(streamed(pool, body, timeout={"pool": 0.001}))
        first.cancel()
        await asyncio.wait({first})
    assert body.taken == 0


@pytest.mark.parametrize("error", [ValueError("mine"), httpx.ReadError("mine"), KeyError("mine")])
async def test_a_body_that_fails_sends_nothing_and_passes_as_itself(error: Exception) -> None:
    """Connection and slot stay usable."""

    def fail() -> None:
        raise error

    seen: list[bytes] = []
    async with pool_to(counting(seen), max_connections=1) as pool:
        await send(pool)
        for _ in range(3):
            asked = streamed(pool, Once(on_taken=fail))
            events = traced(asked)
            with pytest.raises(type(error)) as caught:
                await pool.send_directly(asked)
            assert caught.value is error
            assert events == []
        assert (await send(pool)).text == "ok"
        assert (pool.statistics().opened, len(seen)) == (1, 2)


async def test_a_body_of_another_length_than_announced_is_refused_unsent() -> None:
    """And the connection stays usable."""
    async with pool_to(always(), max_connections=1) as pool:
        for length in (2, 4):
            asked = streamed(pool, Once(), length=length)
            events = traced(asked)
            with pytest.raises(httpx.LocalProtocolError, match="Content-Length"):
                await pool.send_directly(asked)
            assert STARTED not in events
        assert (await send(pool)).text == "ok"
        assert pool.statistics().opened == 1


async def test_a_cancellation_while_the_body_is_taken_costs_nothing() -> None:
    """The connection is idle again, and the slot free."""
    hangs = asyncio.Event()
    async with pool_to(always(), max_connections=1) as pool:
        await send(pool)
        body = Once(on_taken=hangs.wait)
        task = asyncio.create_task(pool.send_directly(streamed(pool, body)))
        await until(lambda: body.taken)
        task.cancel()
        await asyncio.wait({task})
        assert (await send(pool)).text == "ok"
        assert pool.statistics().opened == 1


async def test_a_connection_that_dies_while_the_body_is_taken_is_replaced() -> None:
    """The body, which can be taken once, goes out on another; exactly once."""
    leave = asyncio.Event()
    seen: list[bytes] = []

    async def serve(reader: Reader, writer: Writer) -> None:
        seen.append(await read_request(reader))
        writer.write(OK)
        if len(seen) == 1:
            await leave.wait()

    async with pool_to(serve) as pool:
        await send(pool)
        assert pool.statistics().idle == 1

        async def die() -> None:
            leave.set()
            await until(lambda: not pool.statistics().open)

        body = Once(on_taken=die)
        asked = streamed(pool, body)
        events = traced(asked)
        assert (await pool.send_directly(asked)).status_code == 200
        assert (body.taken, pool.statistics().opened, len(seen)) == (1, 2, 2)
        assert events.count(STARTED) == 1


async def test_a_connection_that_dies_while_the_trace_is_told_is_replaced() -> None:
    """It is told once, and the request goes out once."""
    leave = asyncio.Event()
    seen: list[bytes] = []

    async def serve(reader: Reader, writer: Writer) -> None:
        seen.append(await read_request(reader))
        writer.write(OK)
        if len(seen) == 1:
            await leave.wait()

    async with pool_to(serve) as pool:
        await send(pool)
        told: list[str] = []

        async def trace(event: str, info: dict[str, Any]) -> None:
            told.append(event)
            if event == STARTED:
                leave.set()
                await until(lambda: not pool.statistics().open)

        asked = request(pool)
        asked.extensions["trace"] = trace
        assert (await pool.send_directly(asked)).status_code == 200
        assert (told.count(STARTED), len(seen)) == (1, 2)


async def test_the_target_is_asked_for_as_late_as_the_body() -> None:
    """And may fail like it."""
    seen: list[bytes] = []
    async with pool_to(counting(seen), max_connections=1) as pool:
        first = asyncio.create_task(send(pool))
        await asyncio.sleep(0)
        asked = request(pool)
        asked.extensions["ihuyi_voice.target"] = lambda: b"/v.php?seen=%d" % len(seen)
        await pool.send_directly(asked)
        await first
        assert seen[1].startswith(b"POST /v.php?seen=1 HTTP/1.1\r\n")
        for target, error in (
            (lambda: 1 // 0, ZeroDivisionError),
            (lambda: b"/ x", httpx.LocalProtocolError),
        ):
            asked.extensions["ihuyi_voice.target"] = target
            events = traced(asked)
            with pytest.raises(error):
                await pool.send_directly(asked)
            assert STARTED not in events
        assert (len(seen), pool.statistics().opened, pool.statistics().idle) == (2, 1, 1)


async def test_the_trace_hears_of_every_step_under_httpcores_names() -> None:
    """Connecting only where a connection was opened; each with httpcore's information."""
    told: dict[str, dict[str, Any]] = {}

    async def trace(event: str, info: dict[str, Any]) -> None:
        told[event] = info

    async with pool_to(always()) as pool:
        asked = request(pool)
        asked.extensions["trace"] = trace
        await pool.send_directly(asked)
        assert list(told) == [
            "connection.connect_tcp.started",
            "connection.connect_tcp.complete",
            STARTED,
            "http11.receive_response_headers.complete",
            "http11.response_closed.complete",
        ]
        assert told["connection.connect_tcp.started"]["host"] == "127.0.0.1"
        assert told[STARTED] == {"request": asked}
        head = told["http11.receive_response_headers.complete"]["return_value"]
        assert head == (b"HTTP/1.1", 200, b"", [(b"Content-Length", b"2")])
        told.clear()
        await pool.send_directly(asked)
        assert next(iter(told)) == STARTED


async def test_a_connection_that_fails_is_told_as_failed() -> None:
    """With the error that the caller gets."""
    async with pool_to(always()) as pool:
        asked = request(pool, timeout={"connect": 0.0})
        events = traced(asked)
        with pytest.raises(httpx.ConnectTimeout):
            await pool.send_directly(asked)
        assert events == ["connection.connect_tcp.started", "connection.connect_tcp.failed"]


@pytest.mark.parametrize(
    ("event", "opened"),
    [
        ("connection.connect_tcp.started", 1),
        ("connection.connect_tcp.complete", 1),
        (STARTED, 1),
    ],
)
async def test_a_trace_that_fails_before_the_first_byte_leaves_nothing_sent(
    event: str, opened: int
) -> None:
    """Its error passes as itself; slot and connection are the pool's again."""
    seen: list[bytes] = []
    async with pool_to(counting(seen), max_connections=1) as pool:
        asked = request(pool)
        traced(asked, fail_at=event)
        with pytest.raises(ValueError, match="own fault"):
            await pool.send_directly(asked)
        assert seen == []
        assert (await send(pool)).text == "ok"
        assert pool.statistics().opened == opened


async def test_a_trace_that_fails_when_connecting_failed_gives_the_slot_back() -> None:
    """Its error is what the caller gets."""
    async with pool_to(always(), max_connections=1) as pool:
        asked = request(pool, timeout={"connect": 0.0})
        traced(asked, fail_at="connection.connect_tcp.failed")
        with pytest.raises(ValueError, match="own fault"):
            await pool.send_directly(asked)
        assert (await send(pool)).text == "ok"


@pytest.mark.parametrize(
    "event", ["http11.receive_response_headers.complete", "http11.response_closed.complete"]
)
async def test_a_trace_that_fails_after_the_reply_does_not_take_it_away(event: str) -> None:
    """The loop's exception handler hears of it."""
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    async with pool_to(always()) as pool:
        asked = request(pool)
        traced(asked, fail_at=event)
        assert (await pool.send_directly(asked)).status_code == 200
        assert [str(each["exception"]) for each in reported] == ["the trace function's own fault"]
        assert pool.statistics().idle == 1


@pytest.mark.parametrize("event", ["connection.connect_tcp.started", STARTED])
async def test_a_trace_that_hangs_can_be_cancelled_at_no_cost(event: str) -> None:
    """Nothing was sent, and every slot is usable."""
    hanging = asyncio.Event()

    async def trace(name: str, info: dict[str, Any]) -> None:
        if name == event:
            hanging.set()
            await asyncio.Event().wait()

    seen: list[bytes] = []
    async with pool_to(counting(seen), max_connections=1) as pool:
        asked = request(pool)
        asked.extensions["trace"] = trace
        task = asyncio.create_task(pool.send_directly(asked))
        await hanging.wait()
        task.cancel()
        await asyncio.wait({task})
        assert seen == []
        assert (await send(pool)).text == "ok"


async def test_a_stream_that_is_not_async_is_a_type_error_and_costs_nothing() -> None:
    """A programming error stays what it is."""
    async with pool_to(always(), max_connections=1) as pool:
        asked = request(pool)
        asked.stream = iter([b"a=1"])  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue] - the fault
        with pytest.raises(TypeError):
            await pool.send_directly(asked)
        assert (await send(pool)).text == "ok"
        assert pool.statistics().opened == 1


@pytest.mark.parametrize("seed", range(3))
async def test_cancelling_anywhere_loses_no_slot_and_sends_no_body_twice(seed: int) -> None:
    """2,000 streamed and traced requests each, with bodies and traces that take their turns."""
    chance = random.Random(seed)
    seen: list[bytes] = []

    async def some_turns() -> None:
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)

    async def trace(event: str, info: dict[str, Any]) -> None:
        await some_turns()

    async def one(pool: PoolTransport, number: int) -> None:
        body = b"%06d" % number
        asked = streamed(pool, Once(body, on_taken=some_turns), length=6)
        asked.extensions["trace"] = trace
        assert (await pool.send_directly(asked)).status_code == 200

    async with pool_to(counting(seen), max_connections=5) as pool:
        for turn in range(100):
            tasks = [asyncio.create_task(one(pool, 20 * turn + place)) for place in range(20)]
            for _ in range(chance.randrange(20)):
                await asyncio.sleep(0)
            for task in tasks:
                if chance.random() < 0.7:
                    task.cancel()
            await asyncio.wait(tasks)
            assert not any(task.exception() for task in tasks if not task.cancelled())
        replies = await asyncio.gather(*(send(pool, content=b"the end") for _ in range(5)))
        assert {reply.text for reply in replies} == {"ok"}
        assert pool.statistics().idle <= 5
    bodies = [each[-6:] for each in seen if not each.endswith(b"the end")]
    assert len(bodies) == len(set(bodies))
