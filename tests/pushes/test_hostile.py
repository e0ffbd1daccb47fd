"""Whatever arrives on a real socket: the right status or a closed connection, and no crash."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import suppress

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ihuyi_voice.pushes.receiver import MAX_BODY
from tests.pushes.doubles import MemoryInbox, before
from tests.pushes.servers import serving
from tests.pushes.support import FORM, report_form
from tests.support.long import few_or_many

pytestmark = pytest.mark.long

TOKEN = "s3cret"
SUCCESS = b"\r\n\r\nsuccess"


@attrs.frozen
class Target:
    """A receiver on a real socket, and its inbox."""

    port: int
    inbox: MemoryInbox

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
        """Check that a good push is still taken."""
        answer = await self.send(request(report_form(voice_id)))
        assert answer.endswith(SUCCESS)
        assert self.inbox.stored.pop().subject == voice_id


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
async def target(request: pytest.FixtureRequest) -> AsyncGenerator[Target]:
    """Serve a receiver behind one of uvicorn's parsers; bodies may take a second."""
    inbox = MemoryInbox()
    receiver = before(inbox, token=TOKEN, timeout=1.0)
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
        (request(GOOD + b"&x=" + b"1" * MAX_BODY), 413),
        (request(GOOD, "Content-Length: 65537"), 413),
        (request(GOOD, "Content-Length: 99999999999"), 413),
        (request(b"ffff\r\n" + b"1" * 0xFFFF + b"\r\n2\r\n11\r\n0\r\n\r\n", CHUNKED), 413),
        (request(GOOD[:10], f"Content-Length: {len(GOOD)}"), 408),
        (request(b"5\r\nvoice\r\n", CHUNKED), 408),
    ],
)
async def test_each_fault_has_its_status(target: Target, sent: bytes, expected: int) -> None:
    """Nothing is stored, `success` is not said, and the receiver goes on."""
    answer = await target.send(sent)
    assert status(answer) == expected
    assert SUCCESS not in answer
    assert not target.inbox.stored
    await target.works()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n" * 100 + b"garbage",
        b"POST\r\n\r\n",
        b"POST /wrong HTTP/9.9\r\n\r\n",
        request(GOOD, "Content-Length: -1"),
        request(GOOD, "Content-Length: 1x"),
        request(b"zz\r\n", CHUNKED),
        request(GOOD, "X: " + "a" * 200_000, start="POST /wrong HTTP/1.1"),
        b"POST /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_is_no_http_gets_no_success(target: Target, sent: bytes) -> None:
    """An error of the server's, or a closed connection; the receiver goes on."""
    answer = await target.send(sent, hang_up=True)
    assert SUCCESS not in answer
    assert not answer or 400 <= status(answer) < 500
    await target.works()


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (request(GOOD, kind="application/json"), True),
        (request(GOOD, kind="text/plain"), True),
        (request(GOOD, kind="multipart/form-data; boundary=x"), True),
        (request(b'{"voiceid":"7","code":2}'), True),
        (request(b"", start="POST /s3cret?voiceid=7&code=2 HTTP/1.1"), True),
        (request(b""), False),
        (request(b"\x00\xff" * 100), False),
        (request(b"success"), False),
        (request(b"&" * 5000), False),
        (request(b"a=1&" * 5000), False),
        (request(GOOD + b"&code=0"), False),
        (request(b"2\r\nab\r\n0\r\n\r\n", CHUNKED), False),
    ],
)
async def test_what_is_odd_is_stored_or_kept(target: Target, sent: bytes, stored: bool) -> None:  # noqa: FBT001 - a parameter
    """And answered `success`, for it is not lost."""
    assert (await target.send(sent)).endswith(SUCCESS)
    assert (len(target.inbox.stored), len(target.inbox.kept)) == (stored, not stored)
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
    assert not target.inbox.stored
    await target.works("7")


async def test_pipelined_pushes_are_answered_one_by_one(target: Target) -> None:
    """In their order, bad ones among them; a refusal closes the connection behind it."""
    keep = request(GOOD).replace(b"Connection: close\r\n", b"")
    answer = await target.send(keep + keep + request(report_form("8")))
    assert answer.count(SUCCESS) == 3
    bad = request(b"bad", start="PUT /s3cret HTTP/1.1").replace(b"Connection: close\r\n", b"")
    answer = await target.send(keep + bad + request(report_form("9")))
    assert [int(each[:3]) for each in answer.split(b"HTTP/1.1 ")[1:]] == [200, 405]
    await target.works()


@settings(
    max_examples=few_or_many(25, 150), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
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
    inbox = MemoryInbox()
    receiver = before(inbox, token=TOKEN)
    sent: list[dict[str, object]] = []
    events: list[dict[str, object]] = [{"type": "http.request", "body": body}]

    async def receive() -> dict[str, object]:
        return events.pop()

    async def send(event: dict[str, object]) -> None:
        sent.append(event)

    headers = [(b"content-type", kind.encode())] if kind else []
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "client": None}
    await receiver(scope, receive, send)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - events as they are
    assert sent[0]["status"] in {200, 404, 405}
    taken = inbox.stored or inbox.kept
    assert (sent[0]["status"] == 200) == (sent[1]["body"] == b"success") == bool(taken)
