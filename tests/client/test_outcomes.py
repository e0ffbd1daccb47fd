"""What was surely not sent, and what nobody can know: exactly as the design's section 1."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest

from ihuyi_voice import (
    MemoryGuard,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    UnreadableReply,
    VendorError,
    VoiceClient,
)
from ihuyi_voice.protocol.replies import MAX_REPLY_BYTES
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.vendor import BASE_URL, CONTENT, MOBILE, ONCE, answering, in_process

WAYS = ["pool", "httpx"]


@asynccontextmanager
async def socket_server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any],
) -> AsyncGenerator[str]:
    """Serve raw sockets and yield the address of its voice.php."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/webservice/voice.php"


@pytest.mark.parametrize(
    "raised",
    [
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.PoolTimeout,
        httpx.UnsupportedProtocol,
        OSError,
    ],
)
async def test_a_mock_can_say_that_nothing_went_out(raised: type[Exception]) -> None:
    """MockTransport reads the request; what it raises is what the test means."""
    async with answering(_raising(raised)) as client:
        with pytest.raises(NotSent):
            await client.submit(MOBILE, CONTENT)


@pytest.mark.parametrize(
    "raised",
    [
        httpx.ReadTimeout,
        httpx.WriteTimeout,
        httpx.ReadError,
        httpx.WriteError,
        httpx.RemoteProtocolError,
        httpx.DecodingError,
        httpx.TooManyRedirects,
    ],
)
async def test_a_mock_can_say_that_it_went_out(raised: type[Exception]) -> None:
    """By what httpx means with the class."""
    async with answering(_raising(raised)) as client:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.submit(MOBILE, CONTENT)
    assert isinstance(caught.value.__cause__, raised)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 403, 404, 429, 500, 502, 503, 504])
async def test_any_status_but_success_is_unknown_and_no_redirect_is_followed(status: int) -> None:
    """Even if the body looks like an acceptance: the vendor's own replies come with 200."""
    asked: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        body = b'{"code":2,"msg":"","voiceid":"1"}'
        return httpx.Response(status, content=body, headers={"Location": "http://else.test/"})

    async with answering(reply) as client:
        with pytest.raises(UnreadableReply, match=f"HTTP {status}") as caught:
            await client.submit(MOBILE, CONTENT)
    assert len(asked) == 1
    assert caught.value.raw is not None
    assert caught.value.raw.status == status
    assert "location" not in caught.value.raw.headers


async def test_an_unreadable_reply_shows_the_masked_start_of_its_body() -> None:
    """Numbers and keys are masked, and the reason is there."""
    page = f"<html>sorry {MOBILE} key</html>".encode()
    async with answering(lambda _: httpx.Response(200, content=page)) as client:
        with pytest.raises(UnreadableReply, match="no code") as caught:
            await client.submit(MOBILE, CONTENT)
    assert "139****0000" in str(caught.value)
    assert MOBILE not in str(caught.value)
    assert "[redacted]" in str(caught.value)


async def test_a_huge_body_is_given_up_at_the_bound() -> None:
    """A hundred megabytes are neither read nor kept."""
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1600):
            sent += 65_536
            yield b"x" * 65_536

    async with answering(lambda _: httpx.Response(200, content=body())) as client:
        with pytest.raises(UnreadableReply, match="longer than"):
            await client.submit(MOBILE, CONTENT)
    assert sent < MAX_REPLY_BYTES + 3 * 65_536


@pytest.mark.parametrize("way", WAYS)
async def test_a_refused_connection_is_not_sent(way: str) -> None:
    """Nobody listens there."""
    async with socket_server(_hang_up) as url:
        pass
    async with _over(url, way) as client:
        with pytest.raises(NotSent) as caught:
            await client.submit(MOBILE, CONTENT)
    assert caught.value.attempts == 1


@pytest.mark.parametrize("way", WAYS)
async def test_a_close_after_the_request_is_unknown(way: str) -> None:
    """The peer took it and hung up."""
    async with socket_server(_hang_up) as url, _over(url, way) as client:
        with pytest.raises(OutcomeUnknown):
            await client.submit(MOBILE, CONTENT)


@pytest.mark.parametrize("way", WAYS)
async def test_no_reply_in_time_is_unknown(way: str) -> None:
    """The read timeout comes after the first byte was written."""
    simulator = Simulator()
    simulator.add_fault(Fault("silence"))
    async with simulator.serve() as url:
        async with _over(url, way, bounds=httpx.Timeout(5.0, read=0.01)) as client:
            with pytest.raises(OutcomeUnknown, match="ReadTimeout"):
                await client.submit(MOBILE, CONTENT)
    assert len(simulator.arrivals) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_no_free_connection_in_time_is_not_sent(way: str) -> None:
    """The pool timeout comes before anything is written."""
    simulator = Simulator()
    simulator.add_fault(Fault("silence", times=1))
    async with simulator.serve() as url:
        bounds = httpx.Timeout(5.0, pool=0.01)
        async with _over(url, way, connections=1, bounds=bounds) as client:
            first = asyncio.create_task(client.submit(MOBILE, CONTENT))
            await simulator.arrived()
            with pytest.raises(NotSent, match="PoolTimeout"):
                await client.submit("13911111111", CONTENT)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first


async def test_an_injected_client_is_observed_exactly_and_never_closed() -> None:
    """The transport of httpx tells by its trace what was sent; the owner closes the client."""
    async with httpx.AsyncClient() as http_client:
        async with socket_server(_hang_up) as url:
            client = VoiceClient("a", "key", base_url=url, http_client=http_client, retry=ONCE)
            async with client:
                with pytest.raises(OutcomeUnknown):
                    await client.submit(MOBILE, CONTENT)
        async with VoiceClient(
            "a", "key", base_url=url, http_client=http_client, retry=ONCE
        ) as client:
            with pytest.raises(NotSent):
                await client.submit(MOBILE, CONTENT)
        assert not http_client.is_closed


async def test_an_injected_clients_hooks_and_timeout_are_its_own() -> None:
    """Event hooks run; one that fails before sending is a fault of the program, not an outcome."""
    seen: list[str] = []

    async def hook(request: httpx.Request) -> None:
        seen.append(request.url.path)
        raise LookupError("the hook failed")

    hooks = {"request": [hook]}
    async with httpx.AsyncClient(event_hooks=hooks) as http_client:
        with pytest.raises(LookupError, match="the hook failed"):
            await _client(http_client).submit(MOBILE, CONTENT)
    assert seen == ["/webservice/voice.php"]


async def test_a_reply_in_the_other_format_is_taken_too() -> None:
    """The vendor answers 401 in XML when it doesn't know the Content-Type."""
    body = "<r><code>401</code><msg>帐号不能为空</msg></r>".encode()
    async with answering(
        lambda _: httpx.Response(200, content=body, headers={"Content-Type": "text/plain"}),
        reply_format="json",
    ) as client:
        with pytest.raises(VendorError, match="401"):
            await client.submit(MOBILE, CONTENT)


async def test_an_error_keeps_no_password_among_its_evidence() -> None:
    """The httpx error behind it has lost the URL's query and the body."""
    options: dict[str, Any] = {"method": "GET", "auth": "plain"}
    async with answering(_raising(httpx.ReadTimeout), **options) as client:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.submit(MOBILE, CONTENT)
    cause = caught.value.__cause__
    assert isinstance(cause, httpx.ReadTimeout)
    assert cause.request.url == BASE_URL
    assert cause.request.content == b""


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


def _client(http_client: httpx.AsyncClient) -> VoiceClient:
    return VoiceClient("test", "key", base_url=BASE_URL, http_client=http_client, retry=ONCE)


@asynccontextmanager
async def _over(
    url: str, way: str, *, connections: int = 100, bounds: httpx.Timeout | None = None
) -> AsyncGenerator[VoiceClient]:
    """Yield a client over our pool, or over httpx's, injected."""
    options: dict[str, Any] = {"base_url": url, "retry": ONCE, "timeout": bounds}
    if way == "pool":
        async with VoiceClient("test", "key", max_connections=connections, **options) as client:
            yield client
        return
    limits = httpx.Limits(max_connections=connections)
    async with httpx.AsyncClient(limits=limits) as http_client:
        yield VoiceClient("test", "key", http_client=http_client, **options)


def _raising(error: type[Exception]) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error("boom")

    return answer


async def test_a_rate_limit_as_json_says_whose_it_is_and_until_when() -> None:
    """Ours or the vendor's; the moment as ISO 8601 with its zone."""
    simulator = Simulator()
    simulator.add_fault(Fault("code", code=4081))
    told: list[dict[str, Any]] = []
    async with in_process(simulator, guard=MemoryGuard()) as client:
        for _ in range(2):
            with pytest.raises(RateLimited) as caught:
                await client.submit(MOBILE, CONTENT)
            told.append(json.loads(json.dumps(caught.value.to_dict())))
            assert datetime.fromisoformat(told[-1]["retry_at"]) == caught.value.retry_at
    assert [(each["code"], each["source"]) for each in told] == [(4081, "vendor"), (4081, "guard")]
    assert {each["retry_at"][-6:] for each in told} == {"+00:00"}
