"""A world: two programs that are killed, stopped and started again, their ledger, and the vendor.

Everything in it is drawn from a seed. Each slot starts one incarnation of its program after the
other; each of them sends some of the run, some keyed calls, or both. When all of them are gone the
world becomes calm, and one last incarnation sends everything there is.
"""

import asyncio
import random
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Sequence,
)
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import attrs
import httpx

from ihuyi_voice import Message, OutcomeStatus, RetryPolicy, VoiceClient
from ihuyi_voice.errors import InvalidRequest, LedgerUnavailable, RunInUse, VoiceError
from ihuyi_voice.guards import MemoryGuard
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.models import Submission, digest
from ihuyi_voice.simulator import Fault, FaultKind
from tests.ledger.inboxes import FakeInbox
from tests.ledger.simulation.disk import Disk
from tests.ledger.simulation.fate import LONGEST_STOP, Fate, Plan
from tests.ledger.simulation.network import URL, Network, Vendor
from tests.ledger.simulation.processes import Process, WorldLoop
from tests.ledger.simulation.watched import Watch, WatchedJournal, WatchedLedger

RUN: Final = "nightly"
BAD: Final = "敏感"
_SPOILING: Final = (
    FaultKind.DISCONNECT_BEFORE,
    FaultKind.DISCONNECT_AFTER,
    FaultKind.STATUS,
    FaultKind.TRUNCATED,
    FaultKind.UNREADABLE,
    FaultKind.EMPTY,
    FaultKind.SILENCE,
)
_GIVEN: Final = (0, 4051, 4010, 405, 4080, 4072)  # codes: retry, stop, wait, stop, wait, fix
_LONGEST_LIFE: Final = 3_600.0
_DEAD_FOR_SURE, _MOST_A_DAY = 60.0, 6
_ALL_REPORTED: Final = 120.0


@attrs.frozen
class Told:
    """What a caller was told of a message.

    Attributes:
        process: Whose caller.
        key: The message's.
        content: What it says.
        status: How it ended.
        voice_id: The call's id, if it was accepted.
        replayed: Whether it was said to have been settled earlier.
        of_run: Whether by a run; else it was a keyed call.
        at: When, by the loop's clock.
    """

    process: Process
    key: str
    content: str
    status: OutcomeStatus
    voice_id: str | None
    replayed: bool
    of_run: bool
    at: float


@attrs.define(eq=False)
class World:
    """One world.

    Attributes:
        seed: Of everything random.
        loop: Its loop.
        journals: How the ledgers' journals are watched; a mutant's class.
        run_messages: Those of the run.
        twice: The contents of those that are in the run twice.
        keyed_messages: Those of keyed calls; the reference is the key.
        told: What callers were told.
        born: When each process was started.
        gone: When it had ended, or was dead.
        broken: The promises that were broken, in words.
        talks: Whether there are delivery reports, and people who settle entries.
        inbox: The reports.
        cleared: The contents of which a person said rightly that they were not sent.
        erred: Those of which a person said so without knowing.
        errs: How often they do.
    """

    seed: int
    loop: WorldLoop
    fate: Fate = attrs.field(init=False)
    disk: Disk = attrs.field(init=False)
    vendor: Vendor = attrs.field(init=False)
    network: Network = attrs.field(init=False)
    run_messages: list[Message] = attrs.field(factory=list[Message])
    keyed_messages: list[Message] = attrs.field(factory=list[Message])
    twice: set[str] = attrs.field(factory=set[str])
    told: list[Told] = attrs.field(factory=list[Told])
    born: dict[Process, float] = attrs.field(factory=dict[Process, float])
    gone: dict[Process, float] = attrs.field(factory=dict[Process, float])
    broken: list[str] = attrs.field(factory=list[str])
    journals: type[WatchedJournal] = WatchedJournal
    talks: bool = False
    inbox: FakeInbox = attrs.field(factory=FakeInbox)
    cleared: set[str] = attrs.field(factory=set[str])
    erred: set[str] = attrs.field(factory=set[str])
    errs: float = 0.0
    watch: Watch = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        chance = random.Random(self.seed)
        self.fate = fate = Fate(self.loop, chance)
        self.watch = Watch(fate)
        risk = chance.choice((0.0, 0.02, 0.08))
        self.disk = Disk(
            fate,
            chance.choice((0.0, 0.0, 0.05)),
            chance.choice((0.0, 0.0, 0.03)),
            chance.choice((0.01, 0.1, 1.0)),
        )
        self.vendor = Vendor(
            clock=self.loop.unix, seed=self.seed, sensitive_words=[BAD],
            latency=chance.choice((0.0, 0.05, 1.0)), jitter=chance.choice((0.0, 0.5, 5.0)),
        )  # fmt: skip
        self.vendor.fate = fate
        if self.talks:
            self.vendor.inbox = self.inbox
            self.errs = chance.choice((0.0, 0.1, 0.8))
        self.network = Network(fate, self.vendor, chance.choice((0.01, 0.1, 2.0)), risk)
        self._add_faults(chance, risk)
        self._write_messages(chance)

    def _add_faults(self, chance: random.Random, risk: float) -> None:
        if not risk:
            return
        for kind in chance.sample(_SPOILING, 2):
            self.vendor.add_fault(Fault(kind, share=risk))
        for code in chance.sample(_GIVEN, 2):
            self.vendor.add_fault(Fault(FaultKind.CODE, code=code, share=risk / 2))

    def _write_messages(self, chance: random.Random) -> None:
        numbers = _Numbers(chance)
        for place in range(chance.randint(4, 12)):
            bad = BAD if chance.random() < 0.05 else ""
            reference = f"r{place}" if chance.random() < 0.5 else None
            self.run_messages.append(Message(numbers.draw(), f"run {place}{bad}", reference))
        if chance.random() < 0.3:
            again = chance.choice(self.run_messages)
            self.run_messages.append(again)
            self.twice.add(again.content)
        for place in range(chance.randint(1, 5)):
            message = Message(numbers.draw(), f"keyed {place}", f"k{place}")
            self.keyed_messages.append(message)

    # --- its course

    async def pass_by(self) -> None:
        """Let it take its course."""
        slots = [self.loop.spawn(None, self._slot(name)) for name in "AB"]
        await asyncio.wait(slots)
        for slot in slots:
            slot.result()
        self.fate.calm = True
        self.vendor.clear_faults()
        self.fate.note("is calm")
        await asyncio.sleep(_DEAD_FOR_SURE)
        if self.talks:
            await self._live(Process("clerk"), self._reconcile_everything)
        for last in ("last", "again"):
            await self._live(Process(last), self._send_everything)

    async def _slot(self, name: str) -> None:
        chance = self.fate.chance
        for place in range(chance.randint(1, 3)):
            await asyncio.sleep(chance.choice((0.0, 0.5, 15.0)) * chance.random())
            process = Process(f"{name}{place}")
            self.fate.plans[process] = self._plan()
            await self._live(process, self._send_something)

    def _plan(self) -> Plan:
        chance, plan = self.fate.chance, Plan()
        if chance.random() < 0.6:
            plan.dies_at = chance.randint(1, 60)
        if chance.random() < 0.3:
            plan.stops_at = chance.randint(1, 40)
            plan.for_seconds = chance.choice((3.0, 15.0, LONGEST_STOP)) * chance.random()
        return plan

    async def _live(
        self, process: Process, program: Callable[[Process], Coroutine[Any, Any, None]]
    ) -> None:
        """Run a process until it ends, or is dead."""
        self.fate.note("starts", process.name)
        self.born[process] = self.loop.time()
        living = self.loop.spawn(process, program(process))
        death = self.fate.deaths[process] = self.loop.create_future()
        await asyncio.wait(
            {living, death}, timeout=_LONGEST_LIFE, return_when=asyncio.FIRST_COMPLETED
        )
        if not (living.done() or process.dead):
            self.broken.append(f"{process.name} never ends")
            process.dead = True
        self.gone[process] = self.loop.time()
        if living.done():
            self.fate.note("ends", process.name, repr(living.exception()))
            living.result()

    # --- a program

    @asynccontextmanager
    async def _client(self, *, follows: bool = False) -> AsyncGenerator[tuple[VoiceClient, Ledger]]:
        chance = self.fate.chance
        http = httpx.AsyncClient(transport=self.network, trust_env=False)
        policy = RetryPolicy(attempts=chance.randint(1, 4), initial=0.5 * chance.random())
        async with (
            Ledger.open("calls.db", inbox=self.inbox if follows else None) as ledger,
            VoiceClient(
                self.vendor.account, self.vendor.api_key, base_url=URL, http_client=http,
                timeout=10.0, guard=MemoryGuard(clock=self.loop.time), retry=policy,
                clock=self.loop.unix,
                ledger=WatchedLedger(ledger, self.watch, self.journals),
            ) as client,
        ):  # fmt: skip
            yield client, ledger

    async def _send_something(self, process: Process) -> None:
        """Send some of the run and some keyed calls, side by side."""
        chance = self.fate.chance
        with suppress(LedgerUnavailable):
            follows = self.talks and chance.random() < 0.4
            async with self._client(follows=follows) as (client, ledger):
                jobs: list[Any] = []
                if self.talks:
                    jobs += self._talk(process, client, ledger)
                if chance.random() < 0.8:
                    jobs.append(self._some_of_the_run(process, client))
                for _ in range(chance.choice((0, 0, 2, 6))):
                    message = chance.choice(self.keyed_messages)
                    jobs.append(self._impatient(self._call(process, client, message)))
                await asyncio.gather(*jobs)

    async def _send_everything(self, process: Process) -> None:
        """Send all there is, without any trouble."""
        async with self._client() as (client, _):
            await self._run(process, client, self.run_messages, concurrency=5)
            for message in self.keyed_messages:
                await self._call(process, client, message, max_wait=200.0)

    # --- people, and reports

    def _talk(self, process: Process, client: VoiceClient, ledger: Ledger) -> list[Any]:
        jobs: list[Any] = []
        if self.fate.chance.random() < 0.3:
            jobs.append(self._reconcile(ledger))
        if self.fate.chance.random() < 0.5:
            jobs.append(self._settle(process, client, ledger))
        return jobs

    async def _reconcile_everything(self, process: Process) -> None:
        """Take in every report, when nobody is at work."""
        await asyncio.sleep(_ALL_REPORTED)
        async with Ledger.open("calls.db") as ledger:
            await self._reconcile(ledger)

    async def _reconcile(self, ledger: Ledger) -> None:
        if not self.fate.calm:
            await asyncio.sleep(60.0 * self.fate.chance.random())
        with suppress(LedgerUnavailable):
            found = await ledger.reconcile(self.inbox)
            self.fate.note("reconciles", [entry.key for entry in found.settled])

    async def _settle(self, process: Process, client: VoiceClient, ledger: Ledger) -> None:
        """Be a person who looks at what is uncertain now and then, and settles some of it.

        What they say was not sent they mostly have sent again.
        """
        keyed = {message.content: message for message in self.keyed_messages}
        for _ in range(6):
            await asyncio.sleep(8.0 * self.fate.chance.random())
            with suppress(LedgerUnavailable):
                for content in await self._settle_some(ledger):
                    if content in keyed and self.fate.chance.random() < 0.7:
                        await self._call(process, client, keyed[content])

    async def _settle_some(self, ledger: Ledger) -> list[str]:
        settled: list[str] = []
        for info in await ledger.runs():
            async for entry in ledger.entries(info.key, OutcomeStatus.UNKNOWN):
                told = self._says(entry.message.content)
                if told is None:
                    continue
                status, voice_id = told
                with suppress(InvalidRequest):  # somebody was faster
                    await ledger.settle(info.key, entry.key, status, voice_id)
                    self.fate.note("settles", entry.key, status.name, voice_id)
                    settled.append(entry.message.content)
        return settled

    def _says(self, content: str) -> tuple[OutcomeStatus, str | None] | None:
        """Return what a person says of a call: mostly what they have found out, or nothing."""
        attempts = self.network.by_content().get(content, [])
        rung = [each.voice_id for each in attempts if each.voice_id is not None]
        if self.fate.chance.random() < self.errs:
            self.erred.add(content)
            return OutcomeStatus.NOT_SENT, None
        if rung:
            return OutcomeStatus.ACCEPTED, rung[0]
        if self.watch.may_send(content) or any(each.on_its_way for each in attempts):
            return None
        self.cleared.add(content)
        return OutcomeStatus.NOT_SENT, None

    # ---

    async def _impatient(self, job: Awaitable[None]) -> None:
        """Do something, and perhaps cancel it on the way."""
        chance = self.fate.chance
        task = asyncio.ensure_future(job)
        if chance.random() < 0.3:
            await asyncio.wait({task}, timeout=chance.random() * 10.0)
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def _some_of_the_run(self, process: Process, client: VoiceClient) -> None:
        chance = self.fate.chance
        messages = list(self.run_messages)
        if chance.random() < 0.3:
            chance.shuffle(messages)
        if chance.random() < 0.3:
            del messages[chance.randrange(len(messages)) :]
        await self._impatient(
            self._run(
                process, client, messages, concurrency=chance.choice((1, 3, 20)),
                takeover=chance.random() < 0.5, max_wait=chance.choice((0.0, 5.0, 120.0)),
                leaves_after=chance.randrange(8) if chance.random() < 0.2 else None,
            )
        )  # fmt: skip

    async def _run(
        self, process: Process, client: VoiceClient, messages: Sequence[Message], *,
        leaves_after: int | None = None, max_wait: float = 200.0, **options: Any,
    ) -> None:  # fmt: skip
        """Send some messages of the run; each of them has one outcome."""
        taken: list[Message] = []
        seen: list[Message] = []
        run: Any = client.submit_many(
            _noted(messages, taken), run=RUN, max_wait=max_wait, **options
        )
        try:
            async with run:
                async for outcome in run:
                    seen.append(outcome.message)
                    self._hear(process, outcome)
                    if len(seen) == leaves_after:
                        break
                    if self.fate.happens(0.1):
                        await self.fate.pause(5.0)
                for outcome in await run.drain():
                    seen.append(outcome.message)
                    self._hear(process, outcome)
        except (LedgerUnavailable, RunInUse) as error:
            self.fate.note("run refused", type(error).__name__)
            return
        if leaves_after is None and taken != list(messages):
            self.broken.append(f"{process.name} took {len(taken)} of {len(messages)} messages")
        if sorted(map(repr, taken)) != sorted(map(repr, seen)):
            self.broken.append(f"{process.name}: {len(taken)} taken, {len(seen)} outcomes")

    def _hear(self, process: Process, outcome: Any) -> None:
        message = outcome.message
        key = message.reference or digest(message.mobile, message.content)
        self._note(process, key, message.content, outcome.status, outcome.voice_id,
                   of_run=True, replayed=outcome.replayed)  # fmt: skip

    async def _call(
        self, process: Process, client: VoiceClient, message: Message, max_wait: float | None = None
    ) -> None:
        chance, key = self.fate.chance, message.reference
        assert key is not None
        if max_wait is None:
            max_wait = chance.choice((0.0, 3.0, 60.0))
        timeout = 20.0 * chance.random() + 0.01 if self.fate.happens(0.2) else None
        try:
            told = await client.submit(
                message.mobile, message.content, key=key, max_wait=max_wait, timeout=timeout
            )
        except VoiceError as error:
            status, voice_id = error.status, None
        else:
            assert isinstance(told, Submission)
            status, voice_id = OutcomeStatus.ACCEPTED, told.voice_id
        self._note(process, key, message.content, status, voice_id)

    def _note(
        self, process: Process, key: str, content: str, status: OutcomeStatus,
        voice_id: str | None, *, of_run: bool = False, replayed: bool = False,
    ) -> None:  # fmt: skip
        now = self.loop.time()
        told = Told(process, key, content, status, voice_id, replayed, of_run, now)
        self.told.append(told)
        self.fate.note("hears", content, status.name, voice_id, replayed)


@attrs.define(eq=False)
class _Numbers:
    """A few numbers, none of which is called so often that its day is full."""

    chance: random.Random
    left: list[str] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        several = [f"1390000{place:04d}" for place in range(self.chance.randint(3, 9))]
        self.left = several * _MOST_A_DAY

    def draw(self) -> str:
        """Return one of them."""
        return self.left.pop(self.chance.randrange(len(self.left)))


def _noted(messages: Sequence[Message], taken: list[Message]) -> Iterable[Message]:
    for message in messages:
        taken.append(message)
        yield message
