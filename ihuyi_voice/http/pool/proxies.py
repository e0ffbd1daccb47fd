"""Proxies: what the environment says of them as people write it, and how a request names one.

No text made here (a repr, an error) holds what stands before the `@`, which is a password.
"""

import base64
import ipaddress
import os
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes
from urllib.request import getproxies, proxy_bypass

import attrs
import httpx

PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[0-9a-z_](?:[0-9a-z_.-]*[0-9a-z_.])?|[0-9a-f:.]+")
_SOCKS: Final = (
    "SOCKS is not supported by the pool; inject a client that does: "
    "http_client=httpx.AsyncClient(proxy=…), with httpx[socks] installed"
)


@attrs.frozen
class Proxy:
    """An HTTP proxy.

    Attributes:
        scheme: How it is reached, http or https.
        host: Its name or address, an IPv6 address without brackets.
        port: Its port.
        authorization: The value of Proxy-Authorization, if it wants one.
    """

    scheme: str
    host: str
    port: int
    authorization: bytes | None = attrs.field(default=None, repr=False)

    @classmethod
    def parse(cls, value: str, name: str = "proxy") -> "Proxy":
        """Read `[scheme://][user:password@]host[:port]`, percent-encoded or not.

        Args:
            value: What somebody wrote.
            name: Where; errors say so.

        Raises:
            ValueError: It is no such thing, or SOCKS.
        """
        scheme, mark, rest = value.strip().rpartition("://")
        scheme = scheme.lower() if mark else "http"
        if scheme.startswith("socks"):
            raise ValueError(f"{name}: {_SOCKS}")
        if scheme not in PORTS:
            raise ValueError(f"{name}: the scheme of a proxy is http or https")
        userinfo, at, place = rest.removeprefix("//").rpartition("@")
        host, port = _place(place, name)
        return cls(scheme, host, port or PORTS[scheme], _basic(userinfo) if at else None)

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """What goes beside a request to show who asks."""
        if self.authorization is None:
            return ()
        return ((b"Proxy-Authorization", self.authorization),)


def proxy_for(url: httpx.URL | str, environ: Mapping[str, str] | None = None) -> Proxy | None:
    """Return the proxy that the environment wants for a URL, None for a direct connection.

    HTTP_PROXY, HTTPS_PROXY and ALL_PROXY count, in small letters first, and NO_PROXY. Where a CGI
    script runs, HTTP_PROXY in capitals is a request's header and doesn't count. This machine
    itself is never reached through a proxy.

    Args:
        url: Where the request goes.
        environ: The environment; None for the process's, and the operating system's settings.

    Raises:
        ValueError: A proxy that would be used is none, or SOCKS.
    """
    target = httpx.URL(url)
    host = _plain(target.raw_host.decode("ascii"))
    if _is_loopback(host):
        return None
    given = os.environ if environ is None else environ
    for name in (f"{target.scheme}_proxy", "all_proxy"):
        said, value = _variable(given, name)
        if value:
            return None if _is_exempt(target, host, given) else Proxy.parse(value, said)
    return _system_proxy(target.scheme, host) if environ is None else None


def _variable(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """Return a variable's name as it is spelt, and its value; small letters go first."""
    if name in environ:
        return name, environ[name].strip()
    if name == "http_proxy" and "REQUEST_METHOD" in environ:  # CVE-2016-1000110
        return name, ""
    return name.upper(), environ.get(name.upper(), "").strip()


def _system_proxy(scheme: str, host: str) -> Proxy | None:
    """Return what macOS's or Windows' settings say; they count where no variable does."""
    if any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    value = getproxies().get(scheme)
    return None if not value or proxy_bypass(host) else Proxy.parse(value, "system's proxy")


def _is_exempt(target: httpx.URL, host: str, environ: Mapping[str, str]) -> bool:
    port = target.port or PORTS.get(target.scheme)
    _, listed = _variable(environ, "no_proxy")
    return any(_matches(each, host, port) for each in re.split(r"[,\s]+", listed.lower()) if each)


def _matches(entry: str, host: str, port: int | None) -> bool:
    """Say whether an entry of NO_PROXY names a host: itself, its domain, its network, or all."""
    entry = entry.rpartition("://")[2]
    if entry == "*":
        return True
    network = _network(entry.strip("[]"))
    if network is not None:
        address = _address(host)
        return address is not None and address in network
    name, _, only = entry.rpartition(":")
    if name and only.isdigit():
        return int(only) == port and _matches(name, host, port)
    domain = _plain(entry.removeprefix("*").lstrip("."))
    return bool(domain) and f".{host}".endswith(f".{domain}") and _address(host) is None


def _network(text: str) -> "ipaddress.IPv4Network | ipaddress.IPv6Network | None":
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _address(text: str) -> "ipaddress.IPv4Address | ipaddress.IPv6Address | None":
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped


def _is_loopback(host: str) -> bool:
    address = _address(host)
    if address is not None:
        return address.is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _place(text: str, name: str) -> tuple[str, int | None]:
    """Read `host[:port]`, whatever stands behind a slash; an IPv6 address is in brackets."""
    text = re.split(r"[/?#]", text, maxsplit=1)[0]
    found = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::([0-9]{0,5}))?", text)
    host = (found[1] or found[2]).lower() if found else ""
    port = int(found[3]) if found and found[3] else None
    if not host.isascii():
        host = _idna(host)
    if not _HOST.fullmatch(host) or (port is not None and not 0 < port < 65_536):  # noqa: PLR2004 - 16 bits
        raise ValueError(
            f"{name}: no proxy; write http://host:port or http://user:password@host:port"
        )
    return host, port


def _idna(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return ""


def _basic(userinfo: str) -> bytes:
    user, _, password = userinfo.partition(":")
    both = b"%s:%s" % (unquote_to_bytes(user), unquote_to_bytes(password))
    return b"Basic " + base64.b64encode(both)
