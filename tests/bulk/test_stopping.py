"""However a run ends, no outcome is lost and nothing more is sent."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from ihuyi_voice import (
    InvalidCredentials,
    Outcome,
    OutcomeStatus,
    OutcomeUnknown,
    RetryPolicy,
    RunStopped,
)
from ihuyi_voice.errors import GuardUnavailable
from ihuyi_voice.guards import Lease, MemoryGuard, Wait
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.long import few_or_many
from tests.support.vendor import CONTENT, answering, in_process
from tests.support.virtual_time import loop_time, run_virtual

ACCEPTED, REJECTED, HELD, NOT_SENT, UNKNOWN = OutcomeStatus


def pairs(count: int) -> list[tuple[str, str]]:
    """Return messages to so many different numbers."""
    return [(f"139{place:08d}", CONTENT) for place in range(count)]


def vendor(**options: Any) -> Simulator:
    """Return a simulator on virtual time that takes 100 ms a request."""
    usual: dict[str, Any] = {"latency": 0.1, "clock": loop_time}
    return Simulator(**{**usual, **options})


def count(outcomes: list[Outcome]) -> Counter[OutcomeStatus]:
    """Count outcomes by status."""
    return Counter(outcome.status for outcome in outcomes)


@pytest.mark.parametrize("code", [400, 401, 402, 405, 408, 4050, 40505, 4051, 4052])
def test_a_stop_code_ends_the_run_and_the_rest_comes_out_not_sent(code: int) -> None:
    """What was in flight is awaited; hundreds of others are not tried, and say why."""
    many = few_or_many(300, 1_000)

    async def main() -> tuple[list[Outcome], Simulator]:
        simulator = vendor()
        simulator.add_fault(Fault("code", mobile="13900000025", code=code))
        async with in_process(simulator) as client:
            async with client.submit_many(iter(pairs(many)), concurrency=10) as run:
                return [outcome async for outcome in run], simulator

    outcomes, simulator = run_virtual(main())
    assert len(outcomes) == many
    assert count(outcomes)[REJECTED] == 1
    assert len(simulator.arrivals) == count(outcomes)[ACCEPTED] + 1 <= 26 + 2 * 10
    stopped = [outcome for outcome in outcomes if outcome.status is NOT_SENT]
    assert len(stopped) == many - len(simulator.arrivals)
    assert all(isinstance(outcome.error, RunStopped) for outcome in stopped)
    causes = {
        getattr(outcome.error.__cause__, "code", None) for outcome in stopped if outcome.error
    }
    assert causes == {code}


def test_a_wrong_key_is_tried_once() -> None:
    """Not a hundred thousand times, and not once for each place."""

    async def main() -> Simulator:
        simulator = vendor()
        async with in_process(simulator) as client:
            simulator.vendor.api_key = "changed meanwhile"
            messages: list[Any] = [*pairs(500), *pairs(500), 7]
            async with client.submit_many(messages, concurrency=10) as run:
                outcomes = [outcome async for outcome in run]
        assert count(outcomes) == {REJECTED: 1, NOT_SENT: 1_000}
        assert isinstance(outcomes[0].error, InvalidCredentials)
        return simulator

    assert len(run_virtual(main()).arrivals) == 1


def test_deferred_messages_come_out_not_sent_when_the_run_is_stopped() -> None:
    """Those behind a busy number and those waiting for a window, with the same cause."""

    async def main() -> list[Outcome]:
        simulator = vendor()
        simulator.add_fault(Fault("code", mobile="13911111111", code=4051))
        messages = [("13900000000", CONTENT)] * 4 + pairs(30)[1:] + [("13911111111", CONTENT)]
        async with in_process(simulator) as client:
            async with client.submit_many(messages, concurrency=5) as run:
                return [outcome async for outcome in run]

    outcomes = run_virtual(main())
    assert len(outcomes) == 34
    held = [each for each in outcomes if each.message.mobile == "13900000000"]
    assert count(held) == {ACCEPTED: 1, NOT_SENT: 3}


def test_leaving_early_awaits_those_in_flight_and_drain_hands_them_over() -> None:
    """Nothing vanishes: consumed, drained and counted add up to what was read."""
    read = 0

    def messages() -> Iterator[tuple[str, str]]:
        nonlocal read
        for pair in [*pairs(20), *pairs(20), *pairs(10_000)[20:]]:
            read += 1
            yield pair

    async def main() -> None:
        simulator = vendor()
        async with in_process(simulator) as client:
            consumed: list[Outcome] = []
            async with client.submit_many(messages(), concurrency=8) as run:
                async for outcome in run:
                    consumed.append(outcome)
                    if len(consumed) == 30:
                        break
            drained = await run.drain()
            assert await run.drain() == []
        assert len(consumed) + len(drained) == read == sum(run.summary.values())
        assert read < 200
        statuses = count(drained)
        assert set(statuses) <= {ACCEPTED, NOT_SENT}
        assert len(simulator.rung()) == statuses[ACCEPTED] + count(consumed)[ACCEPTED]
        with pytest.raises(StopAsyncIteration):
            await anext(run)

    run_virtual(main())


def test_drain_inside_the_run_ends_it_too() -> None:
    """It can be called before the block is left."""

    async def main() -> None:
        async with in_process(vendor()) as client:
            async with client.submit_many(pairs(100), concurrency=5) as run:
                await anext(run)
                drained = await run.drain()
            assert 1 <= len(drained) <= 10
            assert sum(run.summary.values()) == len(drained) + 1

    run_virtual(main())


def test_an_exception_of_the_consumer_passes_through() -> None:
    """Those in flight are awaited all the same."""

    async def main() -> None:
        simulator = vendor()
        async with in_process(simulator) as client:
            run = client.submit_many(pairs(100), concurrency=5)
            with pytest.raises(LookupError):
                async with run:
                    async for _ in run:
                        raise LookupError
            assert run.summary[ACCEPTED] == len(simulator.rung())

    run_virtual(main())


def test_what_outlasts_the_grace_is_cut_off_and_comes_out_unknown() -> None:
    """The vendor may have it; the guard keeps its number closed."""

    async def main() -> None:
        simulator = vendor(latency=0.0)
        simulator.add_fault(Fault("silence", mobile="13900000001"))
        guard = MemoryGuard(clock=loop_time)
        async with in_process(simulator, guard=guard) as client:
            async with client.submit_many(pairs(2), grace=5.0) as run:
                assert (await anext(run)).status is ACCEPTED
                started = loop_time()
            assert loop_time() - started == pytest.approx(5.0)
            (cut,) = await run.drain()
            assert cut.status is UNKNOWN
            assert isinstance(cut.error, OutcomeUnknown)
            wait = await guard.reserve(simulator.account, "13900000001")
            assert isinstance(wait, Wait)

    run_virtual(main())


def test_cancelling_the_consumer_keeps_every_outcome() -> None:
    """Its CancelledError goes on, and the run still collects what was in flight."""

    async def main() -> None:
        simulator = vendor(latency=1.0)
        async with in_process(simulator) as client:
            run = client.submit_many(pairs(100), concurrency=5)

            async def consume() -> None:
                async with run:
                    async for _ in run:
                        pass

            task = asyncio.create_task(consume())
            await asyncio.sleep(2.5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert run.summary[ACCEPTED] == len(simulator.rung()) == 1 + 2 + 4

    run_virtual(main())


def test_cancelled_while_leaving_the_run_cuts_off_at_once() -> None:
    """A second Ctrl-C doesn't wait for the grace."""

    async def main() -> None:
        simulator = vendor(latency=0.0)
        for number, _ in pairs(6)[3:]:
            simulator.add_fault(Fault("silence", mobile=number))
        async with in_process(simulator) as client:
            run = client.submit_many(pairs(6), grace=1e6)

            async def consume() -> None:
                async with run:
                    await simulator.arrived(6)

            task = asyncio.create_task(consume())
            await asyncio.sleep(5.0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert count(await run.drain()) == {ACCEPTED: 3, UNKNOWN: 3}
            assert loop_time() < 2_000.0

    run_virtual(main())


def test_parked_messages_come_out_not_sent_when_the_run_is_left() -> None:
    """They wait for somebody else's call, which may never end."""

    async def main() -> None:
        simulator = vendor()
        guard = MemoryGuard(clock=loop_time)
        lease = await guard.reserve(simulator.account, "13900000000")
        assert isinstance(lease, Lease)
        async with in_process(simulator, guard=guard) as client:
            async with client.submit_many(pairs(2)) as run:
                assert (await anext(run)).message.mobile == "13900000001"
                assert run.progress.deferred == 1
            (parked,) = await run.drain()
        assert parked.status is NOT_SENT

    run_virtual(main())


def test_a_number_that_stays_in_flight_elsewhere_comes_out_held() -> None:
    """After max_wait, with the time at which it may be tried again at the earliest."""

    async def main() -> Outcome:
        simulator = vendor()
        guard = MemoryGuard(clock=loop_time)
        await guard.reserve(simulator.account, "13900000000")
        async with in_process(simulator, guard=guard) as client:
            async with client.submit_many(pairs(1), max_wait=3.0) as run:
                return await anext(run)

    outcome = run_virtual(main())
    assert outcome.status is HELD
    assert outcome.retry_at is not None


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_iterable_that_fails_ends_the_run_cleanly_with_what_was_read(kind: str) -> None:
    """All of that has its outcome before the exception reaches the consumer."""

    def failing() -> Iterator[tuple[str, str]]:
        yield from pairs(20)
        raise LookupError("row 21")

    async def failing_async() -> AsyncIterator[tuple[str, str]]:
        for pair in pairs(20):
            yield pair
        raise LookupError("row 21")

    async def main() -> None:
        outcomes: list[Outcome] = []
        async with in_process(vendor()) as client:
            source = failing() if kind == "sync" else failing_async()
            async with client.submit_many(source, concurrency=3) as run:
                with pytest.raises(LookupError, match="row 21"):
                    async for outcome in run:
                        outcomes.append(outcome)  # noqa: PERF401 - it must survive the exception
        assert count(outcomes) == {ACCEPTED: 20}

    run_virtual(main())


def test_an_async_iterable_that_never_ends_is_given_up_when_the_run_is_left() -> None:
    """Its pending read is cancelled."""
    cancelled = asyncio.Event()

    async def waiting() -> AsyncIterator[tuple[str, str]]:
        yield pairs(1)[0]
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def main() -> None:
        async with in_process(vendor()) as client:
            async with client.submit_many(waiting()) as run:
                assert (await anext(run)).status is ACCEPTED
        assert cancelled.is_set()

    run_virtual(main())


def test_an_async_iterable_is_read_a_little_ahead_and_no_further() -> None:
    """Also when the consumer is slow."""
    read = 0

    async def endless() -> AsyncIterator[tuple[str, str]]:
        nonlocal read
        for pair in pairs(5_000):
            read += 1
            yield pair

    async def main() -> None:
        async with in_process(vendor()) as client:
            async with client.submit_many(endless(), concurrency=5) as run:
                await anext(run)
                await asyncio.sleep(60.0)
                assert read <= 64 + 15

    run_virtual(main())


def test_without_a_connection_the_run_slows_down_instead_of_burning_through() -> None:
    """Whoever waits for its backoff keeps its place, and the run can still be left at once."""

    async def main() -> None:
        asked: list[float] = []

        def refuse(_: httpx.Request) -> httpx.Response:
            asked.append(loop_time())
            raise httpx.ConnectError("refused")

        policy = RetryPolicy(initial=10.0, jitter=0.0)
        async with answering(refuse, retry=policy) as client:
            async with client.submit_many(pairs(1_000), concurrency=5) as run:
                await asyncio.sleep(5.0)
                assert len(asked) == 3
                assert (run.progress.in_flight, run.progress.deferred) == (0, 3)
                started = loop_time()
            assert loop_time() == started
            assert count(await run.drain()) == {NOT_SENT: 3}

    run_virtual(main())


@pytest.mark.slow
async def test_the_rest_of_a_stopped_run_leaves_others_their_turns() -> None:
    """10,000 outcomes that are there at once must not hold up a web application."""
    turns, over = 0, asyncio.Event()

    async def neighbour() -> None:
        nonlocal turns
        while not over.is_set():
            turns += 1
            await asyncio.sleep(0)

    simulator = Simulator()
    simulator.add_fault(Fault("code", code=4051))
    async with in_process(simulator) as client, asyncio.TaskGroup() as group:
        group.create_task(neighbour())
        async with client.submit_many(pairs(10_000)) as run:
            await anext(run)
            before = turns
            assert len([outcome async for outcome in run]) == 9_999
        over.set()
    assert turns - before >= 9_999 // 70  # one in about 64 outcomes


def test_a_client_that_was_closed_sends_nothing_and_says_so() -> None:
    """Every message comes out not sent, and the mistake reaches the consumer."""

    async def main() -> None:
        simulator = vendor()
        client = in_process(simulator)
        await client.aclose()
        async with client.submit_many(pairs(5)) as run:
            with pytest.raises(RuntimeError, match="closed"):
                async for outcome in run:
                    assert outcome.status is NOT_SENT
        assert run.summary[NOT_SENT] == 5
        assert not simulator.arrivals

    run_virtual(main())


def test_a_guard_that_fails_before_sending_leaves_the_message_not_sent() -> None:
    """It fails closed, each message has its outcome, and the breaker ends the run."""

    class Broken(MemoryGuard):
        async def reserve(self, account: str, mobile: str) -> Lease | Wait:
            raise ConnectionError("no guard")

    async def main() -> None:
        simulator = vendor()
        async with in_process(simulator, guard=Broken()) as client:
            async with client.submit_many(pairs(5)) as run:
                outcomes = [outcome async for outcome in run]
        assert [type(each.error) for each in outcomes] == [GuardUnavailable] * 3 + [RunStopped] * 2
        assert count(outcomes) == {NOT_SENT: 5}
        assert not simulator.arrivals

    run_virtual(main())
