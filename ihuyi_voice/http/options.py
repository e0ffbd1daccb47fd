"""How to reach the vendor: the options, each checked when it is given."""

import inspect
import os
import ssl
import sys
from pathlib import PurePath
from types import ModuleType
from typing import Final

import attrs
import httpx

from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.http.pool.proxies import Proxy, proxy_for
from ihuyi_voice.http.pool.trust import tls_context
from ihuyi_voice.inputs import check_above_zero, check_count

_CONNECT: Final = 10.0
_ALL_ELSE: Final = 30.0
_FAMILIES: Final = ("httpx", "httpx2")


@attrs.frozen
class HttpOptions:
    """The options of `VoiceClient` that are about HTTP; the client documents them."""

    base_url: str
    timeout: "float | httpx.Timeout | None" = None
    max_connections: int = 100
    http_client: httpx.AsyncClient | None = None
    max_age: float | None = 300.0
    proxy: object = attrs.field(default=None, repr=False)  # may hold a password
    verify: object = True

    def __attrs_post_init__(self) -> None:
        _check_url(self.base_url)
        _check_timeout(self.timeout)
        check_count("max_connections", self.max_connections)
        if self.max_age is not None:
            check_above_zero("max_age", self.max_age)
        if self.http_client is not None:
            module_of(self.http_client)
            _check_unused(self.proxy, self.verify)

    def timeout_for(self, module: ModuleType) -> httpx.Timeout | None:
        """Return the timeout as a class of httpx's, or httpx2's; None if none was given."""
        if self.timeout is None:
            return None
        seconds = self.timeout
        given = {"timeout": seconds} if isinstance(seconds, int | float) else seconds.as_dict()
        timeout: httpx.Timeout = module.Timeout(**given)
        return timeout

    def own_timeout(self) -> httpx.Timeout:
        """Return the timeout of our own client; its queue for a slot is not the vendor's fault."""
        if self.timeout is None:
            return httpx.Timeout(_ALL_ELSE, connect=_CONNECT, pool=None)
        if isinstance(self.timeout, int | float):
            return httpx.Timeout(self.timeout, pool=None)
        return httpx.Timeout(**self.timeout.as_dict())

    def route(self) -> "Route":
        """Return the way of our own client to the vendor.

        Raises:
            InvalidRequest: There is no such certificate file or folder, or nothing in it, or the
                proxy can't be used; the error shows no password.
        """
        return Route(self._trust(), self._proxy())

    def _trust(self) -> ssl.SSLContext | str | bool:
        verify = str(self.verify) if isinstance(self.verify, PurePath) else self.verify
        if verify == "":
            raise InvalidRequest("verify is empty; False would trust everybody", field="verify")
        if not isinstance(verify, bool | str | ssl.SSLContext):
            raise InvalidRequest(
                "verify can be True, False, a path or an ssl.SSLContext, not "
                f"{type(verify).__name__}",
                field="verify",
            )
        if isinstance(verify, bool | ssl.SSLContext) and not _is_named(verify):
            return verify  # to read certifi's costs 20 ms, and can't fail
        try:
            return tls_context(verify)
        except (OSError, ValueError) as exc:
            raise InvalidRequest(str(exc), field="verify") from exc

    def _proxy(self) -> Proxy | None:
        try:
            if self.proxy is None:
                return proxy_for(self.base_url)
            if isinstance(self.proxy, str):
                return Proxy.parse(self.proxy)
        except ValueError as exc:
            raise InvalidRequest(str(exc), field="proxy") from exc
        raise InvalidRequest(
            f"proxy must be the URL of one, not {type(self.proxy).__name__}", field="proxy"
        )


@attrs.frozen
class Route:
    """How our own client reaches the vendor: whom it trusts, and through which proxy."""

    trust: ssl.SSLContext | str | bool
    proxy: Proxy | None


def _is_named(verify: object) -> bool:
    """Say whether the environment names certificates in place of httpx's own."""
    named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    return verify is True and bool(named)


def module_of(http_client: object) -> ModuleType:
    """Return the package, httpx or httpx2, whose AsyncClient this is.

    Raises:
        InvalidRequest: It is none.
    """
    if not inspect.isclass(http_client):
        for cls in type(http_client).__mro__:
            if cls.__name__ == "AsyncClient" and cls.__module__ in _FAMILIES:
                return sys.modules[cls.__module__]
    raise InvalidRequest(_what_it_is(http_client), field="http_client")


def _what_it_is(http_client: object) -> str:
    wanted = "http_client must be an httpx.AsyncClient"
    if inspect.isclass(http_client):
        return f"{wanted}, and this is a class: give an instance of it"
    if any(cls.__name__ == "Client" for cls in type(http_client).__mro__):
        return f"{wanted}; a Client that doesn't await can't be used here"
    return f"{wanted}, not {type(http_client).__name__}"


def _check_url(url: str) -> None:
    try:
        httpx.URL(url).host  # noqa: B018 - it decodes the name, and only then knows
    except (httpx.InvalidURL, UnicodeError) as exc:
        raise InvalidRequest(f"base_url can't be used: {exc}", field="base_url") from exc


def _check_timeout(timeout: object) -> None:
    if timeout is None:
        return
    as_dict = getattr(timeout, "as_dict", None)
    phases: dict[str, object] = {"all": timeout} if as_dict is None else as_dict()
    for seconds in phases.values():
        if seconds is not None:
            check_above_zero("timeout", seconds)


def _check_unused(proxy: object, verify: object) -> None:
    if proxy is not None:
        raise InvalidRequest("proxy is of no use beside http_client: give it that", field="proxy")
    if verify is not True:
        raise InvalidRequest("verify is of no use beside http_client: give it that", field="verify")
