"""The vendor in a box: an ASGI app that answers as the vendor does, and fails when told to."""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import attrs

from ihuyi_voice.simulator import tables
from ihuyi_voice.simulator.faults import Fault, FaultKind
from ihuyi_voice.simulator.forms import read_fields
from ihuyi_voice.simulator.vendor import Answer, StoredTemplate, Vendor, write_reply

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

ABORT: Final = "ihuyi_voice.simulator.abort"
"""Where the server leaves the function that breaks a connection, in the scope's state."""

_MAX_BODY: Final = 1_048_576
_HTML: Final = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>\n"


@attrs.frozen
class Arrival:
    """One request as the vendor saw it.

    Attributes:
        time: When it had arrived, by the simulator's clock.
        operation: `Submit`, `GetNum`, `AddTemplate`, `DelTemplate` or what else was asked.
        fields: All fields, query and body.
        code: The code that the vendor decided on; None if it never acted.
        fault: What went wrong on demand, if anything.
    """

    time: float
    operation: str
    fields: dict[str, str] = attrs.field(repr=False)
    code: int | None
    fault: FaultKind | None = None

    @property
    def mobile(self) -> str:
        """The number, as it was sent."""
        return self.fields.get("mobile", "")

    @property
    def content(self) -> str:
        """The content, as it was sent."""
        return self.fields.get("content", "")

    @property
    def processed(self) -> bool:
        """Whether the vendor did what was asked."""
        return self.code == 2  # noqa: PLR2004 - success


@attrs.frozen
class _HttpReply:
    body: bytes
    kind: bytes
    status: int = 200


class Disconnected(ConnectionResetError):
    """Raised through the app where no server can break the connection (in-process use)."""


class Simulator:
    """The vendor's voice API, all four operations, as an ASGI app.

    In process: `httpx.AsyncClient(transport=httpx.ASGITransport(app=simulator))`. Over a real
    socket: `async with simulator.serve() as url`. Nothing ever leaves the machine.

    Args:
        account: The only APIID that it knows.
        api_key: Its APIKEY.
        balance: Notifications left at the start.
        templates: Approved templates that contents must follow; None to take any content.
        limits: Windows per number: (calls, seconds, code); empty for none.
        blacklist: Numbers that get 4030.
        sensitive_words: Words in a content or template that get 407.
        max_value_length: The longest value of a variable, else 40722; None for any.
        max_password_age: The oldest dynamic password in seconds, else 40501; None for any.
        auto_approve: Whether a new template is approved at once; else call `approve`.
        latency: Seconds that every request takes, part of it on the way to the vendor.
        jitter: Up to so many random seconds more.
        clock: Unix time in seconds, UTC; a `ManualClock` can be moved by tests.
        keep_arrivals: How many arrivals are kept; None for all.
        seed: Of everything random.
    """

    def __init__(
        self,
        account: str = "VM00000000",
        api_key: str = "simulator-key",
        *,
        balance: int = 1_000_000,
        templates: Iterable[str] | None = None,
        limits: Iterable[tuple[int, float, int]] = tables.LIMITS,
        blacklist: Iterable[str] = (),
        sensitive_words: Iterable[str] = (),
        max_value_length: int | None = None,
        max_password_age: float | None = None,
        auto_approve: bool = False,
        latency: float = 0.0,
        jitter: float = 0.0,
        clock: Callable[[], float] = time.time,
        keep_arrivals: int | None = None,
        seed: int = 0,
    ) -> None:
        self.vendor = Vendor(
            account,
            api_key,
            clock,
            balance=balance,
            limits=tuple(limits),
            blacklist=frozenset(blacklist),
            sensitive_words=tuple(sensitive_words),
            check_templates=templates is not None,
            max_value_length=max_value_length,
            max_password_age=max_password_age,
            auto_approve=auto_approve,
        )
        for content in templates or ():
            self.vendor.store_template(content, approved=True)
        self.clock = clock
        self.latency = latency
        self.jitter = jitter
        self.faults: list[Fault] = []
        self.arrivals: deque[Arrival] = deque(maxlen=keep_arrivals)
        self.codes: Counter[int | None] = Counter()
        self._chance = random.Random(seed)  # noqa: S311 - faults, not secrets
        self._closing = asyncio.Event()
        self._news = asyncio.Event()

    @property
    def account(self) -> str:
        """The APIID."""
        return self.vendor.account

    @property
    def api_key(self) -> str:
        """The APIKEY."""
        return self.vendor.api_key

    @property
    def balance(self) -> int:
        """Notifications left."""
        return self.vendor.balance

    def add_fault(self, fault: Fault) -> Fault:
        """Let requests go wrong by this rule from now on; the first rule that strikes counts."""
        self.faults.append(fault)
        return fault

    def clear_faults(self) -> None:
        """Let everything go right again."""
        self.faults.clear()

    def approve(self, template_id: str) -> StoredTemplate:
        """Approve a template that was handed in."""
        template = self.vendor.templates[template_id]
        template.approved = True
        return template

    async def arrived(self, count: int = 1) -> None:
        """Return once at least `count` requests have arrived and are still kept."""
        while len(self.arrivals) < count:
            self._news.clear()
            await self._news.wait()

    def rung(self) -> Counter[tuple[str, str]]:
        """Return how often each (number, content) was accepted: how often its phone rings."""
        return Counter(
            (arrival.mobile, arrival.content)
            for arrival in self.arrivals
            if arrival.operation == "Submit" and arrival.processed
        )

    @asynccontextmanager
    async def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        ssl_certfile: str | None = None,
        ssl_keyfile: str | None = None,
    ) -> AsyncGenerator[str]:
        """Serve over a real socket while inside, and yield the address of voice.php.

        Args:
            host: Where to listen.
            port: 0 for any free one.
            ssl_certfile: A certificate, for https.
            ssl_keyfile: Its key.

        Raises:
            ImportError: The extra `simulator` is not installed.
        """
        from ihuyi_voice.simulator.server import serving  # noqa: PLC0415 - needs the extra

        self._closing.clear()
        async with serving(self, host, port, ssl_certfile, ssl_keyfile) as address:
            try:
                yield f"{address}/webservice/voice.php"
            finally:
                self._closing.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3); lifespan and websockets are declined."""
        if scope["type"] != "http":
            raise RuntimeError(f"the simulator speaks HTTP only, not {scope['type']}")
        body = await _read(receive)
        if body is None:
            return
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", b"").decode("latin-1")
        fields = read_fields(scope["query_string"], kind, body)
        operation = fields.get("method", "")
        if operation not in tables.SHAPES:
            await _respond(send, _HttpReply(b"method not allowed\n", b"text/plain", 404))
            return
        await self._serve(scope, send, operation, fields)

    async def _serve(
        self, scope: Scope, send: Send, operation: str, fields: dict[str, str]
    ) -> None:
        fault = self._fault(operation, fields)
        whole = self.latency + self._chance.uniform(0.0, self.jitter)
        if fault is not None and fault.kind is FaultKind.LATENCY:
            whole += fault.seconds + self._chance.uniform(0.0, fault.jitter)
        there = whole * self._chance.random()
        await _pause(there)
        answer = self._act(operation, fields, fault)
        await _pause(whole - there)
        if fault is None or fault.kind in {FaultKind.LATENCY, FaultKind.CODE}:
            await _respond(send, _reply(operation, answer, fields))
        else:
            await self._fail(scope, send, fault, _reply(operation, answer, fields))

    def _fault(self, operation: str, fields: dict[str, str]) -> Fault | None:
        mobile = fields.get("mobile", "")
        struck = (rule for rule in self.faults if rule.strikes(operation, mobile, self._chance))
        return next(struck, None)

    def _act(self, operation: str, fields: dict[str, str], fault: Fault | None) -> Answer:
        now = self.clock()
        if fault is not None and fault.kind is FaultKind.CODE:
            answer = Answer(fault.code)
        elif fault is not None and fault.kind is FaultKind.DISCONNECT_BEFORE:
            answer = Answer(0)
        else:
            answer = self.vendor.answer(operation, fields)
        acted = fault is None or fault.kind is not FaultKind.DISCONNECT_BEFORE
        code = answer.code if acted else None
        self.codes[code] += 1
        self.arrivals.append(Arrival(now, operation, fields, code, fault.kind if fault else None))
        self._news.set()
        return answer

    async def _fail(self, scope: Scope, send: Send, fault: Fault, reply: _HttpReply) -> None:
        if fault.kind in {FaultKind.DISCONNECT_BEFORE, FaultKind.DISCONNECT_AFTER}:
            await _disconnect(scope)
        elif fault.kind is FaultKind.SILENCE:
            await self._closing.wait()
            await _disconnect(scope)
        else:
            await _respond(send, _spoilt(fault, reply))


def _spoilt(fault: Fault, reply: _HttpReply) -> _HttpReply:
    cut = reply.body[: len(reply.body) // 2]
    return {
        FaultKind.STATUS: _HttpReply(_HTML, b"text/html", fault.status),
        FaultKind.TRUNCATED: attrs.evolve(reply, body=cut),
        FaultKind.UNREADABLE: _HttpReply(_HTML, b"text/html"),
        FaultKind.EMPTY: attrs.evolve(reply, body=b""),
    }[fault.kind]


async def _disconnect(scope: Scope) -> None:
    abort = scope.get("state", {}).get(ABORT)
    if abort is None:
        raise Disconnected("the simulator breaks the connection, as it was told to")
    abort()
    await asyncio.sleep(0)  # the server hears of it before it misses the response


def _reply(operation: str, answer: Answer, fields: dict[str, str]) -> _HttpReply:
    asked = fields.get("format", "xml")
    kind = b"application/json; charset=utf-8" if asked == "json" else b"text/xml; charset=utf-8"
    return _HttpReply(write_reply(operation, answer, asked), kind)


async def _pause(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)


async def _read(receive: Receive) -> bytes | None:
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


async def _respond(send: Send, reply: _HttpReply) -> None:
    length = b"%d" % len(reply.body)
    headers = [(b"content-type", reply.kind), (b"content-length", length)]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
