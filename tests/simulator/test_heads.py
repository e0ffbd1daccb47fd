"""Heads of requests that no parser would take, and nginx does, cut and joined in every way."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice.simulator import Simulator
from ihuyi_voice.simulator.server import (
    _mended,  # pyright: ignore[reportPrivateUsage] - what is done to each head
    _Protocol,  # pyright: ignore[reportPrivateUsage] - where segments come in
)
from tests.simulator.conftest import (
    FORM,
    RAW_FORM,
    SUBMIT,
    TARGET,
    URLENCODED,
    dial,
    exchange,
    get,
    post,
)
from tests.support.sockets import until

BALANCE = f"{TARGET}?method=GetNum&account=VM00000000&password=simulator-key"


def with_lf(request: bytes) -> bytes:
    """Return a request without a body whose lines end in a bare LF."""
    return request.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("ends", [with_lf, bytes], ids=["LF", "CR LF"])
async def test_requests_that_arrive_together_are_answered_in_turn(
    simulator: Simulator, url: str, ends: Callable[[bytes], bytes]
) -> None:
    """Each head is looked at by itself."""
    line = await dial(url)
    one, other = ends(get(f"{SUBMIT}&{RAW_FORM}")), ends(get(BALANCE))
    replies = [await line.exchange(one + other + one), *[await line.exchange(b"")] * 2]
    assert all("<code>2</code>" in reply.text for reply in replies)
    await until(lambda: len(simulator.arrivals) == 3)
    assert [arrival.operation for arrival in simulator.arrivals] == ["Submit", "GetNum", "Submit"]
    await line.close()


async def test_a_body_that_looks_like_a_head_is_a_body(simulator: Simulator, url: str) -> None:
    """Its lines stay as they are, in whichever segment they come."""
    text = "a\nb\n\nc\r\n\r\nGET / HTTP/1.1\n\n"
    request = post(f"{SUBMIT}&{FORM}", f"content={text}".encode(), URLENCODED)
    head, _, body = request.partition(b"\r\n\r\n")
    line = await dial(url)
    assert "<code>2</code>" in (await line.exchange(request)).text
    line.writer.write(with_lf(head) + b"\n\n")
    await line.writer.drain()
    assert "<code>2</code>" in (await line.exchange(body)).text
    assert [arrival.content for arrival in simulator.arrivals] == [text, text]
    await line.close()


@pytest.mark.parametrize("before", [b"\r\n", b"\n", b"\r\n\n\r\n"])
async def test_empty_lines_before_a_request_are_passed_over(url: str, before: bytes) -> None:
    """Some clients send one behind a body."""
    assert "<code>2</code>" in (await exchange(url, before + with_lf(get(BALANCE)))).text


@pytest.mark.parametrize("length", [60_000, 70_000, 300_000])
async def test_a_long_head_is_read(url: str, length: int) -> None:
    """However many segments it takes; beyond 64 KiB it must be what parsers demand."""
    request = get(BALANCE).replace(b"Host", b"X: " + b"x" * length + b"\r\nHost")
    assert "<code>2</code>" in (await exchange(url, request)).text


async def test_too_long_a_head_with_lf_is_refused(simulator: Simulator, url: str) -> None:
    """Rather than kept for ever; a reset may overtake the 400."""
    request = with_lf(get(BALANCE).replace(b"Host", b"X: " + b"x" * 300_000 + b"\r\nHost"))
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        assert (await exchange(url, request)).status == 400
    assert not simulator.arrivals
    assert "<code>2</code>" in (await exchange(url, get(BALANCE))).text


@pytest.mark.parametrize("nonsense", [b"nonsense\n\n", b"GET / HTTP/9\n\n", b"\x16\x03\x01\n\n"])
async def test_what_is_no_request_is_answered_400(url: str, nonsense: bytes) -> None:
    """And the connection is closed, with what else is on it."""
    line = await dial(url)
    assert (await line.exchange(nonsense + get(BALANCE))).status == 400
    assert await line.reader.read() == b""
    await line.close()


async def test_a_connection_with_half_a_head_is_not_idle(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow clients aren't hung up on after the few seconds that an idle one gets."""
    timers: list[object] = []
    whole = _Protocol.data_received

    def watched(self: _Protocol, data: bytes) -> None:
        timers.append(self.timeout_keep_alive_task)
        whole(self, data)
        timers.append(self.timeout_keep_alive_task)

    line = await dial(url)
    await line.exchange(get(BALANCE))
    monkeypatch.setattr(_Protocol, "data_received", watched)
    line.writer.write(get(BALANCE)[:20])
    await until(lambda: timers)
    assert timers[0] is not None
    assert timers[1] is None
    assert "<code>2</code>" in (await line.exchange(get(BALANCE)[20:])).text
    await line.close()


@given(lines=st.lists(st.text("ab:中 é", min_size=1), min_size=1), data=st.data())
def test_a_mended_head_has_the_same_lines(lines: list[str], data: st.DataObject) -> None:
    """Each ends in CR LF, whatever it ended in; the first is ASCII, the others are as they came."""
    ends = [data.draw(st.sampled_from(["\n", "\r\n"])) for _ in lines]
    head = "".join(line + end for line, end in zip(lines, ends, strict=True)).encode()
    mended = _mended(head).split(b"\r\n")
    assert mended[1:] == [line.encode() for line in lines[1:]] + [b""]
    assert mended[0].isascii()
    assert unquote_to_bytes(mended[0]) == lines[0].encode()
