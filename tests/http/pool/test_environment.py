"""What the environment says of proxies and of trust is read as people write it."""

import ssl
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from ihuyi_voice.http.pool import PoolTransport, Proxy, proxy_for
from ihuyi_voice.http.pool.trust import tls_context
from ihuyi_voice.simulator import Simulator

MODULE = "ihuyi_voice.http.pool.proxies"
HTTP, HTTPS = "http://api.vm.ihuyi.com/x", "https://api.vm.ihuyi.com/x"


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        (HTTP, {"HTTP_PROXY": "http://p.test:1"}, ("http", "p.test", 1)),
        (HTTP, {"http_proxy": "http://p.test:1"}, ("http", "p.test", 1)),
        (HTTP, {"http_proxy": "a.test:1", "HTTP_PROXY": "b.test:2"}, ("http", "a.test", 1)),
        (HTTP, {"http_proxy": "", "HTTP_PROXY": "b.test:2"}, None),
        (HTTP, {"HTTPS_PROXY": "b.test:2"}, None),
        (HTTPS, {"HTTPS_PROXY": "b.test:2", "HTTP_PROXY": "c.test:3"}, ("http", "b.test", 2)),
        (HTTPS, {"HTTP_PROXY": "c.test:3"}, None),
        (HTTPS, {"ALL_PROXY": "c.test:3"}, ("http", "c.test", 3)),
        (HTTPS, {"all_proxy": "c.test:3", "https_proxy": ""}, ("http", "c.test", 3)),
        (HTTPS, {"https_proxy": "d.test:4", "all_proxy": "c.test:3"}, ("http", "d.test", 4)),
        (HTTP, {"HTTP_PROXY": "evil.test:1", "REQUEST_METHOD": "GET"}, None),
        (HTTP, {"http_proxy": "p.test:1", "REQUEST_METHOD": "GET"}, ("http", "p.test", 1)),
        (HTTPS, {"HTTPS_PROXY": "p.test:1", "REQUEST_METHOD": "GET"}, ("http", "p.test", 1)),
        (HTTP, {"HTTP_PROXY": "socks5://p.test:1", "NO_PROXY": "*"}, None),
        (HTTP, {}, None),
    ],
)
def test_the_variable_that_counts(
    url: str, environ: dict[str, str], expected: tuple[str, str, int] | None
) -> None:
    """Small letters first, the scheme before all; in a CGI script no HTTP_PROXY in capitals."""
    proxy = proxy_for(url, environ)
    assert (proxy and (proxy.scheme, proxy.host, proxy.port)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("p.test:8080", ("http", "p.test", 8080)),
        (" P.test:8080 ", ("http", "p.test", 8080)),
        ("p.test", ("http", "p.test", 80)),
        ("//p.test:8080", ("http", "p.test", 8080)),
        ("http://p.test:8080/", ("http", "p.test", 8080)),
        ("HTTP://p.test:8080", ("http", "p.test", 8080)),
        ("https://p.test", ("https", "p.test", 443)),
        ("http://[::1]:3128", ("http", "::1", 3128)),
        ("[2001:db8::1]:3128", ("http", "2001:db8::1", 3128)),
        ("10.0.0.1:3128", ("http", "10.0.0.1", 3128)),
        ("squid_1:3128", ("http", "squid_1", 3128)),
        ("代理.test:1", ("http", "xn--mnq481g.test", 1)),
    ],
)
def test_values_as_people_write_them(value: str, expected: tuple[str, str, int]) -> None:
    """With or without a scheme, a port, a slash, brackets."""
    proxy = Proxy.parse(value)
    assert (proxy.scheme, proxy.host, proxy.port) == expected
    assert proxy.authorization is None


@pytest.mark.parametrize(
    ("userinfo", "decoded"),
    [
        ("user:pass", b"user:pass"),
        ("user", b"user:"),
        ("user:p%40ss", b"user:p@ss"),
        ("user:p@ss", b"user:p@ss"),
        ("user:p/s?s#:x", b"user:p/s?s#:x"),
        ("%E6%82%A8:好", "您:好".encode()),
    ],
)
def test_credentials_are_decoded(userinfo: str, decoded: bytes) -> None:
    """Percent-encoded or with whatever stands in a password as it is."""
    proxy = Proxy.parse(f"http://{userinfo}@p.test:1")
    basic = httpx.BasicAuth(*decoded.decode().split(":", 1))
    request = next(basic.auth_flow(httpx.Request("GET", HTTP)))
    assert proxy.authorization == request.headers["Authorization"].encode()
    assert (proxy.host, proxy.port) == ("p.test", 1)


@pytest.mark.parametrize(
    "value",
    [
        "http://user:geheim@",
        "http://user:geheim@:80",
        "http://user:geheim@p.test:x",
        "http://user:geheim@p.test:0",
        "http://user:geheim@p.test:70000",
        "http://user:geheim@p test:80",
        "http://user:geheim@p.test:80:90",
        "http://user:geheim@-p.test",
        "http://user:geheim@[::1",
        "http://user:geheim@p.test\r\nX: 1",
        "ftp://user:geheim@p.test",
        "socks5://user:geheim@p.test:1080",
        "socks5h://user:geheim@p.test:1080",
        "user:geheim@",
    ],
)
def test_a_bad_value_names_its_variable_and_no_password(value: str) -> None:
    """Also when it is given as an option."""
    with pytest.raises(ValueError, match="HTTPS_PROXY") as caught:
        proxy_for(HTTPS, {"HTTPS_PROXY": value})
    assert "geheim" not in f"{caught.value!r} {caught.value.__cause__} {caught.value.__context__}"
    with pytest.raises(ValueError, match="proxy"):
        PoolTransport(HTTPS, proxy=value)


def test_socks_says_what_to_do() -> None:
    """Inject a client that can."""
    with pytest.raises(
        ValueError, match=r"inject.*http_client=httpx.AsyncClient\(proxy=…\).*socks"
    ):
        proxy_for(HTTP, {"ALL_PROXY": "socks5://127.0.0.1:1080"})


@pytest.mark.parametrize(
    ("url", "no_proxy", "exempt"),
    [
        (HTTP, "*", True),
        (HTTP, "api.vm.ihuyi.com", True),
        (HTTP, "API.VM.IHUYI.COM.", True),
        (HTTP, "other.test, ihuyi.com", True),
        (HTTP, "other.test ihuyi.com", True),
        (HTTP, ".ihuyi.com", True),
        (HTTP, "*.ihuyi.com", True),
        (HTTP, "huyi.com", False),
        (HTTP, "ihuyi.com.cn", False),
        (HTTP, "", False),
        (HTTP, ",", False),
        (HTTP, ".", False),
        (HTTP, "ihuyi.com:80", True),
        (HTTP, "ihuyi.com:443", False),
        (HTTPS, "ihuyi.com:443", True),
        (HTTP, "http://api.vm.ihuyi.com", True),
        ("http://api.vm.ihuyi.com:8080/", "ihuyi.com:8080", True),
        ("http://10.1.2.3/", "10.0.0.0/8", True),
        ("http://10.1.2.3/", "10.1.2.3", True),
        ("http://10.1.2.3/", "10.1.2.3:80", True),
        ("http://10.1.2.3/", "10.1.2.3:81", False),
        ("http://10.1.2.3/", "10.1.2.0/28", True),
        ("http://10.1.2.33/", "10.1.2.0/28", False),
        ("http://10.1.2.3/", "1.2.3", False),
        ("http://[2001:db8::5]/", "2001:db8::/32", True),
        ("http://[2001:db8::5]/", "[2001:db8::5]", True),
        ("http://[2001:db8::5]:8080/", "[2001:db8::5]:8080", True),
        ("http://[2001:db8::5]:8080/", "[2001:db8::5]:80", False),
        ("http://[2001:db8::5]/", "2001:db8::6", False),
    ],
)
def test_no_proxy_names_hosts_domains_ports_and_networks(
    url: str, no_proxy: str, *, exempt: bool
) -> None:
    """By commas or blanks, in any letters."""
    for name in ("NO_PROXY", "no_proxy"):
        assert (proxy_for(url, {"ALL_PROXY": "p.test:1", name: no_proxy}) is None) is exempt


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]",
             "[::ffff:127.0.0.1]"]
)  # fmt: skip
def test_this_machine_is_never_reached_through_a_proxy(host: str) -> None:
    """Whatever the variables say, right or wrong."""
    environ = {"HTTP_PROXY": "http://a b", "ALL_PROXY": "socks5://p.test"}
    assert proxy_for(f"http://{host}:8080/", environ) is None


def test_the_process_has_an_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which counts where none is given."""
    monkeypatch.setenv("https_proxy", "p.test:1")
    assert proxy_for(HTTPS) == Proxy("http", "p.test", 1)


def test_the_operating_systems_settings_count_where_no_variable_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As urllib reads them on macOS and Windows."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert proxy_for(HTTPS) is None
    monkeypatch.setattr(f"{MODULE}.getproxies", lambda: {"https": "http://p.test:1"})
    monkeypatch.setattr(f"{MODULE}.proxy_bypass", "in.test".__eq__)
    assert proxy_for(HTTPS) == Proxy("http", "p.test", 1)
    assert proxy_for("https://in.test/") is None
    monkeypatch.setenv("http_proxy", "p.test:1")
    assert proxy_for(HTTPS) is None


# --- trust


def authority(room: Path) -> tuple[trustme.CA, Path]:
    """Make an authority, and a file of it."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(room / "ca.pem"))
    return made, room / "ca.pem"


@pytest.mark.parametrize("named", ["SSL_CERT_FILE", "verify", "both"])
async def test_the_authorities_that_somebody_names_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """And no others: the same call without them fails."""
    made, file = authority(tmp_path)
    issued = made.issue_cert("127.0.0.1")
    both = tmp_path / "both.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(str(both))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    async with Simulator().serve(ssl_certfile=str(both), ssl_keyfile=str(both)) as url:
        asked = httpx.Request("GET", f"{url}?method=GetNum")
        strange = PoolTransport(url)
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await strange.handle_async_request(asked)
        await strange.aclose()
        if named in {"SSL_CERT_FILE", "both"}:
            monkeypatch.setenv("SSL_CERT_FILE", str(file))
        if named == "both":
            monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
        pool = PoolTransport(url, verify=str(file) if named == "verify" else True)
        assert (await pool.handle_async_request(asked)).status_code == 200
        await pool.aclose()


@pytest.mark.parametrize("scheme", ["origin", "proxy"])
@pytest.mark.parametrize(
    ("environ", "verify"),
    [
        ({"SSL_CERT_FILE": "/nowhere/ca.pem"}, True),
        ({"SSL_CERT_DIR": "/nowhere"}, True),
        ({"SSL_CERT_FILE": "/"}, True),
        ({}, "/nowhere/ca.pem"),
    ],
)
def test_what_is_not_there_is_told_when_the_pool_is_made(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], verify: Any, scheme: str
) -> None:
    """By the name of whoever named it, and not at the first call."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    name = next(iter(environ), "verify")
    url, proxy = (HTTPS, None) if scheme == "origin" else (HTTP, "https://p.test")
    with pytest.raises(FileNotFoundError, match=name) as caught:
        PoolTransport(url, verify=verify, proxy=proxy)
    assert isinstance(caught.value, ValueError)
    assert PoolTransport(HTTP, verify=verify).statistics().opened == 0  # nobody looks there


def test_a_file_without_certificates_is_told(tmp_path: Path) -> None:
    """It would trust nobody."""
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(ValueError, match="SSL_CERT_FILE names a file without certificates"):
        tls_context(verify=True, environ={"SSL_CERT_FILE": str(tmp_path / "empty.pem")})


def test_several_directories_may_be_named(tmp_path: Path) -> None:
    """As OpenSSL has it; each must be there."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    both = f"{tmp_path / 'a'}{':' if sys.platform != 'win32' else ';'}{tmp_path / 'b'}"
    context = tls_context(verify=True, environ={"SSL_CERT_DIR": both})
    assert context.verify_mode is ssl.CERT_REQUIRED
    with pytest.raises(FileNotFoundError, match="SSL_CERT_DIR"):
        tls_context(verify=True, environ={"SSL_CERT_DIR": both + "x"})


def test_a_context_is_taken_as_it_is() -> None:
    """And without anything, httpx's own authorities are trusted."""
    context = ssl.create_default_context()
    assert tls_context(context) is context
    assert tls_context(verify=True, environ={}).get_ca_certs()
    assert tls_context(verify=False).verify_mode is ssl.CERT_NONE
