"""Many workers on one run, and everything that dies on the way; then the vendor's record is read.

    python -m tests.workers.chaos [--messages 40000] [--numbers 30000] [--processes 8]
        [--kills 20] [--stops 20] [--redis keep|lose|none] [--postgres] [--minute 60] [--seed 0]

It prints what came of it as JSON, and fails if anything rang twice, is missing, or is unknown that
was not in flight when a process died. PostgreSQL, Redis and the vendor are processes of its own.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import attrs

from ihuyi_voice import Message, OutcomeStatus
from ihuyi_voice.errors import LedgerUnavailable
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.workers import distribute
from tests.support.postgres import Server, new_cluster, server_of
from tests.support.redis_servers import PrivateRedis
from tests.workers.member import Options
from tests.workers.processes import kill, start
from tests.workers.vendor import ACCOUNT, RATE_CODES, Vendor, vendor_of

RUN: Final = "chaos"
LONGER_THAN_LEASES: Final = 12.0  # the ledger's is 10 s, the guard's that of `Options`
_LOOK: Final = 0.5
_PERSISTENT: Final = ("--appendonly", "yes")
_MOST_FALLEN: Final = 20
_AHEAD: Final = 2  # what is granted at a time, in times of what is in flight


@attrs.frozen
class Plan:
    """What is to happen.

    Attributes:
        messages: How many messages.
        numbers: To how many numbers.
        processes: How many workers.
        kills: How many of them are killed, and replaced.
        stops: How many are put to sleep, for longer than any lease.
        redis: Whether Redis is restarted on the way, and keeps its data: keep, lose or none.
        postgres: Whether PostgreSQL is restarted on the way.
        part_size: Messages a part.
        seed: Of everything random.
        options: Of the workers.
    """

    messages: int = 40_000
    numbers: int = 30_000
    processes: int = 8
    kills: int = 0
    stops: int = 0
    redis: str = "none"
    postgres: bool = False
    part_size: int = 1_000
    seed: int = 0
    options: Options = attrs.field(factory=Options)

    def listed(self) -> list[Message]:
        """Return the messages, whose contents name their places."""
        chance = random.Random(self.seed)
        return [
            Message(
                f"139{chance.randrange(self.numbers):08d}", f"您的订单号是：{place}。", f"m{place}"
            )
            for place in range(self.messages)
        ]

    def events(self, chance: random.Random) -> list[str]:
        """Return what happens, in its order."""
        events = ["kill"] * self.kills + ["stop"] * self.stops
        events += ["redis"] * (self.redis != "none") + ["postgres"] * self.postgres
        chance.shuffle(events)
        return events


@attrs.frozen
class Result:
    """What came of it.

    Attributes:
        counts: Messages by their outcome, in the ledger.
        codes: The vendor's answers.
        twice: Messages that rang more than once.
        missing: Messages that are accepted or were never granted, and did not ring once.
        disordered: Numbers whose accepted messages rang in another order than that of the list.
        reopened: Messages of sleepers that came to nothing, which was told after their part had
            been taken over; they ring after later ones.
        late: Numbers that an uncertain message rang after a later one: its worker had been granted
            it, was put to sleep, and sent it when it woke.
        ended: How the workers ended that nobody killed.
        fell: How many workers ended by themselves before that, and were replaced.
        seconds: How long it took.
    """

    counts: Mapping[str, int]
    codes: Mapping[int, int]
    twice: int
    missing: int
    disordered: int
    reopened: int
    late: int
    ended: Mapping[int, int]
    fell: int
    seconds: float

    def check(self, plan: Plan) -> None:
        """Raise if anything is as it must not be."""
        died = plan.kills + plan.stops
        unknown = self.counts.get("UNKNOWN", 0)
        assert self.twice == 0, self
        assert self.missing == 0, self
        assert set(self.counts) <= {"ACCEPTED", "UNKNOWN"}, self
        assert sum(self.counts.values()) == plan.messages, self
        assert unknown <= _AHEAD * plan.options.concurrency * died, self
        assert self.disordered <= self.reopened <= _AHEAD * plan.options.concurrency * died, self
        assert plan.redis == "lose" or not self.codes.keys() & RATE_CODES, self
        assert set(self.ended) == {0}, self
        # One that starts while PostgreSQL is away ends; whoever runs it starts it again.
        assert self.fell <= (plan.processes if plan.postgres else 0), self


@attrs.define(eq=False)
class Scene:
    """What is running.

    Attributes:
        plan: What is to happen.
        vendor: The vendor.
        redis: The guard's server.
        postgres: The ledger's server.
        folder: Where workers write their logs.
        chance: Of everything random.
        awake: The workers that are awake.
        asleep: What puts some to sleep, and wakes them.
        watching: What replaces workers that end by themselves.
        fell: How many did.
        broken: Rings if they are too many.
    """

    plan: Plan
    vendor: Vendor
    redis: PrivateRedis
    postgres: Server
    folder: Path
    chance: random.Random
    awake: list[asyncio.subprocess.Process] = attrs.field(factory=list[Any])
    asleep: set["asyncio.Task[None]"] = attrs.field(factory=set["asyncio.Task[None]"])
    watching: set["asyncio.Task[None]"] = attrs.field(factory=set["asyncio.Task[None]"])
    started: int = 0
    fell: int = 0
    broken: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def hire(self) -> None:
        """Start a worker."""
        self.started += 1
        environment = {"IHUYI_LEDGER": self.postgres.url, "IHUYI_GUARD": self.redis.url}
        options = json.dumps(attrs.asdict(self.plan.options))
        command = [sys.executable, "-m", "tests.workers.member", options]
        with (self.folder / f"{self.started}.log").open("wb") as log:
            worker = await start(command, self.vendor.environment | environment, log=log)
        self.awake.append(worker)
        self.watching.add(asyncio.create_task(self._replace(worker)))

    async def _replace(self, worker: asyncio.subprocess.Process) -> None:
        """Start another if it ends by itself, as whoever runs containers does."""
        await worker.wait()
        if worker in self.awake:
            self.awake.remove(worker)
            self.fell += 1
            if self.fell > _MOST_FALLEN:
                self.broken.set()
            else:
                await self.hire()

    async def unbroken(self, doing: Coroutine[Any, Any, None]) -> None:
        """Do something, unless workers can't work at all."""
        tasks = {asyncio.create_task(doing), asyncio.create_task(self.broken.wait())}
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        for task in done:
            task.result()
        assert not self.broken.is_set(), (self.folder / f"{self.started}.log").read_text()

    async def play(self) -> None:
        """Let everything happen, at random moments of the run, and the sleepers wake again."""
        events = self.plan.events(self.chance)
        for place, event in enumerate(events):
            share = 0.9 * (place + self.chance.random()) / len(events)
            await self.vendor.arrived(round(share * self.plan.messages))
            await getattr(self, f"_{event}")()
        await asyncio.gather(*self.asleep)

    async def _kill(self) -> None:
        worker = await self._pick()
        await kill(worker)
        await self.hire()

    async def _stop(self) -> None:
        worker = await self._pick()
        worker.send_signal(signal.SIGSTOP)
        self.asleep.add(asyncio.create_task(self._wake(worker)))

    async def _wake(self, worker: asyncio.subprocess.Process) -> None:
        await asyncio.sleep(LONGER_THAN_LEASES)
        worker.send_signal(signal.SIGCONT)
        self.awake.append(worker)

    async def _pick(self) -> asyncio.subprocess.Process:
        """Return a worker that is awake, once there are two."""
        while len(self.awake) < 2:
            await asyncio.wait(self.asleep, return_when=asyncio.FIRST_COMPLETED)
            self.asleep = {task for task in self.asleep if not task.done()}
        return self.awake.pop(self.chance.randrange(len(self.awake)))

    async def _redis(self) -> None:
        self.redis.kill()
        self.redis.start()

    async def _postgres(self) -> None:
        await self.postgres.stop()
        await self.postgres.start()

    async def finished(self, ledger: Ledger) -> Counter[int]:
        """Let all workers end once all is done; return their exit codes."""
        await self.unbroken(_done(ledger))
        ended = await self.end()
        while not await _is_done(ledger):  # somebody who had slept told of calls just then
            for _ in range(self.plan.processes):
                await self.hire()
            await self.unbroken(_done(ledger))
            ended += await self.end()
        return ended

    def told(self, words: str) -> int:
        """Return how often the workers' logs say something."""
        return sum(log.read_text("utf-8").count(words) for log in self.folder.glob("*.log"))

    async def end(self) -> Counter[int]:
        """Let all workers end; return their exit codes."""
        ending, self.awake = self.awake, []
        for worker in ending:
            with suppress(ProcessLookupError):
                worker.terminate()
        return Counter([await worker.wait() for worker in ending])

    async def clear(self) -> None:
        """Leave nobody behind."""
        for task in self.asleep | self.watching:
            task.cancel()
        for worker in self.awake:
            await kill(worker)


async def chaos(plan: Plan) -> Result:
    """Do as planned; return what came of it."""
    began = time.monotonic()
    async with _scene(plan) as scene, Ledger.open(scene.postgres.url) as ledger:
        await distribute(ledger, RUN, plan.listed(), plan.part_size, account=ACCOUNT)
        for _ in range(plan.processes):
            await scene.hire()
        await scene.unbroken(scene.play())
        ended = await scene.finished(ledger)
        entries = {entry.key: entry.status async for entry in ledger.entries(RUN)}
        return _result(scene, entries, ended, time.monotonic() - began)


@asynccontextmanager
async def _scene(plan: Plan) -> AsyncGenerator[Scene]:
    with tempfile.TemporaryDirectory(prefix="ihuyi-chaos-") as name, new_cluster() as cluster:
        folder = Path(name)
        redis = PrivateRedis(folder, *(_PERSISTENT if plan.redis == "keep" else ()))
        redis.start()
        async with (
            server_of(cluster, "max_connections=300") as postgres,
            vendor_of(folder, latency=0.05, jitter=0.05, limits=plan.options.vendors) as vendor,
        ):
            scene = Scene(plan, vendor, redis, postgres, folder, random.Random(plan.seed))
            try:
                yield scene
            finally:
                await scene.clear()
                redis.kill()


async def _done(ledger: Ledger) -> None:
    """Return when all parts are done; only other processes know when."""
    while True:
        with suppress(LedgerUnavailable):
            if await _is_done(ledger):
                return
        await asyncio.sleep(_LOOK)


async def _is_done(ledger: Ledger) -> bool:
    progress = await ledger.parts.progress(RUN)
    return progress.done == len(progress.parts)


def _result(
    scene: Scene, entries: Mapping[str, Any], ended: Counter[int], seconds: float
) -> Result:
    plan, vendor = scene.plan, scene.vendor
    calls = vendor.calls()
    rung = Counter(content for _, content in calls)
    place = {message.content: number for number, message in enumerate(plan.listed())}
    orders: dict[str, list[int]] = defaultdict(list)
    known: dict[str, list[int]] = defaultdict(list)
    for mobile, content in calls:
        orders[mobile].append(place[content])
        if entries[f"m{place[content]}"] is OutcomeStatus.ACCEPTED:
            known[mobile].append(place[content])
    disordered = {mobile for mobile, order in known.items() if order != sorted(order)}
    moved = {mobile for mobile, order in orders.items() if order != sorted(order)}
    return Result(
        counts=Counter(str(status) for status in entries.values()),
        codes=vendor.codes(),
        twice=sum(times > 1 for times in rung.values()),
        missing=sum(
            rung[message.content] != 1 and entries.get(f"m{number}") is not OutcomeStatus.UNKNOWN
            for number, message in enumerate(plan.listed())
        ),
        disordered=len(disordered),
        reopened=scene.told("is open again"),
        late=len(moved - disordered),
        ended=ended,
        fell=scene.fell,
        seconds=round(seconds, 1),
    )


def main() -> None:
    """Run it as told, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("messages", "numbers", "processes", "kills", "stops", "part_size", "seed"):
        default = getattr(attrs.fields(Plan), name).default
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    parser.add_argument("--redis", choices=("keep", "lose", "none"), default="none")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--minute", type=float, default=60.0)
    given = vars(parser.parse_args())
    plan = Plan(options=Options(minute=given.pop("minute")), **given)
    result = asyncio.run(chaos(plan))
    print(json.dumps(attrs.asdict(result)))  # noqa: T201 - its answer
    result.check(plan)


if __name__ == "__main__":
    main()
