"""voice.php over HTTP: a request is read, acted on and answered, or goes wrong as it was told to.

    read --another path: 404 --another HTTP method: 405 --no operation of the vendor's: 404
      |
    some of the latency, act, the rest of it --> reply, spoilt reply or broken connection

Fields are read as PHP reads them, in every form that real clients were seen to use (vendor,
observed): those of the query, whatever body there is beside it, then those of a POST's form, which
win.
"""

import asyncio
import random
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, NamedTuple, TypeAlias

from ihuyi_voice.common.signal import Signal
from ihuyi_voice.simulator import tables
from ihuyi_voice.simulator.faults import Fault, FaultKind, first_to_strike
from ihuyi_voice.simulator.replies import HttpReply, Quirk, write_reply
from ihuyi_voice.simulator.vendor import Answer

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PATH: Final = "/webservice/voice.php"
ABORT: Final = "ihuyi_voice.simulator.abort"
"""Where the server leaves the function that breaks a connection, in the scope's state."""

_MAX_BODY: Final = 1_048_576
_MOST_FIELDS: Final = 100
_FORM: Final = b"application/x-www-form-urlencoded"
_MULTIPART: Final = b"multipart/form-data"

_ESCAPES: Final = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")
_BOUNDARY: Final = re.compile(rb'boundary[^=]*=(?:"([^"]+)"|([^",;][^,;]*))', re.IGNORECASE)
_BLANK_LINE: Final = re.compile(rb"\r?\n\r?\n")
_FOLD: Final = re.compile(rb"\r?\n[ \t]+")
_DISPOSITION: Final = re.compile(rb"^content-disposition:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_PARAMETER: Final = re.compile(
    rb"""(?:^|;)\s*([^=;\s]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^;\s]*))"""
)

_HTML: Final = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>\n"
_NO_PAGE: Final = HttpReply(b"not found\n", b"text/plain", 404)
_NO_OPERATION: Final = HttpReply(b"method not allowed\n", b"text/plain", 404)
_NO_METHOD: Final = HttpReply(b"GET or POST\n", b"text/plain", 405)


class Disconnected(ConnectionResetError):
    """Raised through the app where no server can break the connection (in-process use)."""


class Form(NamedTuple):
    """The fields of a request, query and body.

    Attributes:
        text: As text: UTF-8, or else GBK.
        raw: As the bytes that came, which are what is signed.
    """

    text: dict[str, str]
    raw: dict[str, bytes]


class Endpoint(ABC):
    """The ASGI application; what it does about a request is up to who inherits from it.

    Attributes:
        latency: Seconds that every request takes, part of it on the way to the vendor.
        jitter: Up to so many random seconds more.
        faults: The rules by which requests go wrong.
        quirks: What is odd about its replies.
    """

    def __init__(
        self, latency: float, jitter: float, quirks: Iterable[str], chance: random.Random
    ) -> None:
        self.latency = latency
        self.jitter = jitter
        self.faults: list[Fault] = []
        self.quirks = {Quirk(each) for each in quirks}
        self._chance = chance
        self._closing = Signal()

    @abstractmethod
    def _act(self, operation: str, form: Form, fault: Fault | None) -> Answer:
        """Do what is asked, unless the fault comes before that, and return the answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3); lifespan and websockets are declined."""
        if scope["type"] != "http":
            raise RuntimeError(f"the simulator speaks HTTP only, not {scope['type']}")
        body = await _read_body(receive)
        if body is None:
            return
        if scope["path"].removeprefix(scope.get("root_path", "")) != PATH:
            await _respond(send, _NO_PAGE)
        elif scope["method"] not in {"POST", "GET"}:
            await _respond(send, _NO_METHOD, (b"allow", b"GET, POST"))
        else:
            kind = _content_type(scope["headers"]) if scope["method"] == "POST" else b""
            form = read_form(scope["query_string"], kind, body)
            await self._serve(scope, receive, send, form)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, form: Form) -> None:
        operation = form.text.get("method", "")
        if operation not in tables.SHAPES:
            await _respond(send, _NO_OPERATION)
            return
        mobile = form.text.get("mobile", "")
        fault = first_to_strike(self.faults, operation, mobile, self._chance)
        whole = self._seconds(fault)
        there = whole * self._chance.random()
        await _pause(there)
        answer = self._act(operation, form, fault)
        await _pause(whole - there)
        reply = write_reply(operation, answer, form.text, self.quirks)
        if fault is None or fault.kind in {FaultKind.LATENCY, FaultKind.CODE}:
            await _respond(send, reply)
        else:
            await self._fail(scope, receive, send, fault, reply)

    def _seconds(self, fault: Fault | None) -> float:
        whole = self.latency + self._chance.uniform(0.0, self.jitter)
        if fault is not None and fault.kind is FaultKind.LATENCY:
            whole += fault.seconds + self._chance.uniform(0.0, fault.jitter)
        return whole

    async def _fail(
        self, scope: Scope, receive: Receive, send: Send, fault: Fault, reply: HttpReply
    ) -> None:
        if fault.kind in {FaultKind.DISCONNECT_BEFORE, FaultKind.DISCONNECT_AFTER}:
            await _disconnect(scope, receive)
        elif fault.kind is FaultKind.SILENCE:
            await self._closing.wait()
            await _disconnect(scope, receive)
        else:
            await _respond(send, _spoilt(fault, reply))


def read_form(query: bytes, content_type: bytes, body: bytes) -> Form:
    """Return the fields of a query, and of a body if its type is one that the vendor reads."""
    raw = _urlencoded(query)
    kind = content_type
    for end in (b";", b",", b" "):
        kind = kind.partition(end)[0]
    kind = kind.lower()
    if kind == _FORM:
        raw |= _urlencoded(body)
    elif kind == _MULTIPART:
        raw |= _multipart(content_type, body)
    return Form({name: _text(value) for name, value in raw.items()}, raw)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        pass
    try:
        return value.decode("gb18030")
    except UnicodeDecodeError:
        return value.decode("utf-8", "replace")


def _urlencoded(text: bytes) -> dict[str, bytes]:
    pairs = text.replace(b"+", b" ").split(b"&")
    if len(pairs) > _MOST_FIELDS:
        return {}
    fields: dict[str, bytes] = {}
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        if b"%" in pair:
            name, value = _ESCAPES.sub(_octets, name), _ESCAPES.sub(_octets, value)
        name = name.lstrip(b" ")  # the document's own example of a GET has such a blank
        if name:
            fields[_text(name)] = value
    return fields


def _octets(escapes: "re.Match[bytes]") -> bytes:
    return bytes.fromhex(escapes[0].replace(b"%", b"").decode())


def _multipart(content_type: bytes, body: bytes) -> dict[str, bytes]:
    """Return the parts that are no files; lines may end in a bare LF, and nothing is decoded."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        return {}
    parts = (b"\n" + body).split(b"\n--" + (found[1] or found[2]), _MOST_FIELDS)
    fields: dict[str, bytes] = {}
    for part in parts[1:]:
        rest_of_line, _, rest = part.partition(b"\n")
        pieces = _BLANK_LINE.split(rest, 1)
        name = _name(pieces[0])
        if rest_of_line in {b"", b"\r"} and name is not None and len(pieces) > 1:
            fields[name] = pieces[1].removesuffix(b"\r")
    return fields


def _name(head: bytes) -> str | None:
    """Return the name of a part; None for a file, and for what isn't a field at all."""
    found = _DISPOSITION.search(_FOLD.sub(b" ", head))
    if found is None or head.startswith((b"\n", b"\r\n")):
        return None
    parameters = {
        name.lower(): re.sub(rb"\\([\\\"'])", rb"\1", double or single or bare)
        for name, double, single, bare in _PARAMETER.findall(found[1])
    }
    if b"filename" in parameters or b"name" not in parameters:
        return None
    return _text(parameters[b"name"])


def _content_type(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return next((value for name, value in headers if name == b"content-type"), b"")


async def _read_body(receive: Receive) -> bytes | None:
    """Return the whole body, or None if the caller has gone; more than 1 MiB is cut off."""
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return None
        if len(body) < _MAX_BODY:
            body += event.get("body", b"")
        if not event.get("more_body", False):
            return bytes(body[:_MAX_BODY])


async def _respond(send: Send, reply: HttpReply, *more: tuple[bytes, bytes]) -> None:
    length = b"%d" % len(reply.body)
    headers = [(b"content-type", reply.kind), (b"content-length", length), *more]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _disconnect(scope: Scope, receive: Receive) -> None:
    """Break the connection, as far as there is one."""
    abort = scope.get("state", {}).get(ABORT)
    if abort is None:
        raise Disconnected("the simulator breaks the connection, as it was told to")
    abort()
    await receive()  # the server hears of it before it misses the response


async def _pause(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)


def _spoilt(fault: Fault, reply: HttpReply) -> HttpReply:
    cut = reply.body[: len(reply.body) // 2]
    return {
        FaultKind.STATUS: HttpReply(_HTML, b"text/html", fault.status),
        FaultKind.TRUNCATED: reply._replace(body=cut),
        FaultKind.UNREADABLE: HttpReply(_HTML, b"text/html"),
        FaultKind.EMPTY: reply._replace(body=b""),
    }[fault.kind]
