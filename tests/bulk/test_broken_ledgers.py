"""A ledger that fails in the middle of a run ends it soon, and takes no answer with it."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ihuyi_voice import (
    LedgerUnavailable,
    MemoryGuard,
    Message,
    Outcome,
    OutcomeStatus,
    RunStopped,
    Submission,
    VoiceClient,
)
from ihuyi_voice.bulk import BulkRun
from ihuyi_voice.bulk.lookup import AHEAD
from ihuyi_voice.calls.journaling import ASKING
from ihuyi_voice.calls.waiting import PATIENCE
from ihuyi_voice.simulator import Fault, Simulator
from tests.bulk.support import others
from tests.bulk.test_named_runs import ACCEPTED, NOT_SENT, RUN, all_of, messages, settled
from tests.bulk.test_property import Source
from tests.support.eager import eager_factory
from tests.support.guards import Misbehaving
from tests.support.journals import Asked, FakeLedger, Manner, Store, status_of
from tests.support.long import few_or_many
from tests.support.vendor import ONCE, in_process, vendor
from tests.support.virtual_time import loop_time, run_virtual

MANNERS = get_args(Manner)
FAILING = [each for each in MANNERS if each != "is slow"]


@pytest.mark.long
@pytest.mark.parametrize("manner", FAILING)
@pytest.mark.parametrize("after", [0, 30])
@pytest.mark.parametrize("method", ["look", "accepted", "recall", "intend"])
def test_a_ledger_that_cannot_be_asked_ends_the_run_soon(
    method: Asked, after: int, manner: Manner
) -> None:
    """A dead ledger doesn't turn thousands of messages into thousands of slow failures."""
    after //= {"intend": 1, "accepted": 30}.get(method, 10)

    async def main() -> tuple[list[Outcome], float, Counter[Any], int]:
        store, simulator = Store(), vendor(latency=0.1)
        settled(store, messages(3), simulator.account, FakeLedger(store))
        ledger = FakeLedger(store, method, manner, after)
        guard = MemoryGuard(clock=loop_time)
        async with in_process(simulator, ledger=ledger, guard=guard) as client:
            began = loop_time()
            found = await all_of(client, messages(5_000), concurrency=10)
            took = loop_time() - began
        return found, took, simulator.rung(), guard.statistics().in_flight

    found, took, rung, locked = run_virtual(main())
    assert len(found) == 5_000
    assert took < ASKING + 25.0
    sent = [each for each in found if each.status is ACCEPTED and not each.replayed]
    assert len(sent) == sum(rung.values()) < 4_000
    rest = [each for each in found if each.status is not ACCEPTED]
    assert {each.status for each in rest} == {NOT_SENT}
    assert all(isinstance(each.error, LedgerUnavailable | RunStopped) for each in rest)
    assert all("ledger" in str(each.error) or "database" in str(each.error) for each in rest)
    assert locked == 0


@pytest.mark.parametrize("manner", FAILING)
@pytest.mark.parametrize("method", ["recall", "settle"])
def test_what_a_look_up_has_found_is_told_whatever_fails_after_it(
    method: Asked, manner: Manner
) -> None:
    """It is ACCEPTED: as NOT_SENT, somebody would send it again."""

    async def main() -> list[Outcome]:
        store, simulator = Store(), vendor()
        settled(store, messages(3), simulator.account, FakeLedger(store))
        ledger = FakeLedger(store, method, manner)
        given = [*messages(6), Message("1390000", "too short")]
        async with in_process(simulator, ledger=ledger, guard=MemoryGuard()) as client:
            return await all_of(client, given)

    found = run_virtual(main())
    known = {each.message.mobile for each in found if each.replayed and each.status is ACCEPTED}
    assert known == {each.mobile for each in messages(3)}
    assert len(found) == 7


@pytest.mark.parametrize("manner", [each for each in FAILING if each != "lies"])
def test_an_end_that_cannot_be_written_is_told_and_stops_the_run(manner: Manner) -> None:
    """A full disk: what the vendor answered stands, the rest isn't sent."""
    many = few_or_many(500, 2_000)

    async def main() -> tuple[list[Outcome], Counter[Any], list[str]]:
        simulator = vendor(latency=0.1)
        ledger = FakeLedger(method="settle", manner=manner, after=20)
        async with in_process(simulator, ledger=ledger) as client:
            found = await all_of(client, messages(many), concurrency=10)
        return found, simulator.rung(), list(ledger.store.states(RUN).values())

    found, rung, states = run_virtual(main())
    assert len(found) == many
    accepted = {each.message.mobile for each in found if each.status is ACCEPTED}
    assert accepted == {mobile for mobile, _ in rung}
    assert 20 < len(rung) < 100
    rest = [each for each in found if each.status is not ACCEPTED]
    assert all(isinstance(each.error, RunStopped) for each in rest)
    assert all(isinstance(each.error.__cause__, LedgerUnavailable) for each in rest if each.error)
    if manner != "raises late":
        assert Counter(states)["INTENT"] >= 1


@pytest.mark.parametrize("after", [0.0, 0.05, 0.35, 0.7])
def test_a_run_that_is_left_while_it_looks_up_tells_what_it_finds(after: float) -> None:
    """What was read ahead has its outcome, as the ledger knows it, and nothing more is read."""

    async def main() -> tuple[list[Outcome], int]:
        store, simulator = Store(), vendor()
        ledger = FakeLedger(store, latency=0.3)
        settled(store, messages(2_000), simulator.account, ledger)
        source = Source(random.Random(1))
        source.messages = messages(2_000)
        async with in_process(simulator, ledger=ledger) as client:
            async with client.submit_many(source.sync(), run=RUN) as run:
                await asyncio.sleep(after)
                found = await run.drain()
            assert not others()
        return found, source.taken

    found, taken = run_virtual(main())
    assert len(found) == taken <= 3 * AHEAD
    assert all(outcome.replayed for outcome in found)


def test_a_look_up_that_hangs_is_cut_short_with_the_grace() -> None:
    """Those messages come out NOT_SENT; this run sent nothing of them. What stood on a page did."""

    async def main() -> tuple[list[Outcome], float]:
        store, simulator = Store(), vendor()
        settled(store, messages(3), simulator.account, FakeLedger(store))
        ledger = FakeLedger(store, "look", "hangs")
        async with in_process(simulator, ledger=ledger) as client:
            async with client.submit_many(messages(700), run=RUN, grace=0.5) as run:
                await asyncio.sleep(1.0)
                began = loop_time()
                found = await run.drain()
                return found, loop_time() - began

    found, took = run_virtual(main())
    assert Counter((each.status, each.replayed) for each in found) == {
        (ACCEPTED, True): 3, (NOT_SENT, False): AHEAD - 3,
    }  # fmt: skip
    assert took <= 0.5 + PATIENCE + 1.0


def test_a_run_stopped_by_a_code_still_tells_what_was_settled_earlier() -> None:
    """NOT_SENT would say that it is safe to send again."""

    async def main() -> list[Outcome]:
        store, simulator = Store(), vendor(Fault("code", code=4051))
        ledger = FakeLedger(store, latency=0.01)
        settled(store, messages(1_000, start=1_000), simulator.account, ledger)
        async with in_process(simulator, ledger=ledger, retry=ONCE) as client:
            return await all_of(client, messages(2_000))

    found = run_virtual(main())
    assert Counter(outcome.status for outcome in found) == {
        ACCEPTED: 1_000, NOT_SENT: 999, OutcomeStatus.REJECTED: 1,
    }  # fmt: skip
    assert all(outcome.replayed for outcome in found if outcome.status is ACCEPTED)


def test_somebody_who_cancels_the_look_up_stops_the_run() -> None:
    """And every message that was taken has its outcome."""

    async def main() -> tuple[list[Outcome], int]:
        store, simulator = Store(), vendor()
        settled(store, messages(3), simulator.account, FakeLedger(store))
        ledger = FakeLedger(store, latency=0.5)
        async with in_process(simulator, ledger=ledger) as client:
            async with client.submit_many(iter(messages(900)), run=RUN) as run:
                await asyncio.sleep(0.1)
                for task in others():
                    if "JournaledIntake" in repr(task):
                        task.cancel()
                found = [outcome async for outcome in run]
        return found, len(simulator.arrivals)

    found, requests = run_virtual(main())
    assert len(found) == 900
    assert all("tasks of the run were cancelled" in str(outcome.error) for outcome in found)
    assert requests == 0


@pytest.mark.parametrize(("page", "bound"), [(0, 2 * AHEAD), (1_000, AHEAD)])
def test_a_slow_consumer_bounds_what_is_looked_up(page: int, bound: int) -> None:
    """Memory doesn't grow with the input, and what stands on pages is read in smaller steps."""
    many = few_or_many(5, 10) * AHEAD

    async def main() -> int:
        store, simulator = Store(), vendor()
        settled(store, messages(many), simulator.account, FakeLedger(store))
        consumed = most = 0
        async with in_process(simulator, ledger=FakeLedger(store, page=page)) as client:
            async with client.submit_many(iter(messages(many)), run=RUN) as run:
                async for _ in run:
                    consumed += 1
                    await asyncio.sleep(0.01)
                    most = max(most, run.progress.read - consumed)
        return most

    assert AHEAD // 2 <= run_virtual(main()) <= bound


async def scenario(seed: int) -> None:
    """Play a run and its resumption with a ledger, a guard, a vendor and a consumer with moods."""
    chance = random.Random(seed)
    if chance.random() < 0.3:
        asyncio.get_running_loop().set_task_factory(eager_factory())
    store, simulator = Store(), vendor(latency=chance.choice([0.0, 0.1, 2.0]))
    for _ in range(chance.randrange(4)):
        simulator.add_fault(Fault(
            chance.choice(["code", "empty", "disconnect_after", "latency"]),
            code=chance.choice([0, 4030, 4072, 4081]), share=chance.choice([0.05, 0.3]),
            seconds=1.0,
        ))  # fmt: skip
    told: dict[str, list[Outcome]] = {}
    source = Source(chance)
    source.messages = [
        Message(f"139{chance.randrange(40):08d}", f"text {chance.randrange(4)}")
        for _ in range(chance.choice([0, 5, 60, 200]))
    ]
    for _ in range(chance.choice([1, 2, 3])):
        source.taken = 0
        await once(chance, simulator, ledger_of(chance, store), source, told)
    check(store, simulator, told)


def ledger_of(chance: random.Random, store: Store) -> FakeLedger:
    """Return a ledger that misbehaves somehow, somewhen, or not at all."""
    method: Any = chance.choice(["look", "recall", "intend", "settle", "leave", None, None, None])
    manner = chance.choice(MANNERS)
    return FakeLedger(
        store,
        method,
        manner,
        chance.choice([0, 1, 10, 50]),
        latency=chance.choice([0.0, 0.0, 0.05]),
    )


async def once(
    chance: random.Random, simulator: Simulator, ledger: FakeLedger, source: Source,
    told: dict[str, list[Outcome]],
) -> None:  # fmt: skip
    """Run it once, to its end or not."""
    guard: Any = chance.choice(
        [MemoryGuard(clock=loop_time), None, Misbehaving("commit", "is slow")]
    )
    client = in_process(simulator, ledger=ledger, guard=guard, retry=ONCE)
    run = client.submit_many(
        source.given(), run=RUN, concurrency=chance.choice([1, 5, 30]),
        max_wait=chance.choice([0.0, 5.0, 500.0]), grace=chance.choice([0.0, 0.5, 30.0]),
        max_rate=chance.choice([None, None, 20.0]), max_deferred=chance.choice([1, 3, 1000]),
        max_failures=chance.choice([None, 3, 20]),
    )  # fmt: skip
    outcomes: list[Outcome] = []
    consumer = asyncio.create_task(consume(run, chance, outcomes))
    for _ in range(chance.choice([0, 0, 0, 1, 3])):
        asyncio.get_running_loop().call_later(chance.random() * 5, consumer.cancel)
    (raised,) = await asyncio.gather(consumer, return_exceptions=True)
    outcomes += await run.drain()
    await client.aclose()
    ledger.alive = False
    assert raised is None or isinstance(raised, LookupError | asyncio.CancelledError)
    assert not others()
    counted = Counter(outcome.status for outcome in outcomes)
    assert run.summary == {status: counted[status] for status in OutcomeStatus}
    if source.kind != "list":
        assert len(outcomes) == source.taken
    told["all"] = told.get("all", []) + outcomes


async def consume(run: BulkRun, chance: random.Random, into: list[Outcome]) -> None:
    """Read the run to its end, or leave it somewhere, slowly or fast."""
    leave_after = chance.choice([0, 1, 10, 10_000, 10_000])
    async with run:
        while len(into) < leave_after:
            try:
                into.append(await anext(run))
            except StopAsyncIteration:
                break
            if chance.random() < 0.02:
                await asyncio.sleep(chance.random() * 3)


def check(store: Store, simulator: Simulator, told: dict[str, list[Outcome]]) -> None:
    """Look at what must hold after all of them: ledger, record and outcomes agree."""
    names = Counter((each.mobile, each.content) for each in rang(simulator))
    assert set(names.values()) <= {1}
    entries = {(row.draft.mobile, row.draft.content): row for row in store.rows.values()}
    for name in names:
        end = entries[name].end
        assert end is None or status_of(end) in {"ACCEPTED", "UNKNOWN"}
    for row in store.rows.values():
        if isinstance(row.end, Submission):
            assert names[row.draft.mobile, row.draft.content] == 1
    for outcome in told["all"]:
        name = outcome.message.mobile, outcome.message.content
        if outcome.status is ACCEPTED:
            assert names[name] == 1
        if outcome.replayed:
            row = entries[name]
            assert row.end is None or status_of(row.end) is not NOT_SENT


def rang(simulator: Simulator) -> list[Any]:
    """Return the requests that made a phone ring."""
    return [each for each in simulator.arrivals if each.code == 2]


@pytest.mark.long
@settings(max_examples=few_or_many(25, 300), deadline=None)
@given(st.integers(0, 2**40))
@example(9906)  # whoever asked after the one that was cancelled was asked for nevertheless
def test_no_schedule_rings_twice_and_ledger_and_record_agree(seed: int) -> None:
    """Whatever ledger, guard, vendor, source and consumer do, over a run and its resumptions."""
    run_virtual(scenario(seed))


def test_the_client_of_a_run_is_closed_in_time() -> None:
    """Also with a ledger that hangs for good."""

    async def main() -> float:
        ledger = FakeLedger(method="settle", manner="hangs")
        client: VoiceClient = in_process(vendor(), ledger=ledger)
        async with client.submit_many(messages(3), run=RUN) as run:
            assert len([outcome async for outcome in run]) == 3
        began = loop_time()
        await client.aclose()
        return loop_time() - began

    assert run_virtual(main()) <= 2 * PATIENCE


class Broken(FakeLedger):
    """A ledger whose journals of runs break while a run begins with them."""

    @asynccontextmanager
    async def run(self, *given: Any, **options: Any) -> AsyncGenerator[Any]:
        """Open a run."""
        async with super().run(*given, **options):
            yield Raising()


class Raising:
    """A journal that ends the program when it is asked what it is."""

    @property
    def is_new(self) -> bool:
        """End the program."""
        raise SystemExit("of the ledger")


def begun(closed: list[str], *, fails: bool) -> Iterator[Message]:
    """Return a generator that its caller has begun to read."""

    def rows() -> Iterator[Message]:
        try:
            yield from messages(3)
        finally:
            closed.append("sync")
            if fails:
                raise KeyError("of the list")

    generator = rows()
    next(generator)
    return generator


async def begun_async(closed: list[str], *, fails: bool) -> AsyncIterator[Message]:
    """Return an async generator that its caller has begun to read."""

    async def rows() -> AsyncGenerator[Message]:
        try:
            for each in messages(3):
                yield each
        finally:
            await asyncio.sleep(0)
            closed.append("async")
            if fails:
                raise KeyError("of the list")

    generator = rows()
    await anext(generator)
    return generator


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_what_breaks_while_a_run_begins_closes_its_messages_and_lets_the_run_go(
    kind: str, caplog: pytest.LogCaptureFixture, *, fails: bool
) -> None:
    """The error is the caller's to hear; what breaks in closing is told beside it."""

    async def main() -> tuple[list[str], FakeLedger, int]:
        ledger, closed = Broken(), list[str]()
        given: Any = (
            begun(closed, fails=fails) if kind == "sync" else await begun_async(closed, fails=fails)
        )
        async with in_process(vendor(), ledger=ledger) as client:
            run = client.submit_many(given, run=RUN)
            with pytest.raises(SystemExit, match="of the ledger"):
                async with run:
                    pass
            assert closed == [kind]
            left = asyncio.all_tasks() - {asyncio.current_task()}
        return closed, ledger, len(left)

    closed, ledger, left = run_virtual(main())
    assert (closed, ledger.store.owners, left) == ([kind], {}, 0)
    assert ("a run was ended by KeyError, too" in caplog.text) is fails


@pytest.mark.parametrize("named", [False, True])
def test_an_async_generator_is_closed_though_its_run_is_left_at_once(*, named: bool) -> None:
    """Before the task that reads it had its first turn; what its caller had begun ends."""

    async def main() -> list[str]:
        closed = list[str]()
        async with in_process(vendor(), ledger=FakeLedger()) as client:
            given = await begun_async(closed, fails=False)
            async with client.submit_many(given, run=RUN if named else None):
                pass
            return list(closed)

    assert run_virtual(main()) == ["async"]
