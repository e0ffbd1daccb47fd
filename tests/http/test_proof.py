"""NOT_SENT needs proof, and what has it is not UNKNOWN: whatever carries a request."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
from httpx_aiohttp import AiohttpTransport
from httpx_retries import Retry, RetryTransport

from ihuyi_voice import NotSent, OutcomeStatus, OutcomeUnknown, VoiceClient
from tests.http.servers import accept, counting, hang_up, refuse, reset, silence
from tests.support.sockets import until
from tests.support.vendor import BASE_URL, CONTENT, MOBILE, ONCE

NOWHERE = "http://127.0.0.1:9/voice.php"
AGAIN = Retry(total=3, backoff_factor=0.0, allowed_methods=["POST", "GET"])


class Wrapper(httpx.AsyncBaseTransport):
    """A transport around another that may do something to a request."""

    def __init__(self, rebuild: Callable[[httpx.Request], Any], *, inner: Any = None) -> None:
        self.inner = inner or httpx.AsyncHTTPTransport()
        self.rebuild = rebuild

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send what is made of the request."""
        response: httpx.Response = await self.inner.handle_async_request(
            await self.rebuild(request)
        )
        return response

    async def aclose(self) -> None:
        """Close what it wraps."""
        await self.inner.aclose()


async def around(request: httpx.Request) -> httpx.Request:
    """Build a request anew around the same stream and extensions, as wrappers do."""
    return httpx.Request(
        request.method,
        request.url,
        headers=request.headers,
        stream=request.stream,
        extensions=request.extensions,
    )


async def copied(request: httpx.Request) -> httpx.Request:
    """Build a request anew of what the old one says, without its stream and extensions."""
    content = await request.aread()
    return httpx.Request(request.method, request.url, headers=request.headers, content=content)


async def copied_and_traced(request: httpx.Request) -> httpx.Request:
    """The same, with its extensions."""
    made = await copied(request)
    made.extensions = request.extensions
    return made


async def as_it_is(request: httpx.Request) -> httpx.Request:
    """Leave a request alone."""
    return request


@asynccontextmanager
async def over(transport: Any, url: str, **options: Any) -> AsyncGenerator[VoiceClient]:
    """Yield a client with all defaults over a transport that was injected."""
    async with httpx.AsyncClient(transport=transport) as http_client:
        yield VoiceClient("test", "key", base_url=url, http_client=http_client, **options)


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_client_of_httpx2_is_observed_as_httpx_is(method: Any) -> None:
    """Its classes are others with the same names."""
    async with httpx2.AsyncClient() as http_client:
        options: dict[str, Any] = {"http_client": http_client, "retry": ONCE, "method": method}
        with pytest.raises(NotSent, match="ConnectError"):
            await VoiceClient("a", "key", base_url=NOWHERE, **options).submit(MOBILE, CONTENT)
        async with counting(hang_up) as vendor:
            with pytest.raises(OutcomeUnknown, match="RemoteProtocolError"):
                await VoiceClient("a", "key", base_url=vendor.url, **options).balance()
        assert vendor.arrivals == 1
        async with counting(accept) as vendor:
            client = VoiceClient("a", "key", base_url=vendor.url, timeout=7.0, **options)
            assert await client.balance() == 5


async def test_a_mock_of_httpx2_is_known_too() -> None:
    """Late is unknown, refused is not sent."""
    for error, expected in ((httpx2.ReadTimeout, OutcomeUnknown), (httpx2.ConnectError, NotSent)):

        def answer(request: httpx2.Request, error: Any = error) -> httpx2.Response:
            raise error("boom")

        async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as other:
            client = VoiceClient("a", "key", base_url=BASE_URL, http_client=other, retry=ONCE)  # type: ignore[arg-type]
            with pytest.raises(expected):
                await client.submit(MOBILE, CONTENT)


@pytest.mark.parametrize("ending", [hang_up, reset])
async def test_aiohttp_says_connect_timeout_and_it_is_unknown(ending: Any) -> None:
    """Once it took the request, the class of what httpx-aiohttp raises proves nothing."""
    async with counting(ending) as vendor, over(AiohttpTransport(), vendor.url) as client:
        with pytest.raises(OutcomeUnknown):
            await client.submit(MOBILE, CONTENT)
    assert vendor.arrivals == 1


async def test_a_run_over_aiohttp_rings_each_number_once() -> None:
    """Five messages, five arrivals, five times UNKNOWN."""
    messages = [(f"1391111111{digit}", CONTENT) for digit in range(5)]
    async with counting(hang_up) as vendor, over(AiohttpTransport(), vendor.url) as client:
        async with client.submit_many(messages) as run:
            outcomes = [outcome async for outcome in run]
    assert {outcome.status for outcome in outcomes} <= {
        OutcomeStatus.UNKNOWN,
        OutcomeStatus.NOT_SENT,
    }
    unknown = [each for each in outcomes if each.status is OutcomeStatus.UNKNOWN]
    assert vendor.arrivals == len(unknown) > 0


async def test_nobody_listens_and_aiohttp_has_taken_nothing() -> None:
    """That is proof."""
    async with over(AiohttpTransport(), NOWHERE, retry=ONCE) as client:
        with pytest.raises(NotSent):
            await client.submit(MOBILE, CONTENT)


async def test_aiohttp_works_over_a_stream() -> None:
    """The body arrives whole, with its length, and a hook that reads it changes nothing."""

    async def hook(request: httpx.Request) -> None:
        assert f"mobile={MOBILE}".encode() in request.content

    async with counting(accept) as vendor, over(AiohttpTransport(), vendor.url) as client:
        client.http_client.event_hooks["request"].append(hook)
        assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"
    assert f"mobile={MOBILE}".encode() in vendor.requests[0]
    assert b"chunked" not in vendor.requests[0].lower()


@pytest.mark.parametrize("inner", [httpx.AsyncHTTPTransport, AiohttpTransport])
@pytest.mark.parametrize("ending", [hang_up, refuse])
async def test_a_transport_that_sends_again_is_stopped(inner: Any, ending: Any) -> None:
    """httpx-retries with POST allowed, after a break and after a 502: one request, UNKNOWN."""
    transport = RetryTransport(transport=inner(), retry=AGAIN)
    async with counting(ending) as vendor, over(transport, vendor.url) as client:
        with pytest.raises(OutcomeUnknown):
            await client.submit(MOBILE, CONTENT)
    assert vendor.arrivals == 1


@pytest.mark.parametrize("ending", [hang_up, refuse])
async def test_a_get_is_not_sent_again_over_a_transport_that_tells(ending: Any) -> None:
    """The second start of the same request is refused by its trace."""
    transport = RetryTransport(transport=httpx.AsyncHTTPTransport(), retry=AGAIN)
    async with counting(ending) as vendor, over(transport, vendor.url, method="GET") as client:
        with pytest.raises(OutcomeUnknown):
            await client.submit(MOBILE, CONTENT)
    assert vendor.arrivals == 1


async def test_a_retrying_transport_may_try_until_something_went_out() -> None:
    """Connections that were refused are no sending."""
    transport = RetryTransport(transport=httpx.AsyncHTTPTransport(), retry=AGAIN)
    async with over(transport, NOWHERE, retry=ONCE) as client:
        with pytest.raises(NotSent):
            await client.submit(MOBILE, CONTENT)


async def test_a_get_over_a_transport_that_tells_nothing_is_unknown_and_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """There is no body whose taking would tell; each client warns, whether it fails or not."""
    async with over(AiohttpTransport(), NOWHERE, method="GET", retry=ONCE) as client:
        for number in (MOBILE, "13900000001"):
            with pytest.raises(OutcomeUnknown):
                await client.submit(number, CONTENT)
    assert caplog.text.count("GET through a transport that doesn't tell") == 1
    async with counting(accept) as vendor:
        async with over(AiohttpTransport(), vendor.url, method="GET") as client:
            await client.balance()
            await client.balance()
    assert caplog.text.count("GET through a transport that doesn't tell") == 2


async def test_a_get_over_aiohttp_has_no_body_and_is_not_sent_again_behind_our_back() -> None:
    """It repeats a GET whose connection was closed, but then has to take the body twice."""

    async def answer_once(writer: asyncio.StreamWriter) -> None:
        await (accept if vendor.arrivals == 1 else reset)(writer)

    async with counting(answer_once) as vendor:
        async with over(AiohttpTransport(), vendor.url, method="GET", retry=ONCE) as client:
            await client.submit(MOBILE, CONTENT)
            with pytest.raises(OutcomeUnknown):
                await client.submit("13900000001", CONTENT)
    assert vendor.arrivals == 2
    assert all(b"chunked" not in request.lower() for request in vendor.requests)


@pytest.mark.parametrize("ending", [hang_up, reset, silence])
async def test_a_proxy_that_does_not_connect_has_been_given_nothing(ending: Any) -> None:
    """Its CONNECT is a request of its own, also for the transport of httpx."""
    async with counting(ending) as proxy:
        address = proxy.url.removesuffix("/voice.php")
        timeout = httpx.Timeout(5.0, read=0.05)
        async with httpx.AsyncClient(proxy=address, timeout=timeout) as http_client:
            options: dict[str, Any] = {"http_client": http_client, "retry": ONCE}
            client = VoiceClient("a", "key", base_url="https://vendor.test/v.php", **options)
            with pytest.raises(NotSent):
                await client.submit(MOBILE, CONTENT)
    assert proxy.arrivals == 1
    assert proxy.requests[0].startswith(b"CONNECT vendor.test:443 ")


@pytest.mark.parametrize("injected", [False, True])
async def test_an_address_that_is_too_long_for_httpx_is_not_sent(*, injected: bool) -> None:
    """A GET with all the content in it."""
    async with httpx.AsyncClient() as http_client:
        options: dict[str, Any] = {"http_client": http_client} if injected else {}
        options |= {"base_url": NOWHERE, "method": "GET", "retry": ONCE}
        async with VoiceClient("a", "key", **options) as client:
            with pytest.raises(NotSent, match="InvalidURL"):
                await client.submit(MOBILE, "长" * 30_000)


async def test_a_closed_injected_client_is_told_as_what_it_is() -> None:
    """It was httpx's RuntimeError, and nothing was sent."""
    http_client = httpx.AsyncClient()
    await http_client.aclose()
    client = VoiceClient("a", "key", base_url=BASE_URL, http_client=http_client)
    with pytest.raises(RuntimeError, match="client has been closed"):
        await client.submit(MOBILE, CONTENT)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (OSError("no route"), NotSent),
        (httpx.ConnectError("refused"), NotSent),
        (httpx.ReadTimeout("late"), NotSent),
        (TimeoutError(), NotSent),
        (LookupError("no such thing"), LookupError),
        (TypeError("wrong"), TypeError),
    ],
)
async def test_a_transport_that_fails_before_it_takes_the_body_sent_nothing(
    raised: Exception, expected: type[Exception]
) -> None:
    """A trouble of the network is NotSent, a fault of the program is itself."""

    async def fail(request: httpx.Request) -> httpx.Request:
        raise raised

    async with over(Wrapper(fail), BASE_URL, retry=ONCE) as client:
        with pytest.raises(expected):
            await client.submit(MOBILE, CONTENT)


async def test_a_transport_that_took_the_body_may_have_sent_it() -> None:
    """Whatever it raises afterwards."""

    async def fail(request: httpx.Request) -> httpx.Request:
        stream: Any = request.stream
        async for _ in stream:
            raise httpx.ConnectError("refused")
        raise AssertionError

    async with over(Wrapper(fail), BASE_URL, retry=ONCE) as client:
        with pytest.raises(OutcomeUnknown):
            await client.submit(MOBILE, CONTENT)


@pytest.mark.parametrize("rebuild", [around, copied, copied_and_traced, as_it_is])
async def test_a_wrapper_may_build_the_request_anew(rebuild: Any) -> None:
    """It goes through, and what happens to it is known: taken, then nothing came back."""
    async with counting(accept) as vendor, over(Wrapper(rebuild), vendor.url) as client:
        assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"
    async with counting(hang_up) as vendor, over(Wrapper(rebuild), vendor.url) as client:
        with pytest.raises(OutcomeUnknown):
            await client.submit(MOBILE, CONTENT)
    assert vendor.arrivals == 1


@pytest.mark.parametrize(
    ("rebuild", "inner", "expected"),
    [
        (around, httpx.AsyncHTTPTransport, NotSent),
        (copied_and_traced, httpx.AsyncHTTPTransport, NotSent),
        # Nobody tells of it, and the content left our sight: the safe side is that it went out.
        (copied, httpx.AsyncHTTPTransport, OutcomeUnknown),
        (around, AiohttpTransport, NotSent),
        (copied, AiohttpTransport, OutcomeUnknown),
    ],
)
async def test_where_nobody_listens_a_wrapper_that_loses_the_proof_makes_it_unknown(
    rebuild: Any, inner: Any, expected: type[Exception]
) -> None:
    """And one that keeps stream or trace does not."""
    async with over(Wrapper(rebuild, inner=inner()), NOWHERE, retry=ONCE) as client:
        with pytest.raises(expected):
            await client.submit(MOBILE, CONTENT)


async def test_a_stream_that_was_replaced_is_no_proof() -> None:
    """Nobody watches the new one."""

    async def replace(request: httpx.Request) -> httpx.Request:
        request.stream = httpx.ByteStream(b"mobile=1")
        raise httpx.ConnectError("refused")

    async with over(Wrapper(replace), BASE_URL, retry=ONCE) as client:
        with pytest.raises(OutcomeUnknown):
            await client.submit(MOBILE, CONTENT)


async def test_a_second_way_after_a_first_that_told_of_itself_is_not_hidden_by_it() -> None:
    """A fallback that takes the body is not observed by httpx's trace of the first."""

    class Fallback(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            first = httpx.AsyncHTTPTransport()
            request.url = httpx.URL(NOWHERE)
            with pytest.raises(httpx.ConnectError):
                await first.handle_async_request(request)
            stream: Any = request.stream
            async for _ in stream:
                pass
            raise httpx.ConnectError("gone")

    async with over(Fallback(), BASE_URL, retry=ONCE) as client:
        with pytest.raises(OutcomeUnknown):
            await client.submit(MOBILE, CONTENT)


async def test_a_client_of_another_make_may_send_in_ways_of_its_own() -> None:
    """Who overrides `send` and reads the content may have sent it."""

    class Other(httpx.AsyncClient):
        async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
            assert request.content
            raise httpx.ConnectError("refused")

    async with Other() as http_client:
        client = VoiceClient("a", "key", base_url=BASE_URL, http_client=http_client, retry=ONCE)
        with pytest.raises(OutcomeUnknown):
            await client.submit(MOBILE, CONTENT)


async def test_what_a_hook_read_is_not_sent_by_that() -> None:
    """A connection that is refused afterwards is proof again."""

    async def hook(request: httpx.Request) -> None:
        await request.aread()
        assert f"mobile={MOBILE}".encode() in request.content

    for transport in (httpx.AsyncHTTPTransport(), AiohttpTransport()):
        hooks = {"request": [hook]}
        async with httpx.AsyncClient(transport=transport, event_hooks=hooks) as http_client:
            client = VoiceClient("a", "key", base_url=NOWHERE, http_client=http_client, retry=ONCE)
            with pytest.raises(NotSent):
                await client.submit(MOBILE, CONTENT)


class Stubborn(httpx.AsyncBaseTransport):
    """Goes on in a task of its own, shielded from whoever waits, once it is let.

    Attributes:
        go: Set when it may.
        left: What goes on.
    """

    def __init__(self, inner: Any, *, bare: bool) -> None:
        self.go, self.left = asyncio.Event(), list["asyncio.Task[httpx.Response]"]()
        self._inner, self._bare = inner, bare

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it later."""
        self.left.append(asyncio.create_task(self._later(request)))
        return await asyncio.shield(self.left[0])

    async def _later(self, request: httpx.Request) -> httpx.Response:
        await self.go.wait()
        if self._bare:
            request.extensions = {}
        response: httpx.Response = await self._inner.handle_async_request(request)
        return response

    async def aclose(self) -> None:
        """Close what it wraps."""
        await self._inner.aclose()


@pytest.mark.parametrize("bare", [False, True], ids=["traced", "untraced"])
@pytest.mark.parametrize("make", [httpx.AsyncHTTPTransport, AiohttpTransport])
@pytest.mark.parametrize("seconds", [0.01, None], ids=["timeout", "cancellation"])
async def test_what_was_not_sent_is_never_sent_by_what_a_transport_left_behind(
    seconds: float | None, make: Any, *, bare: bool
) -> None:
    """NOT_SENT may be sent again at once; the first request, which goes on, gets no body."""
    stubborn = Stubborn(make(), bare=bare)
    async with counting(accept) as vendor, over(stubborn, vendor.url, retry=ONCE) as client:
        call = asyncio.create_task(client.submit(MOBILE, CONTENT, timeout=seconds))
        if seconds is None:
            await until(lambda: stubborn.left)
            call.cancel()
        (end,) = await asyncio.gather(call, return_exceptions=True)
        assert isinstance(end, asyncio.CancelledError if seconds is None else NotSent)
        stubborn.go.set()
        (late,) = await asyncio.gather(*stubborn.left, return_exceptions=True)
        assert isinstance(late, Exception)
        assert vendor.arrivals == 0


async def test_an_authentication_that_asks_twice_sends_once() -> None:
    """Digest answers a 401 by the same request again, which is refused."""

    async def deny(writer: Any) -> None:
        writer.write(
            b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="x", nonce="1", qop="auth"\r\n'
            b"Content-Length: 0\r\n\r\n"
        )

    async with counting(deny) as vendor:
        async with httpx.AsyncClient(auth=httpx.DigestAuth("user", "word")) as http_client:
            client = VoiceClient("a", "key", base_url=vendor.url, http_client=http_client)
            with pytest.raises(OutcomeUnknown, match="HTTP 401"):
                await client.submit(MOBILE, CONTENT)
    assert vendor.arrivals == 1


async def test_no_warning_comes_where_a_get_can_be_watched(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Over httpx's own transport, and over our pool."""
    caplog.set_level(logging.WARNING)
    async with counting(accept) as vendor:
        async with over(httpx.AsyncHTTPTransport(), vendor.url, method="GET") as client:
            await client.balance()
        async with VoiceClient("a", "key", base_url=vendor.url, method="GET") as client:
            await client.balance()
    assert not caplog.text
