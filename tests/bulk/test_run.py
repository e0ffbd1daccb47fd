"""A run streams outcomes, and no slow number blocks it; all on virtual time."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest

from ihuyi_voice import (
    InvalidRequest,
    Message,
    Outcome,
    OutcomeStatus,
    RateLimited,
    RetryPolicy,
    VoiceClient,
)
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.long import few_or_many
from tests.support.vendor import CONTENT, in_process
from tests.support.virtual_time import loop_time, run_virtual

ACCEPTED, REJECTED, HELD, NOT_SENT, UNKNOWN = OutcomeStatus


def numbers(count: int, start: int = 0) -> list[str]:
    """Return so many different numbers."""
    return [f"139{place:08d}" for place in range(start, start + count)]


def vendor(**options: Any) -> Simulator:
    """Return a simulator on virtual time with a little latency."""
    usual: dict[str, Any] = {"latency": 0.005, "jitter": 0.075, "clock": loop_time}
    return Simulator(**{**usual, **options})


async def collect(client: VoiceClient, messages: Any, **options: Any) -> list[Outcome]:
    """Run messages to the end and return the outcomes."""
    async with client.submit_many(messages, **options) as run:
        outcomes = [outcome async for outcome in run]
    assert sum(run.summary.values()) == len(outcomes)
    counted = Counter(outcome.status for outcome in outcomes)
    assert run.summary == {status: counted[status] for status in OutcomeStatus}
    return outcomes


def run_all(messages: Any, simulator: Simulator | None = None, **options: Any) -> list[Outcome]:
    """Do the same on a fresh client and virtual time."""

    async def main() -> list[Outcome]:
        async with in_process(simulator or vendor(), retry=RetryPolicy(jitter=0.0)) as client:
            return await collect(client, messages, **options)

    return run_virtual(main())


async def stream(items: Iterable[Any]) -> AsyncIterator[Any]:
    """Return an async iterable of the same."""
    for item in items:
        yield item


def test_every_message_has_one_outcome_whatever_the_iterable() -> None:
    """Lists, generators and async generators; messages and pairs."""
    pairs = [(number, CONTENT) for number in numbers(250)]
    for messages in (pairs, iter(pairs), [Message(*pair) for pair in pairs], stream(pairs)):
        outcomes = run_all(messages)
        assert sorted(outcome.message.mobile for outcome in outcomes) == numbers(250)
        assert {outcome.status for outcome in outcomes} == {ACCEPTED}
        assert len({outcome.voice_id for outcome in outcomes}) == 250


def test_an_empty_run_ends_at_once() -> None:
    """Nothing in, nothing out."""
    assert run_all([]) == []
    assert run_all(stream([])) == []


def test_outcomes_carry_the_callers_own_message() -> None:
    """With its reference, and its number as it was written."""
    message = Message("+86 139-0000-0000", CONTENT, reference="order 9633")
    (outcome,) = run_all([message])
    assert outcome.message is message
    assert (outcome.error, outcome.attempts) == (None, 1)


def test_a_message_that_cannot_be_sent_is_reported_and_the_rest_goes_on() -> None:
    """Wrong numbers, empty contents and things that are no messages at all."""
    wrong: list[Any] = [
        ("12", CONTENT),
        ("13900000001", ""),
        ("13900000002",),
        None,
        7,
        (1, CONTENT),
    ]
    outcomes = run_all([*wrong, ("13900000003", CONTENT)])
    assert Counter(outcome.status for outcome in outcomes) == {NOT_SENT: 6, ACCEPTED: 1}
    errors = [outcome.error for outcome in outcomes if outcome.error]
    assert all(isinstance(error, InvalidRequest) for error in errors)
    assert any("a message is a Message or a pair" in str(error) for error in errors)


def test_a_slow_number_blocks_no_other() -> None:
    """Five messages to one number wait for its windows; hundreds of others don't wait for them."""
    many = few_or_many(300, 1_000)

    async def main() -> dict[str, list[float]]:
        times: dict[str, list[float]] = defaultdict(list)
        messages = [("13800000000", CONTENT)] * 5 + [(each, CONTENT) for each in numbers(many)]
        async with in_process(vendor()) as client:
            started = loop_time()
            async with client.submit_many(messages, concurrency=50, max_wait=200.0) as run:
                async for outcome in run:
                    assert outcome.status is ACCEPTED
                    times[outcome.message.mobile].append(loop_time() - started)
        return times

    times = run_virtual(main())
    slow = times.pop("13800000000")
    assert max(max(each) for each in times.values()) < many * 0.08 / 50 + 0.4
    assert [round(each, 1) for each in slow[:3]] == pytest.approx([0.0, 1.1, 2.2], abs=0.2)
    assert 60.0 < slow[3] < 62.0


def test_messages_to_one_number_keep_their_order() -> None:
    """Also when some of them are tried again."""
    simulator = vendor(limits=())
    simulator.add_fault(Fault("code", share=0.3, code=0))
    messages = [(number, f"{place}") for place in range(8) for number in numbers(20)]
    outcomes = run_all(messages, simulator, max_wait=1e6)
    seen: dict[str, list[int]] = defaultdict(list)
    for outcome in outcomes:
        seen[outcome.message.mobile].append(int(outcome.message.content))
    assert all(order == list(range(8)) for order in seen.values())


def test_what_would_wait_too_long_comes_out_held() -> None:
    """Nothing was sent, and retry_at says when it may be."""
    simulator = vendor()
    outcomes = run_all([("13900000000", CONTENT)] * 4, simulator, max_wait=5.0)
    assert [outcome.status for outcome in outcomes] == [ACCEPTED, ACCEPTED, ACCEPTED, HELD]
    held = outcomes[-1]
    assert isinstance(held.error, RateLimited)
    assert held.error.source == "guard"
    assert held.retry_at == held.error.retry_at is not None
    assert (held.attempts, len(simulator.arrivals)) == (0, 3)


def test_codes_and_faults_become_outcomes() -> None:
    """Rejected, unknown and accepted after a retry, all in one run."""
    simulator = vendor(blacklist=["13900000000"])
    simulator.add_fault(Fault("disconnect_after", mobile="13900000001"))
    simulator.add_fault(Fault("code", mobile="13900000002", times=2))
    outcomes = run_all([(number, CONTENT) for number in numbers(4)], simulator)
    by_number = {outcome.message.mobile: outcome for outcome in outcomes}
    statuses = [by_number[number].status for number in numbers(4)]
    assert statuses == [REJECTED, UNKNOWN, ACCEPTED, ACCEPTED]
    assert by_number["13900000002"].attempts == 3


def test_two_runs_and_single_calls_share_one_guard() -> None:
    """They meet on the same numbers, and the vendor never says 408x."""

    async def main() -> Simulator:
        simulator = vendor()
        messages = [(number, CONTENT) for number in numbers(30)]
        async with in_process(simulator) as client:
            async with (
                client.submit_many(messages) as first,
                client.submit_many(stream(messages)) as second,
            ):
                single = await client.submit("13900000029", CONTENT, max_wait=60.0)
                outcomes = [outcome async for outcome in first] + [each async for each in second]
        assert single.voice_id
        assert {outcome.status for outcome in outcomes} == {ACCEPTED}
        return simulator

    assert set(run_virtual(main()).codes) == {2}


def test_a_single_call_beside_a_run_on_the_same_number_is_served_in_its_turn() -> None:
    """It does not wait until the run has had all its own calls to that number."""

    async def main() -> None:
        async with in_process(vendor()) as client:
            messages = [("13900000000", CONTENT)] * 3
            async with client.submit_many(messages, max_wait=500.0) as run:
                await asyncio.sleep(0.001)
                started = loop_time()
                await client.submit("13900000000", CONTENT, max_wait=500.0)
                assert loop_time() - started < 2.0
                assert [outcome.status async for outcome in run] == [ACCEPTED] * 3

    run_virtual(main())


def test_a_run_tells_its_failures_through_the_client_as_they_come() -> None:
    """A wrong template costs the breaker's number, and the progress says why."""

    async def main() -> None:
        simulator = vendor()
        simulator.add_fault(Fault("code", code=4072))
        async with in_process(simulator) as client:
            messages = (pair for pair in [(number, CONTENT) for number in numbers(5_000)])
            async with client.submit_many(
                messages, concurrency=20, total=5_000, max_rejections=50
            ) as run:
                outcomes = [outcome async for outcome in run]
                now = run.progress
        assert 50 <= len(simulator.arrivals) <= 70
        assert len(outcomes) == now.total == now.failed == 5_000
        assert now.cause is not None
        assert "4072" in now.cause

    run_virtual(main())


def test_a_call_in_flight_elsewhere_is_waited_for_without_holding_a_place() -> None:
    """Its number is parked; with one place, the others still go."""

    async def main() -> list[str]:
        simulator = vendor(latency=0.01, jitter=0.0)
        simulator.add_fault(Fault("latency", mobile="13900000000", seconds=10.0, times=1))
        async with in_process(simulator) as client:
            messages = [(number, CONTENT) for number in numbers(5)]
            async with client.submit_many(messages[:1]) as slow:
                await asyncio.sleep(0.02)  # virtual: the slow call is in flight by then
                async with client.submit_many(messages, concurrency=1) as run:
                    order = [outcome.message.mobile async for outcome in run]
                assert [outcome.status async for outcome in slow] == [ACCEPTED]
            return order

    assert run_virtual(main()) == [*numbers(5)[1:], "13900000000"]


@pytest.mark.slow
def test_the_rate_over_the_whole_run_is_capped() -> None:
    """In no second more than max_rate submissions begin, and not far fewer either."""
    simulator = vendor(latency=0.0, jitter=0.0)

    async def main() -> float:
        async with in_process(simulator) as client:
            started = loop_time()
            await collect(client, [(each, CONTENT) for each in numbers(500)], max_rate=100.0)
            return loop_time() - started

    took = run_virtual(main())
    times = [arrival.time for arrival in simulator.arrivals]
    assert took == pytest.approx(5.0, abs=0.2)
    assert max(sum(t <= each < t + 1.0 for each in times) for t in times) <= 102


@pytest.mark.long
def test_a_large_run_with_repeats_meets_no_limit_and_loses_nothing() -> None:
    """5,000 messages over 4,000 numbers, 5 % of them up to four times: zero 408x."""
    chance = random.Random(11)
    drawn = [*numbers(4_000)]
    for number in chance.sample(drawn, 200):
        drawn.extend([number] * chance.randint(1, 3))
    drawn.extend(numbers(5_000 - len(drawn), start=4_000))
    chance.shuffle(drawn)
    simulator = vendor()
    outcomes = run_all([(number, CONTENT) for number in drawn], simulator)
    assert Counter(outcome.message.mobile for outcome in outcomes) == Counter(drawn)
    assert {outcome.status for outcome in outcomes} == {ACCEPTED}
    assert simulator.codes == {2: len(drawn)}


@pytest.mark.long
def test_a_million_messages_would_not_be_read_ahead() -> None:
    """Reading keeps pace with sending: never more than places, unread outcomes and a few."""
    read = 0

    def endless() -> Iterator[tuple[str, str]]:
        nonlocal read
        for number in numbers(3_000):
            read += 1
            yield number, CONTENT

    async def main() -> int:
        most = done = 0
        async with in_process(vendor()) as client:
            async with client.submit_many(endless(), concurrency=20) as run:
                async for _ in run:
                    done += 1
                    most = max(most, read - done)
        return most

    assert run_virtual(main()) <= 3 * 20


def test_reading_pauses_when_too_many_are_deferred() -> None:
    """A thousand messages to one number don't all end up in memory."""
    read = 0

    def same() -> Iterator[tuple[str, str]]:
        nonlocal read
        for _ in range(1_000):
            read += 1
            yield "13900000000", CONTENT

    async def main() -> tuple[int, int]:
        async with in_process(vendor()) as client:
            async with client.submit_many(same(), max_deferred=50, max_wait=30.0) as run:
                first = await anext(run)
                early = read
                assert first.status is ACCEPTED
                rest = [outcome.status async for outcome in run]
        return early, len(rest)

    early, rest = run_virtual(main())
    assert early <= 52
    assert rest == 999


def test_progress_tells_where_the_run_stands() -> None:
    """Counts, what is in flight and deferred, and an ETA that knows the guard's waits."""

    async def main() -> None:
        messages = [(number, CONTENT) for number in numbers(200)] + [("13900000000", CONTENT)] * 3
        async with in_process(vendor()) as client:
            async with client.submit_many(messages, concurrency=10) as run:
                for _ in range(200):
                    await anext(run)
                now = run.progress
                assert (now.total, now.read, now.finished >= 200) == (203, 203, True)
                assert now.deferred + now.in_flight == 203 - now.finished
                assert now.rate > 0
                assert now.eta is not None
                async for _ in run:
                    late = run.progress
                    if late.deferred == 1 and late.counts[ACCEPTED] == 202:
                        assert late.eta is not None
                        assert late.eta > 50.0  # the fourth call waits for its minute
                assert run.progress.eta == 0.0
            async with client.submit_many(iter(messages[:1])) as run:
                assert (run.progress.total, run.progress.eta) == (None, None)

    run_virtual(main())


@pytest.mark.parametrize(
    "options",
    [{"concurrency": 0}, {"max_wait": -1.0}, {"max_rate": 0.0}, {"max_deferred": 0}, {"grace": -1}],
)
def test_options_that_make_no_sense_are_refused_by_name(options: dict[str, Any]) -> None:
    """Before anything is read."""
    with pytest.raises(InvalidRequest, match=next(iter(options))):
        VoiceClient("a", "k").submit_many([], **options)


def test_a_run_is_entered_once_and_before_it_is_read() -> None:
    """Both mistakes are named."""

    async def main() -> None:
        async with in_process(vendor()) as client:
            run = client.submit_many([])
            with pytest.raises(RuntimeError, match="async with"):
                await anext(run)
            async with run:
                pass
            with pytest.raises(RuntimeError, match="once"):
                await run.__aenter__()

    run_virtual(main())
