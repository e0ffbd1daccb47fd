"""A world: one client, its calls and runs, the people who wait for them, and bad neighbours.

Everything in it is drawn from a seed. Then it becomes calm; where there is a ledger, another client
runs everything again. What callers were told is held against what the vendor saw: see `promises`.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    nullcontext,
)
from typing import Any, Final
from unittest.mock import patch

import attrs
import httpx

from ihuyi_voice import Message, Outcome, OutcomeStatus, RetryPolicy, Submission, VoiceClient
from ihuyi_voice.bulk import BulkRun
from ihuyi_voice.errors import VoiceError
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.simulator import Fault, FaultKind
from tests.client.neighbours.mischief import Mischief, drawn_habits
from tests.client.neighbours.neighbours import Handler, Library, Listener, Watchman, Way
from tests.ledger.simulation.disk import Disk
from tests.ledger.simulation.fate import Fate
from tests.ledger.simulation.network import URL, Vendor
from tests.ledger.simulation.processes import Process, WorldLoop

RUN: Final = "nightly"
KEY: Final = "an-api-key-of-some-length"
_SPOILING: Final = (
    FaultKind.DISCONNECT_BEFORE,
    FaultKind.DISCONNECT_AFTER,
    FaultKind.STATUS,
    FaultKind.TRUNCATED,
    FaultKind.UNREADABLE,
    FaultKind.SILENCE,
)
_CODES: Final = (0, 4051, 4010, 4072)  # retry, stop, wait, fix
_PATIENCE: Final = 200.0  # seconds that a consumer waits for a run
_LONGEST: Final = 3_600.0
_CLOSING: Final = 240.0
_DEAD_FOR_SURE: Final = 60.0


@attrs.frozen
class Told:
    """What a caller was told of a message.

    Attributes:
        content: What it says, which tells messages apart.
        status: How it ended; None if an error was raised that is no outcome: nothing was sent.
        voice_id: The call's id, if it was accepted.
        code: The vendor's, if it refused.
        calm: Whether nobody misbehaved any more.
        at: When, by the loop's clock.
    """

    content: str
    status: OutcomeStatus | None
    voice_id: str | None = None
    code: int | None = None
    calm: bool = False
    at: float = 0.0


@attrs.define(eq=False)
class Course:
    """A run, what it took from its source, and the outcomes that it told.

    Attributes:
        run: The run.
        taken: The messages.
        heard: The outcomes.
    """

    run: BulkRun
    taken: list[Message] = attrs.field(factory=list[Message])
    heard: list[Outcome] = attrs.field(factory=list[Outcome])

    def hear(self, outcomes: Iterable[Outcome]) -> None:
        """Keep outcomes; those who drain at once have the same."""
        self.heard += [each for each in outcomes if not any(each is one for one in self.heard)]


@attrs.define(eq=False)
class World:
    """One world.

    Attributes:
        seed: Of everything random.
        loop: Its loop.
        told: What callers were told.
        courses: The runs.
        broken: The promises that were broken, in words.
        has_ledger: Whether the client has one.
        injects: Whether its httpx client is injected; its own goes the same way, by a patch.
        times: Of each single call: its content, and from when until when it may be sent.
    """

    seed: int
    loop: WorldLoop
    fate: Fate = attrs.field(init=False)
    mischief: Mischief = attrs.field(init=False)
    vendor: Vendor = attrs.field(init=False)
    network: Way = attrs.field(init=False)
    disk: Disk = attrs.field(init=False)
    guard: Watchman = attrs.field(init=False)
    listener: Listener = attrs.field(init=False)
    handler: Handler = attrs.field(init=False)
    told: list[Told] = attrs.field(factory=list[Told])
    courses: list[Course] = attrs.field(factory=list[Course])
    broken: list[str] = attrs.field(factory=list[str])
    times: list[tuple[str, float, float]] = attrs.field(factory=list[tuple[str, float, float]])
    has_ledger: bool = False
    injects: bool = False
    _messages: list[Message] = attrs.field(factory=list[Message])
    _calls: list[Message] = attrs.field(factory=list[Message])
    _more: int = 0

    def __attrs_post_init__(self) -> None:
        chance = random.Random(self.seed)
        self.fate = fate = Fate(self.loop, chance)
        self.mischief = mischief = Mischief(fate, drawn_habits(chance))
        risk = chance.choice((0.0, 0.0, 0.1))
        self.vendor = Vendor(
            api_key=KEY, clock=self.loop.unix, seed=self.seed, latency=chance.choice((0.0, 0.3))
        )
        self.vendor.fate = fate
        self.network = Way(fate, self.vendor, chance.choice((0.01, 1.0)), risk)
        self.network.mischief = mischief
        self.disk = Disk(fate, 0.0, 0.0, chance.choice((0.01, 0.3)))
        self.guard = Watchman(mischief, self.loop.time)
        self.listener, self.handler = Listener(mischief), Handler(mischief)
        self.has_ledger = chance.random() < 0.5
        self.injects = chance.random() < 0.6
        if risk:
            self.vendor.add_fault(Fault(chance.choice(_SPOILING), share=risk))
            self.vendor.add_fault(Fault(FaultKind.CODE, code=chance.choice(_CODES), share=risk))
        self._write_messages(chance)

    def _write_messages(self, chance: random.Random) -> None:
        numbers = [f"1390000{place:04d}" for place in range(chance.randint(3, 12))]
        for place in range(chance.choice((0, 3, 8, 20))):
            bad = "1390" if chance.random() < 0.05 else None
            message = Message(bad or chance.choice(numbers), f"run {place}", f"r{place}")
            self._messages.append(message)
        for place in range(chance.choice((0, 1, 4)) if self._messages else 4):
            self._calls.append(Message(chance.choice(numbers), f"call {place}", f"k{place}"))

    # --- its course

    async def pass_by(self) -> None:
        """Let it take its course."""
        with self.handler.listening(logging.DEBUG), self._on_its_way():
            await self._live(self._misbehaved())
            self.fate.calm = True
            self.vendor.clear_faults()
            if self.has_ledger:
                await asyncio.sleep(_DEAD_FOR_SURE)
                await self._live(self._calm())

    def _on_its_way(self) -> AbstractContextManager[object]:
        """Have httpx's own transport, which the client's is one of, go the way of this world."""

        async def send(_: object, request: httpx.Request) -> httpx.Response:
            return await self.network.handle_async_request(request)

        return patch.object(httpx.AsyncHTTPTransport, "handle_async_request", send)

    async def _live(self, program: Any) -> None:
        living = self.loop.spawn(Process("program"), program)
        await asyncio.wait({living}, timeout=_LONGEST)
        if living.done():
            living.result()
            return
        self.broken.append("it never ends")
        living.cancel()

    async def _misbehaved(self) -> None:
        """Be a program that does several things at once, and ends in the end."""
        chance = self.fate.chance
        async with self._ledger() as ledger:
            client = self._client(ledger)
            jobs: list[Awaitable[None]] = [
                self._call(client, message, timeout=chance.choice((5.0, 30.0)))
                for message in self._calls
            ]
            if self._messages:
                leaves = chance.randrange(10) if chance.random() < 0.3 else None
                jobs.append(self._run(client, leaves_after=leaves))
            await self._all(map(self._impatient, jobs))
            await self._close(client)
            await asyncio.sleep(_DEAD_FOR_SURE)  # by then the deaf have ended, too
            await self._all([self._drain(each) for each in self.courses])

    async def _calm(self) -> None:
        """Be the same program, run again when all is well."""
        async with self._ledger() as ledger:
            client = self._client(ledger)
            if self._messages:
                await self._run(client)
                await self._drain(self.courses[-1])
            for message in self._calls:
                await self._call(client, message, timeout=300.0)
            await self._close(client)

    async def _all(self, jobs: Iterable[Awaitable[None]]) -> None:
        """Wait for all, whatever becomes of each."""
        tasks = [asyncio.ensure_future(job) for job in jobs]
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            error = None if task.cancelled() else task.exception()
            if isinstance(error, AssertionError):
                raise error

    async def _impatient(self, job: Awaitable[None]) -> None:
        """Do something, and perhaps cancel it on the way, and again in its cleanup."""
        chance = self.fate.chance
        task = asyncio.ensure_future(job)
        for _ in range(chance.choice((0, 0, 0, 1, 3))):
            await asyncio.wait({task}, timeout=chance.choice((0.05, 8.0)) * chance.random())
            task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()

    def _ledger(self) -> AbstractAsyncContextManager[Ledger | None]:
        return Ledger.open("calls.db") if self.has_ledger else nullcontext()

    def _client(self, ledger: Ledger | None) -> VoiceClient:
        chance, mischief = self.fate.chance, self.mischief

        async def before(_: httpx.Request) -> None:
            await mischief.awaited("request hook")

        async def after(_: httpx.Response) -> None:
            await mischief.awaited("response hook")

        http = httpx.AsyncClient(transport=self.network, trust_env=False) if self.injects else None
        client = VoiceClient(
            self.vendor.account, KEY, base_url=URL, http_client=http, timeout=10.0,
            guard=self.guard, clock=self._clock, on_event=self.listener,
            retry=RetryPolicy(attempts=chance.randint(1, 3), initial=0.2),
            ledger=None if ledger is None else Library(ledger, mischief),
        )  # fmt: skip
        client.http_client.event_hooks = {"request": [before], "response": [after]}
        mischief.returns = {
            "submits": lambda: self._call(client, self._one_more(), timeout=5.0),
            "drains": self._drain_first,
            "closes": client.aclose,
        }
        return client

    def _one_more(self) -> Message:
        """Return a message that a neighbour sends, to a number of its own."""
        self._more += 1
        return Message(f"1390000{7_000 + self._more:04d}", f"more {self._more}", f"n{self._more}")

    def _clock(self) -> float:
        self.mischief.called("clock")
        return self.loop.unix()

    async def _close(self, client: VoiceClient) -> None:
        closing = asyncio.ensure_future(client.aclose())
        await asyncio.wait({closing}, timeout=_CLOSING)
        if not closing.done():
            self.broken.append("closing never ends")
            closing.cancel()

    # --- what callers do

    async def _call(self, client: VoiceClient, message: Message, *, timeout: float) -> None:  # noqa: ASYNC109 - the client's own
        now = self.loop.time()
        self.times.append((message.content, now, now + timeout))
        told = await self._told_of(
            message,
            client.submit(
                message.mobile, message.content, max_wait=60.0, timeout=timeout,
                key=message.reference if self.has_ledger else None,
            ),
        )  # fmt: skip
        self._hear(told)

    async def _told_of(self, message: Message, call: Awaitable[Submission]) -> Told:
        try:
            accepted = await call
        except VoiceError as error:
            return Told(message.content, error.status, None, getattr(error, "code", None))
        except Exception:  # noqa: BLE001 - a neighbour's, where nothing was sent
            return Told(message.content, None)
        return Told(message.content, OutcomeStatus.ACCEPTED, accepted.voice_id)

    async def _run(self, client: VoiceClient, *, leaves_after: int | None = None) -> None:
        chance = self.fate.chance
        taken: list[Message] = []
        sources: tuple[Callable[[], Any], ...] = (
            lambda: self._source(taken),
            lambda: self._messages_of(taken),
        )
        run = client.submit_many(
            chance.choice(sources)(), run=RUN if self.has_ledger else None, grace=5.0,
            concurrency=chance.choice((1, 3, 20)), max_wait=chance.choice((0.0, 60.0)),
        )  # fmt: skip
        course = Course(run, taken)
        self.courses.append(course)
        async with asyncio.timeout(_PATIENCE), run:
            async for outcome in run:
                course.hear([outcome])
                if len(course.heard) == leaves_after:
                    break
                await self.mischief.awaited("consumer")

    async def _drain_first(self) -> None:
        for course in self.courses[:1]:
            course.hear(await course.run.drain())

    async def _drain(self, course: Course) -> None:
        course.hear(await course.run.drain())
        for outcome in course.heard:
            code = getattr(outcome.error, "code", None)
            content, status = outcome.message.content, outcome.status
            self._hear(Told(content, status, outcome.voice_id, code))

    async def _source(self, taken: list[Message]) -> AsyncGenerator[Message]:
        for message in self._messages:
            await self.mischief.awaited("source")
            taken.append(message)
            yield message

    def _messages_of(self, taken: list[Message]) -> Generator[Message]:
        for message in self._messages:
            self.mischief.called("messages")
            taken.append(message)
            yield message

    def _hear(self, told: Told) -> None:
        self.fate.note("hears", told.content, told.status, told.voice_id, told.code)
        self.told.append(attrs.evolve(told, calm=self.fate.calm, at=self.loop.time()))
