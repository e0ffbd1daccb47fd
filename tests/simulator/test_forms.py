"""Every form of request that real clients send, over a real socket, built by hand."""

import asyncio
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice.simulator import Simulator
from ihuyi_voice.simulator.http import read_form
from ihuyi_voice.simulator.server import (
    _Protocol,  # pyright: ignore[reportPrivateUsage] - where segments come in
)
from tests.simulator.conftest import (
    CONTENT,
    FORM,
    MOBILE,
    RAW_FORM,
    SUBMIT,
    TARGET,
    URLENCODED,
    dial,
    exchange,
    get,
    post,
)

MULTIPART = "\r\n".join(
    f'--xyz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'
    for name, value in (
        ("account", "VM00000000"),
        ("password", "simulator-key"),
        ("mobile", MOBILE),
        ("content", CONTENT),
    )
) + "\r\n--xyz--\r\n"  # fmt: skip

CHUNKED = (
    f"POST {SUBMIT} HTTP/1.1\r\nHost: x\r\n{URLENCODED}\r\n"
    f"Transfer-Encoding: chunked\r\n\r\n"
    f"{10:x}\r\n{FORM[:10]}\r\n{len(FORM) - 10:x}\r\n{FORM[10:]}\r\n0\r\n\r\n"
).encode()

GBK_FORM = quote(RAW_FORM.encode("gbk"), safe="=&").encode()


def with_lf(request: bytes) -> bytes:
    """Return a request whose head's lines end in a bare LF, as the kit's C program has it."""
    head, _, body = request.partition(b"\r\n\r\n")
    return head.replace(b"\r\n", b"\n") + b"\n\n" + body


FORMS = {
    "method in the query, the rest in the form": post(
        SUBMIT, FORM.encode(), URLENCODED
    ),
    "everything in the form": post(TARGET, f"method=Submit&{FORM}".encode(), URLENCODED),
    "GET with everything in the query": get(f"{SUBMIT}&{FORM}"),
    "POST with everything in the query": post(f"{SUBMIT}&{FORM}", b""),
    "the same with a form's type": post(f"{SUBMIT}&{FORM}", b"", URLENCODED),
    "multipart": post(
        SUBMIT,
        MULTIPART.encode(),
        "Content-Type: multipart/form-data; boundary=xyz",
    ),
    "chunked": CHUNKED,
    "HTTP/1.0": post(SUBMIT, FORM.encode(), URLENCODED, version="1.0"),
    "a charset": post(
        SUBMIT, FORM.encode(), f"{URLENCODED}; charset=utf-8"
    ),
    "another parameter": post(
        SUBMIT, FORM.encode(), f"{URLENCODED}; param=value"
    ),
    "raw UTF-8 in the body": post(SUBMIT, RAW_FORM.encode(), URLENCODED),
    "raw UTF-8 in the URL": get(f"{SUBMIT}&{RAW_FORM}"),
    "a Host that is a whole URL": get(f"{SUBMIT}&{FORM}").replace(
        b"Host: x", b"Host: http://api.vm.ihuyi.com/webservice/voice.php"
    ),
    "unknown parameters": get(f"{SUBMIT}&{FORM}&rd=1&sign=x&md5=y"),
    "a plain key with time": get(f"{SUBMIT}&{FORM}&time=1451544941"),
    "a comma behind the type": post(SUBMIT, FORM.encode(), f"{URLENCODED}, charset=utf-8"),
    "a blank behind the type": post(SUBMIT, FORM.encode(), f"{URLENCODED} charset=utf-8"),
    "a type in capitals": post(SUBMIT, FORM.encode(), URLENCODED.upper()),
    "a query beside a body of JSON": post(
        f"{SUBMIT}&{FORM}", b'{"content":"x"}', "Content-Type: application/json"
    ),
    "a query beside a body of no type": post(f"{SUBMIT}&{FORM}", b"content=x"),
    "GBK in the form": post(SUBMIT, GBK_FORM, URLENCODED),
    "raw GBK in the body": post(SUBMIT, RAW_FORM.encode("gbk"), URLENCODED),
    "raw GBK in the URL": get(f"{SUBMIT}&{FORM}").replace(FORM.encode(), RAW_FORM.encode("gbk")),
    "GBK in multipart": post(
        SUBMIT, MULTIPART.encode("gbk"), "Content-Type: multipart/form-data; boundary=xyz"
    ),
    "lines that end in LF": with_lf(post(SUBMIT, FORM.encode(), URLENCODED)),
    "the same over HTTP/1.0": with_lf(post(SUBMIT, FORM.encode(), URLENCODED, version="1.0")),
    "a GET with LF": with_lf(get(f"{SUBMIT}&{FORM}")),
    "LF and raw UTF-8 in the URL": with_lf(get(f"{SUBMIT}&{RAW_FORM}")),
    "LF behind some lines only": post(SUBMIT, FORM.encode(), URLENCODED).replace(
        b"Host: x\r\n", b"Host: x\n"
    ),
    "LF in multipart": post(
        SUBMIT,
        MULTIPART.replace("\r\n", "\n").encode(),
        "Content-Type: multipart/form-data; boundary=xyz",
    ),
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("form", FORMS)
async def test_a_request_is_understood(simulator: Simulator, url: str, form: str) -> None:
    """Each form observed in the wild is accepted, with its content whole."""
    reply = await exchange(url, FORMS[form])
    assert reply.status == 200
    assert "<code>2</code>" in reply.text
    assert simulator.rung() == {(MOBILE, CONTENT): 1}


@pytest.mark.long
@pytest.mark.parametrize("form", FORMS)
async def test_a_request_is_understood_however_it_is_cut_into_segments(
    simulator: Simulator, url: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network may deliver each byte by itself, in the middle of a Chinese character too."""
    whole = _Protocol.data_received

    def by_bytes(self: _Protocol, data: bytes) -> None:
        for place in range(len(data)):
            whole(self, data[place : place + 1])

    monkeypatch.setattr(_Protocol, "data_received", by_bytes)
    assert "<code>2</code>" in (await exchange(url, FORMS[form])).text
    assert simulator.rung() == {(MOBILE, CONTENT): 1}


async def test_all_forms_are_understood_on_one_connection_kept_alive(
    simulator: Simulator, url: str
) -> None:
    """No request leaves anything behind that spoils the next one."""
    lasting = [request for request in FORMS.values() if b"HTTP/1.0" not in request]
    line = await dial(url)
    for request in lasting * 2:
        assert "<code>2</code>" in (await line.exchange(request)).text
    await line.close()
    assert simulator.rung() == {(MOBILE, CONTENT): 2 * len(lasting)}


async def test_http_1_0_is_answered_and_the_connection_closed(url: str) -> None:
    """Such a client reads until the end."""
    line = await dial(url)
    reply = await line.exchange(FORMS["HTTP/1.0"])
    assert "<code>2</code>" in reply.text
    async with asyncio.timeout(30.0):
        assert await line.reader.read() == b""
    await line.close()


@pytest.mark.parametrize(
    "request_bytes",
    [
        post(f"{SUBMIT}&format=json", FORM.encode(), URLENCODED),
        post(SUBMIT, f"{FORM}&format=json".encode(), URLENCODED),
        get(f"{SUBMIT}&{FORM}&format=json"),
    ],
    ids=["query of a POST", "form", "GET"],
)
async def test_format_may_stand_in_the_query_or_in_the_form(url: str, request_bytes: bytes) -> None:
    """JSON is flat, raw UTF-8, with an int code and a text id, and its type says so."""
    reply = await exchange(url, request_bytes)
    assert reply.text == '{"code":2,"msg":"提交成功","voiceid":"16842079209571520001"}'
    assert b"content-type: application/json" in reply.head.lower()


@pytest.mark.parametrize("wish", ["", "&format=xml", "&format=yaml", "&format="])
async def test_xml_is_what_comes_without_a_valid_wish(url: str, wish: str) -> None:
    """The document: 系统默认为xml."""
    reply = await exchange(url, get(f"{SUBMIT}&{FORM}{wish}"))
    assert reply.text.startswith('<?xml version="1.0" encoding="utf-8"?>\n<SubmitResult ')
    assert b"content-type: text/xml" in reply.head.lower()


@pytest.mark.parametrize("kind", [["Content-Type: text/plain"], ["Content-Type: nonsense"], []])
async def test_a_body_of_unknown_type_has_no_fields(url: str, kind: list[str]) -> None:
    """401, in XML, even when it asked for JSON; but a wish in the query is heard."""
    body = f"{FORM}&format=json".encode()
    reply = await exchange(url, post(SUBMIT, body, *kind))
    assert reply.status == 200
    assert "<code>401</code>\n<msg>帐号不能为空</msg>\n<voiceid>0</voiceid>" in reply.text
    reply = await exchange(url, post(f"{SUBMIT}&format=json", body, *kind))
    assert reply.text == '{"code":401,"msg":"帐号不能为空","voiceid":"0"}'


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencodedcharset=utf-8", "/", ";", ","])
async def test_a_type_must_be_whole(url: str, kind: str) -> None:
    """What only begins like a form is none."""
    reply = await exchange(url, post(SUBMIT, FORM.encode(), f"Content-Type: {kind}"))
    assert "<code>401</code>" in reply.text


async def test_an_unknown_type_without_a_body_does_no_harm(url: str) -> None:
    """Clients declare JSON on a GET too."""
    request = post(f"{SUBMIT}&{FORM}", b"", "Content-Type: application/json")
    assert "<code>2</code>" in (await exchange(url, request)).text


async def test_only_a_post_has_a_form(url: str) -> None:
    """PHP reads the body of nothing else."""
    request = post(SUBMIT, FORM.encode(), URLENCODED).replace(b"POST", b"GET", 1)
    assert "<code>401</code>" in (await exchange(url, request)).text


@pytest.mark.parametrize("blank", ["%20", "+", "%20%20"])
async def test_blanks_before_a_name_are_passed_over(url: str, blank: str) -> None:
    """The document's own example of a GET has one before `password`."""
    request = get(f"{SUBMIT}&{FORM.replace('&password', f'&{blank}password')}")
    assert "<code>2</code>" in (await exchange(url, request)).text


async def test_a_field_of_the_form_wins_over_the_query(simulator: Simulator, url: str) -> None:
    """What is said twice is said once."""
    await exchange(url, post(f"{SUBMIT}&content=other", FORM.encode(), URLENCODED))
    assert simulator.arrivals[0].content == CONTENT


async def test_a_plus_sign_and_an_escaped_one_differ(simulator: Simulator, url: str) -> None:
    """A form's + is a space, its %2B a plus; a line's end and an ampersand survive too."""
    form = FORM.replace("content=", "content=a+b%2Bc%26%0D%0A")
    await exchange(url, post(SUBMIT, form.encode(), URLENCODED))
    assert simulator.arrivals[0].content == f"a b+c&\r\n{CONTENT}"


async def test_too_many_fields_are_none(url: str) -> None:
    """A flood of parameters can't keep the simulator busy."""
    flood = "&".join(f"x{place}=1" for place in range(200))
    reply = await exchange(url, post(SUBMIT, f"{FORM}&{flood}".encode(), URLENCODED))
    assert "<code>401</code>" in reply.text


async def test_a_body_is_cut_off_after_a_mebibyte(simulator: Simulator, url: str) -> None:
    """A flood of bytes can't fill the memory, and is answered."""
    flood = b"x" * 3_000_000
    reply = await exchange(url, post(SUBMIT, f"{FORM}&content=".encode() + flood, URLENCODED))
    assert "<code>2</code>" in reply.text
    assert len(simulator.arrivals[0].content) == 1_048_576 - len(f"{FORM}&content=")


async def test_a_request_that_never_ends_did_not_arrive(simulator: Simulator, url: str) -> None:
    """The vendor acts on whole requests only."""
    line = await dial(url)
    line.writer.write(post(SUBMIT, FORM.encode(), URLENCODED)[:-1])
    await line.writer.drain()
    await line.close()
    assert "<code>2</code>" in (await exchange(url, get(f"{TARGET}?method=GetNum&{FORM}"))).text
    assert [arrival.operation for arrival in simulator.arrivals] == ["GetNum"]


def test_only_an_escape_of_two_digits_is_one() -> None:
    """As PHP has it; a name may be escaped, and a pair without a name is none."""
    form = read_form(b"a=1%2&b=%zz%41&%63=%e4%b8%ad%&=5&d&e=f=g", b"", b"")
    assert form.text == {"a": "1%2", "b": "%zzA", "c": "中%", "d": "", "e": "f=g"}


def test_what_is_neither_utf_8_nor_gbk_still_has_a_text() -> None:
    """And its bytes stay what they were."""
    form = read_form(b"a=%ff%ff&b=%c4%fa", b"", b"")
    assert form.text == {"a": "\ufffd\ufffd", "b": "您"}
    assert form.raw == {"a": b"\xff\xff", "b": "您".encode("gbk")}


@given(
    query=st.binary(max_size=40),
    kind=st.sampled_from([b"multipart/form-data", b"application/x-www-form-urlencoded", b""]),
    parameters=st.text(alphabet="; boundary=x\"*'%\\é", max_size=30),
    body=st.binary(max_size=40) | st.sampled_from([MULTIPART.encode(), FORM.encode()]),
)
def test_no_request_can_break_the_reader(
    query: bytes, kind: bytes, parameters: str, body: bytes
) -> None:
    """Whatever comes, fields of text come out."""
    form = read_form(query, kind + parameters.encode(), body)
    assert all(isinstance(text, str) for pair in form.text.items() for text in pair)
    assert form.text.keys() == form.raw.keys()


@given(fields=st.dictionaries(st.text("abcé中", min_size=1), st.text(), max_size=5))
def test_every_text_comes_through_the_escapes(fields: dict[str, str]) -> None:
    """Whatever a client escapes, by the rules of forms or of URLs, is read as it was meant."""
    for escape in (quote, quote_plus):
        query = urlencode(fields, quote_via=escape).encode()
        assert read_form(query, b"", b"").text == fields
