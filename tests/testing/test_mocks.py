"""What vendor or network would do, in a word, for respx, pytest-httpx and MockTransport."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import respx
from pytest_httpx import HTTPXMock

from ihuyi_voice import (
    NotSent,
    OutcomeUnknown,
    TemplateMismatch,
    UnreadableReply,
    VendorError,
    VoiceClient,
)
from ihuyi_voice.testing import (
    accept,
    drop_after_send,
    drop_before_send,
    gateway_error,
    reject,
    time_out,
)
from tests.support.vendor import CONTENT, MOBILE, ONCE, answering

URL = "https://api.vm.ihuyi.com/webservice/voice.php"
FAILING: list[tuple[Callable[[], Any], type[Exception]]] = [
    (lambda: reject(4072), TemplateMismatch),
    (lambda: reject(0), VendorError),
    (drop_after_send, OutcomeUnknown),
    (drop_before_send, NotSent),
    (time_out, OutcomeUnknown),
    (gateway_error, UnreadableReply),
]


def client_with(**options: Any) -> VoiceClient:
    """Return a client of the vendor's own address that makes one attempt."""
    return VoiceClient("VM1", "api-key", retry=ONCE, guard=None, **options)


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("reply_format", ["xml", "json"])
@pytest.mark.parametrize("using", ["httpcore", "httpx"])
@pytest.mark.parametrize(("reaction", "expected"), FAILING)
async def test_respx_takes_them(
    using: str,
    reaction: Callable[[], Any],
    expected: type[Exception],
    method: Any,
    reply_format: Any,
) -> None:
    """As a side effect, whatever form requests and replies have."""
    with respx.mock(using=using) as router:
        router.request(method, url__startswith=URL).mock(side_effect=reaction())
        async with client_with(method=method, reply_format=reply_format) as client:
            with pytest.raises(expected):
                await client.submit(MOBILE, CONTENT)


@pytest.mark.parametrize(("reaction", "expected"), FAILING)
async def test_pytest_httpx_takes_them(
    httpx_mock: HTTPXMock, reaction: Callable[[], Any], expected: type[Exception]
) -> None:
    """As a callback."""
    httpx_mock.add_callback(reaction())
    async with client_with() as client:
        with pytest.raises(expected):
            await client.submit(MOBILE, CONTENT)


@pytest.mark.parametrize(("reaction", "expected"), FAILING)
async def test_mock_transport_takes_them(
    reaction: Callable[[], Any], expected: type[Exception]
) -> None:
    """As its handler, on an injected client."""
    async with answering(reaction()) as client:
        with pytest.raises(expected):
            await client.submit(MOBILE, CONTENT)


async def test_an_acceptance_answers_every_operation() -> None:
    """Ids one after another, or the one that was told; a balance, a template, a deletion."""
    async with answering(accept()) as client:
        first = await client.submit(MOBILE, CONTENT)
        second = await client.submit("13911111111", CONTENT)
        assert int(second.voice_id) == int(first.voice_id) + 1
        assert first.msg == "提交成功"
        assert await client.balance() == 856
        assert (await client.add_template("您好，【变量】。")).template_id
        await client.delete_template("7")
    async with answering(accept("60495654")) as client:
        assert (await client.submit(MOBILE, CONTENT)).voice_id == "60495654"


async def test_a_rejection_has_the_vendors_text() -> None:
    """Of the operation, and of codes that only were seen."""
    async with answering(reject(4072)) as client:
        with pytest.raises(TemplateMismatch, match="必须与报备过的模板格式相匹配"):
            await client.submit(MOBILE, CONTENT)
    async with answering(reject(40501)) as client:
        with pytest.raises(VendorError, match="动态密码已过期"):
            await client.balance()


def test_an_acceptance_is_no_rejection() -> None:
    """It would come without an id, and be no reply of the vendor's."""
    with pytest.raises(ValueError, match=r"use accept\(\)"):
        reject(2)


async def test_what_asks_for_nothing_of_the_vendors_is_an_error_of_the_test() -> None:
    """Somebody mocked too much."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(accept())) as web:
        with pytest.raises(AssertionError, match="none of the vendor's operations"):
            await web.get("https://else.test/?a=1")
