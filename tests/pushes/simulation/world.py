"""A world: the vendor pushes reports, programs that receive and handle them come and go.

Everything in it is drawn from a seed. Two slots start one incarnation of the program after the
other on one database; each may be killed or stopped, and its handlers, hooks, log handlers and the
server in front of it misbehave. Then it becomes calm, and a last incarnation handles what is left.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import attrs

from ihuyi_voice import DeliveryReport
from ihuyi_voice.errors import InboxUnavailable
from ihuyi_voice.pushes import Handling, Inbox, PushReceiver, PushState
from tests.client.neighbours.mischief import Mischief, drawn_habits
from tests.client.neighbours.neighbours import Handler, Listener
from tests.ledger.simulation.disk import Disk
from tests.ledger.simulation.fate import LONGEST_STOP, Fate, Plan
from tests.ledger.simulation.processes import Process, WorldLoop
from tests.pushes.requests import TOKEN, push
from tests.pushes.support import report_form

PLACES: Final = (
    "handler", "handler", "handler, before", "receiving", "answering", "event hook", "log handler",
)  # fmt: skip
_TRIES: Final = (0.0, 5.0, 60.0)  # when the vendor pushes one, after it has happened
_PATIENCE: Final = 10.0  # the vendor's, for an answer
_LEASE: Final = 12.0
_LONGEST_LIFE: Final = 1_000.0
_LONGEST_CLOSING: Final = 60.0
_LONGEST_CALM: Final = 7_200.0
_DEAD_FOR_SURE: Final = 60.0


@attrs.define(eq=False)
class Pushed:
    """A report, and what became of it.

    Attributes:
        voice_id: Of which call.
        second: When it ended; later ones of a call are news.
        answered: When it was answered `success`; None if it wasn't.
        begun: When handlers began with it, and in which process.
        handled: When a handler had returned.
    """

    voice_id: str
    second: int
    answered: float | None = None
    begun: list[tuple[float, Process]] = attrs.field(factory=list[tuple[float, Process]])
    handled: list[float] = attrs.field(factory=list[float])


@attrs.define(eq=False)
class World:
    """One world.

    Attributes:
        seed: Of everything random.
        loop: Its loop.
        pushes: Those that the vendor made.
        broken: The promises that were broken, in words.
        died: Whether a program was killed or stopped.
    """

    seed: int
    loop: WorldLoop
    fate: Fate = attrs.field(init=False)
    mischief: Mischief = attrs.field(init=False)
    disk: Disk = attrs.field(init=False)
    listener: Listener = attrs.field(init=False)
    handler: Handler = attrs.field(init=False)
    pushes: dict[tuple[str, int], Pushed] = attrs.field(factory=dict[tuple[str, int], Pushed])
    broken: list[str] = attrs.field(factory=list[str])
    died: bool = False
    _is_deadly: bool = True
    _apps: dict[Process, PushReceiver] = attrs.field(factory=dict[Process, PushReceiver])

    def __attrs_post_init__(self) -> None:
        chance = random.Random(self.seed)
        self.fate = fate = Fate(self.loop, chance)
        self.mischief = mischief = Mischief(fate, drawn_habits(chance, PLACES))
        self.disk = Disk(
            fate,
            chance.choice((0.0, 0.0, 0.05)),
            chance.choice((0.0, 0.0, 0.03)),
            chance.choice((0.01, 0.3)),
        )
        self.listener, self.handler = Listener(mischief), Handler(mischief)
        self._is_deadly = chance.random() < 0.7
        for call in range(chance.choice((1, 4, 12))):
            for second in range(chance.choice((1, 1, 2, 3))):
                pushed = Pushed(f"{7_000 + call}", second)
                self.pushes[pushed.voice_id, second] = pushed

    # --- its course

    async def pass_by(self) -> None:
        """Let it take its course."""
        with self.handler.listening(logging.WARNING):
            slots = [self.loop.spawn(None, self._slot(name)) for name in "AB"]
            ways = [self.loop.spawn(None, self._way(each)) for each in self.pushes.values()]
            await asyncio.wait([*slots, *ways])
            for task in (*slots, *ways):
                task.result()
            self.fate.calm = True
            await asyncio.sleep(_DEAD_FOR_SURE)
            await self._live(Process("last"), self._finish)

    async def _slot(self, name: str) -> None:
        chance = self.fate.chance
        for place in range(chance.randint(1, 3)):
            await asyncio.sleep(chance.choice((0.0, 0.5, 15.0)) * chance.random())
            process = Process(f"{name}{place}")
            self.fate.plans[process] = self._plan()
            await self._live(process, self._receive_for_a_while)

    def _plan(self) -> Plan:
        chance, plan = self.fate.chance, Plan()
        if not self._is_deadly:
            return plan
        if chance.random() < 0.4:
            plan.dies_at = chance.randint(1, 60)
        if chance.random() < 0.2:
            plan.stops_at = chance.randint(1, 40)
            plan.for_seconds = chance.choice((3.0, LONGEST_STOP)) * chance.random()
        self.died |= plan.dies_at is not None or plan.stops_at is not None
        return plan

    async def _live(self, process: Process, program: Any) -> None:
        """Run a process until it ends, or is dead."""
        self.fate.note("starts", process.name)
        living = self.loop.spawn(process, program(process))
        death = self.fate.deaths[process] = self.loop.create_future()
        longest = _LONGEST_CALM if self.fate.calm else _LONGEST_LIFE
        first = asyncio.FIRST_COMPLETED
        await asyncio.wait({living, death}, timeout=longest, return_when=first)
        self._apps.pop(process, None)
        if not (living.done() or process.dead):
            self.broken.append(f"{process.name} never ends")
            process.dead = True
        if living.done() and not isinstance(living.exception(), (KeyboardInterrupt, SystemExit)):
            living.result()

    # --- a program

    @asynccontextmanager
    async def _inbox(self, process: Process) -> AsyncGenerator[Inbox]:
        handling = Handling(
            concurrency=self.fate.chance.choice((1, 3, 20)), timeout=_LEASE / 2, lease=_LEASE,
            max_tries=3, backoff=0.5, grace=3.0,
        )  # fmt: skip
        inbox = Inbox.open(
            "calls.db", handling=handling, clock=self.loop.unix, on_event=self.listener
        )

        async def handle(report: DeliveryReport) -> None:
            await self._handle(process, report)

        receiver = PushReceiver(inbox, token=TOKEN, on_report=handle, clock=self.loop.time)
        await inbox.__aenter__()
        try:
            self._apps[process] = receiver
            yield inbox
        finally:
            self._apps.pop(process, None)
            await self._closed(process, inbox)

    async def _closed(self, process: Process, inbox: Inbox) -> None:
        began = self.loop.time()
        await inbox.__aexit__(None, None, None)
        took = self.loop.time() - began
        if took > _LONGEST_CLOSING and not self.died and "blocks" not in self._deeds():
            self.broken.append(f"{process.name} took {took:.0f} s to close")

    def _deeds(self) -> set[str]:
        return {deed for _, deed in self.mischief.done}

    async def _receive_for_a_while(self, process: Process) -> None:
        with suppress(InboxUnavailable):
            async with self._inbox(process):
                await asyncio.sleep(self.fate.chance.choice((2.0, 20.0, 100.0)))

    async def _finish(self, process: Process) -> None:
        """Handle everything that is left, the dead too."""
        async with self._inbox(process) as inbox:
            for _ in range(4):  # what died with its last handler is found to be dead only then
                await inbox.replay()
                while (await inbox.counts())[PushState.PENDING]:  # noqa: ASYNC110 - virtual time
                    await asyncio.sleep(1.0)
            counts = await inbox.counts()
        if counts[PushState.DEAD]:
            self.broken.append(f"in the end there are {counts}")

    async def _handle(self, process: Process, report: DeliveryReport) -> None:
        assert report.report_time is not None
        second = report.report_time.second
        pushed = self.pushes[report.voice_id, second]
        pushed.begun.append((self.loop.time(), process))
        self.fate.note("begins with", report.voice_id, second)
        await self.mischief.awaited("handler, before")
        await self.fate.point("in a handler")
        await self.fate.pause(2.0)
        await self.mischief.awaited("handler")
        pushed.handled.append(self.loop.time())
        self.fate.note("has handled", report.voice_id, second)

    # --- the vendor

    async def _way(self, pushed: Pushed) -> None:
        """Push a report up to three times, until somebody answers."""
        chance = self.fate.chance
        await asyncio.sleep(10.0 * pushed.second + chance.random() * chance.choice((1.0, 40.0)))
        for pause in _TRIES:
            await asyncio.sleep(pause)
            heard = await self._try(pushed)
            if heard and chance.random() < 0.8:  # or the vendor has not heard it
                return

    async def _try(self, pushed: Pushed) -> bool:
        apps = [process for process in self._apps if process.runs]
        if not apps:
            return False
        process = self.fate.chance.choice(apps)
        exchange = push(report_form(pushed.voice_id, second=pushed.second))
        give, take = exchange.receive, exchange.send

        async def receive() -> dict[str, Any]:
            await self.mischief.awaited("receiving")
            return await give()

        async def send(event: Any) -> None:
            await self.mischief.awaited("answering")
            await take(event)

        exchange.receive, exchange.send = receive, send  # type: ignore[method-assign]
        app = self._apps[process]
        asking = self.loop.spawn(process, app(exchange.scope(), exchange.receive, exchange.send))
        await asyncio.wait({asking}, timeout=_PATIENCE)
        answered = [event for event in exchange.sent if event.get("body") == b"success"]
        if answered:
            pushed.answered = pushed.answered or self.loop.time()
            self.fate.note("is answered", pushed.voice_id, pushed.second)
        if not asking.done():
            asking.cancel()
        elif not asking.cancelled():
            asking.exception()
        return bool(answered)
