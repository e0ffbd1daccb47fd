"""Options are checked when they are given: a sentence each, and the field it is about."""

import ssl
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import trustme

from ihuyi_voice import InvalidRequest, Limits, MemoryGuard, VoiceClient
from ihuyi_voice.protocol.requests import DEFAULT_BASE_URL


class SecretStr:
    """What pydantic gives for a secret."""

    def get_secret_value(self) -> str:
        """Show it."""
        return "key"


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("base_url", "http://h/a b.php", "blank or an invisible character at place 11"),
        ("base_url", "http://h/voice.php\n", "blank or an invisible character at place 19"),
        ("base_url", "h/voice.php", "begins with neither http:// nor https://"),
        ("base_url", "ftp://h/voice.php", "begins with neither"),
        ("base_url", "http:///voice.php", "has no host"),
        ("base_url", "http://h:99999/voice.php", "no port from 1 to 65535"),
        ("base_url", "http://h:web/voice.php", "no port from 1 to 65535"),
        ("base_url", "http://h:0/voice.php", "the port 0"),
        ("base_url", "http://[::1/voice.php", "can't be read"),
        ("base_url", "http://h/voice.php#top", "a fragment"),
        ("base_url", "http://ex ample/voice.php", "blank"),
        ("base_url", "http://1.2.3.999/voice.php", "base_url can't be used"),
        ("base_url", "http://xn--/voice.php", "base_url can't be used"),
        ("base_url", 5, "is a int"),
        ("timeout", -1, "above 0"),
        ("timeout", 0, "above 0"),
        ("timeout", float("nan"), "timeout is nan"),
        ("timeout", "5", "must be a number"),
        ("timeout", True, "must be a number"),
        ("timeout", httpx.Timeout(5.0, read=-1.0), "above 0"),
        ("max_connections", 0, "above 0"),
        ("max_connections", -5, "above 0"),
        ("max_connections", 2.5, "whole number"),
        ("max_connections", True, "must be a number"),
        ("max_connections", "10", "must be a number"),
        ("max_age", 0, "above 0"),
        ("max_age", "long", "must be a number"),
        ("http_client", httpx.AsyncClient, "this is a class"),
        ("http_client", object(), "not object"),
        ("http_client", "http://h/", "not str"),
        ("proxy", "socks5://h:1080", "inject a client"),
        ("proxy", "ftp://h:21", "http or https"),
        ("proxy", 8080, "the URL of one, not int"),
        ("verify", "/nowhere/ca.pem", "/nowhere/ca.pem"),
        ("verify", 5, "not int"),
        ("verify", "", "verify is empty"),
        ("max_content_length", 0, "above 0"),
        ("max_content_length", "long", "must be a number"),
        ("clock", None, "can't be called"),
        ("guard", Limits(), r"did you mean MemoryGuard\(Limits\(…\)\)"),
        ("guard", MemoryGuard, "must be a MemoryGuard"),
        ("guard", 5, "must be a MemoryGuard"),
        ("retry", 3, r"did you mean RetryPolicy\(attempts=3\)"),
        ("retry", "often", "must be a RetryPolicy, not str"),
        ("account", None, "account is None"),
        ("api_key", None, "api_key is None"),
        ("api_key", SecretStr(), r"give its text: api_key.get_secret_value\(\)"),
        ("api_key", b"key", "must be text, not bytes"),
    ],
)
def test_a_wrong_option_is_named(field: str, value: object, reason: str) -> None:
    """By the error's field and its text."""
    options: dict[str, Any] = {"account": "a", "api_key": "k", field: value}
    with pytest.raises(InvalidRequest, match=reason) as caught:
        VoiceClient(**options)
    assert caught.value.field == field


@pytest.mark.parametrize("cls", [httpx.Client, httpx2.Client])
def test_a_client_that_does_not_await_is_refused(cls: Any) -> None:
    """In words."""
    with cls() as http_client, pytest.raises(InvalidRequest, match="doesn't await"):
        VoiceClient("a", "k", http_client=http_client)


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "http://user:p4ssword@h/voice.php"},
        {"base_url": "http://user:p4ssword/x@h/voice.php"},
        {"base_url": "http://user:p4ss word@h/"},
        {"proxy": "socks5://user:p4ssword@h:1080"},
        {"proxy": "http://user:p4ssword@h:port"},
        {"proxy": "http://user:p4ssword@ho st:1"},
    ],
)
def test_no_text_shows_a_password(options: dict[str, Any]) -> None:
    """Of an address or of a proxy."""
    with pytest.raises(InvalidRequest) as caught:
        VoiceClient("a", "k", **options)
    assert "p4ss" not in str(caught.value) + repr(caught.value.__cause__)


def test_a_bad_proxy_of_the_environment_is_told_when_the_client_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And an injected client has nothing to do with it."""
    monkeypatch.setenv("ALL_PROXY", "socks5://user:p4ssword@h:1080")
    monkeypatch.setenv("all_proxy", "socks5://user:p4ssword@h:1080")
    with pytest.raises(InvalidRequest, match="SOCKS") as caught:
        VoiceClient("a", "k")
    assert "p4ss" not in str(caught.value)
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    VoiceClient("a", "k", http_client=httpx.AsyncClient(transport=transport))


@pytest.mark.parametrize("option", [{"proxy": "http://h:1"}, {"verify": False}])
def test_what_an_injected_client_would_ignore_is_refused(option: dict[str, Any]) -> None:
    """A proxy that isn't used is worse than none."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    http_client = httpx.AsyncClient(transport=transport)
    with pytest.raises(InvalidRequest, match="of no use beside http_client"):
        VoiceClient("a", "k", http_client=http_client, **option)


def test_no_address_means_the_vendors() -> None:
    """Also from an environment that leaves it empty."""
    assert DEFAULT_BASE_URL in repr(VoiceClient("a", "k", base_url=None))


def test_an_empty_address_in_the_environment_means_the_vendors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As compose files write what isn't set."""
    for name, value in (("ACCOUNT", "a"), ("API_KEY", "k"), ("BASE_URL", "")):
        monkeypatch.setenv(f"IHUYI_{name}", value)
    assert DEFAULT_BASE_URL in repr(VoiceClient.from_env())


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_certificates_that_the_environment_names_and_are_not_there(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It is told when the client is made, not as a failed call."""
    monkeypatch.setenv(name, "/nowhere/certificates")
    with pytest.raises(InvalidRequest, match=f"{name}.*/nowhere/certificates") as caught:
        VoiceClient("a", "k")
    assert caught.value.field == "verify"


def test_a_file_without_certificates_is_told_too(tmp_path: Path) -> None:
    """And one with certificates is taken, as text or as a path."""
    empty, good = tmp_path / "empty.pem", tmp_path / "good.pem"
    empty.write_text("nothing")
    trustme.CA().cert_pem.write_to_path(str(good))
    with pytest.raises(InvalidRequest, match=r"no certificates that can be read"):
        VoiceClient("a", "k", verify=str(empty))
    for verify in (str(good), good, ssl.create_default_context(), False):
        assert "VoiceClient" in repr(VoiceClient("a", "k", verify=verify))


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [
        (None, {"connect": 10.0, "read": 30.0, "write": 30.0, "pool": None}),
        (3, {"connect": 3, "read": 3, "write": 3, "pool": None}),
        (httpx.Timeout(4.0), {"connect": 4.0, "read": 4.0, "write": 4.0, "pool": 4.0}),
        (
            httpx.Timeout(None, connect=1.0),
            {"connect": 1.0, "read": None, "write": None, "pool": None},
        ),
        (httpx2.Timeout(4.0), {"connect": 4.0, "read": 4.0, "write": 4.0, "pool": 4.0}),
    ],
)
def test_only_an_explicit_pool_timeout_bounds_our_own_queue(timeout: Any, expected: Any) -> None:
    """It is no trouble of the vendor's."""
    client = VoiceClient("a", "k", timeout=timeout)
    assert client.http_client.timeout.as_dict() == expected
