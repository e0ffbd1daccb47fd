"""The vendor's pushes: how calls and audits ended, tried until heard (sections 4.5 and 6).

A push is queued with the time when it is due. It is due for its first try, 60 seconds after that
for its second, 120 seconds after that for its third, and is then given up; HTTP 200 with exactly
`success` ends it earlier. A try that is cancelled is queued again and doesn't count, so that what
is queued outlives a restart of the vendor.

    queued --due, a slot free--> in flight --`success`--> done
       ^                            | no `success`, first or second try: due 60, 120 s later
       +---- cancelled, or so ------+ no `success`, third try --> given up

What was forgotten, queued or in flight, is never tried again.
"""

import asyncio
import random
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final
from urllib.parse import urlencode

import attrs
import httpx

from ihuyi_voice.common.signal import Signal
from ihuyi_voice.simulator import tables
from ihuyi_voice.simulator.faults import PushFault, PushFaultKind, first_to_strike

REPORT: Final = "report"
AUDIT: Final = "audit"

_PAUSES: Final = (60.0, 120.0)  # seconds from one try to the next
_AT_ONCE: Final = 50
_TIMEOUT: Final = 10.0  # seconds
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
_CHINA: Final = timezone(timedelta(hours=8))


@attrs.frozen
class PushTry:
    """One try of a push.

    Attributes:
        time: When it was made, by the simulator's clock.
        kind: `report` or `audit`.
        subject: The voice id or the template id.
        number: Which try of this push, from 1.
        fields: What was posted.
        status: The HTTP status of the answer; None if none was heard.
        acknowledged: Whether `success` was heard.
    """

    time: float
    kind: str
    subject: str
    number: int
    fields: Mapping[str, str] = attrs.field(repr=False)
    status: int | None
    acknowledged: bool


@attrs.frozen
class Push:
    """A push that waits for its next try."""

    kind: str
    subject: str
    mobile: str = attrs.field(repr=False)
    fields: Mapping[str, str] = attrs.field(repr=False)
    number: int = 1


def report(voice_id: str, mobile: str, code: int, talk_time: int, when: float) -> Push:
    """Return the report of a call that ended at `when` (section 6.2)."""
    fields = {
        "code": str(code),
        "msg": tables.REPORT.get(code, ""),
        "mobilephone": mobile,
        "talktime": str(talk_time),
        "voiceid": voice_id,
        "report_time": f"{datetime.fromtimestamp(when, UTC).astimezone(_CHINA):%Y-%m-%d %H:%M:%S}",
    }
    return Push(REPORT, voice_id, mobile, fields)


def audit(template_id: str, reason: str | None) -> Push:
    """Return the audit of a template: turned down for a reason, or approved (section 4.5)."""
    code, msg = (2, tables.APPROVED) if reason is None else (0, reason)
    return Push(AUDIT, template_id, "", {"code": str(code), "msg": msg, "templateid": template_id})


class Pusher:
    """Holds pushes until they are due, and tries each until it is heard.

    Args:
        clock: Unix time in seconds.
        client: Whom pushes go through; None for connections of its own.
        keep: How many tries are kept; None for all.
        chance: Decides about faults.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        client: httpx.AsyncClient | None,
        keep: int | None,
        chance: random.Random,
    ) -> None:
        self.faults: list[PushFault] = []
        self.tries: deque[PushTry] = deque(maxlen=keep)
        self._to = ""
        self._clock = clock
        self._client = client
        self._lanes = _Lanes()
        self._users = 0
        self._chance = chance
        self._queue: list[tuple[float, int, Push]] = []
        self._order = count()
        self._forgotten: set[tuple[str, str]] = set()
        self._under_way: set[asyncio.Task[None]] = set()
        self._due = Signal()
        self._tried = Signal()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    @property
    def to(self) -> str:
        """Where pushes go; empty: nowhere, they wait."""
        return self._to

    @to.setter
    def to(self, address: str) -> None:
        if address and not _is_http(address):
            raise ValueError("push_to is no http address")  # which may hold a secret
        self._to = address
        self.wake()

    def use(self, client: httpx.AsyncClient | None) -> None:
        """Have pushes go through another client from now on; None for connections of its own."""
        self._client = client

    @property
    def next_due(self) -> float | None:
        """When the next try is due, in Unix seconds."""
        return self._queue[0][0] if self._queue else None

    def wake(self) -> None:
        """Look again at what is due: the clock was moved."""
        self._due.notify()

    def queue(self, due: float, push: Push) -> None:
        """Have a push tried first at `due`, or later, if it is told to be late."""
        fault = self._fault(push, {PushFaultKind.LATE})
        self._put(due + (fault.seconds if fault else 0.0), push)

    def forget(self, kind: str, subject: str) -> None:
        """Try nothing about a subject any more."""
        self._forgotten.add((kind, subject))
        self._queue = [entry for entry in self._queue if self._matters(entry[2])]
        heapify(self._queue)

    async def push_due(self) -> int:
        """Make every try that is due now, and return how many they were."""
        async with self._connected(), asyncio.TaskGroup() as group:
            return self._start_due(group)

    async def run(self) -> None:
        """Make tries when they are due, until cancelled."""
        async with self._connected(), asyncio.TaskGroup() as group:
            async for _ in self._due.rounds(every=self._pause):
                self._start_due(group)

    async def landed(self) -> None:
        """Return once no try is under way."""
        await self._tried.wait_until(lambda: not self._under_way)

    async def pushed(self, many: int) -> None:
        """Return once so many tries have been made and are still kept."""
        await self._tried.wait_until(lambda: len(self.tries) >= many)

    def _start_due(self, group: asyncio.TaskGroup) -> int:
        started = {group.create_task(self._try(push)) for push in self._pop_due()}
        self._under_way |= started
        for task in started:
            task.add_done_callback(self._over)
        return len(started)

    def _over(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        self._tried.notify()

    def _put(self, due: float, push: Push) -> None:
        if self._matters(push):
            heappush(self._queue, (due, next(self._order), push))
            self.wake()

    def _matters(self, push: Push) -> bool:
        return (push.kind, push.subject) not in self._forgotten

    def _pop_due(self) -> Iterator[Push]:
        now = self._clock()
        while self._to and self._queue and self._queue[0][0] <= now:
            yield heappop(self._queue)[2]

    def _pause(self) -> float | None:
        return max(self._queue[0][0] - self._clock(), 0.0) if self._to and self._queue else None

    async def _try(self, push: Push) -> None:
        try:
            async with self._slots:
                now = self._clock()
                status, heard = await self._deliver(push)
        except asyncio.CancelledError:
            self._put(self._clock(), push)
            raise
        self.tries.append(
            PushTry(now, push.kind, push.subject, push.number, push.fields, status, heard)
        )
        self._tried.notify()
        if not heard and push.number <= len(_PAUSES):
            again = attrs.evolve(push, number=push.number + 1)
            self._put(now + _PAUSES[push.number - 1], again)

    async def _deliver(self, push: Push) -> tuple[int | None, bool]:
        fault = self._fault(push, set(PushFaultKind) - {PushFaultKind.LATE})
        if fault is None:
            return await self._post(push)
        if fault.kind is PushFaultKind.LOST:
            return None, False
        if fault.kind is PushFaultKind.DUPLICATE:
            answers = await asyncio.gather(self._post(push), self._post(push))
            return max(answers, key=lambda answer: answer[1])
        await self._post(push)  # and the answer is lost
        return None, False

    def _fault(self, push: Push, kinds: set[PushFaultKind]) -> PushFault | None:
        rules = (rule for rule in self.faults if rule.kind in kinds)
        return first_to_strike(rules, push.kind, push.mobile, self._chance)

    async def _post(self, push: Push) -> tuple[int | None, bool]:
        body = urlencode(push.fields).encode()
        limits = {"timeout": httpx.Timeout(_TIMEOUT).as_dict()}
        request = httpx.Request("POST", self._to, content=body, headers=_FORM, extensions=limits)
        try:
            answer = await self._send(request)
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException:  # in process, the receiver's own failures arrive here too
            if _is_cancelled():
                raise
            return None, False
        return answer.status_code, (answer.status_code, answer.content) == (200, b"success")

    async def _send(self, request: httpx.Request) -> httpx.Response:
        if self._client is not None:
            return await self._client.send(request, follow_redirects=False)
        # Not through a client, which would log the address, and with it the receiver's secret.
        async with self._lanes.lend(request.url.scheme) as lane:
            answer = await lane.handle_async_request(request)
            await answer.aread()
            return answer

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[None]:
        """Keep connections of its own while somebody pushes, all in one event loop."""
        if not self._users:
            self._slots = asyncio.Semaphore(_AT_ONCE)
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                lanes, self._lanes = self._lanes, _Lanes()
                await lanes.aclose()


def _is_cancelled() -> bool:
    """Say whether this try is to end; a receiver may raise CancelledError, too."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@attrs.define(eq=False)
class _Lanes:
    """Transports of a single connection each, of which the one used last is lent first.

    One transport for all would look at every connection for every request: with fifty of them, a
    push costs ten times as much. One whose use was cancelled may be unusable, and isn't lent again.
    """

    _all: set[httpx.AsyncHTTPTransport] = attrs.field(factory=set[httpx.AsyncHTTPTransport])
    _free: dict[str, list[httpx.AsyncHTTPTransport]] = attrs.field(
        factory=dict[str, list[httpx.AsyncHTTPTransport]]
    )
    _trust: dict[str, ssl.SSLContext] = attrs.field(factory=dict[str, ssl.SSLContext])

    @asynccontextmanager
    async def lend(self, scheme: str) -> AsyncGenerator[httpx.AsyncHTTPTransport]:
        free = self._free.setdefault(scheme, [])
        lane = free.pop() if free else self._open(scheme)
        try:
            yield lane
        except Exception:
            self._all.remove(lane)
            await lane.aclose()
            raise
        free.append(lane)

    def _open(self, scheme: str) -> httpx.AsyncHTTPTransport:
        if scheme not in self._trust:  # to load it takes 40 ms, and only https needs it
            self._trust[scheme] = httpx.create_ssl_context(verify=scheme == "https")
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        lane = httpx.AsyncHTTPTransport(verify=self._trust[scheme], limits=limits)
        self._all.add(lane)
        return lane

    async def aclose(self) -> None:
        await asyncio.gather(*(lane.aclose() for lane in self._all))


def _is_http(address: str) -> bool:
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return False
    return url.scheme in {"http", "https"} and bool(url.host)
