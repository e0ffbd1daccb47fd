"""Values become requests as the vendor's document shows them (sections 2.3 to 5.3)."""

from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice import InvalidRequest, Operation
from ihuyi_voice.protocol.requests import Call, RequestBuilder
from ihuyi_voice.protocol.signing import Credentials, dynamic_password

CREDENTIALS = Credentials("VM12345678", "1q784322ba1d9bb88d50cf5cdfd89k7d")
SUBMIT = Call(Operation.SUBMIT, {"mobile": "13900000000", "content": "您的订单号是：9633。"})
NOW = 1451544941.9


def build(call: Call = SUBMIT, now: float = NOW, **options: Any) -> tuple[str, dict[str, str]]:
    """Return the URL without its query, and all fields."""
    wire = RequestBuilder(CREDENTIALS, **options).build(call, now)
    parts = urlsplit(wire.url)
    return wire.url.partition("?")[0], dict(parse_qsl(parts.query) + parse_qsl(wire.body.decode()))


def test_a_submission_is_a_form_with_its_method_in_the_query() -> None:
    """By default: POST, https, signed, XML, UTF-8."""
    wire = RequestBuilder(CREDENTIALS).build(SUBMIT, NOW)
    assert wire.method == "POST"
    assert wire.url == "https://api.vm.ihuyi.com/webservice/voice.php?method=Submit"
    assert wire.content_type == "application/x-www-form-urlencoded"
    form = parse_qs(wire.body.decode(), strict_parsing=True)
    password = dynamic_password(Operation.SUBMIT, CREDENTIALS, SUBMIT.fields, "1451544941")
    assert form == {
        "account": ["VM12345678"],
        "mobile": ["13900000000"],
        "content": ["您的订单号是：9633。"],
        "password": [password],
        "time": ["1451544941"],
    }


def test_a_get_request_has_everything_in_the_query_and_no_body() -> None:
    """As in the vendor's section 2.6."""
    wire = RequestBuilder(CREDENTIALS, method="GET").build(SUBMIT, NOW)
    assert (wire.method, wire.body, wire.content_type) == ("GET", b"", None)
    query = dict(parse_qsl(urlsplit(wire.url).query))
    assert query["method"] == "Submit"
    assert query["content"] == SUBMIT.fields["content"]


def test_plain_authentication_sends_the_key_and_no_time() -> None:
    """Section 2.3: password may be the APIKEY itself."""
    _, fields = build(auth="plain")
    assert fields["password"] == CREDENTIALS.api_key
    assert "time" not in fields


@pytest.mark.parametrize("call", [Call(Operation.ADD_TEMPLATE), Call(Operation.DELETE_TEMPLATE)])
def test_template_operations_can_be_authenticated_apart(call: Call) -> None:
    """Their signed formula is not confirmed, so plain can be had for them alone."""
    assert build(call, template_auth="plain")[1]["password"] == CREDENTIALS.api_key
    assert build(template_auth="plain")[1]["password"] != CREDENTIALS.api_key
    assert build(call)[1]["password"] != CREDENTIALS.api_key


def test_json_is_asked_for_by_format() -> None:
    """XML is the vendor's default and is not asked for."""
    assert build(reply_format="json")[1]["format"] == "json"
    assert "format" not in build()[1]


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_the_key_is_never_in_a_signed_request(method: str) -> None:
    """Only its hash travels."""
    wire = RequestBuilder(CREDENTIALS, method=method).build(SUBMIT, NOW)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - parametrised
    assert CREDENTIALS.api_key not in wire.url
    assert CREDENTIALS.api_key.encode() not in wire.body


def test_a_request_shows_neither_url_nor_body() -> None:
    """Both hold a password."""
    wire = RequestBuilder(CREDENTIALS, auth="plain", method="GET").build(SUBMIT, NOW)
    assert CREDENTIALS.api_key not in repr(wire)
    assert "13900000000" not in repr(wire) + repr(SUBMIT)


def test_a_base_url_may_have_a_query_of_its_own() -> None:
    """The method is appended to it."""
    wire = RequestBuilder(CREDENTIALS, "http://127.0.0.1/v.php?x=1").build(SUBMIT, NOW)
    assert wire.url == "http://127.0.0.1/v.php?x=1&method=Submit"


@pytest.mark.parametrize(
    ("option", "value"),
    [("base_url", "api.vm.ihuyi.com"), ("base_url", "ftp://x/v.php"), ("base_url", "https://"),
     ("auth", "md5"), ("template_auth", "none"), ("method", "PUT"), ("reply_format", "yaml")],
)  # fmt: skip
def test_an_option_that_cannot_be_right_is_refused_by_name(option: str, value: str) -> None:
    """The error names the option and what it can be."""
    with pytest.raises(InvalidRequest, match=option) as caught:
        RequestBuilder(CREDENTIALS, **{option: value})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - wrong on purpose
    assert caught.value.field == option


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
    wire = RequestBuilder(CREDENTIALS, method=method).build(call, NOW)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - drawn
    text = wire.body.decode() or urlsplit(wire.url).query
    assert dict(parse_qsl(text, keep_blank_values=True))["content"] == content
