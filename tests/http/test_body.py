"""The body that is taken once, and the request around it, as everybody reads them."""

import asyncio
import copy
import pickle
from typing import Any

import httpx
import httpx2
import pytest

from ihuyi_voice.http.body import OneRequest, kit_of
from ihuyi_voice.http.sent import Progress, ResendRefused, Sent
from ihuyi_voice.protocol.requests import WireRequest

URL = "http://vendor.test/voice.php?password=0123456789abcdef0123456789abcdef"


def made(name: str = "httpx", *, length: int = 3) -> OneRequest:
    """Return a request whose body tells by its number how often it was signed."""
    signed: list[int] = []

    def sign() -> bytes:
        signed.append(1)
        return b"n=%d" % len(signed)

    module: Any = {"httpx": httpx, "httpx2": httpx2}[name]
    kit, sent = kit_of(name), Sent()
    wire = WireRequest("POST", URL, "text/plain", length, sign)
    body = kit.body(wire, sent)
    return kit.request("POST", module.URL(URL), module.Headers(), body, {}, sent)


def far(sent: Sent) -> Progress:
    """Return how far it got, asked afresh."""
    return sent.progress


async def taken(request: OneRequest) -> bytes:
    """Take the body as a transport does."""
    return b"".join([part async for part in request.body])


@pytest.mark.parametrize("name", ["httpx", "httpx2"])
async def test_it_is_what_its_package_expects(name: str) -> None:
    """A request and a stream, both ways."""
    module: Any = {"httpx": httpx, "httpx2": httpx2}[name]
    request = made(name)
    assert isinstance(request, module.Request)
    assert isinstance(request.stream, module.AsyncByteStream)
    assert isinstance(request.stream, module.SyncByteStream)
    assert b"".join(iter(made(name).body)) == b"n=1"
    assert await taken(request) == b"n=1"


async def test_it_is_taken_once() -> None:
    """The second time is refused, in either way, and nothing is signed for it."""
    request = made()
    assert await taken(request) == b"n=1"
    for _ in range(2):
        with pytest.raises(ResendRefused, match="not sent again"):
            await taken(request)
        with pytest.raises(ResendRefused):
            b"".join(iter(request.body))
    assert await request.aread() == b"n=2"


async def test_to_iterate_is_not_to_take() -> None:
    """Some make the iterator long before they connect, aiohttp for one."""
    request = made()
    iterator = aiter(request.body)
    assert far(request.sent) is Progress.NO
    assert await anext(iterator) == b"n=1"
    assert far(request.sent) is Progress.MAYBE


async def test_to_read_is_not_to_take() -> None:
    """The same rendering comes each time, the stream stays, and the body is signed afresh."""
    request = made()
    stream = request.stream
    assert (await request.aread(), request.read(), request.content) == (b"n=1",) * 3
    assert request.stream is stream
    assert far(request.sent) is Progress.NO
    assert await taken(request) == b"n=2"


@pytest.mark.parametrize("name", ["httpx", "httpx2"])
def test_who_is_ready_to_stream_is_made_to(name: str) -> None:
    """httpx-aiohttp asks for the content first, and streams if it wasn't read."""
    module: Any = {"httpx": httpx, "httpx2": httpx2}[name]
    request = made(name)
    with pytest.raises(module.RequestNotRead):
        _content_or_stream(request, module)
    assert far(request.sent) is Progress.NO


def _content_or_stream(request: httpx.Request, module: Any) -> bytes:
    """Do as httpx-aiohttp does."""
    try:
        return request.content
    except module.RequestNotRead as exc:
        raise exc from None


def test_no_repr_or_pickle_shows_the_password() -> None:
    """Neither of the request, nor of its body, nor of what was sent."""
    request = made()
    request.read()
    for shown in (repr(request), repr(request.body), repr(request.sent), repr(request.stream)):
        assert "0123456789abcdef" not in shown
        assert "n=1" not in shown
    for copied in (pickle.dumps(httpx_part(request)), repr(vars(copy.copy(request))).encode()):
        assert b"0123456789abcdef" not in copied
        assert b"n=1" not in copied


def httpx_part(request: OneRequest) -> dict[str, Any]:
    """Return what a pickle keeps of a request."""
    return request.__getstate__()


async def test_a_trace_is_believed_before_the_body() -> None:
    """Taken before it told anything, as by a wrapper that copies: NO until it begins."""
    request = made()
    await taken(request)
    assert far(request.sent) is Progress.MAYBE
    await request.sent.trace("connection.connect_tcp.started", {})
    assert far(request.sent) is Progress.NO
    await request.sent.trace("http11.send_request_headers.started", {"request": request})
    assert far(request.sent) is Progress.YES
    with pytest.raises(ResendRefused):
        await request.sent.trace("http2.send_request_headers.started", {"request": request})


async def test_a_proxys_connect_is_no_beginning() -> None:
    """It is a request of its own."""
    sent = Sent()
    connect = httpx.Request("CONNECT", "http://proxy.test/")
    for _ in range(2):
        await sent.trace("http11.send_request_headers.started", {"request": connect})
    assert far(sent) is Progress.NO


async def test_without_a_body_to_take_only_the_hand_over_tells() -> None:
    """Of a GET over a transport that tells nothing."""
    sent = Sent(bodyless=True)
    assert not sent.may_have_arrived
    sent.handed = True
    assert sent.may_have_arrived


async def test_two_that_take_at_once_are_one_and_a_refusal() -> None:
    """Whoever comes first has it."""
    request = made()
    results = await asyncio.gather(taken(request), taken(request), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["ResendRefused", "bytes"]
