"""Key, dynamic password and whole numbers appear nowhere: not in logs, reprs, errors or reports."""

import logging
import re
import traceback
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any
from urllib.parse import unquote

import httpx
import httpx2
import pytest
from httpx_aiohttp import AiohttpTransport

from ihuyi_voice import Message, Submission, VoiceClient, VoiceError
from ihuyi_voice.common.redaction import Redactor, mask_mobile, mask_numbers
from ihuyi_voice.simulator import Fault, Simulator
from tests.http.servers import counting, hang_up
from tests.support.vendor import BASE_URL, CONTENT, MOBILE, ONCE, answering

KEY = "1q784322ba1d9bb88d50cf5cdfd89k7d"
DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


def assert_clean(text: str) -> None:
    """Fail if there is a key, a dynamic password or a whole number in a text."""
    assert KEY not in text
    assert not DIGEST.search(text)
    assert MOBILE not in text


@asynccontextmanager
async def _injected(way: str) -> AsyncGenerator[Any]:
    """Yield a client to inject, of httpx or of its fork; None for ours."""
    clients: dict[str, Callable[[], Any]] = {
        "pool": nullcontext,
        "httpx": httpx.AsyncClient,
        "httpx2": httpx2.AsyncClient,
        "aiohttp": lambda: httpx.AsyncClient(transport=AiohttpTransport()),
    }
    async with clients[way]() as http_client:
        yield http_client


@pytest.mark.parametrize("auth", ["signed", "plain"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("way", ["pool", "httpx", "httpx2"])
async def test_no_log_line_shows_a_secret_or_a_number(
    caplog: pytest.LogCaptureFixture, auth: Any, method: Any, way: str
) -> None:
    """Everything at DEBUG, the lines of httpx and httpcore included, in success and failure."""
    caplog.set_level(logging.DEBUG)
    simulator = Simulator(api_key=KEY)
    async with simulator.serve() as url, _injected(way) as http_client:
        options: dict[str, Any] = {"base_url": url, "auth": auth, "method": method}
        options |= {"guard": None, "retry": ONCE}
        options["http_client"] = http_client
        async with VoiceClient(simulator.account, KEY, **options) as client:
            await client.submit(MOBILE, CONTENT)
            await client.balance()
            for kind in ("status", "truncated", "disconnect_after", "code"):
                simulator.add_fault(Fault(kind, times=1))
                with pytest.raises(VoiceError) as caught:
                    await client.submit(MOBILE, CONTENT)
                assert_clean("".join(traceback.format_exception(caught.value)))
                simulator.clear_faults()
                simulator.vendor.limits = ()
    assert any(record.name == "ihuyi_voice" for record in caplog.records)
    assert_clean(caplog.text)
    assert "HTTP Request: " in caplog.text


async def test_other_requests_of_an_injected_client_are_logged_as_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Only ours lose their query."""
    caplog.set_level(logging.INFO)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=b'{"code":2,"num":"1"}'))
    async with httpx.AsyncClient(transport=transport) as http_client:
        url = "http://vendor.test/voice.php"
        client = VoiceClient("a", KEY, base_url=url, http_client=http_client, method="GET")
        await client.balance()
        await http_client.get("http://else.test/?page=2")
    assert "voice.php?[redacted]" in caplog.text
    assert "http://else.test/?page=2" in caplog.text


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("way", ["pool", "httpx", "httpx2", "aiohttp"])
async def test_no_error_keeps_a_secret_among_its_evidence(method: Any, way: str) -> None:
    """Neither its text, nor its notes, nor a request that hangs on it or on one of its causes."""
    async with counting(hang_up) as vendor, _injected(way) as http_client:
        for url in (vendor.url, "http://127.0.0.1:9/voice.php"):
            options: dict[str, Any] = {"base_url": url, "method": method, "auth": "plain"}
            options |= {"http_client": http_client, "retry": ONCE, "guard": None}
            async with VoiceClient("a", KEY, **options) as client:
                with pytest.raises(VoiceError) as caught:
                    await client.submit(MOBILE, CONTENT)
            for error in _chain(caught.value):
                assert_clean(f"{error!r} {error} {vars(error)}")
                request = getattr(error, "_request", None)
                if request is not None:
                    assert_clean(f"{request.url} {request.read()!r} {request.extensions}")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("auth", ["plain", "signed"])
@pytest.mark.parametrize("kind", [OSError, ValueError, httpx.ConnectError])
async def test_no_cause_that_names_the_request_shows_it(method: Any, auth: Any, kind: Any) -> None:
    """As aiohttp's do, where TLS doesn't come about in time."""

    class Telling(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            content = await request.aread()
            cause = RuntimeError(f"for {request.url}")
            cause.add_note(f"and {content!r}")
            raise kind(f"could not send {request.url} with {content!r}") from cause

    key = f"{KEY}-" if auth == "plain" else KEY  # which is escaped in a URL
    async with httpx.AsyncClient(transport=Telling()) as http_client:
        options: dict[str, Any] = {"method": method, "auth": auth, "retry": ONCE}
        client = VoiceClient("a", key, base_url=BASE_URL, http_client=http_client, **options)
        with pytest.raises(VoiceError) as caught:
            await client.submit(MOBILE, CONTENT)
    shown = "".join(traceback.format_exception(caught.value))
    assert_clean(shown)
    assert_clean(unquote(shown))


async def test_what_the_vendor_echoes_is_redacted() -> None:
    """A 405 of an older host showed the credentials that it was sent."""
    echo = f"account=test&password={KEY.upper()}&mobile={MOBILE}&md5={'0a' * 16}"
    body = f'{{"code":405,"msg":"{echo}"}}'.encode()
    options: dict[str, Any] = {"retry": ONCE}
    headers = {"X-Echo": KEY, "Set-Cookie": "session=1"}
    reply = httpx.Response(200, content=body, headers=headers)
    transport = httpx.MockTransport(lambda _: reply)
    async with httpx.AsyncClient(transport=transport) as http_client:
        url = "http://vendor.test/voice.php"
        client = VoiceClient("test", KEY, base_url=url, http_client=http_client, **options)
        with pytest.raises(VoiceError) as caught:
            await client.submit(MOBILE, CONTENT)
    error = caught.value
    assert error.raw is not None
    for text in (str(error), repr(error), error.raw.body, error.raw.excerpt, repr(error.raw)):
        assert_clean(text)
        assert KEY.upper() not in text
    assert error.raw.headers["x-echo"] == "[redacted]"
    assert "set-cookie" not in error.raw.headers


async def test_reprs_show_nothing() -> None:
    """Of the client, of messages, submissions and simulators."""
    async with answering(lambda _: httpx.Response(200)) as client:
        assert_clean(repr(client))
    assert_clean(repr(VoiceClient("a", KEY)))
    assert_clean(repr(Simulator(api_key=KEY).vendor))
    assert_clean(repr(Message(MOBILE, f"call {MOBILE}")))
    assert_clean(repr(Submission("1", MOBILE, "ok")))


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (MOBILE, "139****0000"),
        ("02151000029", "021****0029"),
        ("075526000000", "075****0000"),
        ("12345678", "123****78"),
        ("12", "12****"),
        ("", "****"),
    ],
)
def test_numbers_are_masked_in_the_middle(number: str, shown: str) -> None:
    """As the vendor's own document masks them."""
    assert mask_mobile(number) == shown


def test_numbers_are_found_in_texts_and_ids_are_not() -> None:
    """With or without the country code; a voice id of 20 digits stays whole."""
    text = "13900000000, +8613900000000, 02151000029, id 16842079209571524017"
    masked = "139****0000, +86139****0000, 02151****29, id 16842079209571524017"
    assert mask_numbers(text) == masked


def test_a_redactor_shows_no_secret_of_its_own() -> None:
    """Its repr is empty, and without a secret it still takes digests out."""
    assert KEY not in repr(Redactor(KEY))
    assert Redactor()("a" * 32) == "[redacted]"
