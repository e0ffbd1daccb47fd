"""The vendor's answer is kept the moment it is whole, whatever fails or hangs after it."""

import asyncio
import gzip
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest

from ihuyi_voice import (
    InvalidRequest,
    NotSent,
    Outcome,
    OutcomeStatus,
    OutcomeUnknown,
    UnreadableReply,
    VoiceClient,
)
from ihuyi_voice.http.sent import Sent
from tests.http.servers import ACCEPTED, accept, counting, hang_up, sender_to, wire_to
from tests.support.guards import NoException
from tests.support.vendor import BASE_URL, CONTENT, MOBILE, ONCE
from tests.support.virtual_time import loop_time, run_virtual


class Stream(httpx.AsyncByteStream):
    """A reply's body, and what happens when it is closed."""

    def __init__(self, error: BaseException | None = None, *chunks: bytes) -> None:
        self.error = error
        self.chunks = chunks or (ACCEPTED[:5], ACCEPTED[5:])
        self.closing = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk

    async def aclose(self) -> None:
        """Fail, or never come back."""
        self.closing.set()
        if self.error is not None:
            raise self.error
        await asyncio.Event().wait()


def over(stream: httpx.AsyncByteStream, **options: Any) -> VoiceClient:
    """Return a client whose requests are answered by a stream."""
    headers = options.pop("headers", {})
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=stream, headers=headers))
    http_client = httpx.AsyncClient(transport=transport)
    return VoiceClient(
        "a", "key", base_url=BASE_URL, http_client=http_client, retry=ONCE, **options
    )


async def test_a_close_that_fails_takes_nothing_away(caplog: pytest.LogCaptureFixture) -> None:
    """The stream was whole; the failure is reported in the log."""
    client = over(Stream(httpx.ReadError("gone")))
    assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"
    assert "the vendor's answer is kept; after it came ReadError" in caplog.text


@pytest.mark.parametrize(
    "error", [LookupError("x"), httpx.ReadError("x"), asyncio.CancelledError(), NoException("x")]
)
async def test_a_stream_that_fails_behind_a_whole_body_takes_nothing_away(
    error: BaseException,
) -> None:
    """Its length was announced, and so much has come; a shorter one is unknown."""

    class Failing(Stream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for chunk in self.chunks:
                yield chunk
            raise error

    client = over(Failing(error), headers={"Content-Length": str(len(ACCEPTED))})
    assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"
    client = over(Failing(error), headers={"Content-Length": str(len(ACCEPTED) + 1)})
    with pytest.raises(OutcomeUnknown):
        await client.submit(MOBILE, CONTENT)


async def test_what_is_no_exception_and_breaks_a_run_is_raised_once() -> None:
    """As what it is, from a hook of httpx's where nothing was sent; no outcome is lost by it."""

    async def fail(_: httpx.Request) -> None:
        raise NoException

    client = over(Stream())
    client.http_client.event_hooks["request"].append(fail)
    outcomes: list[Outcome] = []
    with pytest.raises(NoException):
        async with client.submit_many([(MOBILE, CONTENT), ("13911111111", CONTENT)]) as run:
            async for outcome in run:
                outcomes.append(outcome)  # noqa: PERF401 - what came before the end counts
    assert [outcome.status for outcome in outcomes] == [OutcomeStatus.NOT_SENT] * 2


async def test_a_cancellation_that_nobody_wanted_is_an_outcome() -> None:
    """A transport that raises it by itself, before it took the body or after it."""

    class Cancelled(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise asyncio.CancelledError

    class Late(Cancelled):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await anext(aiter(request.stream))  # type: ignore[arg-type]
            raise asyncio.CancelledError

    for transport, expected in ((Cancelled(), NotSent), (Late(), OutcomeUnknown)):
        async with httpx.AsyncClient(transport=transport) as http_client:
            client = VoiceClient(
                "a", "key", base_url=BASE_URL, http_client=http_client, retry=ONCE, guard=None
            )
            with pytest.raises(expected):
                await client.submit(MOBILE, CONTENT)


def test_a_close_that_hangs_is_given_up() -> None:
    """By the same bound that holds for the reply."""

    async def main() -> None:
        client = over(Stream(), timeout=5.0)
        assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"

    run_virtual(main())


async def test_a_cancellation_while_it_closes_leaves_the_answer_in_sight() -> None:
    """`Sent.reply` has it; the cancellation itself passes."""
    stream = Stream()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=stream))
    sent = Sent()
    sender = sender_to(BASE_URL, http_client=httpx.AsyncClient(transport=transport))
    task = asyncio.create_task(sender.send(wire_to(BASE_URL), sent))
    await stream.closing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sent.reply is not None
    assert sent.reply.content == ACCEPTED


async def test_a_caller_cancelled_while_it_closes_has_the_answer_first() -> None:
    """The cancellation strikes at the caller's next await."""
    stream = Stream()
    client = over(stream)
    answers: list[str] = []

    async def caller() -> None:
        answers.append((await client.submit(MOBILE, CONTENT)).voice_id)
        await asyncio.Event().wait()

    task = asyncio.create_task(caller())
    await stream.closing.wait()
    task.cancel()
    await asyncio.wait({task})
    assert answers == ["77"]
    assert task.cancelled()


@pytest.mark.parametrize("error", [LookupError("the hook failed"), GeneratorExit(), NoException()])
@pytest.mark.parametrize("way", ["pool", "httpx", "httpx2"])
async def test_a_response_hook_that_fails_takes_nothing_away(
    way: str, error: BaseException
) -> None:
    """Of the default client, and of injected ones."""

    async def hook(response: object) -> None:
        raise error

    async with counting(accept) as vendor, _client(way, vendor.url) as client:
        client.http_client.event_hooks["response"].append(hook)
        assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"
    assert vendor.arrivals == 1


async def test_a_generators_end_of_a_transports_making_leaves_it_unknown() -> None:
    """It closes nobody; the vendor may have the request."""

    class Failing(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await request.aread()
            raise GeneratorExit

    http_client = httpx.AsyncClient(transport=Failing())
    client = VoiceClient("a", "key", base_url=BASE_URL, http_client=http_client, retry=ONCE)
    with pytest.raises(OutcomeUnknown, match="may have gone out"):
        await client.submit(MOBILE, CONTENT)


@pytest.mark.parametrize("way", ["pool", "httpx", "httpx2"])
async def test_hooks_that_were_set_anew_take_nothing_away(way: str) -> None:
    """Ours come back to their places before the next request."""

    async def hook(response: Any) -> None:
        seen.append(await response.aread())
        raise LookupError("the hook failed")

    seen: list[bytes] = []
    async with counting(accept) as vendor, _client(way, vendor.url) as client:
        client.http_client.event_hooks = {"response": [hook]}
        assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"
        assert await client.balance() == 5
    assert seen == [ACCEPTED] * 2


@pytest.mark.slow
@pytest.mark.parametrize("way", ["pool", "httpx"])
async def test_a_hook_that_hangs_after_the_answer_is_given_up(way: str) -> None:
    """It can't hold a call for ever."""

    async def hook(response: object) -> None:
        await asyncio.Event().wait()

    bounds = httpx.Timeout(10.0, write=0.5, read=0.5)
    async with counting(accept) as vendor, _client(way, vendor.url, timeout=bounds) as client:
        client.http_client.event_hooks["response"].append(hook)
        assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"


class _Raising(logging.Filter):
    """A filter that can't take a line; kept in a list, as a handler's `emit` would be."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.INFO and record.name == "httpx":
            return False  # of httpx before 0.28, which tells how it loads certificates
        self.seen.append(record.getMessage())
        raise LookupError("the filter failed")


@pytest.mark.parametrize("way", ["pool", "httpx", "httpx2"])
@pytest.mark.parametrize("place", ["filter", "handler"])
async def test_a_log_filter_or_handler_that_fails_takes_nothing_away(way: str, place: str) -> None:
    """On the loggers of httpx, httpcore and of this package; and it is shown no query."""
    raising = _Raising()
    handler = logging.Handler()
    handler.addFilter(raising)
    loggers = [logging.getLogger(name) for name in ("httpx", "httpx2", "ihuyi_voice")]
    for core in ("httpcore", "httpcore2"):
        loggers += [logging.getLogger(f"{core}.{part}") for part in ("connection", "http11")]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.addFilter(raising) if place == "filter" else logger.addHandler(handler)
    try:
        async with counting(accept) as vendor, _client(way, vendor.url, method="GET") as client:
            assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"
            for logger in loggers:
                logger.setLevel(logging.WARNING)  # to close is the owner's affair
    finally:
        for logger in loggers:
            logger.setLevel(logging.NOTSET)
            logger.removeFilter(raising)
            logger.removeHandler(handler)
    lines = [line for line in raising.seen if line.startswith("HTTP Request")]
    assert len(lines) == 1
    assert "?[redacted]" in lines[0]
    assert "password" not in lines[0]


def test_a_reply_that_drips_is_bounded_as_a_whole() -> None:
    """Each chunk comes in time, and the end never does."""

    class Dripping(Stream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                await asyncio.sleep(4.0)
                yield b" "

    async def main() -> None:
        client = over(Dripping(httpx.ReadError("x")), timeout=5.0)
        started = loop_time()
        with pytest.raises(OutcomeUnknown):
            await client.submit(MOBILE, CONTENT)
        assert loop_time() - started == pytest.approx(10.0)  # to write and to read

    run_virtual(main())


@pytest.mark.slow
async def test_a_coded_reply_is_decoded_and_its_bomb_is_not() -> None:
    """The vendor sends none, but a proxy may."""
    coded = {"headers": {"Content-Encoding": "gzip"}}
    client = over(Stream(httpx.ReadError("x"), gzip.compress(ACCEPTED)), **coded)
    assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"
    client = over(Stream(httpx.ReadError("x"), gzip.compress(b" " * 50_000_000)), **coded)
    with pytest.raises(UnreadableReply, match="longer than"):
        await client.submit(MOBILE, CONTENT)


async def test_an_outcome_of_another_call_is_not_this_calls() -> None:
    """What is wrapped around a transport may use this package, too, after the request left."""

    class Wrapper(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            with pytest.raises(httpx.RemoteProtocolError):
                await super().handle_async_request(request)
            raise NotSent("of another call")

    async with counting(hang_up) as vendor, httpx.AsyncClient(transport=Wrapper()) as http_client:
        client = VoiceClient("a", "key", base_url=vendor.url, http_client=http_client)
        with pytest.raises(OutcomeUnknown):
            await client.submit(MOBILE, CONTENT)
    assert vendor.arrivals == 1


async def test_a_clock_that_is_off_is_an_invalid_request_wherever_it_is_signed() -> None:
    """The body never left, even where the head did."""
    async with counting(accept) as vendor:
        for way in ("pool", "httpx"):
            async with _client(way, vendor.url, clock=lambda: -1.0) as client:
                with pytest.raises(InvalidRequest, match="10 digits"):
                    await client.submit(MOBILE, CONTENT)
    assert vendor.arrivals == 0


async def test_a_reply_that_was_read_on_its_way_is_read_all_the_same() -> None:
    """As a transport that caches replies does."""

    class Reading(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await super().handle_async_request(request)
            await response.aread()
            return response

    async with counting(accept) as vendor:
        async with httpx.AsyncClient(transport=Reading()) as http_client:
            client = VoiceClient("a", "key", base_url=vendor.url, http_client=http_client)
            assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"


async def test_two_clients_may_share_an_injected_one_and_leave_it_as_it_was() -> None:
    """Their hooks are in nobody's way, and go when they are closed."""
    async with counting(accept) as vendor, httpx.AsyncClient() as http_client:
        first, second = (
            VoiceClient("a", "key", base_url=vendor.url, http_client=http_client) for _ in range(2)
        )
        for client in (first, second, first, second):
            assert await client.balance() == 5
        assert [len(hooks) for hooks in http_client.event_hooks.values()] == [2, 2]
        await first.aclose()
        await second.aclose()
        assert [len(hooks) for hooks in http_client.event_hooks.values()] == [0, 0]
        assert (await http_client.get(vendor.url)).status_code == 200


@asynccontextmanager
async def _client(way: str, url: str, **options: Any) -> AsyncGenerator[VoiceClient]:
    """Yield a client of its own, or over an injected one."""
    clients: dict[str, Any] = {"httpx": httpx.AsyncClient, "httpx2": httpx2.AsyncClient}
    async with AsyncExitStack() as stack:
        if way != "pool":
            options["http_client"] = await stack.enter_async_context(clients[way]())
        client = VoiceClient("a", "key", base_url=url, retry=ONCE, **options)
        yield await stack.enter_async_context(client)
