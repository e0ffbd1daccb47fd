"""What a cancellation does at each await of a submission, and what a second one does."""

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
    Outcome,
    OutcomeStatus,
    OutcomeUnknown,
    Submission,
    VoiceClient,
    VoiceError,
)
from ihuyi_voice.calls.waiting import PATIENCE
from ihuyi_voice.guards import Lease, Wait
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.eager import eager_factory
from tests.support.guards import SLOW, Manner, Method, Misbehaving
from tests.support.journals import FakeLedger
from tests.support.long import few_or_many
from tests.support.vendor import CONTENT, MOBILE, ONCE, in_process, vendor
from tests.support.virtual_time import loop_time, run_virtual


def calling(client: VoiceClient, **options: Any) -> "asyncio.Task[Submission]":
    """Start a submission."""
    return asyncio.create_task(client.submit(MOBILE, CONTENT, **options))


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize(
    ("fault", "method"), [(None, "commit"), (Fault("code", code=4072), "release")]
)
def test_a_cancellation_after_the_answer_replaces_nothing(
    fault: Fault | None, method: Method, times: int
) -> None:
    """The guard is slow to settle: however often the caller is cancelled, the answer is its."""

    async def main() -> tuple[object, list[str]]:
        guard, simulator = Misbehaving(method, "is slow"), Simulator(clock=loop_time)
        if fault is not None:
            simulator.add_fault(fault)
        async with in_process(simulator, guard=guard, retry=ONCE) as client:
            task = calling(client)
            await guard.begun.wait()
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(SLOW / 10)
            (end,) = await asyncio.gather(task, return_exceptions=True)
            return end, guard.settled

    end, settled = run_virtual(main())
    assert isinstance(end, Submission if fault is None else VoiceError)
    assert settled == [method]


@pytest.mark.parametrize("code", [None, 4072, 4080])
def test_a_cancellation_inside_a_hook_of_the_response_replaces_no_answer(code: int | None) -> None:
    """The reply was read before the hook; the cancellation strikes at the caller's next await."""

    async def main() -> tuple[object, bool, dict[str, str]]:
        async def hang(_: httpx.Response) -> None:
            begun.set()
            await asyncio.sleep(1e9)

        async def call() -> None:
            try:
                found.append(await client.submit(MOBILE, CONTENT, key="k"))
            except VoiceError as error:
                found.append(error)
            await asyncio.sleep(0)

        begun, ledger = asyncio.Event(), FakeLedger()
        found: list[object] = []
        faults = [] if code is None else [Fault("code", code=code)]
        async with in_process(vendor(*faults), ledger=ledger, retry=ONCE) as client:
            client.http_client.event_hooks["response"].append(hang)
            task = asyncio.create_task(call())
            await begun.wait()
            task.cancel()
            await asyncio.wait({task})
        (end,) = found
        return end, task.cancelled(), ledger.store.states()

    end, cancelled, states = run_virtual(main())
    assert cancelled
    assert states == {"k": "ACCEPTED" if code is None else "REJECTED"}
    assert isinstance(end, Submission) if code is None else getattr(end, "code", 0) == code


def test_a_cancellation_inside_a_hook_of_the_response_costs_no_balance() -> None:
    """What was read is told; then the cancellation strikes."""

    async def main() -> tuple[list[int], bool]:
        async def hang(_: httpx.Response) -> None:
            begun.set()
            await asyncio.sleep(1e9)

        async def ask() -> None:
            found.append(await client.balance())
            await asyncio.sleep(0)

        begun, found = asyncio.Event(), list[int]()
        async with in_process(vendor(balance=7)) as client:
            client.http_client.event_hooks["response"].append(hang)
            task = asyncio.create_task(ask())
            await begun.wait()
            task.cancel()
            await asyncio.wait({task})
        return found, task.cancelled()

    assert run_virtual(main()) == ([7], True)


@pytest.mark.parametrize("manner", ["is slow", "hangs"])
@pytest.mark.parametrize(
    ("fault", "method", "status"),
    [
        (None, "commit", OutcomeStatus.ACCEPTED),
        (Fault("code", code=4081), "block", OutcomeStatus.REJECTED),
        (Fault("code", code=4072), "release", OutcomeStatus.REJECTED),
        (Fault("empty"), "commit", OutcomeStatus.UNKNOWN),
    ],
)
def test_a_run_that_is_left_keeps_the_answer_before_a_guard_that_takes_its_time(
    fault: Fault | None, method: Method, status: OutcomeStatus, manner: Manner
) -> None:
    """Its attempts are cut short while the guard settles: what the vendor said stays said."""

    async def main() -> Outcome:
        guard, simulator = Misbehaving(method, manner), Simulator(clock=loop_time)
        if fault is not None:
            simulator.add_fault(fault)
        async with in_process(simulator, guard=guard, retry=ONCE) as client:
            async with client.submit_many([(MOBILE, CONTENT)], grace=0.1) as run:
                await guard.begun.wait()
                began = loop_time()
                (outcome,) = await run.drain()
                assert loop_time() - began <= 0.1 + 1.0 + 1e-6
        return outcome

    outcome = run_virtual(main())
    assert outcome.status is status
    assert bool(outcome.voice_id) is (fault is None)
    assert outcome.attempts == 1


def test_a_cancellation_that_was_put_off_strikes_at_the_next_await() -> None:
    """It is not lost: a loop of submissions can still be stopped."""
    seen: list[object] = []

    async def loop_of_calls(client: VoiceClient) -> None:
        seen.append(await client.submit(MOBILE, CONTENT))
        seen.append("before")
        await asyncio.sleep(1e9)
        seen.append("after")

    async def main() -> bool:
        guard = Misbehaving("commit", "is slow")
        async with in_process(Simulator(clock=loop_time), guard=guard) as client:
            task = asyncio.create_task(loop_of_calls(client))
            await guard.begun.wait()
            task.cancel()
            await asyncio.wait({task})
            return task.cancelled()

    assert run_virtual(main())
    assert [type(each) for each in seen] == [Submission, str]


def test_a_timeout_that_struck_after_the_answer_is_over_with_its_block() -> None:
    """asyncio.timeout takes its cancellation back: nothing strikes later."""

    async def main() -> tuple[bool, int]:
        guard = Misbehaving("commit", "is slow")
        async with in_process(Simulator(clock=loop_time), guard=guard) as client:
            async with asyncio.timeout(SLOW / 2):
                submission = await client.submit(MOBILE, CONTENT)
            await asyncio.sleep(1.0)
            task = asyncio.current_task()
            assert task is not None
            return bool(submission.voice_id), task.cancelling()

    assert run_virtual(main()) == (True, 0)


def test_a_timeout_whose_block_goes_on_still_ends_it() -> None:
    """As TimeoutError, at the next await."""

    async def main() -> list[str]:
        seen: list[str] = []
        guard = Misbehaving("commit", "is slow")
        async with in_process(Simulator(clock=loop_time), guard=guard) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(SLOW / 2):
                    seen.append((await client.submit(MOBILE, CONTENT)).voice_id)
                    await asyncio.sleep(1e9)
        return seen

    assert len(run_virtual(main())) == 1


@pytest.mark.parametrize("method", ["commit", "reserve", "release"])
async def test_anyios_level_cancellation_leaves_no_number_locked(method: Method) -> None:
    """It cancels again at every turn of the loop, in the cleanup as well."""

    class Awaiting(Misbehaving):
        async def _misbehave(self, method: Method) -> None:
            self.told.append(method)
            for _ in range(20):
                await asyncio.sleep(0)

    async def attempt(client: VoiceClient) -> None:
        with suppress(VoiceError):
            await client.submit(MOBILE, CONTENT)

    simulator, guard = Simulator(), Awaiting()
    if method == "release":
        simulator.add_fault(Fault("code", code=4072))
    else:
        simulator.add_fault(Fault("silence"))
    async with in_process(simulator, guard=guard, retry=ONCE) as client:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(attempt, client)
                if method == "reserve":
                    await asyncio.sleep(0)
                else:
                    await simulator.arrived()
                scope.cancel()
    assert guard.in_flight == 0
    assert guard.told[0] == "reserve"


def test_a_cancellation_in_flight_goes_to_the_caller_and_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The call had gone out: the guard counts it, and the log warns with a masked number."""

    async def main() -> list[str]:
        guard, simulator = Misbehaving(), Simulator(clock=loop_time)
        simulator.add_fault(Fault("silence"))
        async with in_process(simulator, guard=guard, retry=ONCE) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3.0):
                    await client.submit(MOBILE, CONTENT)
        return guard.settled

    assert run_virtual(main()) == ["commit"]
    (record,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "139****0000 was cut off in flight" in record.getMessage()


def test_a_cancellation_inside_reserve_releases_what_arrives_late() -> None:
    """Nobody waits for that lease any more."""

    async def main() -> tuple[bool, list[str], int]:
        guard, simulator = Misbehaving("reserve", "is slow"), Simulator(clock=loop_time)
        async with in_process(simulator, guard=guard) as client:
            task = calling(client)
            await guard.begun.wait()
            task.cancel()
            await asyncio.wait({task})
        assert not simulator.arrivals
        return task.cancelled(), guard.settled, guard.in_flight

    assert run_virtual(main()) == (True, ["release"], 0)


class Waiting(Misbehaving):
    """Says late that one has to wait."""

    async def reserve(self, account: str, mobile: str) -> Wait:
        """Make up its mind."""
        await super().reserve(account, mobile)
        return Wait(3.0)

    async def release(self, lease: Lease) -> None:
        """Take whatever is given back."""
        self.settled.append(f"release of {lease}")


def test_a_wait_that_arrives_late_is_no_lease_to_give_back() -> None:
    """Who was to wait has gone."""

    async def main() -> list[str]:
        guard = Waiting("reserve", "is slow")
        async with in_process(Simulator(clock=loop_time), guard=guard) as client:
            task = calling(client)
            await guard.begun.wait()
            task.cancel()
            await asyncio.wait({task})
        assert task.cancelled()
        return guard.settled

    assert run_virtual(main()) == []


@pytest.mark.parametrize("eager", [False, True])
def test_closing_knows_of_a_reservation_that_its_caller_never_saw(*, eager: bool) -> None:
    """It was made, and the caller cancelled before it had heard of that, in whatever turn."""

    async def main(turns: int) -> tuple[list[str], int]:
        if eager:
            asyncio.get_running_loop().set_task_factory(eager_factory())
        # What takes no turn is made and heard of within one step of an eager task.
        guard = Misbehaving("reserve", "takes a turn") if eager else Misbehaving()
        async with in_process(Simulator(clock=loop_time), guard=guard) as client:
            task = calling(client)
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            while not task.done():  # noqa: ASYNC110 - in its very turn
                await asyncio.sleep(0)
        return list(guard.settled), guard.in_flight

    ends = [run_virtual(main(turns)) for turns in range(30)]
    assert (["release"], 0) in ends
    assert {in_flight for _, in_flight in ends} == {0}


def test_a_reservation_that_hangs_is_given_up_with_the_client() -> None:
    """Closing waits for it, but not for ever."""

    async def main() -> float:
        guard = Misbehaving("reserve", "hangs")
        client = in_process(Simulator(clock=loop_time), guard=guard)
        task = calling(client)
        await guard.begun.wait()
        task.cancel()
        await asyncio.wait({task})
        began = loop_time()
        await client.aclose()
        return loop_time() - began

    assert run_virtual(main()) == PATIENCE


@settings(max_examples=few_or_many(25, 300), deadline=None)
@given(
    seed=st.integers(0, 2**32),
    method=st.sampled_from(["reserve", "commit", "release", "block"]),
    manner=st.sampled_from(get_args(Manner)),
    fault=st.sampled_from(
        [None, Fault("silence"), Fault("code", code=4081), Fault("code", code=0), Fault("empty"),
         Fault("latency", seconds=1.5), Fault("disconnect_before"), Fault("disconnect_after")]
    ),
    eager=st.booleans(),
)  # fmt: skip
def test_random_cancellations_lose_no_answer_and_no_lease(
    seed: int, method: Method, manner: Manner, fault: Fault | None, *, eager: bool
) -> None:
    """Cancelled at any time, any number of times: an acceptance that was read is never lost."""

    async def main() -> None:
        if eager:
            asyncio.get_running_loop().set_task_factory(eager_factory())
        chance = random.Random(seed)
        guard, simulator = Misbehaving(method, manner), Simulator(clock=loop_time)
        if fault is not None:
            simulator.add_fault(fault)
        async with in_process(simulator, guard=guard, retry=ONCE) as client:
            task = calling(client)
            for _ in range(chance.randrange(1, 4)):
                await asyncio.sleep(chance.choice([0.0, 0.0, 0.1, 1.0, 2.0, 6.0]))
                task.cancel()
            (end,) = await asyncio.gather(task, return_exceptions=True)
        committed = guard.settled.count("commit")
        assert len(guard.settled) <= 1
        if simulator.rung() and not isinstance(end, Submission):
            assert isinstance(end, asyncio.CancelledError | OutcomeUnknown)
        if manner == "is slow":
            assert guard.in_flight == 0
        if manner == "is slow" and simulator.rung():
            assert committed == 1

    run_virtual(main())
