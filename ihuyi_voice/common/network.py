"""Forbids the vendor's real hosts to this process: a test that forgot something rings nobody.

The environment variable IHUYI_FORBID_NETWORK=1 does so, and so does the pytest plugin while it is
loaded. It is done where every request has to pass: names are not resolved, sockets not connected,
our pool and httpcore's open no connection to them, also not through a proxy. Mocks stand before
that, so what a mock answers is answered. Nothing else is forbidden.

This module imports nothing of ours, and nothing that takes time.
"""

import os
import socket
import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import Any, Final, TypeVar, cast

DOMAINS: Final = ("ihuyi.com", "ihuyi.cn")
"""The vendor's: `api.vm.ihuyi.com` of its document, and every other host of it that was seen."""

VARIABLE: Final = "IHUYI_FORBID_NETWORK"
_OFF: Final = frozenset({"", "0", "false", "no", "off"})
_RESOLVING: Final = ("getaddrinfo", "gethostbyname", "gethostbyname_ex")
_CONNECTING: Final = ("connect", "connect_ex")
_CLIENTS: Final = {"httpcore": "httpx", "httpcore2": "httpx2"}
_POOLS: Final = ("ConnectionPool", "HTTPProxy", "SOCKSProxy")

F = TypeVar("F", bound=Callable[..., Any])


class NetworkForbidden(RuntimeError):
    """A request was about to go to the vendor's real hosts, where that is forbidden.

    Something was forgotten: a mock, an address, a client of the simulator. It is no outcome of a
    call, and nothing was sent.
    """


class _State:
    """Who has forbidden it, and what was put in whose place to that end."""

    holders = 0
    replaced: Final[list[tuple[object, str, object, object]]] = []


def is_forbidden() -> bool:
    """Say whether the vendor's hosts are forbidden now."""
    return _State.holders > 0 or os.environ.get(VARIABLE, "").strip().lower() not in _OFF


def check(host: object) -> None:
    """Let any host pass but the vendor's, if that is forbidden.

    Raises:
        NetworkForbidden: It says what to do.
    """
    if not isinstance(host, str | bytes):
        return
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    name = _in_ascii(name).rstrip(".").lower()
    if name.endswith(DOMAINS) and is_forbidden() and _is_the_vendors(name):
        raise NetworkForbidden(
            f"a request was about to go to {name}, the vendor's real host, and nothing was sent. "
            "Give it to the simulator (fixtures ihuyi_simulator and ihuyi_client, or base_url= and "
            "IHUYI_BASE_URL) or to a mock that is active when the request is made. "
            f"It is forbidden by {_by_whom()}"
        )


def _in_ascii(name: str) -> str:
    """Return a name as it is looked up: wide letters and dots become others."""
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode()
    except UnicodeError:  # there is no such name
        return name


def forbid() -> None:
    """Forbid the vendor's hosts to this process until as many calls of `allow`."""
    _State.holders += 1
    stand_guard()


def allow() -> None:
    """Take one `forbid` back; after the last, everything is as it was."""
    _State.holders = max(0, _State.holders - 1)
    if _State.holders:
        return
    while _State.replaced:
        owner, name, original, ours = _State.replaced.pop()
        if vars(owner).get(name) is ours:  # else others are around it: ours lets all pass now
            setattr(owner, name, original)


def stand_guard() -> None:
    """See to it that who connects is checked, also what was imported since the last time."""
    if not is_forbidden():
        return
    for name in _RESOLVING:
        _replace(socket, name, _checking_host)
    for name in _CONNECTING:
        _replace(socket.socket, name, _checking_address)
    for package, client in _CLIENTS.items():
        if client in sys.modules:  # which imports the other one only when it connects
            _watch_pools(import_module(package))
    if "http.client" in sys.modules:  # urllib and requests: a proxy resolves names for them
        connection = sys.modules["http.client"].HTTPConnection
        _replace(connection, "putrequest", _checking_target)
        _replace(connection, "set_tunnel", _checking_name)
    if "aiohttp" in sys.modules:  # which may resolve names by itself, and asks proxies, too
        _replace(sys.modules["aiohttp"].BaseConnector, "connect", _checking_request)
    if "uvloop" in sys.modules:  # it resolves names by itself
        _replace(sys.modules["uvloop"].Loop, "getaddrinfo", _checking_name)
        _replace(sys.modules["uvloop"].Loop, "create_connection", _checking_connection)


def _watch_pools(module: ModuleType) -> None:
    for name in _POOLS:
        for cls in (getattr(module, name, None), getattr(module, f"Async{name}", None)):
            if cls is not None and "create_connection" in vars(cls):
                _replace(cls, "create_connection", _checking_origin)


def _replace(owner: object, name: str, around: Callable[[Any], Any]) -> None:
    known = any(owner is other and name == its for other, its, _, _ in _State.replaced)
    if known:
        return
    original = getattr(owner, name, None)
    if original is None:  # a recorder's stand-in, which connects to nothing
        return
    ours = around(original)
    setattr(owner, name, ours)
    _State.replaced.append((owner, name, original, ours))


def _checking_host(original: F) -> F:
    @wraps(original)
    def resolve(host: object, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        check(host)
        return original(host, *args, **kwargs)

    return resolve  # type: ignore[return-value]


def _checking_address(original: F) -> F:
    @wraps(original)
    def connect(self: object, address: Any, *args: Any) -> Any:  # noqa: ANN401
        if isinstance(address, tuple):
            check(next(iter(cast("tuple[object, ...]", address)), None))
        return original(self, address, *args)

    return connect  # type: ignore[return-value]


def _checking_name(original: F) -> F:
    @wraps(original)
    def getaddrinfo(self: object, host: object, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        check(host)
        return original(self, host, *args, **kwargs)

    return getaddrinfo  # type: ignore[return-value]


def _checking_target(original: F) -> F:
    from urllib.parse import urlsplit  # noqa: PLC0415 - who is watched here has loaded it

    @wraps(original)
    def putrequest(self: object, method: str, url: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        check(urlsplit(url).hostname if "://" in url else None)
        return original(self, method, url, *args, **kwargs)

    return putrequest  # type: ignore[return-value]


def _checking_request(original: F) -> F:
    @wraps(original)
    def connect(self: object, req: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        check(req.url.host)
        return original(self, req, *args, **kwargs)

    return connect  # type: ignore[return-value]


def _checking_connection(original: F) -> F:
    @wraps(original)
    def connect(self: object, make: object, host: object = None, *rest: Any, **kw: Any) -> Any:  # noqa: ANN401
        check(host)
        return original(self, make, host, *rest, **kw)

    return connect  # type: ignore[return-value]


def _checking_origin(original: F) -> F:
    @wraps(original)
    def create_connection(self: object, origin: Any) -> Any:  # noqa: ANN401
        check(origin.host)
        return original(self, origin)

    return create_connection  # type: ignore[return-value]


def _is_the_vendors(name: str) -> bool:
    return any(name == domain or name.endswith(f".{domain}") for domain in DOMAINS)


def _by_whom() -> str:
    return "the pytest plugin of ihuyi-voice" if _State.holders else VARIABLE


stand_guard()
