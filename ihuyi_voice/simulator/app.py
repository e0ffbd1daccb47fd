"""The vendor in a box: its options, and what a test may do to it and ask of it."""

import asyncio
import math
import random
import time
from collections import Counter, deque
from collections.abc import (
    AsyncGenerator,
    Callable,
    Iterable,
    Mapping,
)
from contextlib import asynccontextmanager
from typing import Final

import httpx

from ihuyi_voice.common.signal import Signal
from ihuyi_voice.simulator import tables
from ihuyi_voice.simulator.clock import movable
from ihuyi_voice.simulator.faults import Fault, FaultKind, PushFault
from ihuyi_voice.simulator.followups import ANSWERED, Arrival, FollowUps, Results
from ihuyi_voice.simulator.http import PATH, Endpoint, Form
from ihuyi_voice.simulator.options import several
from ihuyi_voice.simulator.pushing import Pusher, PushTry
from ihuyi_voice.simulator.vendor import Answer, StoredTemplate, Variables, Vendor

_INSTEAD: Final = {FaultKind.CODE, FaultKind.DISCONNECT_BEFORE}  # the vendor doesn't act


class Simulator(Endpoint):
    """The vendor's voice API, all four operations, as an ASGI app.

    In process: `httpx.AsyncClient(transport=httpx.ASGITransport(app=simulator))`. Over a real
    socket: `async with simulator.serve() as url`. Nothing ever leaves the machine. It answers at
    the vendor's path alone: another one gets 404, an HTTP method but GET and POST 405.

    It pushes to a receiver of yours, here in process and by a clock that the test moves:

        web = httpx.AsyncClient(transport=httpx.ASGITransport(app=receiver))
        simulator = Simulator(
            clock=ManualClock(), push_to="http://test/token", push_client=web, results=-6
        )
        ...  # submit
        simulator.clock.advance(1.0)
        await simulator.push_due()

    Args:
        account: The only APIID that it knows.
        api_key: Its APIKEY.
        balance: Notifications left at the start.
        templates: Approved templates that contents must follow; None to take any content.
        limits: Windows per number: (calls, seconds, code); empty for none.
        repeat_limits: The same for one content to one number, which not every account has; for the
            observed ones, 4083 and 4084, give it `simulator.tables.REPEAT_LIMITS`.
        blacklist: Numbers that get 4030.
        refusals: Numbers that get a code of their own, like `tables.MAGIC_NUMBERS`.
        sensitive_words: Words in a content or template that get 407.
        variables: What the value of a variable may be made of: `strict` for digits, letters and
            Chinese characters, as the document says; `lenient` for `.`, `:`, `/`, `%` and `-`, too,
            as in dates, decimals and percentages.
        max_value_length: The longest value of a variable, else 40722; None for any.
        max_password_age: How many seconds before or after its `time` a dynamic password is taken,
            else 40501; None for any.
        auto_approve: Whether a new template is approved at once; else `audit`, or call `approve`.
        latency: Seconds that every request takes, part of it on the way to the vendor.
        jitter: Up to so many random seconds more.
        quirks: What is odd about its replies: any of `Quirk`, or their values.
        clock: Unix time in seconds, UTC; `simulator.clock.advance(60)` moves it on, and a
            `ManualClock` stands still otherwise.
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
        repeat_limits: Iterable[tuple[int, float, int]] = (),
        blacklist: Iterable[str] = (),
        refusals: Mapping[str, int] | None = None,
        sensitive_words: Iterable[str] = (),
        variables: Variables = "strict",
        max_value_length: int | None = None,
        max_password_age: float | None = None,
        auto_approve: bool = False,
        latency: float = 0.0,
        jitter: float = 0.0,
        quirks: Iterable[str] = (),
        clock: Callable[[], float] = time.time,
        keep_arrivals: int | None = None,
        seed: int = 0,
        push_to: str = "",
        push_client: httpx.AsyncClient | None = None,
        results: Results = ANSWERED,
        report_delay: float = 1.0,
        report_jitter: float = 0.0,
        report_interval: float = 1.0,
        audit: Callable[[str], str | None] | None = None,
        audit_delay: float = 1.0,
    ) -> None:
        quirks = several("quirks", quirks, str)
        super().__init__(latency, jitter, quirks, random.Random(seed))  # noqa: S311 - faults, not secrets
        clock = self.clock = movable(clock)
        self.vendor = Vendor(
            account,
            api_key,
            clock,
            balance=balance,
            limits=several("limits", limits, (tuple, list)),
            repeat_limits=several("repeat_limits", repeat_limits, (tuple, list)),
            blacklist=frozenset(several("blacklist", blacklist, str)),
            refusals=dict(refusals or {}),
            sensitive_words=several("sensitive_words", sensitive_words, str),
            check_templates=templates is not None,
            variables=variables,
            max_value_length=max_value_length,
            max_password_age=max_password_age,
            auto_approve=auto_approve,
        )
        for content in several("templates", templates or (), str):
            self.vendor.store_template(content, approved=True)
        self.arrivals: deque[Arrival] = deque(maxlen=keep_arrivals)
        self.codes: Counter[int | None] = Counter()
        self._pusher = Pusher(clock, push_client, keep_arrivals, self._chance)
        self._pusher.to = push_to
        self._follow_ups = FollowUps(
            self.vendor,
            self._pusher,
            self._chance,
            results,
            report_delay,
            report_jitter,
            report_interval,
            audit,
            audit_delay,
        )
        self._arrived = Signal()

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
        self._follow_ups.decided(template, reason)
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
        with self.clock.watched(self._pusher.wake):
            running = asyncio.create_task(self._pusher.run())
            try:
                yield
            finally:
                running.cancel()
                await asyncio.wait({running})
            if not running.cancelled():
                running.result()  # nothing but a fault of ours ends it

    async def arrived(self, count: int = 1) -> None:
        """Return once at least `count` requests have arrived and are still kept."""
        await self._arrived.wait_until(lambda: len(self.arrivals) >= count)

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

        async with (
            self.pushing(),
            serving(self, host, port, ssl_certfile, ssl_keyfile) as address,
        ):
            try:
                yield f"{address}{PATH}"
            finally:
                self._closing.notify()

    def _act(self, operation: str, form: Form, fault: Fault | None) -> Answer:
        now = self.clock()
        kind = None if fault is None else fault.kind
        if fault is not None and kind in _INSTEAD:
            answer, code = Answer(fault.code), None
        else:
            answer = self.vendor.answer(operation, form.text, form.raw)
            code = answer.code
        arrival = Arrival(now, operation, form.text, code, kind)
        self.codes[code] += 1
        self.arrivals.append(arrival)
        self._arrived.notify()
        if arrival.processed:
            self._follow_ups.arrived(arrival, answer.value)
        return answer
