"""Victims over one ledger, a vendor that remembers, and what must be true of both in the end."""

import asyncio
import json
import random
import secrets
import signal
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

import attrs

from ihuyi_voice.ledger import Ledger
from ihuyi_voice.simulator import Fault, Simulator
from ihuyi_voice.simulator.http import Form
from ihuyi_voice.simulator.vendor import Answer
from tests.ledger.victim import RUN, Order, main

ROOT: Final = Path(__file__).parents[2]
_AT_ONCE: Final = 2  # what may be between two commits, in times of what is in flight


class Vendor(Simulator):
    """The simulator, which remembers what it answered to each message."""

    def __init__(self) -> None:
        account = f"VM{secrets.randbelow(10**8):08d}"
        super().__init__(account, latency=0.002, jitter=0.02)
        self.ids: dict[str, list[str | None]] = defaultdict(list)
        self.places: Counter[int] = Counter()

    def _act(self, operation: str, form: Form, fault: Fault | None) -> Answer:
        answer = super()._act(operation, form, fault)
        self.ids[form.text["content"]].append(answer.value)
        return answer


@attrs.define(eq=False)
class Victim:
    """A process that is killed, stopped, or ends.

    Attributes:
        process: It.
        end: Its end: what it wrote, to stdout and to stderr.
    """

    process: asyncio.subprocess.Process
    end: "asyncio.Task[tuple[bytes, bytes]]"

    @classmethod
    async def start(cls, order: Order) -> Self:
        """Start it."""
        process = await asyncio.create_subprocess_exec(
            *order.command(), cwd=ROOT, stderr=asyncio.subprocess.PIPE
        )
        return cls(process, asyncio.create_task(process.communicate()))

    def send(self, number: int) -> None:
        """Send it a signal, if it lives."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def kill(self) -> None:
        """Kill it, and wait until it is dead."""
        self.send(signal.SIGKILL)
        await self.end

    async def ended(self) -> str:
        """Return what it wrote to stderr if it failed, once it has ended by itself."""
        _, text = await self.end
        return text.decode() if self.process.returncode else ""


@attrs.define(eq=False)
class Scene:
    """A ledger, a vendor, and the file in which victims write what they were told.

    Attributes:
        ledger: Where the ledger is.
        vendor: The vendor.
        order: What each victim does, unless changed.
        chance: Of everything random.
        living: The victims that were started.
    """

    ledger: str
    vendor: Vendor
    order: Order
    chance: random.Random
    living: list[Victim] = attrs.field(factory=list[Victim])

    async def start(self, **changes: Any) -> Victim:
        """Start a victim."""
        victim = await Victim.start(attrs.evolve(self.order, **changes))
        self.living.append(victim)
        return victim

    async def moment(self, victim: Victim, share: float) -> None:
        """Return at a random moment, about when so many of the messages have arrived."""
        count = round(self.order.count * share)
        arrived = asyncio.create_task(self.vendor.arrived(count))
        await asyncio.wait({arrived, victim.end}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({victim.end}, timeout=self.chance.random() * 0.03)
        arrived.cancel()

    async def send(self) -> None:
        """Send the run in this process."""
        await main(self.order)

    def told(self) -> list[tuple[str, str, str | None, str]]:
        """Return what was told: key, status, voice_id, and the text of the error."""
        text = Path(self.order.out).read_text(encoding="utf-8")
        return [tuple(json.loads(line)) for line in text.splitlines()]

    async def check(self, run: str, most_unknown: int, *, unwritten: bool = False) -> Counter[str]:
        """Hold the ledger against the vendor's record, and what was told against both.

        Args:
            run: The run.
            most_unknown: So many may have been in flight when something died.
            unwritten: Whether outcomes were told that could not be written.
        """
        async with Ledger.open(self.ledger) as ledger:
            entries = {entry.key: entry async for entry in ledger.entries(run)}
        told: dict[str, set[tuple[str, str | None]]] = defaultdict(set)
        for key, status, voice_id, _ in self.told():
            if status != "NOT_SENT":
                told[key].add((status, voice_id))
        assert set(entries) == {f"m{place}" for place in range(self.order.count)}  # none missing
        for key, entry in entries.items():
            ids = self.vendor.ids[f"order {key[1:]}"]
            status = str(entry.status).upper()
            assert len(ids) <= 1, key  # none seen twice
            assert (status, [entry.voice_id]) in [("ACCEPTED", ids), ("UNKNOWN", [None])], entry
            # Who was fenced off may have been told that nobody knows.
            possible = {(status, entry.voice_id), ("UNKNOWN", None)}
            if unwritten:
                possible |= {("ACCEPTED", each) for each in ids}
            assert told[key] <= possible, key
        counts = Counter(str(entry.status).upper() for entry in entries.values())
        assert counts["UNKNOWN"] <= most_unknown, counts
        return counts


@asynccontextmanager
async def scene(
    what: str, ledger: str, folder: Path, count: int, seed: int, *, takeover: bool = False
) -> AsyncGenerator[Scene]:
    """Set a scene, and leave no victim behind."""
    vendor = Vendor()
    async with vendor.serve() as address:
        order = Order(
            what, ledger, address, vendor.account, str(folder / "told"), count, takeover=takeover
        )
        Path(order.out).touch()  # noqa: ASYNC240 - nothing else runs yet
        made = Scene(ledger, vendor, order, random.Random(seed))
        try:
            yield made
        finally:
            for victim in made.living:
                if victim.process.returncode is None:
                    await victim.kill()


__all__ = ["ROOT", "RUN", "Scene", "Vendor", "Victim", "scene"]
