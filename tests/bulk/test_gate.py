"""Who may be at the vendor: the gate by itself, and in runs whose ledger takes its time."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ihuyi_voice import MemoryGuard, OutcomeStatus, RunStopped, VoiceClient
from ihuyi_voice.bulk.gate import Gate
from ihuyi_voice.simulator import Fault, Simulator
from tests.bulk.test_named_runs import ACCEPTED, NOT_SENT, RUN, all_of, messages
from tests.support.journals import FakeLedger, Store, status_of
from tests.support.vendor import BASE_URL, in_process, vendor
from tests.support.virtual_time import loop_time, run_virtual


class Entrance(httpx.AsyncBaseTransport):
    """A vendor's that counts how many requests are inside at a time."""

    def __init__(self, simulator: Simulator) -> None:
        self.inside = self.most = 0
        self._way = httpx.ASGITransport(app=simulator)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on."""
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            return await self._way.handle_async_request(request)
        finally:
            self.inside -= 1


def client_of(simulator: Simulator, entrance: Entrance, ledger: FakeLedger | None) -> VoiceClient:
    """Return a client whose requests are counted."""
    return VoiceClient(
        simulator.account,
        simulator.api_key,
        base_url=BASE_URL,
        http_client=httpx.AsyncClient(transport=entrance),
        guard=MemoryGuard(clock=loop_time),
        ledger=ledger,
    )


async def took(simulator: Simulator, ledger: FakeLedger | None) -> tuple[float, int]:
    """Return the seconds of a run of 600, ten in flight, and how many the vendor had at most."""
    entrance = Entrance(simulator)
    async with client_of(simulator, entrance, ledger) as client:
        began = loop_time()
        run = None if ledger is None else RUN
        async with client.submit_many(messages(600), concurrency=10, run=run) as bulk:
            ends = [outcome.status async for outcome in bulk]
    assert ends == [ACCEPTED] * 600
    return loop_time() - began, entrance.most


def test_a_ledgers_time_costs_a_run_little_and_the_vendor_sees_no_more_at_once() -> None:
    """With a ledger that needs a quarter of the vendor's time to write, twice a call."""
    without, most = run_virtual(took(vendor(latency=0.06), None))
    beside, most_beside = run_virtual(took(vendor(latency=0.06), FakeLedger(latency=0.015)))
    assert (most, most_beside) == (10, 10)
    assert beside < without * 1.25


def test_one_in_flight_is_one_from_its_intent_to_its_end() -> None:
    """Nothing is begun beside it."""

    async def main() -> list[str]:
        ledger = FakeLedger(latency=0.01)
        async with in_process(vendor(latency=0.05), ledger=ledger) as client:
            await all_of(client, messages(3), concurrency=1)
        return [each for each in ledger.told if each in {"intend", "settle"}]

    assert run_virtual(main()) == ["intend", "settle"] * 3


@pytest.mark.parametrize("ending", ["a STOP code", "it is left"])
def test_who_waits_at_the_gate_of_a_run_that_stops_is_not_sent(ending: str) -> None:
    """Its intent is taken back, so that the next run sends it; its number is free again."""

    async def main() -> tuple[Counter[OutcomeStatus], Counter[Any], Counter[tuple[str, str]], int]:
        simulator, store = vendor(latency=1.0), Store()
        entrance, ledger = Entrance(simulator), FakeLedger(store, latency=0.001)
        guard = MemoryGuard(clock=loop_time)
        client = client_of(simulator, entrance, ledger)
        async with client:
            await all_of(client, messages(40), concurrency=10)  # past the slow start
            left = len(simulator.arrivals)
            given = messages(60, 100)
            async with client.submit_many(given, run="second", concurrency=10) as bulk:
                first = [await anext(bulk) for _ in range(20)]
                if ending == "a STOP code":
                    simulator.add_fault(Fault("code", code=4051))
                    first += [outcome async for outcome in bulk]
            first += await bulk.drain()
        assert guard.statistics().in_flight == 0
        found = Counter(outcome.status for outcome in first)
        states = Counter(
            row.end and status_of(row.end)
            for (_, run, _), row in store.rows.items()
            if run == "second"
        )
        return found, states, simulator.rung(), len(simulator.arrivals) - left

    found, states, rung, arrived = run_virtual(main())
    assert set(rung.values()) == {1}
    assert found[ACCEPTED] + found[OutcomeStatus.REJECTED] == arrived
    assert found[OutcomeStatus.UNKNOWN] == 0
    assert states[NOT_SENT] > 0  # they were granted, and waited
    assert None not in states


def test_a_wrong_template_costs_the_breakers_number_of_requests_beside_a_ledger_too() -> None:
    """Half-way, those at the gate wait for what comes of those before them."""

    async def main() -> tuple[int, Counter[OutcomeStatus]]:
        simulator, ledger = vendor(latency=0.05), FakeLedger(latency=0.02)
        async with in_process(simulator, ledger=ledger) as client:
            await all_of(client, messages(100), run="first", concurrency=20)
            good = len(simulator.arrivals)
            simulator.add_fault(Fault("code", code=4072))
            found = await all_of(client, messages(200, 500), concurrency=20, max_rejections=40)
        return len(simulator.arrivals) - good, Counter(outcome.status for outcome in found)

    sent, found = run_virtual(main())
    assert sent == 40
    assert found == {OutcomeStatus.REJECTED: 40, NOT_SENT: 160}


@given(st.integers(1, 4), st.lists(st.sampled_from(["enter", "cancel", "leave", "more"])))
@example(1, ["enter", "enter", "leave", "cancel", "enter"])  # whose turn had come is cancelled
@settings(deadline=None)
def test_no_schedule_lets_too_many_in_or_forgets_one(most: int, steps: list[str]) -> None:
    """Whoever enters, leaves, or is cancelled at any moment, with its turn come or not."""

    async def main() -> None:
        bound = [most]
        gate = Gate(lambda: bound[0])
        waiting: dict[int, asyncio.Task[None]] = {}
        inside: list[int] = []
        for who, step in enumerate(steps):
            if step == "enter":
                waiting[who] = asyncio.create_task(gate.enter(who))
            elif step == "cancel" and waiting:
                next(iter(waiting.values())).cancel()
            elif step == "leave" and inside:
                gate.leave(inside.pop())
                continue  # a cancellation may come before whoever's turn it is has run
            elif step == "more":
                bound[0] += 1
                gate.admit()
            for _ in range(3):
                await asyncio.sleep(0)
            ended = {name: task for name, task in waiting.items() if task.done()}
            inside += [name for name, task in ended.items() if not task.cancelled()]
            waiting = {name: task for name, task in waiting.items() if name not in ended}
            assert len(inside) <= bound[0]
            assert len(inside) == bound[0] or not waiting
        gate.close(lambda: RunStopped("over"))
        told = await asyncio.gather(*waiting.values(), return_exceptions=True)
        late = [each for each in told if not isinstance(each, RunStopped)]
        assert set(late) <= {None}  # whose turn had come
        assert len(inside) + len(late) <= bound[0]
        with pytest.raises(RunStopped):
            await gate.enter(-1)

    asyncio.run(main())
