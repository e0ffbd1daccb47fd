"""Values become requests as the vendor's document shows them (sections 2.3 to 5.3)."""

from collections.abc import Callable
from hashlib import md5
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice import InvalidRequest, Operation
from ihuyi_voice.protocol.requests import Call, VoicePhp, WireRequest
from ihuyi_voice.protocol.signing import Credentials, signer
from tests.support.odd import kind_of

CREDENTIALS = Credentials("VM12345678", "1q784322ba1d9bb88d50cf5cdfd89k7d")
SUBMIT = Call(Operation.SUBMIT, {"mobile": "13900000000", "content": "您的订单号是：9633。"})
NOW = 1451544941.9


def at(now: float) -> Callable[[], float]:
    """Return a clock that stands still."""
    return lambda: now


def body(wire: WireRequest) -> bytes:
    """Return the body of a request, signed; nothing for a GET."""
    return wire.signed() if wire.method == "POST" else b""


def build(call: Call = SUBMIT, now: float = NOW, **options: Any) -> tuple[str, dict[str, str]]:
    """Return the URL without its query, and all fields."""
    wire = VoicePhp(CREDENTIALS, **options).build(call, at(now))
    parts = urlsplit(wire.url)
    return wire.url.partition("?")[0], dict(parse_qsl(parts.query) + parse_qsl(body(wire).decode()))


def test_a_submission_is_a_form_with_its_method_in_the_query() -> None:
    """By default: POST, https, signed, XML, UTF-8."""
    wire = VoicePhp(CREDENTIALS).build(SUBMIT, at(NOW))
    assert wire.method == "POST"
    assert wire.url == "https://api.vm.ihuyi.com/webservice/voice.php?method=Submit"
    assert wire.content_type == "application/x-www-form-urlencoded"
    form = parse_qs(body(wire).decode(), strict_parsing=True)
    password = signer(Operation.SUBMIT, CREDENTIALS, SUBMIT.fields)("1451544941")
    assert form == {
        "account": ["VM12345678"],
        "mobile": ["13900000000"],
        "content": ["您的订单号是：9633。"],
        "password": [password],
        "time": ["1451544941"],
    }


def test_an_empty_field_stays_empty() -> None:
    """The vendor says what it thinks of it; no percent sign stands in its place."""
    wire = VoicePhp(CREDENTIALS).build(Call(Operation.DELETE_TEMPLATE, {"templateid": ""}), at(NOW))
    assert b"&templateid=&" in body(wire)


def test_the_target_of_a_get_request_is_ascii_whatever_the_address() -> None:
    """As that of a POST, which httpx escapes; what is escaped already stays."""
    url = "http://h/语音%20.php?q=甲"
    wire = VoicePhp(CREDENTIALS, base_url=url, method="GET").build(SUBMIT, at(NOW))
    start = b"/%E8%AF%AD%E9%9F%B3%20.php?q=%E7%94%B2&method=Submit&account="
    assert wire.signed().startswith(start)


def test_a_get_request_has_everything_in_the_query_and_no_body() -> None:
    """As in the vendor's section 2.6."""
    wire = VoicePhp(CREDENTIALS, method="GET").build(SUBMIT, at(NOW))
    assert (wire.method, wire.length, wire.content_type) == ("GET", 0, None)
    query = dict(parse_qsl(urlsplit(wire.url).query))
    assert query["method"] == "Submit"
    assert query["content"] == SUBMIT.fields["content"]


def test_plain_authentication_sends_the_key_and_no_time() -> None:
    """Section 2.3: password may be the APIKEY itself."""
    _, fields = build(auth="plain")
    assert fields["password"] == CREDENTIALS.api_key
    assert "time" not in fields


@pytest.mark.parametrize("call", [Call(Operation.ADD_TEMPLATE), Call(Operation.DELETE_TEMPLATE)])
def test_template_operations_are_plain_unless_asked_otherwise(call: Call) -> None:
    """No document gives a formula for them; MD5 of the key was seen, the signed form is a guess."""
    hashed = md5(CREDENTIALS.api_key.encode()).hexdigest()  # noqa: S324 - the vendor's
    signed = build(call, template_auth="signed")[1]
    assert build(call)[1]["password"] == CREDENTIALS.api_key
    assert build(call, template_auth="md5")[1]["password"] == hashed
    assert len(signed["password"]) == 32
    assert signed["password"] != hashed
    assert [("time" in build(call, template_auth=auth)[1]) for auth in ("plain", "md5")] == [
        False
    ] * 2


@pytest.mark.parametrize("auth", ["signed", "plain"])
@pytest.mark.parametrize("reply_format", ["xml", "json"])
def test_the_length_is_known_before_the_body_is_signed(auth: str, reply_format: str) -> None:
    """The clock is not asked until then, and each signing asks it again."""
    times = iter([NOW, NOW + 100])
    builder = VoicePhp(CREDENTIALS, auth=auth, reply_format=reply_format)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - parametrised
    wire = builder.build(SUBMIT, lambda: next(times))
    first, second = wire.signed(), wire.signed()
    assert wire.length == len(first) == len(second)
    assert (first == second) is (auth == "plain")


def test_the_target_of_a_get_can_be_signed_afresh() -> None:
    """For a transport that waits long for a connection."""
    times = iter([NOW, NOW + 100])
    wire = VoicePhp(CREDENTIALS, method="GET").build(SUBMIT, lambda: next(times))
    fresh = wire.signed().decode()
    assert fresh.startswith("/webservice/voice.php?method=Submit&account=VM12345678&")
    assert "time=1451545041" in fresh
    assert "time=1451544941" in wire.url


def test_json_is_asked_for_by_format() -> None:
    """XML is the vendor's default and is not asked for."""
    assert build(reply_format="json")[1]["format"] == "json"
    assert "format" not in build()[1]


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_the_key_is_never_in_a_signed_request(method: str) -> None:
    """Only its hash travels."""
    wire = VoicePhp(CREDENTIALS, method=method).build(SUBMIT, at(NOW))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - parametrised
    assert CREDENTIALS.api_key not in wire.url
    assert CREDENTIALS.api_key.encode() not in body(wire)


def test_a_request_shows_neither_url_nor_body() -> None:
    """Both hold a password."""
    wire = VoicePhp(CREDENTIALS, auth="plain", method="GET").build(SUBMIT, at(NOW))
    assert CREDENTIALS.api_key not in repr(wire)
    assert "13900000000" not in repr(wire) + repr(SUBMIT)


def test_a_base_url_may_have_a_query_of_its_own() -> None:
    """The method is appended to it."""
    wire = VoicePhp(CREDENTIALS, "http://127.0.0.1/v.php?x=1").build(SUBMIT, at(NOW))
    assert wire.url == "http://127.0.0.1/v.php?x=1&method=Submit"


@pytest.mark.parametrize(
    ("option", "value"),
    [("base_url", "api.vm.ihuyi.com"), ("base_url", "ftp://x/v.php"), ("base_url", "https://"),
     ("auth", "md5"), ("template_auth", "none"), ("method", "PUT"), ("reply_format", "yaml")],
)  # fmt: skip
def test_an_option_that_cannot_be_right_is_refused_by_name(option: str, value: str) -> None:
    """The error names the option and what it can be."""
    with pytest.raises(InvalidRequest, match=option) as caught:
        VoicePhp(CREDENTIALS, **{option: value})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - wrong on purpose
    assert caught.value.field == option


@pytest.mark.parametrize(
    ("now", "time"), [(0.0, "0000000000"), (0.5, "0000000000"), (9_999_999_999.0, "9999999999")]
)
def test_every_time_of_ten_digits_can_be_signed(now: float, time: str) -> None:
    """From the first second to the last one."""
    assert build(now=now)[1]["time"] == time


@pytest.mark.parametrize("now", [-1.0, 1e10, float("nan")])
def test_a_clock_without_ten_digits_is_an_error(now: float) -> None:
    """The vendor wants 10 digits and would answer 405."""
    with pytest.raises(InvalidRequest, match="clock"):
        build(now=now)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.sampled_from(["GET", "POST"])
)
def test_any_content_comes_back_out_of_the_request(content: str, method: str) -> None:
    """Encoding loses nothing, whatever the characters."""
    call = Call(Operation.SUBMIT, {"mobile": "13900000000", "content": content})
    wire = VoicePhp(CREDENTIALS, method=method).build(call, at(NOW))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - drawn
    text = body(wire).decode() or urlsplit(wire.url).query
    assert dict(parse_qsl(text, keep_blank_values=True))["content"] == content


@pytest.mark.parametrize("now", [None, "x", -1, 10**400, float("nan"), 1 + 2j], ids=kind_of)
def test_a_clock_that_tells_no_time_is_told_of(now: Any) -> None:
    """With what it said, in no more words than it takes."""
    wire = VoicePhp(Credentials("VM1", "key")).build(Call(Operation.BALANCE), lambda: now)
    with pytest.raises(InvalidRequest, match="which is no Unix time of 10 digits") as caught:
        wire.signed()
    assert len(str(caught.value)) < 120
