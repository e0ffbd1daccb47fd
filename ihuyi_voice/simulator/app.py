"""The vendor in a box: an ASGI app that answers as the vendor does, and fails when told to."""

import asyncio
import math
import random
import time
from collections import Counter, deque
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeAlias

import attrs
import httpx

from ihuyi_voice.simulator import pushes, tables
from ihuyi_voice.simulator.clock import ManualClock
from ihuyi_voice.simulator.faults import Fault, FaultKind, PushFault
from ihuyi_voice.simulator.forms import read_fields
from ihuyi_voice.simulator.pushes import Pusher, PushTry
from ihuyi_voice.simulator.vendor import Answer, StoredTemplate, Vendor, write_reply

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

ABORT: Final = "ihuyi_voice.simulator.abort"
"""Where the server leaves the function that breaks a connection, in the scope's state."""

_DONE: Final = 2
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
        return self.code == _DONE and self.fault is not FaultKind.CODE


Codes: TypeAlias = int | Sequence[int]
Results: TypeAlias = Codes | Mapping[str, Codes] | Callable[[Arrival], Codes]


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
        auto_approve: Whether a new template is approved at once; else `audit`, or call `approve`.
        latency: Seconds that every request takes, part of it on the way to the vendor.
        jitter: Up to so many random seconds more.
        clock: Unix time in seconds, UTC; a `ManualClock` can be moved by tests.
        keep_arrivals: How many arrivals, and tries of pushes, are kept; None for all.
        seed: Of everything random.
        push_to: Where reports and audits are pushed, token included; empty: nowhere. Pushes go out
            while the simulator is served, inside `pushing()`, and by `push_due()`.
        push_client: Whom they go through, for a receiver in process:
            `httpx.AsyncClient(transport=httpx.ASGITransport(app=receiver))`.
        results: How calls end (section 6.2): a code, codes by number, or a function of the
            arrival; several codes make several reports of one call.
        report_delay: Seconds from a call to its report.
        report_jitter: Up to so many random seconds more.
        report_interval: Seconds between the reports of one call.
        audit: The rule by which templates are audited: the reason to turn a content down, or None
            to approve it.
        audit_delay: Seconds from handing a template in to its audit.
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
        push_to: str = "",
        push_client: httpx.AsyncClient | None = None,
        results: Results = _DONE,
        report_delay: float = 1.0,
        report_jitter: float = 0.0,
        report_interval: float = 1.0,
        audit: Callable[[str], str | None] | None = None,
        audit_delay: float = 1.0,
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
        self._pusher = Pusher(clock, push_client, keep_arrivals, self._chance)
        self._pusher.to = push_to
        self._results = results
        self._report_times = (report_delay, report_jitter, report_interval)
        self._audit, self._audit_delay = audit, audit_delay
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

    def add_push_fault(self, fault: PushFault) -> PushFault:
        """Let pushes go wrong by this rule from now on; the first rule that strikes counts."""
        self._pusher.faults.append(fault)
        return fault

    def clear_faults(self) -> None:
        """Let everything go right again."""
        self.faults.clear()
        self._pusher.faults.clear()

    def approve(self, template_id: str) -> StoredTemplate:
        """Approve a template that was handed in, and push its audit."""
        return self._decide(template_id, None)

    def reject(self, template_id: str, reason: str) -> StoredTemplate:
        """Turn down a template that was handed in, and push its audit."""
        return self._decide(template_id, reason)

    def _decide(self, template_id: str, reason: str | None) -> StoredTemplate:
        template = self.vendor.templates[template_id]
        template.approved, template.approved_from = reason is None, math.inf
        if self.push_to:
            self._pusher.queue(self.clock(), pushes.audit(template_id, reason))
        return template

    @property
    def push_to(self) -> str:
        """Where reports and audits are pushed, token included; empty: nowhere."""
        return self._pusher.to

    @push_to.setter
    def push_to(self, address: str) -> None:
        self._pusher.to = address

    @property
    def pushes(self) -> deque[PushTry]:
        """The tries of pushes that were made."""
        return self._pusher.tries

    @property
    def next_push(self) -> float | None:
        """When the next try of a push is due, in Unix seconds; None if nothing waits."""
        return self._pusher.next_due

    async def pushed(self, count: int = 1) -> None:
        """Return once at least `count` tries of pushes have been made and are still kept."""
        await self._pusher.pushed(count)

    async def push_due(self) -> int:
        """Make every try that is due now by the clock, and return how many they were."""
        return await self._pusher.push_due()

    @asynccontextmanager
    async def pushing(self) -> AsyncGenerator[None]:
        """Push what is due, when it is due, while inside; what is still queued stays so."""
        watched = self.clock.watched if isinstance(self.clock, ManualClock) else _unwatched
        with watched(self._pusher.wake):
            running = asyncio.create_task(self._pusher.run())
            try:
                yield
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

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
        async with (
            self.pushing(),
            serving(self, host, port, ssl_certfile, ssl_keyfile) as address,
        ):
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
        await self._serve(scope, receive, send, operation, fields)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, operation: str, fields: dict[str, str]
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
            await self._fail(scope, receive, send, fault, _reply(operation, answer, fields))

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
        arrival = Arrival(now, operation, fields, code, fault.kind if fault else None)
        self.arrivals.append(arrival)
        self._news.set()
        if arrival.processed and answer.value is not None:
            self._follow_up(arrival, answer.value)
        return answer

    def _follow_up(self, arrival: Arrival, value: str) -> None:
        """Queue what the vendor will push about it."""
        if arrival.operation == "Submit" and self.push_to:
            self._queue_reports(arrival, value)
        elif arrival.operation == "AddTemplate":
            self._audit_template(arrival, value)

    def _queue_reports(self, arrival: Arrival, voice_id: str) -> None:
        delay, jitter, interval = self._report_times
        due = arrival.time + delay + self._chance.uniform(0.0, jitter)
        for code in _codes(self._results, arrival):
            talked = self._chance.randint(5, 60) if code == _DONE else 0
            report = pushes.report(voice_id, arrival.mobile, code, talked, due)
            self._pusher.queue(due, report)
            due += interval

    def _audit_template(self, arrival: Arrival, template_id: str) -> None:
        template, due = self.vendor.templates[template_id], arrival.time + self._audit_delay
        if self._audit is None and not template.approved:
            return  # somebody will call `approve` or `reject`
        reason = None if self._audit is None else self._audit(template.content)
        if reason is None:
            template.approved_from = due
        if self.push_to:
            self._pusher.queue(due, pushes.audit(template_id, reason))

    async def _fail(
        self, scope: Scope, receive: Receive, send: Send, fault: Fault, reply: _HttpReply
    ) -> None:
        if fault.kind in {FaultKind.DISCONNECT_BEFORE, FaultKind.DISCONNECT_AFTER}:
            await _disconnect(scope, receive)
        elif fault.kind is FaultKind.SILENCE:
            await self._closing.wait()
            await _disconnect(scope, receive)
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


def _codes(results: Results, arrival: Arrival) -> Iterable[int]:
    """Return the codes of the reports of a call."""
    if isinstance(results, Mapping):
        results = results.get(arrival.mobile, _DONE)
    elif callable(results):
        results = results(arrival)
    return (results,) if isinstance(results, int) else results


@contextmanager
def _unwatched(_: Callable[[], None]) -> Generator[None]:
    """Stand in for a clock that can't be moved."""
    yield


async def _disconnect(scope: Scope, receive: Receive) -> None:
    abort = scope.get("state", {}).get(ABORT)
    if abort is None:
        raise Disconnected("the simulator breaks the connection, as it was told to")
    abort()
    await receive()  # the server hears of it before it misses the response


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
