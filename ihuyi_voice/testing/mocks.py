"""What the vendor, or the network, would do: for respx, pytest-httpx and `httpx.MockTransport`.

Each is a function of a request, which all three take:

    respx.post(url).mock(side_effect=reject(4072))
    httpx_mock.add_callback(drop_after_send())
    httpx.MockTransport(accept())
"""

from collections.abc import Callable
from itertools import count
from typing import Final, TypeAlias

import httpx

from ihuyi_voice.simulator import operation_of, told_reply

Reaction: TypeAlias = Callable[[httpx.Request], httpx.Response]

_DONE: Final = 2
_FIRST_ID: Final = 60_495_654
_BALANCE: Final = "856"
_GET_NUM: Final = "GetNum"


def accept(voice_id: str | None = None) -> Reaction:
    """Take every request: submissions get this id, or one after another, and balances are 856."""
    ids = count(_FIRST_ID)

    def react(request: httpx.Request) -> httpx.Response:
        if _operation(request) == _GET_NUM:
            return _reply(request, _DONE, _BALANCE)
        return _reply(request, _DONE, voice_id or str(next(ids)))

    return react


def reject(code: int) -> Reaction:
    """Refuse every request with one of the vendor's codes, and its text for that.

    Raises:
        ValueError: With this code it accepts.
    """
    if code == _DONE:
        raise ValueError(f"{code} is how the vendor accepts: use accept()")

    def react(request: httpx.Request) -> httpx.Response:
        return _reply(request, code, None)

    return react


def drop_after_send() -> Reaction:
    """Break the connection after the request has gone out: the outcome is UNKNOWN."""

    def react(request: httpx.Request) -> httpx.Response:
        request.read()
        raise httpx.ReadError("the connection broke before a reply came", request=request)

    return react


def drop_before_send() -> Reaction:
    """Refuse the connection: the request was surely NOT_SENT."""

    def react(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    return react


def time_out() -> Reaction:
    """Let no reply come in time: the outcome is UNKNOWN."""

    def react(request: httpx.Request) -> httpx.Response:
        request.read()
        raise httpx.ReadTimeout("no reply in time", request=request)

    return react


def gateway_error(status: int = 502) -> Reaction:
    """Answer a gateway's page in place of the vendor's reply: the outcome is UNKNOWN."""

    def react(request: httpx.Request) -> httpx.Response:
        request.read()
        return httpx.Response(status, html="<h1>Bad Gateway</h1>")

    return react


def _operation(request: httpx.Request) -> str:
    operation = operation_of(*_parts(request))
    if not operation:
        url = str(request.url).partition("?")[0]
        raise AssertionError(f"a request to {url} asks for none of the vendor's operations")
    return operation


def _parts(request: httpx.Request) -> tuple[bytes, bytes, bytes]:
    kind = request.headers.get("content-type", "").encode("latin-1")
    return request.url.query, kind, request.read()


def _reply(request: httpx.Request, code: int, value: str | None) -> httpx.Response:
    _operation(request)
    reply = told_reply(*_parts(request), code, value)
    headers = {"Content-Type": reply.kind.decode()}
    return httpx.Response(reply.status, headers=headers, content=reply.body)
