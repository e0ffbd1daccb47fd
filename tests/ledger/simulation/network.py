"""Between a process and the vendor: delays, breaks, and requests that outlive who sent them.

The vendor is the simulator, in process. What a process has handed over arrives, or doesn't,
whatever becomes of the process.
"""

import asyncio
import contextvars
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

import attrs
import httpx

from ihuyi_voice.simulator import Fault, FaultKind, Simulator
from ihuyi_voice.simulator.http import PATH, Form
from ihuyi_voice.simulator.vendor import Answer
from tests.ledger.inboxes import FakeInbox
from tests.ledger.simulation.fate import Fate
from tests.ledger.simulation.processes import Process, current

URL = f"http://vendor.test{PATH}"

_SCOPE: Final[dict[str, Any]] = {"type": "http", "method": "POST", "path": PATH, "state": {}}


@attrs.define(eq=False)
class Attempt:
    """A request whose body was taken.

    Attributes:
        process: Whose.
        began: When, by the loop's clock.
        mobile: The number.
        content: What it says, which in these worlds tells messages apart.
        arrived: When the vendor had it; None if it didn't.
        code: What the vendor replied; None if it never acted.
        voice_id: The call's id, if the vendor accepted it: then the phone rings.
        spoilt: Whether its reply can't be understood.
        over: When its sender heard of it, or gave it up; None if it died first.
        given: Whether that code was given by a fault, and the vendor didn't act.
        understood: Whether the vendor's reply got through to the process, unspoilt.
        on_its_way: Whether it may yet arrive.
    """

    process: Process
    began: float
    mobile: str = ""
    content: str = ""
    arrived: float | None = None
    code: int | None = None
    voice_id: str | None = None
    over: float | None = None
    given: bool = False
    spoilt: bool = False
    understood: bool = False
    on_its_way: bool = True

    @property
    def may_have_rung(self) -> bool:
        """Whether whoever sent it can't know that it didn't ring."""
        return self.voice_id is not None or not self.understood


_carried: contextvars.ContextVar[Attempt] = contextvars.ContextVar("attempt")


class Vendor(Simulator):
    """The simulator, which notes what it made of each attempt, and may tell how each call ended."""

    fate: Fate
    inbox: FakeInbox | None = None

    def _report(self, attempt: Attempt) -> None:
        if self.inbox is not None and attempt.voice_id is not None:
            ringing = 1.0 + 60.0 * self.fate.chance.random()
            self.fate.loop.spawn(None, self._push(self.inbox, attempt, ringing))

    async def _push(self, inbox: FakeInbox, attempt: Attempt, ringing: float) -> None:
        await asyncio.sleep(ringing)
        assert attempt.voice_id is not None
        self.fate.note("reports", attempt.mobile, attempt.voice_id)
        inbox.tell(attempt.voice_id, self.fate.loop.unix(), attempt.mobile)

    def _act(self, operation: str, form: Form, fault: Fault | None) -> Answer:
        attempt, times = _carried.get(), len(self.arrivals)
        answer = super()._act(operation, form, fault)
        arrival = self.arrivals[times]
        attempt.mobile, attempt.content = arrival.mobile, arrival.content
        attempt.arrived, attempt.code = self.fate.loop.time(), answer.code
        if arrival.processed:
            attempt.voice_id = answer.value
            self._report(attempt)
        attempt.given = arrival.fault is FaultKind.CODE
        attempt.spoilt = arrival.fault not in {None, FaultKind.CODE, FaultKind.LATENCY}
        self.fate.note("arrives", arrival.mobile, arrival.content, arrival.code, arrival.fault)
        return answer


class Network(httpx.AsyncBaseTransport):
    """The way to the vendor, and the record of everything that went it.

    Args:
        fate: Of the world.
        vendor: At its other end.
        slow: The longest way, in seconds.
        breaks: The share of requests that break, at each of three places.
    """

    def __init__(self, fate: Fate, vendor: Vendor, slow: float, breaks: float) -> None:
        self.fate, self.vendor = fate, vendor
        self.slow, self.breaks = slow, breaks
        self.attempts: list[Attempt] = []

    def by_content(self) -> Mapping[str, list[Attempt]]:
        """Return the attempts at each message, in their order."""
        found: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in self.attempts:
            found[attempt.content].append(attempt)
        return found

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, as a transport of httpx does."""
        fate, process = self.fate, current()
        assert process is not None
        await fate.point("before the first byte")
        await fate.pause(self.slow)
        if fate.happens(self.breaks):
            raise httpx.ConnectError("no connection")
        assert isinstance(request.stream, httpx.AsyncByteStream)
        body = b"".join([chunk async for chunk in request.stream])
        attempt = Attempt(process, fate.loop.time())
        self.attempts.append(attempt)
        form = httpx.QueryParams(body.decode())
        attempt.mobile, attempt.content = form["mobile"], form["content"]
        fate.note("sends", attempt.mobile, attempt.content)
        headers = [(name.lower(), value) for name, value in request.headers.raw]
        scope = {**_SCOPE, "query_string": request.url.query, "headers": headers}
        try:
            return await self._sent(attempt, scope, body, request.extensions["timeout"]["read"])
        finally:
            attempt.over = fate.loop.time()

    async def _sent(
        self, attempt: Attempt, scope: dict[str, Any], body: bytes, patience: float
    ) -> httpx.Response:
        way = self.fate.loop.spawn(None, self._deliver(attempt, scope, body))
        await self.fate.point("in flight")
        done, _ = await asyncio.wait({way}, timeout=patience)
        await self.fate.point("after the answer")
        if not done:
            raise httpx.ReadTimeout("no reply")
        response = way.result()
        attempt.understood = not attempt.spoilt
        return response

    async def _deliver(
        self, attempt: Attempt, scope: dict[str, Any], body: bytes
    ) -> httpx.Response:
        """Be the way there, the vendor, and the way back; a task of the world's."""
        _carried.set(attempt)
        try:
            return await self._delivered(attempt, scope, body)
        finally:
            attempt.on_its_way = False

    async def _delivered(
        self, attempt: Attempt, scope: dict[str, Any], body: bytes
    ) -> httpx.Response:
        await self.fate.pause(self.slow)
        if self.fate.happens(self.breaks):
            raise httpx.WriteError("broken on the way there")
        events: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(event: Any) -> None:
            events.append(event)

        try:
            await self.vendor(scope, receive, send)
            assert attempt.arrived is not None
        except ConnectionResetError as exc:
            raise httpx.ReadError("broken by the vendor") from exc
        await self.fate.pause(self.slow)
        if self.fate.happens(self.breaks):
            raise httpx.ReadError("broken on the way back")
        start, rest = events
        return httpx.Response(start["status"], headers=start["headers"], content=rest["body"])
