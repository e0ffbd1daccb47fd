"""A replaced function is noticed by where it was written, whatever it says of itself."""

import functools
from collections.abc import Iterator
from typing import Any
from unittest import mock

import httpcore
import httpx
import pytest
import wrapt

from ihuyi_voice import NotSent, OutcomeUnknown, VoiceClient
from ihuyi_voice.http.pool.seams import Originals
from tests.http.servers import ACCEPTED, accept, counting
from tests.support.vendor import BASE_URL, CONTENT, MOBILE, ONCE

NAME = "handle_async_request"
ORIGINAL = vars(httpx.AsyncHTTPTransport)[NAME]


async def through(self: Any, request: httpx.Request) -> httpx.Response:
    """Hand a request on, as a wrapper does."""
    response: httpx.Response = await ORIGINAL(self, request)
    return response


@functools.wraps(ORIGINAL)
async def disguised(self: Any, request: httpx.Request) -> httpx.Response:
    """Do the same under httpx's own name."""
    return await through(self, request)


def passing(wrapped: Any, instance: object, args: Any, kwargs: Any) -> Any:
    """Call what is wrapped, in wrapt's way."""
    return wrapped(*args, **kwargs)


REPLACEMENTS = [
    through,
    disguised,
    wrapt.FunctionWrapper(ORIGINAL, passing),
    mock.AsyncMock(side_effect=ORIGINAL),
]


@pytest.fixture
def originals() -> Originals:
    """What is asked about httpx's transport."""
    return Originals(httpx.AsyncHTTPTransport, NAME)


@pytest.mark.parametrize("replacement", REPLACEMENTS, ids=["plain", "wraps", "wrapt", "mock"])
def test_every_kind_of_replacement_is_noticed_and_its_end_too(
    originals: Originals, replacement: Any
) -> None:
    """Also if it was there before anybody asked."""
    with mock.patch.object(httpx.AsyncHTTPTransport, NAME, replacement):
        assert not originals
        assert not originals
    assert originals
    with mock.patch.object(httpx.AsyncHTTPTransport, NAME, replacement):
        assert not originals
    assert originals


@pytest.mark.parametrize("replacement", REPLACEMENTS[:3], ids=["plain", "wraps", "wrapt"])
async def test_a_wrapper_that_hands_on_sends_through_our_pool(replacement: Any) -> None:
    """It calls httpx's own function with our transport, which leads back to the pool, once."""
    async with counting(accept) as vendor:
        async with VoiceClient("a", "key", base_url=vendor.url) as client:
            with mock.patch.object(httpx.AsyncHTTPTransport, NAME, replacement):
                assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"
            assert await client.balance() == 5
            assert client.http_client.pool.statistics().opened == 1  # type: ignore[attr-defined]
    assert vendor.arrivals == 2


async def test_a_refused_connection_behind_a_wrapper_is_not_sent() -> None:
    """The pool told the trace, which the wrapper handed on."""
    options: dict[str, Any] = {"base_url": "http://127.0.0.1:9/v.php", "retry": ONCE}
    async with VoiceClient("a", "key", **options) as client:
        with mock.patch.object(httpx.AsyncHTTPTransport, NAME, through):
            with pytest.raises(NotSent):
                await client.submit(MOBILE, CONTENT)


async def test_a_wrapper_that_sends_twice_is_stopped() -> None:
    """The pool's trace refuses the second beginning, the body its second taking."""

    async def twice(self: Any, request: httpx.Request) -> httpx.Response:
        await ORIGINAL(self, request)
        return await through(self, request)

    async with counting(accept) as vendor:
        async with VoiceClient("a", "key", base_url=vendor.url) as client:
            with mock.patch.object(httpx.AsyncHTTPTransport, NAME, twice):
                assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"
    assert vendor.arrivals == 1


async def test_a_fake_that_somebody_puts_there_answers() -> None:
    """And nothing leaves."""

    async def fake(self: Any, request: httpx.Request) -> httpx.Response:
        assert f"mobile={MOBILE}".encode() in request.content
        return httpx.Response(200, content=ACCEPTED)

    async with VoiceClient("a", "key", base_url=BASE_URL, retry=ONCE) as client:
        with mock.patch.object(httpx.AsyncHTTPTransport, NAME, fake):
            assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"


@pytest.fixture(params=["send", "_send_handling_auth", "_send_single_request"])
def step(request: pytest.FixtureRequest) -> Iterator[mock.AsyncMock]:
    """A step of httpx.AsyncClient that somebody has replaced, as monitors do."""
    original = vars(httpx.AsyncClient)[request.param]
    with mock.patch.object(httpx.AsyncClient, request.param, autospec=True) as replaced:
        replaced.side_effect = original
        yield replaced


async def test_a_step_of_the_client_that_was_replaced_has_its_way(step: mock.AsyncMock) -> None:
    """Each request goes through it, and arrives once."""
    async with counting(accept) as vendor:
        async with VoiceClient("a", "key", base_url=vendor.url) as client:
            assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"
    assert step.call_count == 1
    assert vendor.arrivals == 1


async def test_a_pool_of_httpcores_that_was_replaced_has_its_way() -> None:
    """Even if what it does is to fail after it has read all."""

    async def fail(self: object, request: httpcore.Request) -> httpcore.Response:
        stream: Any = request.stream
        async for _ in stream:
            pass
        raise httpcore.ReadTimeout("late")

    async with VoiceClient("a", "key", base_url=BASE_URL, retry=ONCE) as client:
        with mock.patch.object(httpcore.AsyncConnectionPool, NAME, fail):
            with pytest.raises(OutcomeUnknown):
                await client.submit(MOBILE, CONTENT)
