"""Users of respx and pytest-httpx can mock us, whichever transport a client uses."""

from typing import Any

import httpx
import pytest
import respx
from pytest_httpx import HTTPXMock

from ihuyi_voice import NotSent, OutcomeUnknown, VoiceClient
from ihuyi_voice.testing.respx import PoolMocker
from tests.support.vendor import BASE_URL, CONTENT, MOBILE, ONCE

REPLY = b'{"code":2,"msg":"","voiceid":"77"}'


@pytest.mark.parametrize(("transport", "using"), [("pool", PoolMocker.name), ("httpx", "httpcore")])
async def test_respx_answers_in_place_of_the_vendor(transport: Any, using: str) -> None:
    """And sees the request whole."""
    with respx.mock(using=using) as router:
        route = router.post(BASE_URL, params={"method": "Submit"})
        route.mock(return_value=httpx.Response(200, content=REPLY))
        async with VoiceClient("a", "k", base_url=BASE_URL, transport=transport) as client:
            assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"
    assert b"mobile=13900000000" in route.calls.last.request.content


@pytest.mark.parametrize(("transport", "using"), [("pool", PoolMocker.name), ("httpx", "httpcore")])
async def test_respx_can_make_it_fail(transport: Any, using: str) -> None:
    """A refused connection is not sent; what our mocked pool doesn't tell counts as sent."""
    options: dict[str, Any] = {"base_url": BASE_URL, "transport": transport, "retry": ONCE}
    for error, expected in ((httpx.ConnectError, NotSent), (httpx.ReadTimeout, OutcomeUnknown)):
        with respx.mock(using=using) as router:
            router.post(BASE_URL).mock(side_effect=error)
            async with VoiceClient("a", "k", **options) as client:
                with pytest.raises(expected):
                    await client.submit(MOBILE, CONTENT)


async def test_pytest_httpx_answers_in_place_of_the_vendor(httpx_mock: HTTPXMock) -> None:
    """With the transport of httpx, which it patches."""
    httpx_mock.add_response(content=REPLY)
    async with VoiceClient("a", "k", base_url=BASE_URL, transport="httpx") as client:
        assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"
    httpx_mock.add_exception(httpx.ReadTimeout("late"))
    async with VoiceClient("a", "k", base_url=BASE_URL, transport="httpx", retry=ONCE) as client:
        with pytest.raises(OutcomeUnknown):
            await client.submit(MOBILE, CONTENT)
