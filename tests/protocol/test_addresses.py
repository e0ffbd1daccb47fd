"""The address of voice.php: what it may be, and what an error says of it, word for word."""

from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl

import pytest

from ihuyi_voice import InvalidRequest, Operation
from ihuyi_voice.protocol.requests import DEFAULT_BASE_URL, Call, VoicePhp
from ihuyi_voice.protocol.signing import Credentials

CREDENTIALS = Credentials("VM1", "key")
PORT = "has no port from 1 to 65535, or an address that can't be read"
PLACE = "has a blank or an invisible character at place"


class Addresses(StrEnum):
    """As programs keep them."""

    OURS = "http://h/v.php"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        (" http://h/v.php", f"{PLACE} 1"),
        ("http://h/a b.php", f"{PLACE} 11"),
        ("http://h/v.php\u200b", f"{PLACE} 15"),
        ("http://h:65536/v.php", PORT),
        ("http://[::1/v.php", PORT),
        ("h/v.php", "begins with neither http:// nor https://"),
        ("http://me:word@h/v.php", "has a user or password, which the vendor doesn't ask for"),
        ("http://me@h/v.php", "has a user or password, which the vendor doesn't ask for"),
        ("http:///v.php", "has no host"),
        ("http://h:0/v.php", "has the port 0"),
        ("http://h/v.php#top", "has a fragment (#)"),
        (5, "is a int"),
        (b"http://h/v.php", "is a bytes"),
    ],
)
def test_what_is_wrong_with_an_address_is_said_without_showing_it(url: Any, fault: str) -> None:
    """It may hold a password."""
    with pytest.raises(InvalidRequest) as caught:
        VoicePhp(CREDENTIALS, url)
    assert str(caught.value) == (
        f"base_url {fault}; it must be the full address of voice.php, like {DEFAULT_BASE_URL}"
    )
    assert caught.value.field == "base_url"


@pytest.mark.parametrize("url", ["http://h:1/v.php", "https://h:65535/v.php", "HTTP://[::1]/v.php"])
def test_an_address_that_is_odd_and_right_is_taken(url: str) -> None:
    """As it is."""
    assert VoicePhp(CREDENTIALS, url).base_url == url


def test_the_vendors_address_is_meant_where_none_is_given() -> None:
    """An option that a program leaves out is often None."""
    assert VoicePhp(CREDENTIALS, None).base_url == DEFAULT_BASE_URL


def test_a_text_of_another_class_is_taken_for_its_characters() -> None:
    """It would write itself otherwise into requests."""
    voice = VoicePhp(CREDENTIALS, Addresses.OURS)
    assert type(voice.base_url) is str
    assert voice.base_url == "http://h/v.php"


def test_an_address_without_a_path_has_the_root_as_its_target() -> None:
    """A request's first line needs one."""
    wire = VoicePhp(CREDENTIALS, "http://h", method="GET").build(Call(Operation.BALANCE), lambda: 0)
    assert wire.signed().startswith(b"/?method=GetNum&account=VM1&")


@pytest.mark.parametrize("query", ["", "?x=1", "?x=1?y"])
def test_an_address_is_told_without_its_query(query: str) -> None:
    """Where requests are told of, as to a tracer."""
    assert VoicePhp(CREDENTIALS, f"http://h/v.php{query}").address == "http://h/v.php"


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("auth", "auth is 'x'; it can be signed or plain"),
        ("template_auth", "template_auth is 'x'; it can be plain or md5 or signed"),
        ("method", "method is 'x'; it can be POST or GET"),
        ("reply_format", "reply_format is 'x'; it can be xml or json"),
    ],
)
def test_an_error_lists_what_an_option_can_be(option: str, text: str) -> None:
    """By the words that are to be written."""
    options: dict[str, Any] = {option: "x"}
    with pytest.raises(InvalidRequest) as caught:
        VoicePhp(CREDENTIALS, **options)
    assert str(caught.value) == text


@pytest.mark.parametrize("content", ["a&b=c", "a+b", "a b", "100%25", "#?/", "a=b;c", "甲9"])
def test_signs_of_the_form_itself_come_through(content: str) -> None:
    """An ASCII text may hold what separates fields."""
    call = Call(Operation.SUBMIT, {"mobile": "13900000000", "content": content})
    form = VoicePhp(CREDENTIALS).build(call, lambda: 1_451_544_941.0).signed().decode()
    assert dict(parse_qsl(form))["content"] == content
