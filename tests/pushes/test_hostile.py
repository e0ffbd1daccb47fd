"""Whatever arrives on a real socket: the right status or a closed connection, and no crash."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ihuyi_voice.pushes import Inbox, PushReceiver
from ihuyi_voice.pushes.receiver import MAX_BODY
from tests.pushes.servers import serving
from tests.pushes.support import FORM, report_form

TOKEN = "s3cret"
SUCCESS = b"\r\n\r\nsuccess"


@attrs.frozen
class Target:
    """A receiver on a real socket, and its inbox."""

    port: int
    inbox: Inbox

    async def send(self, *parts: bytes, hang_up: bool = False) -> bytes:
        """Send bytes on a connection of their own; return all that comes back until it closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            with suppress(ConnectionError):
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                if hang_up:
                    writer.write_eof()
                return await reader.read()
            return b""
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def works(self, voice_id: str = "1") -> None:
        """Check that a good push is still taken, tried again if the disk was slow, as ever."""
        answer = await self.send(request(report_form(voice_id)))
        while status(answer) == 503:
            answer = await self.send(request(report_form(voice_id)))
        assert answer.endswith(SUCCESS)
        assert (await self.inbox.report_of(voice_id, timeout=0)).voice_id == voice_id


def request(
    body: bytes = b"", *headers: str, start: str = f"POST /{TOKEN} HTTP/1.1", kind: str = FORM
) -> bytes:
    """Return a request, the last one of its connection."""
    lines = [start, "Host: x", "Connection: close", f"Content-Type: {kind}", *headers]
    if not any(header.startswith(("Transfer-Encoding", "Content-Length")) for header in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def status(answer: bytes) -> int:
    """Return the status of an answer."""
    return int(answer.split(b" ")[1])


@pytest.fixture(params=["h11", "httptools"])
async def target(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Target]:
    """Serve a receiver behind one of uvicorn's parsers; bodies, and storing, may take a second."""
    inbox = Inbox.open(tmp_path / "pushes.sqlite3")
    receiver = PushReceiver(inbox, token=TOKEN, timeout=1.0)
    async with serving(receiver, http=request.param, timeout_keep_alive=1) as address:
        yield Target(int(address.rpartition(":")[2]), inbox)


GOOD = report_form("7")
CHUNKED = "Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (request(GOOD, start="GET /s3cret HTTP/1.1"), 405),
        (request(GOOD, start="PUT /s3cret HTTP/1.1"), 405),
        (request(GOOD, start="DELETE /s3cret HTTP/1.1"), 405),
        (request(GOOD, start="POST / HTTP/1.1"), 404),
        (request(GOOD, start="POST /S3cret HTTP/1.1"), 404),
        (request(GOOD, start="POST /s3cret%00 HTTP/1.1"), 404),
        (request(GOOD, start="POST /%E6%88%90/%ff HTTP/1.1"), 404),
        (request(GOOD, start="POST /s3cre?token=s3cret HTTP/1.1"), 404),
        (request(GOOD, kind="application/json"), 415),
        (request(GOOD, kind="text/plain"), 415),
        (request(GOOD, kind="multipart/form-data; boundary=x"), 415),
        (request(b""), 422),
        (request(b"\x00\xff" * 100), 422),
        (request(b"success"), 422),
        (request(b'{"voiceid":"7","code":2}'), 422),
        (request(b"&" * 5000), 422),
        (request(b"a=1&" * 5000), 422),
        (request(GOOD + b"&code=0"), 422),
        (request(GOOD + b"&x=" + b"1" * MAX_BODY), 413),
        (request(GOOD, "Content-Length: 65537"), 413),
        (request(GOOD, "Content-Length: 99999999999"), 413),
        (request(b"ffff\r\n" + b"1" * 0xFFFF + b"\r\n2\r\n11\r\n0\r\n\r\n", CHUNKED), 413),
        (request(b"2\r\nab\r\n0\r\n\r\n", CHUNKED), 422),
        (request(GOOD[:10], f"Content-Length: {len(GOOD)}"), 408),
        (request(b"5\r\nvoice\r\n", CHUNKED), 408),
    ],
)
async def test_each_fault_has_its_status(target: Target, sent: bytes, expected: int) -> None:
    """Nothing is stored, `success` is not said, and the receiver goes on."""
    answer = await target.send(sent)
    assert status(answer) == expected
    assert SUCCESS not in answer
    with pytest.raises(TimeoutError):
        await target.inbox.report_of("7", timeout=0)
    await target.works()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n" * 100 + b"garbage",
        b"POST\r\n\r\n",
        b"POST /s3cret HTTP/9.9\r\n\r\n",
        request(GOOD, "Content-Length: -1"),
        request(GOOD, "Content-Length: 1x"),
        request(b"zz\r\n", CHUNKED),
        request(GOOD, "X: " + "a" * 200_000),
        b"POST /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_is_no_http_gets_no_success(target: Target, sent: bytes) -> None:
    """An error of the server's, or a closed connection; the receiver goes on."""
    answer = await target.send(sent, hang_up=True)
    assert SUCCESS not in answer
    assert not answer or 400 <= status(answer) < 500
    await target.works()


async def test_a_body_that_drips_is_cut_off(target: Target) -> None:
    """The time is that of the whole body, not of each byte."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    writer.write(request(b"", f"Content-Length: {len(GOOD)}"))

    async def drip() -> None:
        with suppress(ConnectionError):
            for byte in GOOD:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.02)  # the sender's slowness is what is tested

    dripping = asyncio.create_task(drip())
    answer = await reader.readuntil(b"\r\n\r\n")  # a reset may follow, for what still drips
    dripping.cancel()
    await asyncio.gather(dripping, return_exceptions=True)
    writer.close()
    assert status(answer) == 408
    await target.works()


async def test_hanging_up_in_the_middle_stores_nothing(target: Target) -> None:
    """At any byte of the request; the whole request is stored."""
    whole = request(GOOD)
    for cut in random.Random(3).sample(range(len(whole)), 40):
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        writer.write(whole[:cut])
        await writer.drain()
        writer.transport.abort()
        assert SUCCESS not in await reader.read()
    with pytest.raises(TimeoutError):
        await target.inbox.report_of("7", timeout=0)
    await target.works("7")


async def test_pipelined_pushes_are_answered_one_by_one(target: Target) -> None:
    """In their order, bad ones among them; a refusal closes the connection behind it."""
    keep = request(GOOD).replace(b"Connection: close\r\n", b"")
    answer = await target.send(keep + keep + request(report_form("8")))
    assert answer.count(SUCCESS) == 3
    bad = request(b"bad").replace(b"Connection: close\r\n", b"")
    answer = await target.send(keep + bad + request(report_form("9")))
    assert [int(each[:3]) for each in answer.split(b"HTTP/1.1 ")[1:]] == [200, 422]
    await target.works()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=200) | st.just(GOOD),
    kind=st.sampled_from([FORM, f"{FORM}; charset=gbk", "text/plain", "", "\x01"]),
    path=st.sampled_from([f"/{TOKEN}", "/", f"/x/{TOKEN}/", f"/{TOKEN}x", "/%2e%2e", "/é"]),
    method=st.sampled_from(["POST", "GET", "OPTIONS", "PATCH"]),
)
async def test_success_is_said_for_stored_pushes_only(
    body: bytes, kind: str, path: str, method: str
) -> None:
    """Over random bodies, types, paths and methods; every other answer is a documented one."""
    receiver, stored = PushReceiver(_Memory(), token=TOKEN), _Memory.stored  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - a double
    stored.clear()
    sent: list[dict[str, object]] = []
    events: list[dict[str, object]] = [{"type": "http.request", "body": body}]

    async def receive() -> dict[str, object]:
        return events.pop()

    async def send(event: dict[str, object]) -> None:
        sent.append(event)

    headers = [(b"content-type", kind.encode())] if kind else []
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "client": None}
    await receiver(scope, receive, send)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - events as they are
    assert sent[0]["status"] in {200, 404, 405, 415, 422}
    assert (sent[0]["status"] == 200) == (sent[1]["body"] == b"success") == bool(stored)


class _Memory:
    """An inbox that only remembers."""

    stored: list[object] = []  # noqa: RUF012 - one for all, emptied by each example
    is_open = True

    def handle(self, **_: object) -> None:
        """Take no handlers."""

    async def put(self, push: object) -> None:
        """Remember a push."""
        self.stored.append(push)
