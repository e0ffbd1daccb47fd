"""A run that is left, or whose client is closed, in what one of its own attempts waits for."""

import asyncio
from collections import Counter
from contextlib import nullcontext, suppress
from functools import partial
from typing import Literal, TypeAlias

import attrs
import httpx
import pytest

from ihuyi_voice import MemoryGuard, Outcome, OutcomeStatus, VoiceClient
from ihuyi_voice.bulk import BulkRun
from ihuyi_voice.calls import AttemptEnded, AttemptStarted, RunStarted, Settled, Submitted
from ihuyi_voice.events import Event
from ihuyi_voice.simulator import Fault, FaultKind
from tests.bulk.support import others
from tests.bulk.test_named_runs import RUN, messages, settled
from tests.support.awaiting import AwaitingGuard, AwaitingLedger
from tests.support.journals import FakeLedger
from tests.support.vendor import ONCE, in_process, vendor
from tests.support.virtual_time import loop_time, run_virtual

Place: TypeAlias = Literal[
    "request hook", "response hook", "reserve", "commit", "release", "block",
    "look", "intend", "settle", "recall", "leave",
]  # fmt: skip
Way: TypeAlias = Literal["drain", "leave", "close"]
PLACES: tuple[Place, ...] = Place.__args__  # type: ignore[attr-defined]  # of a Literal
WAYS: tuple[Way, ...] = Way.__args__  # type: ignore[attr-defined]  # as above

ACCEPTED, REJECTED, HELD, NOT_SENT, UNKNOWN = OutcomeStatus
EVENTS = (AttemptStarted, AttemptEnded, Settled, Submitted, RunStarted)
REFUSED = {"release": 4072, "block": 4080}
"""The code with which the vendor answers, so that a guard's method is called at all."""
SKIPPED = {"look": 0, "recall": 0, "leave": 0}
"""What is asked only once or twice; in the rest several attempts are in flight by then."""


@attrs.define(eq=False)
class Ending:
    """Leaves a run in one place, `times` times, when some have gone by.

    Attributes:
        place: Where.
        way: How.
        times: How often; each is another attempt's.
        got: What drains gave.
        ended: How often it has come to its end.
    """

    place: Place
    way: Way
    times: int = 1
    calls: int = 0
    begun: int = 0
    ended: int = 0
    got: list[Outcome] = attrs.field(factory=list[Outcome])
    run: BulkRun | None = None
    client: VoiceClient | None = None

    async def at(self, place: str) -> None:
        """Do it, if this is the place."""
        if place != self.place or self.begun == self.times or self.run is None:
            return
        self.calls += 1
        if self.calls <= SKIPPED.get(place, 3):
            return
        self.begun += 1
        if self.way == "drain":
            self.got += await self.run.drain()
        elif self.way == "leave":
            await self.run.__aexit__(None, None, None)
        elif self.client is not None:
            await self.client.aclose()
        self.ended += 1


async def _hook(ending: Ending, place: str, _: object) -> None:
    await ending.at(place)


async def outcomes_of(run: BulkRun, ending: Ending) -> list[Outcome]:
    """Return all outcomes of a run, whoever got them."""
    found: list[Outcome] = []
    ending.run = run
    breaks = ending.way == "close" and ending.place != "leave"
    with pytest.raises(RuntimeError, match="closed") if breaks else nullcontext():
        async with run:
            async for outcome in run:
                found.append(outcome)  # noqa: PERF401 - it may end in the middle
    return found + ending.got + await run.drain()


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", PLACES)
def test_no_answer_is_lost_and_nobody_waits_for_himself(place: Place, way: Way, times: int) -> None:
    """Whoever leaves it, and where: each message has its end, told to guard and ledger as well."""
    code = REFUSED.get(place)
    refusals = [] if code is None else [Fault(FaultKind.CODE, code=code, times=9)]
    ending = Ending(place, way, times)

    async def main() -> None:
        simulator = vendor(*refusals, limits=(), latency=0.1)
        guard, ledger = AwaitingGuard(ending.at), AwaitingLedger(then=ending.at)
        settled(ledger.store, messages(1), simulator.account, ledger)
        client = ending.client = in_process(simulator, guard=guard, ledger=ledger, retry=ONCE)
        for kind in ("request", "response"):
            hook = partial(_hook, ending, f"{kind} hook")
            client.http_client.event_hooks[kind].append(hook)
        began = loop_time()
        found = await outcomes_of(client.submit_many(messages(20), run=RUN, concurrency=4), ending)
        assert loop_time() - began < 3.0
        await client.aclose()
        assert ending.begun == ending.ended > 0
        assert not others()

        counts = Counter(outcome.status for outcome in found)
        assert counts[ACCEPTED] == sum(simulator.rung().values()) + 1
        assert not counts[UNKNOWN]
        assert len({outcome.message.mobile for outcome in found}) == counts.total()
        assert guard.inside.statistics().in_flight == 0
        told = {key: state for key, state in ledger.store.states(RUN).items() if state != NOT_SENT}
        assert Counter(told.values()) == Counter(
            outcome.status.value for outcome in found if outcome.status is not NOT_SENT
        )

    run_virtual(main())


@pytest.mark.parametrize("run", [None, RUN])
@pytest.mark.parametrize("code", [None, 4072, 4080])
def test_what_was_read_is_the_outcome_of_what_does_not_let_go(
    code: int | None, run: str | None
) -> None:
    """A hook that hangs, whatever is done to it: the vendor has answered, and the ledger knows."""
    refusals = [] if code is None else [Fault(FaultKind.CODE, code=code, times=9)]

    async def main() -> None:
        async def hang(_: httpx.Response) -> None:
            begun.set()
            while not freed.is_set():
                with suppress(asyncio.CancelledError):
                    await freed.wait()

        begun, freed, ledger = asyncio.Event(), asyncio.Event(), FakeLedger()
        client = in_process(vendor(*refusals), ledger=ledger, retry=ONCE)
        client.http_client.event_hooks["response"].append(hang)
        async with client.submit_many(messages(3), run=run, grace=0.0) as bulk:
            await begun.wait()
            found = await bulk.drain()
        expected = ACCEPTED if code is None else REJECTED
        assert [each.status for each in found][:1] == [expected]
        assert found[0].voice_id if code is None else getattr(found[0].error, "code", 0) == code
        if code == 4080:
            assert getattr(found[0].error, "retry_at", None) is not None
        assert [*ledger.store.states(RUN).values()][:1] == ([] if run is None else [expected])
        freed.set()
        await client.aclose()
        await asyncio.gather(*others())

    run_virtual(main())


def test_a_task_of_a_hooks_own_that_leaves_the_run_costs_no_answer() -> None:
    """Nobody can see that the hook waits for it, so that it takes the grace."""

    async def main() -> None:
        async def leave(_: httpx.Response) -> None:
            await asyncio.create_task(run.drain())

        guard = MemoryGuard(clock=loop_time)
        client = in_process(vendor(limits=()), guard=guard, retry=ONCE)
        client.http_client.event_hooks["response"].append(leave)
        run = client.submit_many(messages(3), grace=2.0)
        async with run:
            found = [outcome async for outcome in run]
        found += await run.drain()
        assert run.summary[ACCEPTED] == 1
        assert not run.summary[UNKNOWN]
        await client.aclose()
        await asyncio.gather(*others())
        assert guard.statistics().in_flight == 0

    run_virtual(main())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_a_run_that_an_event_has_left_ends_as_it_should(kind: type[Event], way: Way) -> None:
    """By a task that nobody waits for, which waits for every attempt in flight."""
    ending = Ending("reserve", way)
    tasks: list[asyncio.Task[None]] = []

    def hear(event: Event) -> None:
        if isinstance(event, kind) and not tasks:
            ending.calls = 9
            tasks.append(asyncio.get_running_loop().create_task(ending.at("reserve")))

    async def main() -> None:
        simulator = vendor(limits=(), latency=0.1)
        guard, ledger = MemoryGuard(clock=loop_time), FakeLedger(latency=0.01)
        client = in_process(simulator, guard=guard, ledger=ledger, retry=ONCE, on_event=hear)
        ending.client, run = client, client.submit_many(messages(9), run=RUN, concurrency=4)
        began, ending.run = loop_time(), run
        found: list[Outcome] = []
        with suppress(RuntimeError):  # of a client that was closed
            async with run:
                found = [outcome async for outcome in run]
        await tasks[0]
        assert loop_time() - began < 3.0
        found += ending.got + await run.drain()
        assert not run.summary[UNKNOWN]
        assert run.summary[ACCEPTED] == sum(simulator.rung().values())
        assert guard.statistics().in_flight == 0
        assert "INTENT" not in ledger.store.states(RUN).values()
        await client.aclose()

    run_virtual(main())
