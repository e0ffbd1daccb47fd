"""What befalls the processes of a world, drawn from its seed: deaths, stops, delays, faults."""

import asyncio
import hashlib
import random
from typing import Final, NoReturn

import attrs

from tests.ledger.simulation.processes import Process, WorldLoop, current

LONGEST_STOP: Final = 40.0


@attrs.define(eq=False)
class Plan:
    """When a process is killed or stopped: at so many points that it comes by, or at a time.

    Attributes:
        dies_at: The point at which it is killed; None if it isn't.
        stops_at: The point at which it is stopped.
        for_seconds: How long it then stands still.
        passed: How many points it has come by.
    """

    dies_at: int | None = None
    stops_at: int | None = None
    for_seconds: float = 0.0
    passed: int = 0


@attrs.define(eq=False)
class Fate:
    """Decides, and keeps the trace.

    Attributes:
        loop: The world's.
        chance: Of everything random in it.
        plans: Of each process.
        deaths: Of each process: done when it is killed.
        calm: Whether nothing goes wrong any more.
    """

    loop: WorldLoop
    chance: random.Random
    calm: bool = False
    plans: dict[Process, Plan] = attrs.field(factory=dict[Process, Plan])
    deaths: dict[Process, "asyncio.Future[None]"] = attrs.field(
        factory=dict[Process, "asyncio.Future[None]"]
    )
    trace: list[str] = attrs.field(factory=list[str])

    def note(self, *what: object) -> None:
        """Write a line of the trace."""
        process = current()
        who = "world" if process is None else process.name
        self.trace.append(f"{self.loop.time():.6f} {who} " + " ".join(map(str, what)))

    @property
    def digest(self) -> str:
        """The whole trace in short."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()

    def happens(self, share: float) -> bool:
        """Say whether something that befalls this share of cases does so now."""
        return not self.calm and self.chance.random() < share

    async def pause(self, longest: float) -> None:
        """Let some time pass, mostly a little, or none at all."""
        if self.calm:
            return
        kind = self.chance.random()
        if kind < 0.3:
            return
        await asyncio.sleep(self.chance.random() * longest * (1.0 if kind > 0.9 else 0.1))

    async def point(self, where: str) -> None:
        """Come by a point at which a process may be killed or stopped."""
        process = current()
        plan = None if process is None else self.plans.get(process)
        if process is None or plan is None:
            return
        plan.passed += 1
        if plan.passed == plan.dies_at:
            await self._die(process, where)
        if plan.passed == plan.stops_at:
            self.note("is stopped:", where, f"{plan.for_seconds:.3f}")
            self.stop(process, plan.for_seconds)
            await asyncio.sleep(0)  # which ends when it goes on

    async def _die(self, process: Process, where: str) -> NoReturn:
        self.kill(process, where)
        await asyncio.get_running_loop().create_future()
        raise AssertionError("the dead don't go on")

    def kill(self, process: Process, where: str) -> None:
        """Kill it here and now."""
        self.note("kills", process.name, where)
        process.dead = True
        self.deaths[process].set_result(None)

    def stop(self, process: Process, seconds: float) -> None:
        """Stop it for so long."""
        process.stopped = True
        self.loop.spawn(None, self._go_on(process, seconds))

    async def _go_on(self, process: Process, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.note("wakes", process.name)
        self.loop.go_on(process)
