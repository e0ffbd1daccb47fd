"""Whatever the schedule: every run ends, and every message taken has exactly one outcome.

A seed draws a whole scenario: messages and numbers, a source and its pauses, a guard's waits, the
vendor's latency and answers, faults, options, a consumer and how it leaves. Time is virtual; a run
that nobody would ever wake up makes the loop raise.
"""

import asyncio
import math
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihuyi_voice import Message, Outcome, OutcomeStatus, Submission
from ihuyi_voice.bulk import BulkRun
from ihuyi_voice.calls import Delay, Events, Job
from ihuyi_voice.errors import GuardUnavailable, NotSent, OutcomeUnknown, RateLimited, VoiceError
from ihuyi_voice.models import Action, Operation
from tests.bulk.support import Jobs, others, refusal, run_of
from tests.support.long import few_or_many
from tests.support.virtual_time import loop_time, run_virtual

LATE = 0.01  # seconds that `max_rate` may catch up after a late timer


@attrs.define(eq=False)
class World(Jobs):
    """A guard and a vendor with moods, and a record of what they saw."""

    chance: random.Random
    latency: float
    bad: float
    line: bool
    starts: list[float] = attrs.field(factory=list[float])
    order: dict[str, list[str]] = attrs.field(factory=lambda: defaultdict[str, list[str]](list))
    flying: set[str] = attrs.field(factory=set[str])
    most: int = 0
    answered: bool = False
    early: int = 0
    abandoned: set[Job] = attrs.field(factory=set[Job])
    events: Events = attrs.field(factory=Events)

    async def step(self, job: Job) -> Submission | Delay:
        """Hold the job back, or make an attempt."""
        assert job not in self.abandoned
        draw = self.chance.random
        entered = loop_time()
        if draw() < 0.2:
            await asyncio.sleep(draw() * 0.5)  # a guard far away
        if draw() < 0.3 * self.bad:
            return self.held(job)
        if draw() < 0.05 * self.bad:
            raise GuardUnavailable("no guard")
        return await self.attempt(job, entered)

    def abandon(self, job: Job) -> None:
        """Hear that a job will not be stepped again."""
        self.abandoned.add(job)

    def held(self, job: Job) -> Delay:
        """Return a wait for the number's window, or for its turn."""
        seconds = self.chance.choice((0.0, 0.2, 1.0, 60.0))
        if loop_time() + seconds > job.deadline:
            error = RateLimited(4080, "held", Operation.SUBMIT, Action.WAIT)
            error.source = "guard"
            raise error
        if not self.line:
            return Delay(seconds)
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        loop.call_later(self.chance.random(), turn.set_result, None)
        return Delay(60.0, turn=turn)

    async def attempt(self, job: Job, entered: float) -> Submission | Delay:
        """Make one attempt, and look at what must never be."""
        assert job.mobile not in self.flying, "two calls to one number at a time"
        job.tries.begin(loop_time())
        self.starts.append(entered)
        if not self.order[job.mobile] or self.order[job.mobile][-1] != job.content:
            self.order[job.mobile].append(job.content)
        self.flying.add(job.mobile)
        self.most = max(self.most, len(self.flying))
        if not self.answered:
            self.early = max(self.early, len(self.flying))
        try:
            await asyncio.sleep(self.chance.expovariate(1) * self.latency)
            return self.answer(job)
        except asyncio.CancelledError:
            job.tries.note(OutcomeUnknown("cut off"))
            raise
        finally:
            self.flying.discard(job.mobile)

    def answer(self, job: Job) -> Submission | Delay:
        """Return or raise what the vendor made of it, or what became of it on the way."""
        mood = self.chance.random() / self.bad if self.bad else 1.0
        if mood < 0.05:
            raise asyncio.CancelledError  # foreign code's own making
        if mood < 0.06:
            raise LookupError("a programming error")
        if mood < 0.3:
            return self.again(job, NotSent("no connection"))
        if mood < 0.4:
            job.tries.note(OutcomeUnknown("no answer"))
            raise job.verdict(OutcomeUnknown("no answer"))
        self.answered = True
        if mood < 0.6:
            return self.again(job, refusal(0))
        if mood < 0.65:
            raise self.noted(job, refusal(self.chance.choice((405, 4030, 4072, 4081))))
        return Submission("id", job.mobile, "ok", job.attempts)

    def again(self, job: Job, error: VoiceError) -> Delay:
        """Have the job tried again, twice at most."""
        self.noted(job, error)
        if job.attempts > 2:
            raise job.verdict(error)
        return Delay(self.chance.random(), error)

    def noted(self, job: Job, error: VoiceError) -> VoiceError:
        """Return the error, which the job remembers."""
        job.tries.note(error)
        return error


class Source:
    """An iterable of the scenario's messages that counts what was taken from it."""

    def __init__(self, chance: random.Random) -> None:
        numbers = chance.choice((1, 3, 40))
        self.messages = [
            Message(f"139{chance.randrange(numbers):08d}", str(place))
            for place in range(chance.choice((0, 3, 20, 120)))
        ]
        self.chance = chance
        self.kind = chance.choice(("list", "generator", "async", "async that pauses"))
        self.fails = self.kind != "list" and chance.random() < 0.15
        self.error = chance.choice((LookupError, asyncio.CancelledError))
        self.taken = 0
        self.closed = False

    def given(self) -> Any:
        """Return it as the kind of iterable that it is."""
        if self.kind == "list":
            self.taken = len(self.messages)
            return self.messages
        return self.sync() if self.kind == "generator" else self.asynchronous()

    def sync(self) -> Iterator[Message]:
        """Yield the messages, and perhaps fail at the end."""
        try:
            for message in self.messages:
                self.taken += 1
                yield message
            if self.fails:
                raise self.error
        finally:
            self.closed = True

    async def asynchronous(self) -> AsyncIterator[Message]:
        """Do the same with pauses, some of them long."""
        try:
            for message in self.messages:
                if self.kind != "async" and self.chance.random() < 0.1:
                    await asyncio.sleep(self.chance.choice((0.05, 1.0, 30.0)))
                self.taken += 1
                yield message
            if self.fails:
                raise self.error
        finally:
            self.closed = True


def options_of(chance: random.Random) -> dict[str, Any]:
    """Draw options."""
    return {
        "concurrency": chance.choice((1, 2, 5, 30)),
        "max_wait": chance.choice((0.0, 5.0, 500.0)),
        "max_rate": chance.choice((None, 0.5, 5.0, 50.0)),
        "max_deferred": chance.choice((1, 3, 1000)),
        "grace": chance.choice((0.0, 0.5, 30.0)),
        "max_failures": chance.choice((None, 3, 20)),
        "max_rejections": chance.choice((None, 2)),
    }


async def consume(run: BulkRun, chance: random.Random, into: list[Outcome], most: float) -> None:
    """Read the run to its end, or leave it somewhere, slowly or fast."""
    leave_after = chance.choice((0, 1, 10, 10_000, 10_000, 10_000))
    pauses = chance.random() < 0.3
    async with run:
        while len(into) < leave_after:
            try:
                into.append(await anext(run))
            except StopAsyncIteration:
                break
            assert run.progress.deferred <= most
            if pauses and chance.random() < 0.2:
                await asyncio.sleep(chance.random() * 3)
            if not chance.randrange(200):
                into += await run.drain()


async def scenario(seed: int) -> None:
    """Play one, and look at what must hold afterwards."""
    chance = random.Random(seed)
    options, source = options_of(chance), Source(chance)
    world = World(
        chance,
        chance.choice((0.0, 0.1, 2.0)),
        chance.choice((0.0, 0.2, 1.0)),
        chance.random() < 0.3,
    )
    run = run_of(source.given(), world, **options)
    outcomes: list[Outcome] = []
    most = 2 * options["max_deferred"] + options["concurrency"]
    most = math.inf if source.kind == "list" else most
    consumer = asyncio.create_task(consume(run, chance, outcomes, most))
    for _ in range(chance.choice((0, 0, 0, 1, 3))):
        asyncio.get_running_loop().call_later(chance.random() * 5, consumer.cancel)
    raised = (await asyncio.gather(consumer, return_exceptions=True))[0]
    outcomes += await run.drain()
    check(run, source, world, options, outcomes)
    assert raised is None or isinstance(raised, LookupError | asyncio.CancelledError)
    assert not others()


def check(
    run: BulkRun, source: Source, world: World, options: dict[str, Any], outcomes: list[Outcome]
) -> None:
    """Look at what must hold after every run."""
    told = Counter(outcome.message.content for outcome in outcomes)
    wanted = [message.content for message in source.messages[: source.taken]]
    if source.kind == "list":  # nobody can count what is taken from it: a start of it
        wanted = wanted[: len(outcomes)]
    assert told == Counter(wanted)
    counted = Counter(outcome.status for outcome in outcomes)
    assert run.summary == {status: counted[status] for status in OutcomeStatus}
    assert world.most <= options["concurrency"]
    assert world.early <= 3
    assert source.closed or source.kind == "list" or not source.taken
    for order in world.order.values():
        assert [int(text) for text in order] == sorted(map(int, order))
    check_rate(sorted(world.starts), options["max_rate"])


def check_rate(starts: list[float], rate: float | None) -> None:
    """In no stretch of time begin more than the rate allows."""
    if rate is None:
        return
    for first in range(len(starts)):
        for last in range(first, min(len(starts), first + 20)):
            seconds = starts[last] - starts[first] + LATE
            assert last - first <= rate * seconds + 1e-6


FOUND = (52, 65, 74)
"""Seeds at which a scheduler hung that forgot a wake-up: of the rate, of a consumed outcome, of a
number that came free."""


@pytest.mark.parametrize("seed", FOUND)
def test_seeds_that_found_something_find_nothing_any_more(seed: int) -> None:
    """Each was a run that hung."""
    run_virtual(scenario(seed))


@settings(max_examples=few_or_many(25, 200), deadline=None)
@given(st.integers(0, 2**40))
def test_every_run_ends_and_every_message_has_one_outcome(seed: int) -> None:
    """Whatever the source, the guard, the vendor, the consumer and the options do."""
    run_virtual(scenario(seed))
