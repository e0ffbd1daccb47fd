"""Leaving a run early: no outcome is lost, nothing stays behind, and it takes no longer."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import anyio
import pytest

from ihuyi_voice import Outcome, OutcomeStatus, RunStopped, Submission
from ihuyi_voice.calls import Delay, Job
from tests.bulk.support import Script, accept, others, pairs, run_of
from tests.support.journals import FakeLedger
from tests.support.vendor import CONTENT, MOBILE, in_process, vendor
from tests.support.virtual_time import loop_time, run_virtual

ACCEPTED, REJECTED, HELD, NOT_SENT, UNKNOWN = OutcomeStatus


def count(outcomes: list[Outcome]) -> Counter[OutcomeStatus]:
    """Count outcomes by status."""
    return Counter(outcome.status for outcome in outcomes)


class Stubborn(Script):
    """Its attempts ignore cancellations for so many seconds."""

    patience = 1e6

    async def step(self, job: Job) -> Submission | Delay:
        """Make one attempt that nobody can cut short."""
        job.tries.begin(loop_time())
        self.begun.append(job)
        until = loop_time() + self.patience
        while loop_time() < until:
            try:
                await asyncio.sleep(until - loop_time())
            except asyncio.CancelledError:
                continue
        return accept(job)


def test_everything_that_was_read_ahead_has_its_outcome() -> None:
    """74 were taken from an async iterable, and 15 outcomes came out."""

    async def main() -> None:
        taken = 0

        async def messages() -> AsyncIterator[tuple[str, str]]:
            nonlocal taken
            for pair in pairs(5_000):
                taken += 1
                yield pair

        consumed: list[Outcome] = []
        async with run_of(messages(), concurrency=10) as run:
            async for outcome in run:
                consumed.append(outcome)
                if len(consumed) == 5:
                    break
        outcomes = consumed + await run.drain()
        assert taken > 64
        assert [outcome.message.content for outcome in outcomes].count("text 0") == 1
        assert len({outcome.message.content for outcome in outcomes}) == len(outcomes) == taken
        assert sum(run.summary.values()) == taken == run.progress.read
        told = {str(each.error) for each in outcomes if isinstance(each.error, RunStopped)}
        assert told == {"the run was left early before this message's turn"}

    run_virtual(main())


@pytest.mark.parametrize("swallows", [False, True])
def test_a_source_that_will_not_let_go_is_given_the_grace_and_no_more(swallows: bool) -> None:  # noqa: FBT001
    """With a `finally` that takes 4 s, or one that ignores being cancelled."""

    async def main() -> None:
        released = asyncio.Event()

        async def clinging() -> AsyncIterator[tuple[str, str]]:
            yield pairs(1)[0]
            while not released.is_set():
                try:
                    await released.wait()
                except asyncio.CancelledError:
                    if not swallows:
                        await asyncio.sleep(4.0)
                        raise

        async with run_of(clinging(), grace=0.5) as run:
            assert (await anext(run)).status is ACCEPTED
            started = loop_time()
        assert loop_time() - started == pytest.approx(0.5, abs=0.1)
        released.set()
        await asyncio.gather(*others(), return_exceptions=True)

    run_virtual(main())


def test_a_message_that_a_source_still_gives_when_it_is_cancelled_has_its_outcome() -> None:
    """It was taken, so it is accounted for."""

    async def main() -> None:
        async def parting() -> AsyncIterator[tuple[str, str]]:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                yield pairs(1)[0]

        async with run_of(parting()) as run:
            await asyncio.sleep(1.0)
        (outcome,) = await run.drain()
        assert outcome.status is NOT_SENT
        assert not others()

    run_virtual(main())


def test_an_attempt_that_can_not_be_cut_short_is_unknown_and_holds_nobody_up() -> None:
    """Its task goes on, and what comes of it is told nobody any more."""

    async def main() -> None:
        script = Stubborn()
        async with run_of(pairs(5), script, grace=2.0) as run:
            await asyncio.sleep(1.0)
            started = loop_time()
        assert loop_time() - started == pytest.approx(3.0, abs=0.1)
        (outcome,) = await run.drain()
        assert (outcome.status, outcome.attempts) == (UNKNOWN, 1)
        await asyncio.gather(*others())
        assert run.summary[UNKNOWN] == sum(run.summary.values()) == 1

    run_virtual(main())


def test_of_two_drains_at_once_both_wait_and_both_get_every_outcome() -> None:
    """Neither comes back empty while the other has them; a later one has nothing to get."""

    async def main() -> None:
        async with run_of(pairs(3), Script(latency=5.0)) as run:
            await asyncio.sleep(1.0)
            started = loop_time()
            first, second = await asyncio.gather(run.drain(), run.drain())
            assert loop_time() - started == pytest.approx(4.0)
        assert count(first) == {ACCEPTED: 1}
        assert second == first
        assert await run.drain() == []

    run_virtual(main())


def test_a_drain_that_is_cancelled_takes_no_outcome_with_it() -> None:
    """Whoever drains beside it, or after it, gets them all."""

    async def main() -> None:
        for beside in (True, False):
            async with run_of(pairs(3), Script(latency=5.0)) as run:
                await asyncio.sleep(1.0)
                cancelled = asyncio.create_task(run.drain())
                another = [asyncio.create_task(run.drain())] if beside else []
                await asyncio.sleep(1.0)
                cancelled.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await cancelled
                got = await asyncio.gather(*another) or [await run.drain()]
            assert count(got[0]) == {UNKNOWN: 1}

    run_virtual(main())


def test_two_consumers_at_once_each_get_outcomes_of_their_own() -> None:
    """Together all of them, and both end."""

    async def main() -> None:
        async with run_of(pairs(100), concurrency=5) as run:

            async def consume() -> list[Outcome]:
                return [outcome async for outcome in run]

            first, second = await asyncio.gather(consume(), consume())
        assert len({outcome.message.mobile for outcome in first + second}) == 100
        assert len(first) + len(second) == 100

    run_virtual(main())


def test_a_consumer_cancelled_while_it_waits_takes_no_outcome_away() -> None:
    """Also when the outcome comes in that same moment."""

    async def main() -> None:
        async with run_of(pairs(20), concurrency=1) as run:
            outcomes: list[Outcome] = []
            while len(outcomes) < 20:
                try:
                    async with asyncio.timeout(0.5):
                        outcomes.append(await anext(run))
                except TimeoutError:
                    continue
        assert len({outcome.message.mobile for outcome in outcomes}) == 20

    run_virtual(main())


def test_cancelled_again_and_again_while_leaving_every_outcome_is_collected() -> None:
    """As anyio does at every turn of the loop; no task stays behind."""

    async def main() -> None:
        run = run_of(pairs(50), Script(latency=2.0), concurrency=8, grace=1e6)
        with anyio.CancelScope() as scope:
            async with run:
                await asyncio.sleep(7.0)
                scope.cancel()
                await asyncio.sleep(0)
        assert scope.cancelled_caught
        assert count(await run.drain()) == {ACCEPTED: 7, UNKNOWN: 8}
        assert not others()

    run_virtual(main())


def test_cancelled_in_the_cleanup_too_every_outcome_is_collected() -> None:
    """Attempts may take a moment to end after they were cancelled."""

    class Slow(Script):
        async def step(self, job: Job) -> Submission | Delay:
            try:
                return await super().step(job)
            except asyncio.CancelledError:
                await asyncio.sleep(0.3)  # telling the guard
                raise

    async def main() -> None:
        run = run_of(pairs(50), Slow(latency=2.0), concurrency=8, grace=1e6)

        async def consume() -> None:
            async with run:
                await asyncio.Event().wait()

        consumer = asyncio.create_task(consume())
        await asyncio.sleep(7.0)
        for _ in range(5):
            consumer.cancel()
            await asyncio.sleep(0.05)
        with pytest.raises(asyncio.CancelledError):
            await consumer
        assert count(await run.drain()) == {ACCEPTED: 7, UNKNOWN: 8}
        assert not others()

    run_virtual(main())


def test_attempts_cancelled_before_they_have_begun_have_their_outcome() -> None:
    """By somebody who cancels all tasks at the very moment in which the run is entered."""

    async def main() -> None:
        script = Script()
        async with run_of(pairs(5), script) as run:
            for task in others():
                task.cancel()
            outcomes = [outcome async for outcome in run]
        assert count(outcomes) == {NOT_SENT: 5}
        assert not script.begun
        assert len(script.abandoned) == 1

    run_virtual(main())


@pytest.mark.parametrize("begun", [False, True])
def test_a_reader_cancelled_by_others_ends_the_run_and_is_told(begun: bool) -> None:  # noqa: FBT001
    """Before it has begun to read, or while it waits."""

    async def main() -> None:
        async def quiet() -> AsyncIterator[tuple[str, str]]:
            await asyncio.Event().wait()
            yield pairs(1)[0]

        async with run_of(quiet()) as run:
            if begun:
                await asyncio.sleep(1.0)
            for task in others():
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await anext(run)
        assert not others()

    run_virtual(main())


def test_a_grace_without_end_is_allowed() -> None:
    """Then those in flight are awaited however long they take."""

    async def main() -> None:
        async with run_of(pairs(5), Script(latency=500.0), grace=float("inf")) as run:
            await asyncio.sleep(1.0)
        assert count(await run.drain()) == {ACCEPTED: 1}

    run_virtual(main())


def test_nothing_is_left_of_a_run_that_has_ended() -> None:
    """No task and no timer, though numbers were held back for a day."""

    class HeldForADay(Script):
        async def step(self, job: Job) -> Submission | Delay:
            return Delay(86_400.0)

    async def main() -> None:
        async with run_of(pairs(30), HeldForADay()) as run:
            await asyncio.sleep(1.0)
        assert count(await run.drain()) == {NOT_SENT: 30}
        assert not others()
        await asyncio.Event().wait()  # the loop raises: nothing is left that it could wait for

    with pytest.raises(RuntimeError, match="never happen"):
        run_virtual(main())


def test_a_run_that_is_drained_while_it_is_being_opened_begins_nothing() -> None:
    """As by a program that ends while another one's run is watched: all comes out unsent."""

    async def main() -> tuple[list[Outcome], list[Outcome], int]:
        ledger, simulator = FakeLedger(method="enter", manner="is slow"), vendor()
        async with in_process(simulator, ledger=ledger) as client:
            run = client.submit_many([(MOBILE, CONTENT)], run="nightly")

            async def use() -> list[Outcome]:
                async with run:
                    return [outcome async for outcome in run]

            using = asyncio.create_task(use())
            await ledger.begun.wait()
            drained = await run.drain()
            return drained, await using, len(simulator.arrivals)

    assert run_virtual(main()) == ([], [], 0)
