"""Who asked first is served first, at each number, a single call beside a run included."""

import asyncio
import math
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihuyi_voice import Limits, MemoryGuard, OutcomeStatus, QuietHours, RateLimited, Submission
from ihuyi_voice.calls.lines import Lines, Place, lines_of
from ihuyi_voice.guards import Wait
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.long import few_or_many
from tests.support.vendor import CONTENT, MOBILE, in_process
from tests.support.virtual_time import loop_time, run_virtual


class Counting(MemoryGuard):
    """Counts how often it is asked."""

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__(limits, clock=loop_time)
        self.asked = 0

    async def reserve(self, account: str, mobile: str) -> Any:
        """Count."""
        self.asked += 1
        return await super().reserve(account, mobile)


async def test_the_first_has_its_turn_at_once_and_the_others_in_their_order() -> None:
    """Whoever leaves, first or not, costs nobody else a place."""
    lines, places = Lines(), [Place() for _ in range(5)]
    assert [lines.join("1", place) for place in places] == [True, False, False, False, False]
    assert lines.join("2", Place())
    turns = [place.turn for place in places[1:]]
    lines.leave("1", places[2])
    lines.leave("1", places[0])
    lines.leave("1", places[0])
    assert [turn.done() for turn in turns if turn] == [True, True, False, False]
    assert lines.join("1", places[1])
    assert not lines.join("1", places[3])
    lines.leave("1", places[1])
    assert lines.join("1", places[3])


async def test_a_hold_is_over_with_the_place_of_whoever_was_held() -> None:
    """The next at that number asks by itself, and is not held for what the one before was told."""
    lines, place = Lines(), Place()
    assert lines.ready_at("1") == 0.0
    lines.join("1", place)
    lines.hold("1", 60.0)
    assert lines.ready_at("1") == 60.0
    lines.leave("1", place)
    assert lines.ready_at("1") == 0.0


@settings(max_examples=few_or_many(25, 300), deadline=None)
@given(st.integers(0, 2**32))
def test_any_schedule_of_joining_and_leaving_serves_in_order(seed: int) -> None:
    """Held against a plain list."""

    async def main() -> None:
        chance, lines = random.Random(seed), Lines()
        model: list[Place] = []
        everybody = [Place() for _ in range(8)]
        for _ in range(60):
            place = chance.choice(everybody)
            if chance.random() < 0.5:
                if place not in model:
                    model.append(place)
                assert lines.join("1", place) is (model[0] is place)
            else:
                lines.leave("1", place)
                if place in model:
                    model.remove(place)
        for place in everybody:
            lines.leave("1", place)
        assert lines.join("1", Place())

    run_virtual(main())


async def test_clients_of_one_guard_and_account_share_their_lines() -> None:
    """And no others do."""
    guard = MemoryGuard()
    assert lines_of(guard, "a") is lines_of(guard, "a")
    assert lines_of(guard, "a") is not lines_of(guard, "b")
    assert lines_of(MemoryGuard(), "a") is not lines_of(guard, "a")


async def test_a_guard_that_cannot_be_hashed_has_lines_all_the_same() -> None:
    """Its clients don't share them then."""
    assert lines_of([], "a").join("1", Place())
    assert lines_of(object(), "a").join("1", Place())


def test_a_single_call_beside_a_run_on_the_same_number_has_its_turn() -> None:
    """It asked while the run's first message was in flight: it is the second."""

    async def main() -> list[str]:
        simulator = Simulator(clock=loop_time, latency=0.2, limits=())
        guard = Counting(Limits(1, None, None))
        async with in_process(simulator, guard=guard) as client:
            messages = [(MOBILE, f"第{n}条。") for n in range(5)]
            async with client.submit_many(messages) as run:
                await simulator.arrived()
                single = asyncio.create_task(client.submit(MOBILE, "单独。", max_wait=100.0))
                outcomes = [outcome async for outcome in run]
            assert isinstance(await single, Submission)
        assert {outcome.status for outcome in outcomes} == {OutcomeStatus.ACCEPTED}
        return [arrival.fields["content"] for arrival in simulator.arrivals]

    said = run_virtual(main())
    assert said.index("单独。") in {1, 2}
    assert [text for text in said if text != "单独。"] == [f"第{n}条。" for n in range(5)]


def test_calls_from_two_clients_of_one_guard_are_served_in_order() -> None:
    """The line is the guard's, not the client's."""

    async def main() -> list[str]:
        simulator = Simulator(clock=loop_time, latency=0.3, limits=())
        guard = Counting(Limits(1, None, None))
        one, two = in_process(simulator, guard=guard), in_process(simulator, guard=guard)
        async with one, two:
            calls: list[asyncio.Task[Submission]] = []
            for n in range(6):
                client = (one, two)[n % 2]
                task = asyncio.create_task(client.submit(MOBILE, f"第{n}条。", max_wait=100.0))
                calls.append(task)
                await asyncio.sleep(0)
            await asyncio.gather(*calls)
        return [arrival.fields["content"] for arrival in simulator.arrivals]

    assert run_virtual(main()) == [f"第{n}条。" for n in range(6)]


def test_hundreds_who_wait_for_one_number_ask_the_guard_a_few_times_each() -> None:
    """Only the first in line looks: no crowd wakes up to find the number taken again."""
    many = few_or_many(250, 1_000)

    async def main() -> int:
        simulator, guard = Simulator(clock=loop_time, limits=()), Counting(Limits(1, None, None))
        async with in_process(simulator, guard=guard) as client:
            calls = (client.submit(MOBILE, CONTENT, max_wait=5_000.0) for _ in range(many))
            await asyncio.gather(*calls)
        return guard.asked

    assert run_virtual(main()) <= 2 * many


def test_who_stands_in_line_in_vain_is_told_at_once() -> None:
    """The first in line is held back for a minute; ten seconds are not enough behind it."""

    async def main() -> tuple[float, RateLimited]:
        simulator = Simulator(clock=loop_time)
        guard = MemoryGuard(Limits(None, 1, None), clock=loop_time)
        async with in_process(simulator, guard=guard, clock=loop_time) as client:
            await client.submit(MOBILE, CONTENT)
            patient = asyncio.create_task(client.submit(MOBILE, CONTENT, max_wait=100.0))
            await asyncio.sleep(1.0)
            began = loop_time()
            try:
                await client.submit(MOBILE, CONTENT, max_wait=10.0)
            except RateLimited as error:
                took = loop_time() - began
                await patient
                return took, error
        raise AssertionError("it was not held back")

    took, error = run_virtual(main())
    assert took == 0.0
    assert (error.source, error.status, error.code) == ("guard", OutcomeStatus.HELD, 4080)
    assert error.retry_at is not None
    assert error.retry_at.timestamp() == pytest.approx(1_060.0)


def test_who_stands_behind_another_until_its_very_last_moment_may_go_then() -> None:
    """The first in line may go on when the patience of the second ends, and has left by then."""

    async def main() -> float:
        async with in_process(Simulator(clock=loop_time)) as client:
            await client.submit(MOBILE, CONTENT)
            began = loop_time()
            first = asyncio.create_task(client.submit(MOBILE, CONTENT, max_wait=9.0))
            second = asyncio.create_task(client.submit(MOBILE, CONTENT, max_wait=1.0))
            await asyncio.sleep(0.5)
            first.cancel()
            await second
            return loop_time() - began

    assert run_virtual(main()) == 1.0


def test_a_timeout_behind_others_says_when_the_first_of_them_may_go_on() -> None:
    """As its guard says by then: who comes back before that waits in vain."""

    class Later(MemoryGuard):
        waits = iter((1.0, 60.0))

        async def reserve(self, account: str, mobile: str) -> Wait:
            return Wait(next(self.waits))

    async def main() -> tuple[float, float]:
        simulator = Simulator(clock=loop_time)
        async with in_process(simulator, guard=Later(), clock=loop_time) as client:
            began = loop_time()
            patient = asyncio.create_task(client.submit(MOBILE, CONTENT, max_wait=100.0))
            await asyncio.sleep(0.5)
            with pytest.raises(RateLimited) as caught:
                await client.submit(MOBILE, CONTENT, max_wait=100.0, timeout=5.0)
            patient.cancel()
            await asyncio.wait({patient})
        assert caught.value.retry_at is not None
        return began, caught.value.retry_at.timestamp()

    began, retry_at = run_virtual(main())
    assert retry_at == pytest.approx(began + 61.0)


def test_a_run_that_stands_behind_a_single_call_says_so() -> None:
    """Whoever looks at its progress sees what it waits for."""

    async def main() -> dict[str, int]:
        simulator = Simulator(clock=loop_time, limits=())
        simulator.add_fault(Fault("latency", seconds=5.0, times=1))
        guard = MemoryGuard(Limits(None, None, None), clock=loop_time)
        async with in_process(simulator, guard=guard) as client:
            first = asyncio.create_task(client.submit(MOBILE, CONTENT))
            await asyncio.sleep(0.1)
            async with client.submit_many([(MOBILE, CONTENT)], max_wait=60.0) as run:
                await asyncio.sleep(1.0)
                waiting = dict(run.progress.waiting)
                assert [outcome.status async for outcome in run] == [OutcomeStatus.ACCEPTED]
            await first
        return waiting

    assert run_virtual(main()) == {"an earlier call to its number": 1}


def test_a_short_wait_behind_others_is_a_wait() -> None:
    """The call before it may end in a moment, and close the number for nobody."""

    async def main() -> float:
        simulator = Simulator(clock=loop_time, limits=())
        simulator.add_fault(Fault("latency", seconds=0.3))
        guard = MemoryGuard(Limits(None, None, None), clock=loop_time)
        async with in_process(simulator, guard=guard) as client:
            first = asyncio.create_task(client.submit(MOBILE, CONTENT))
            await asyncio.sleep(0.1)
            began = loop_time()
            await client.submit(MOBILE, CONTENT, max_wait=0.5)
            await first
        return loop_time() - began

    assert run_virtual(main()) == pytest.approx(0.2 + 0.3)


def test_who_waits_no_longer_is_held_and_gives_up_its_place() -> None:
    """The one behind it has its turn when the call in flight has ended."""

    async def main() -> list[str]:
        simulator = Simulator(clock=loop_time)
        simulator.add_fault(Fault("latency", seconds=5.0, times=1))
        guard = MemoryGuard(Limits(None, None, None), clock=loop_time)
        async with in_process(simulator, guard=guard) as client:
            waits = [60.0, 2.0, 60.0]
            calls = [asyncio.create_task(client.submit(MOBILE, CONTENT, max_wait=w)) for w in waits]
            ends = await asyncio.gather(*calls, return_exceptions=True)
        assert len(simulator.arrivals) == 2
        return [type(end).__name__ for end in ends]

    assert run_virtual(main()) == ["Submission", "RateLimited", "Submission"]


def test_who_waits_for_ever_is_served_in_the_end() -> None:
    """`max_wait=math.inf`, for a single call and for a run, through a day's limit."""

    async def main() -> float:
        simulator = Simulator(clock=loop_time)
        async with in_process(simulator) as client:
            began = loop_time()
            messages = [(MOBILE, CONTENT)] * 10
            async with client.submit_many(messages, max_wait=math.inf) as run:
                assert {end.status async for end in run} == {OutcomeStatus.ACCEPTED}
            await client.submit(MOBILE, CONTENT, max_wait=math.inf)
            return loop_time() - began

    assert run_virtual(main()) >= 86_400.0


def test_a_cancelled_waiter_gives_up_its_place() -> None:
    """Nobody stands behind it for ever."""

    async def main() -> int:
        simulator = Simulator(clock=loop_time, limits=())
        simulator.add_fault(Fault("latency", seconds=5.0, times=1))
        async with in_process(simulator, guard=MemoryGuard(Limits(None, None, None))) as client:
            calls = [
                asyncio.create_task(client.submit(MOBILE, CONTENT, max_wait=60.0)) for _ in range(4)
            ]
            await simulator.arrived()
            calls[1].cancel()
            calls[2].cancel()
            await asyncio.wait(calls)
        return len(simulator.arrivals)

    assert run_virtual(main()) == 2


def test_4010_closes_the_whole_account_for_a_minute() -> None:
    """Other numbers wait, too, or are held back without a request; the number itself is free."""

    async def main() -> tuple[int, float, RateLimited]:
        simulator = Simulator(clock=loop_time)
        simulator.add_fault(Fault("code", code=4010, times=1))
        async with in_process(simulator, clock=loop_time) as client:
            with pytest.raises(RateLimited):
                await client.submit(MOBILE, CONTENT)
            with pytest.raises(RateLimited) as caught:
                await client.submit("13911111111", CONTENT)
            arrived, began = len(simulator.arrivals), loop_time()
            await client.submit("13922222222", CONTENT, max_wait=100.0)
            return arrived, loop_time() - began, caught.value

    arrived, waited, held = run_virtual(main())
    assert arrived == 1
    assert (held.code, held.source, held.status) == (4010, "guard", OutcomeStatus.HELD)
    assert held.retry_at == datetime.fromtimestamp(1_060.0, UTC)
    assert 59.0 <= waited <= 60.0


def test_4010_closes_the_account_without_a_guard_as_well() -> None:
    """It is the vendor's word, not a guess of ours."""

    async def main() -> float:
        simulator = Simulator(clock=loop_time)
        simulator.add_fault(Fault("code", code=4010, times=1))
        async with in_process(simulator, guard=None) as client:
            began = loop_time()
            await client.submit(MOBILE, CONTENT, max_wait=100.0)
            return loop_time() - began

    assert run_virtual(main()) == 60.0


@pytest.mark.parametrize("first", ["its own", "another", "none"])
@pytest.mark.parametrize("then", ["its own", "another", "none"])
def test_4010_closes_the_account_whatever_guard_a_call_is_given(first: str, then: str) -> None:
    """An alarm that goes around quiet hours meets the same vendor."""
    inside = MemoryGuard(clock=loop_time)
    options: dict[str, Any] = {"its own": {}, "another": {"guard": inside}, "none": {"guard": None}}

    async def main() -> int:
        simulator = Simulator(clock=loop_time)
        simulator.add_fault(Fault("code", code=4010, times=1))
        noon = QuietHours("22:00-08:00", guard=inside, clock=lambda: 1_700_020_800.0)
        async with in_process(simulator, guard=noon) as client:
            for mobile, guard in ((MOBILE, first), ("13911111111", then)):
                with pytest.raises(RateLimited):
                    await client.submit(mobile, CONTENT, **options[guard])
        return len(simulator.arrivals)

    assert run_virtual(main()) == 1
