"""Every form of request that real clients send, over a real socket, built by hand."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import md5
from urllib.parse import quote, urlsplit

import pytest

from ihuyi_voice.simulator import Simulator

CONTENT = "您的订单号是：9633"
FORM = f"account=VM00000000&password=simulator-key&mobile=13900000000&content={quote(CONTENT)}"
RAW_FORM = f"account=VM00000000&password=simulator-key&mobile=13900000000&content={CONTENT}"
TARGET = "/webservice/voice.php"
URLENCODED = "Content-Type: application/x-www-form-urlencoded"


@pytest.fixture
async def simulator() -> Simulator:
    """A vendor that takes any content."""
    return Simulator(limits=())


@pytest.fixture
async def url(simulator: Simulator) -> AsyncIterator[str]:
    """Its address."""
    async with simulator.serve() as address:
        yield address


async def exchange(url: str, request: bytes) -> tuple[bytes, bytes]:
    """Send raw bytes and return head and body of the reply."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
    body = await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()
    return head, body


def post(target: str, body: bytes, *headers: str, version: str = "1.1") -> bytes:
    """Return a POST request."""
    lines = [f"POST {target} HTTP/{version}", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def get(target: str) -> bytes:
    """Return a GET request."""
    return f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


MULTIPART = "\r\n".join(
    f'--xyz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'
    for name, value in (
        ("account", "VM00000000"),
        ("password", "simulator-key"),
        ("mobile", "13900000000"),
        ("content", CONTENT),
    )
) + "\r\n--xyz--\r\n"  # fmt: skip

CHUNKED = (
    f"POST {TARGET}?method=Submit HTTP/1.1\r\nHost: x\r\n{URLENCODED}\r\n"
    f"Transfer-Encoding: chunked\r\n\r\n"
    f"{10:x}\r\n{FORM[:10]}\r\n{len(FORM) - 10:x}\r\n{FORM[10:]}\r\n0\r\n\r\n"
).encode()

FORMS = {
    "method in the query, the rest in the form": post(
        f"{TARGET}?method=Submit", FORM.encode(), URLENCODED
    ),
    "everything in the form": post(TARGET, f"method=Submit&{FORM}".encode(), URLENCODED),
    "GET with everything in the query": get(f"{TARGET}?method=Submit&{FORM}"),
    "POST with everything in the query": post(f"{TARGET}?method=Submit&{FORM}", b""),
    "the same with a form's type": post(f"{TARGET}?method=Submit&{FORM}", b"", URLENCODED),
    "multipart": post(
        f"{TARGET}?method=Submit",
        MULTIPART.encode(),
        "Content-Type: multipart/form-data; boundary=xyz",
    ),
    "chunked": CHUNKED,
    "HTTP/1.0": post(f"{TARGET}?method=Submit", FORM.encode(), URLENCODED, version="1.0"),
    "a charset": post(
        f"{TARGET}?method=Submit", FORM.encode(), f"{URLENCODED}; charset=utf-8"
    ),
    "another parameter": post(
        f"{TARGET}?method=Submit", FORM.encode(), f"{URLENCODED}; param=value"
    ),
    "raw UTF-8 in the body": post(f"{TARGET}?method=Submit", RAW_FORM.encode(), URLENCODED),
    "raw UTF-8 in the URL": get(f"{TARGET}?method=Submit&{RAW_FORM}"),
    "a Host that is a whole URL": get(f"{TARGET}?method=Submit&{FORM}").replace(
        b"Host: x", b"Host: http://api.vm.ihuyi.com/webservice/voice.php"
    ),
    "unknown parameters": get(f"{TARGET}?method=Submit&{FORM}&rd=1&sign=x&md5=y"),
    "a plain key with time": get(f"{TARGET}?method=Submit&{FORM}&time=1451544941"),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
async def test_a_request_is_understood(simulator: Simulator, url: str, form: str) -> None:
    """Each form observed in the wild is accepted, with its content whole."""
    head, body = await exchange(url, FORMS[form])
    assert b" 200 " in head.splitlines()[0]
    assert b"<code>2</code>" in body
    assert simulator.rung() == {("13900000000", CONTENT): 1}


async def test_format_may_stand_in_the_query_or_in_the_form(url: str) -> None:
    """JSON is flat, raw UTF-8, with an int code and a text id."""
    for request in (
        post(f"{TARGET}?method=Submit&format=json", FORM.encode(), URLENCODED),
        post(f"{TARGET}?method=Submit", f"{FORM}&format=json".encode(), URLENCODED),
    ):
        head, body = await exchange(url, request)
        assert body.startswith('{"code":2,"msg":"提交成功","voiceid":"'.encode())
        assert b"application/json" in head


async def test_an_unknown_content_type_has_no_fields(url: str) -> None:
    """401, in XML, even when JSON was asked for in the body."""
    body = f"{FORM}&format=json".encode()
    _, reply = await exchange(
        url, post(f"{TARGET}?method=Submit", body, "Content-Type: text/plain")
    )
    assert "<code>401</code>\n<msg>帐号不能为空</msg>" in reply.decode()


async def test_a_signed_password_is_the_documents_formula(simulator: Simulator, url: str) -> None:
    """Account, key, mobile, content, time for Submit; account, key, time for all else."""
    time = "1451544941"
    who = f"account=VM00000000&time={time}"
    submit = f"VM00000000simulator-key13900000000{CONTENT}{time}"
    other = f"VM00000000simulator-key{time}"
    digest = {text: md5(text.encode()).hexdigest() for text in (submit, other)}  # noqa: S324
    said = f"mobile=13900000000&content={quote(CONTENT)}"
    asked = {
        f"method=Submit&{who}&{said}&password={digest[submit]}": b"<code>2</code>",
        f"method=Submit&{who}&{said}&password={digest[other]}": b"<code>405</code>",
        f"method=GetNum&{who}&password={digest[other].upper()}": b"<code>2</code>",
        f"method=AddTemplate&{who}&content=a&password={digest[other]}": b"<code>2</code>",
        f"method=GetNum&account=VM00000000&password={digest[other]}": b"<code>405</code>",
    }
    for query, expected in asked.items():
        _, body = await exchange(url, get(f"{TARGET}?{query}"))
        assert expected in body, query
    assert simulator.codes == {2: 3, 405: 2}


async def test_an_unknown_method_is_no_operation(url: str) -> None:
    """404, and nothing is recorded."""
    head, _ = await exchange(url, get(f"{TARGET}?method=Nothing"))
    assert b" 404 " in head.splitlines()[0]


async def test_too_many_fields_are_none(url: str) -> None:
    """A flood of parameters can't keep the simulator busy."""
    fields = "&".join(f"x{n}=1" for n in range(200))
    _, body = await exchange(url, post(f"{TARGET}?method=Submit", fields.encode(), URLENCODED))
    assert b"<code>401</code>" in body
