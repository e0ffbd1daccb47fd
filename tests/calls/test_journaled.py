"""A journal is foreign code: it raises, hangs, lies and is cancelled, and no answer is lost."""

import asyncio
import logging
import random
from contextlib import suppress
from typing import Any, get_args

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihuyi_voice import (
    LedgerUnavailable,
    MemoryGuard,
    NotSent,
    OutcomeStatus,
    OutcomeUnknown,
    RateLimited,
    Submission,
    VoiceClient,
    VoiceError,
)
from ihuyi_voice.calls.errands import Errands
from ihuyi_voice.calls.journaling import ASKING, Journaling
from ihuyi_voice.calls.waiting import PATIENCE
from ihuyi_voice.models import Draft
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.eager import eager_factory
from tests.support.guards import Method as GuardMethod
from tests.support.guards import Misbehaving
from tests.support.journals import SLOW, Asked, FakeLedger, Manner, Store
from tests.support.long import few_or_many
from tests.support.vendor import CONTENT, MOBILE, ONCE, in_process, vendor
from tests.support.virtual_time import loop_time, run_virtual

KEY = "k"
DRAFT = Draft("another", MOBILE, CONTENT)
MANNERS = get_args(Manner)
BEFORE: list[Asked] = ["look", "recall", "intend"]
# What the vendor says, and what is known of the call then.
ENDS: list[tuple[Fault | None, OutcomeStatus]] = [
    (None, OutcomeStatus.ACCEPTED),
    (Fault("code", code=4081), OutcomeStatus.REJECTED),
    (Fault("code", code=4051), OutcomeStatus.REJECTED),
    (Fault("code", code=4072), OutcomeStatus.REJECTED),
    (Fault("code", code=0), OutcomeStatus.REJECTED),
    (Fault("empty"), OutcomeStatus.UNKNOWN),
]


async def ended(client: VoiceClient, **options: Any) -> Submission | VoiceError:
    """Make one keyed call, and return its end."""
    try:
        return await client.submit(MOBILE, CONTENT, key=KEY, **options)
    except VoiceError as error:
        return error


def status(end: object) -> OutcomeStatus:
    """Return which outcome that is."""
    return end.status if isinstance(end, VoiceError) else OutcomeStatus.ACCEPTED


def ends_in(ledger: FakeLedger) -> dict[str, str]:
    """Return each key's end, as a later look at the ledger shows it."""
    rows = ledger.store.rows.values()
    return {row.draft.key: f"{row.end and status(row.end)}: {row.end}" for row in rows}


@pytest.mark.parametrize("manner", [each for each in MANNERS if each != "is slow"])
@pytest.mark.parametrize("method", BEFORE)
def test_a_journal_that_has_failed_once_says_so(method: Asked, manner: Manner) -> None:
    """However it failed: a run looks there before it begins with anything more."""

    async def main() -> None:
        ledger = FakeLedger(method=method, manner=manner)
        journaling = Journaling(lambda: ledger.calls("VM1"), Errands())
        given = MOBILE if method == "recall" else DRAFT
        with pytest.raises(LedgerUnavailable) as caught:
            await getattr(journaling, method)(given)
        assert str(journaling.failure) == str(caught.value)

    run_virtual(main())


@pytest.mark.parametrize("manner", [each for each in MANNERS if each != "is slow"])
@pytest.mark.parametrize("method", BEFORE)
def test_a_ledger_that_cannot_be_asked_sends_nothing(method: Asked, manner: Manner) -> None:
    """It fails closed, in words and in time, and the number is free again."""

    async def main() -> tuple[Any, float, int]:
        simulator, guard = vendor(), MemoryGuard(clock=loop_time)
        ledger = FakeLedger(method=method, manner=manner)
        if method == "recall":
            await FakeLedger(ledger.store).calls(simulator.account).intend(DRAFT)
        async with in_process(simulator, ledger=ledger, guard=guard) as client:
            began = loop_time()
            end = await ended(client)
            took = loop_time() - began
        assert not simulator.arrivals
        return end, took, guard.statistics().in_flight

    end, took, locked = run_virtual(main())
    assert isinstance(end, LedgerUnavailable)
    assert isinstance(end, NotSent)
    assert "the ledger" in str(end) or "the database" in str(end)
    assert took <= ASKING
    assert locked == 0


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize(("fault", "expected"), ENDS)
def test_a_ledger_that_fails_to_settle_changes_no_answer(
    fault: Fault | None, expected: OutcomeStatus, manner: Manner, caplog: pytest.LogCaptureFixture
) -> None:
    """The vendor has spoken: the caller is told so, soon, and the log tells of the ledger."""

    async def main() -> tuple[Any, float]:
        ledger = FakeLedger(method="settle", manner=manner)
        async with in_process(vendor(fault), ledger=ledger, retry=ONCE) as client:
            began = loop_time()
            end = await ended(client)
            return end, loop_time() - began

    end, took = run_virtual(main())
    assert status(end) is expected
    assert took <= PATIENCE
    if isinstance(end, RateLimited):
        assert end.retry_at is not None
    warned = [each for each in caplog.records if each.levelno == logging.WARNING]
    warned = [each for each in warned if each.name != "ihuyi_voice.outcomes"]
    assert bool(warned) is (manner not in {"is slow", "lies"})


@pytest.mark.parametrize(("fault", "expected"), ENDS)
def test_the_ledger_knows_each_end(fault: Fault | None, expected: OutcomeStatus) -> None:
    """As the caller is told it."""

    async def main() -> tuple[Any, dict[str, str], Any]:
        ledger = FakeLedger()
        async with in_process(vendor(fault), ledger=ledger, retry=ONCE) as client:
            end = await ended(client)
        (row,) = ledger.store.rows.values()
        return end, ledger.store.states(), row.end

    end, states, written = run_virtual(main())
    assert states == {KEY: expected.value}
    assert written is end or written == end
    if isinstance(end, RateLimited):
        assert written.retry_at == end.retry_at


def test_a_guard_that_hangs_does_not_keep_the_end_from_the_ledger() -> None:
    """Both are told side by side."""

    async def main() -> dict[str, str]:
        ledger, guard = FakeLedger(), Misbehaving("commit", "hangs")
        async with in_process(vendor(), ledger=ledger, guard=guard, retry=ONCE) as client:
            task = asyncio.create_task(ended(client))
            await guard.begun.wait()
            await asyncio.sleep(0.0)
            states = ledger.store.states()
            await task
        return states

    assert run_virtual(main()) == {KEY: "ACCEPTED"}


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("manner", ["is slow", "hangs"])
def test_a_cancellation_inside_intend_sends_nothing_and_takes_the_intent_back(
    manner: Manner, times: int
) -> None:
    """What is written nevertheless is NOT_SENT when the client is closed, and the lease is free."""

    async def main() -> tuple[bool, dict[str, str], int, int, float]:
        simulator, guard = vendor(), MemoryGuard(clock=loop_time)
        ledger = FakeLedger(method="intend", manner=manner)
        client = in_process(simulator, ledger=ledger, guard=guard, retry=ONCE)
        task = asyncio.create_task(ended(client))
        await ledger.begun.wait()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0.1)
        locked = guard.statistics().in_flight
        began = loop_time()
        await client.aclose()
        took = loop_time() - began
        return task.cancelled(), ends_in(ledger), locked, len(simulator.arrivals), took

    why = "NOT_SENT: the call was given up before it was sent"
    cancelled, states, locked, requests, took = run_virtual(main())
    assert cancelled
    assert states == ({KEY: why} if manner == "is slow" else {})
    assert (locked, requests) == (0, 0)
    assert took <= PATIENCE


def test_a_call_that_was_cancelled_inside_intend_may_be_made_again_under_its_key() -> None:
    """It waits until the first intent has been taken back."""

    async def main() -> tuple[Any, int]:
        simulator, ledger = vendor(), FakeLedger(method="intend", manner="is slow", after=0)
        async with in_process(simulator, ledger=ledger, retry=ONCE) as client:
            task = asyncio.create_task(ended(client))
            await ledger.begun.wait()
            task.cancel()
            ledger.method = None
            return await ended(client, max_wait=60.0), len(simulator.arrivals)

    end, requests = run_virtual(main())
    assert isinstance(end, Submission)
    assert requests == 1


@pytest.mark.parametrize(
    ("after", "end"),
    [
        (0.0, {}),
        (0.25, {}),
        (0.75, {KEY: "NOT_SENT: the call was given up before it was sent"}),
        (1.5, {KEY: "UNKNOWN: the call was cut off in flight"}),
    ],
)
def test_a_cancellation_at_each_moment_is_written_as_what_it_left(
    after: float, end: dict[str, str]
) -> None:
    """Nothing while looking up, NOT_SENT while intending, UNKNOWN in flight."""

    async def main() -> dict[str, str]:
        simulator, ledger = vendor(Fault("silence")), FakeLedger(latency=0.5)
        async with in_process(simulator, ledger=ledger, retry=ONCE) as client:
            task = asyncio.create_task(ended(client))
            await asyncio.sleep(after)
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()
        return ends_in(ledger)

    assert run_virtual(main()) == end


def test_a_call_cut_off_before_its_body_was_taken_is_written_as_not_sent() -> None:
    """With the reason in words, which a later look at the ledger shows."""

    async def main() -> tuple[dict[str, str], int]:
        async def hang(_: httpx.Request) -> None:
            begun.set()
            await asyncio.sleep(1e9)

        begun, simulator, ledger = asyncio.Event(), vendor(), FakeLedger()
        async with in_process(simulator, ledger=ledger, retry=ONCE) as client:
            client.http_client.event_hooks["request"].append(hang)
            task = asyncio.create_task(ended(client))
            await begun.wait()
            task.cancel()
            await asyncio.wait({task})
        return ends_in(ledger), len(simulator.arrivals)

    why = "the call was cut off before it was sent (CancelledError)"
    assert run_virtual(main()) == ({KEY: f"NOT_SENT: {why}"}, 0)


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize(("fault", "expected"), ENDS[:4])
def test_a_cancellation_while_the_end_is_written_replaces_nothing(
    fault: Fault | None, expected: OutcomeStatus, times: int
) -> None:
    """However often: the answer is the caller's, and it is written."""

    async def main() -> tuple[Any, dict[str, str]]:
        ledger = FakeLedger(method="settle", manner="is slow")
        async with in_process(vendor(fault), ledger=ledger, retry=ONCE) as client:
            task = asyncio.create_task(client.submit(MOBILE, CONTENT, key=KEY))
            await ledger.begun.wait()
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(SLOW / 10)
            (end,) = await asyncio.gather(task, return_exceptions=True)
            return end, ledger.store.states()

    end, states = run_virtual(main())
    assert not isinstance(end, asyncio.CancelledError)
    assert status(end) is expected
    assert states == {KEY: expected.value}


def test_a_cancellation_that_was_put_off_by_the_ledger_strikes_at_the_next_await() -> None:
    """It is not lost."""
    seen: list[object] = []

    async def main() -> bool:
        ledger = FakeLedger(method="settle", manner="is slow")
        async with in_process(vendor(), ledger=ledger) as client:

            async def caller() -> None:
                seen.append(await ended(client))
                await asyncio.sleep(1e9)
                seen.append("after")

            task = asyncio.create_task(caller())
            await ledger.begun.wait()
            task.cancel()
            await asyncio.wait({task})
            return task.cancelled()

    assert run_virtual(main())
    assert [type(each) for each in seen] == [Submission]


def test_a_cancellation_while_a_held_call_is_written_is_put_off() -> None:
    """The caller is told HELD, and is cancelled at its next await."""

    async def main() -> tuple[bool, list[object], list[str]]:
        ledger, seen = FakeLedger(method="settle", manner="is slow"), list[object]()
        async with in_process(vendor(), ledger=ledger) as client:
            await client.submit(MOBILE, CONTENT)

            async def caller() -> None:
                seen.append(type(await ended(client)))
                await asyncio.sleep(1e9)

            task = asyncio.create_task(caller())
            await ledger.begun.wait()
            task.cancel()
            await asyncio.wait({task})
            return task.cancelled(), seen, ledger.told

    assert run_virtual(main()) == (True, [RateLimited], ["look", "look", "settle"])


def test_an_earlier_refusal_is_not_written_again() -> None:
    """The ledger knows it: there is nothing to tell."""

    async def main() -> list[str]:
        ledger = FakeLedger()
        async with in_process(vendor(Fault("code", code=4072)), ledger=ledger) as client:
            await ended(client)
            await ended(client)
        return ledger.told

    assert run_virtual(main()) == ["look", "intend", "settle", "look"]


@pytest.mark.parametrize("moment", ["look", "intend", "send", "settle"])
async def test_anyios_level_cancellation_leaves_the_ledger_true(moment: str) -> None:
    """It cancels again at every turn of the loop, in the cleanup as well."""

    class Awaiting(FakeLedger):
        async def misbehave(self, method: Asked) -> bool:
            self.told.append(method)
            if method == moment:
                self.begun.set()
            for _ in range(20):
                await asyncio.sleep(0)
            return False

    simulator, guard, ledger = Simulator(), MemoryGuard(), Awaiting(Store())
    if moment != "settle":
        simulator.add_fault(Fault("silence"))

    async def attempt(client: VoiceClient) -> None:
        with suppress(VoiceError):
            await client.submit(MOBILE, CONTENT, key=KEY)

    async with in_process(simulator, ledger=ledger, guard=guard, retry=ONCE) as client:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(attempt, client)
                await (simulator.arrived() if moment == "send" else ledger.begun.wait())
                scope.cancel()
    expected = {"look": {}, "intend": {KEY: "NOT_SENT"}, "send": {KEY: "UNKNOWN"}}
    assert ledger.store.states() == expected.get(moment, {KEY: "ACCEPTED"})
    assert guard.statistics().in_flight == 0


@pytest.mark.parametrize("eager", [False, True])
def test_closing_knows_of_an_intent_that_its_caller_never_saw(*, eager: bool) -> None:
    """It was written, and the caller cancelled before it had heard of that, in whatever turn."""

    async def main(turns: int) -> tuple[dict[str, str], int, int]:
        if eager:
            asyncio.get_running_loop().set_task_factory(eager_factory())
        simulator, guard = vendor(), MemoryGuard(clock=loop_time)
        ledger = FakeLedger(latency=1e-9)
        async with in_process(simulator, ledger=ledger, guard=guard) as client:
            task = asyncio.create_task(ended(client))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            while not task.done():  # noqa: ASYNC110 - in its very turn
                await asyncio.sleep(0)
        return ledger.store.states(), len(simulator.arrivals), guard.statistics().in_flight

    for turns in range(40):
        states, requests, locked = run_virtual(main(turns))
        assert locked == 0
        assert states in ({}, {KEY: "NOT_SENT"}, {KEY: "ACCEPTED"}, {KEY: "UNKNOWN"})
        assert requests == (states in ({KEY: "ACCEPTED"}, {KEY: "UNKNOWN"}))


@pytest.mark.parametrize("where", BEFORE)
def test_a_timeout_says_that_it_was_the_ledger(where: Asked) -> None:
    """And nothing was sent."""

    async def main() -> VoiceError | Submission:
        ledger = FakeLedger(method=where, manner="hangs")
        other = Draft("another", "13900000001", CONTENT)
        await FakeLedger(ledger.store).calls("VM1").intend(other)  # or nothing would be recalled
        async with in_process(vendor(), ledger=ledger) as client:
            return await ended(client, timeout=1.0)

    end = run_virtual(main())
    assert isinstance(end, NotSent)
    assert "the ledger did not answer" in str(end)


def test_a_timeout_that_held_a_call_back_is_written() -> None:
    """As HELD."""

    async def main() -> tuple[Any, dict[str, str]]:
        ledger = FakeLedger()
        async with in_process(vendor(), ledger=ledger) as client:
            await client.submit(MOBILE, CONTENT)
            end = await ended(client, timeout=0.5, max_wait=60.0)
        return end, ledger.store.states()

    end, states = run_virtual(main())
    assert isinstance(end, RateLimited)
    assert states == {KEY: "HELD"}


def test_a_mistake_of_the_program_is_raised_and_leaves_no_intent() -> None:
    """Nothing was sent: the key may be used again."""

    def clock() -> float:
        raise ZeroDivisionError("the clock")

    async def main() -> dict[str, str]:
        ledger = FakeLedger()
        async with in_process(vendor(), ledger=ledger, retry=ONCE, clock=clock) as client:
            with pytest.raises(ZeroDivisionError):
                await client.submit(MOBILE, CONTENT, key=KEY)
        return ledger.store.states()

    assert run_virtual(main()) == {KEY: "NOT_SENT"}


@pytest.mark.long
@settings(max_examples=few_or_many(25, 500), deadline=None)
@given(
    seed=st.integers(0, 2**32),
    method=st.sampled_from([*BEFORE, "settle", None]),
    manner=st.sampled_from(MANNERS),
    guard_method=st.sampled_from(["reserve", "commit", "release", "block", None]),
    fault=st.sampled_from(
        [None, None, Fault("silence"), Fault("code", code=4081), Fault("code", code=0),
         Fault("empty"), Fault("latency", seconds=1.5), Fault("disconnect_before"),
         Fault("disconnect_after")]
    ),
    eager=st.booleans(),
)  # fmt: skip
def test_random_cancellations_leave_the_ledger_true(
    seed: int, method: Asked | None, manner: Manner, guard_method: GuardMethod | None,
    fault: Fault | None, *, eager: bool,
) -> None:  # fmt: skip
    """Whatever is cancelled, slow or broken: what rang is never written as what may be sent."""

    async def main() -> None:
        if eager:
            asyncio.get_running_loop().set_task_factory(eager_factory())
        chance = random.Random(seed)
        guard = Misbehaving(guard_method, chance.choice(["is slow", "raises", "hangs"]))
        simulator, ledger = vendor(fault), FakeLedger(Store(), method, manner)
        ledger.latency = chance.choice([0.0, 0.0, 0.3])
        client = in_process(simulator, ledger=ledger, guard=guard, retry=ONCE)
        calls: list[asyncio.Task[Any]] = []
        for _ in range(chance.choice([1, 1, 3])):
            options = {
                "max_wait": chance.choice([0.0, 30.0]),
                "timeout": chance.choice([4.0, 50.0]),
            }
            calls.append(asyncio.create_task(ended(client, **options)))
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(chance.choice([0.0, 0.0, 0.1, 1.0, 2.0, 6.0]))
                chance.choice(calls).cancel()
        ends = await asyncio.gather(*calls, return_exceptions=True)
        await client.aclose()
        check(simulator, ledger, guard, ends)

    run_virtual(main())


def check(simulator: Simulator, ledger: FakeLedger, guard: Misbehaving, ends: list[Any]) -> None:
    """Look at what must hold after every scenario."""
    rung = sum(simulator.rung().values())
    assert rung <= 1
    assert len({end.voice_id for end in ends if isinstance(end, Submission)}) <= 1
    state = ledger.store.states().get(KEY)
    if rung:
        assert state in {"INTENT", "UNKNOWN", "ACCEPTED"}
        assert all(
            isinstance(end, Submission | asyncio.CancelledError | OutcomeUnknown | NotSent)
            for end in ends
        )
    if any(isinstance(end, Submission) for end in ends):
        assert rung == 1
    if not simulator.arrivals:
        assert state not in {"ACCEPTED", "REJECTED"}
    if ledger.method is None or ledger.manner == "is slow":
        assert state != "INTENT"
