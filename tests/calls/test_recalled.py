"""The limits per number hold across restarts: the guard is told what the ledger knows."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from ihuyi_voice import (
    GuardUnavailable,
    LedgerUnavailable,
    MemoryGuard,
    RateLimited,
    Submission,
    VoiceError,
)
from ihuyi_voice.calls import batches
from ihuyi_voice.calls.batches import MOST
from ihuyi_voice.models import Draft
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.guards import Misbehaving
from tests.support.journals import FakeJournal, FakeLedger, Row, Store
from tests.support.long import few_or_many
from tests.support.vendor import CONTENT, MOBILE, ONCE, in_process, vendor
from tests.support.virtual_time import loop_time, run_virtual


async def call(simulator: Simulator, store: Store, key: str | None, **options: Any) -> Any:
    """Make a call from a process of its own; return its end, and what its ledger was asked."""
    ledger = FakeLedger(store)
    async with in_process(simulator, ledger=ledger, retry=ONCE, **options) as client:
        try:
            return await client.submit(MOBILE, CONTENT, key=key)
        except VoiceError as error:
            return error


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("fault", [None, Fault("empty")])
def test_the_day_limit_holds_over_ten_restarts(fault: Fault | None, *, keyed: bool) -> None:
    """Calls that may have rung are counted; the vendor never has to say 4082."""

    async def main() -> tuple[list[Any], list[int | None]]:
        store, simulator = Store(), vendor(*([fault] if fault else []))
        found: list[Any] = []
        for place in range(10):
            found.append(await call(simulator, store, f"key {place}"))
            await asyncio.sleep(3_600.0)
        found.append(await call(simulator, store, "one more" if keyed else None))
        return found, [arrival.code for arrival in simulator.arrivals]

    found, codes = run_virtual(main())
    assert codes == [2] * 10
    assert isinstance(found[-1], RateLimited)
    assert (found[-1].source, found[-1].code) == ("guard", 4082)


def test_a_fresh_ledger_is_not_asked() -> None:
    """It costs nothing where there is nothing to know."""

    async def main() -> list[str]:
        ledger = FakeLedger()
        async with in_process(vendor(), ledger=ledger) as client:
            await client.submit(MOBILE, CONTENT)
            await client.submit("13900000001", CONTENT, key="k")
        return ledger.told

    assert run_virtual(main()) == ["look", "intend", "settle"]


def test_a_ledger_that_knows_of_no_recent_call_is_not_asked_for_a_run_that_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither for its batches, nor for one of its messages."""
    monkeypatch.setattr(FakeJournal, "has_recent", False)

    async def run_of(ledger: FakeLedger, *mobiles: str) -> list[str]:
        given = [(mobile, CONTENT) for mobile in mobiles]
        async with in_process(vendor(), ledger=ledger) as client:
            async with client.submit_many(given, run="nightly") as run:
                assert {outcome.status async for outcome in run} == {"ACCEPTED"}
        return ledger.told

    async def main() -> list[str]:
        store = Store()
        await run_of(FakeLedger(store), MOBILE)
        return await run_of(FakeLedger(store), MOBILE, "13900000001")

    pages = ["accepted", "accepted"]
    assert run_virtual(main()) == ["enter", *pages, "look", "intend", "settle", "leave"]


def test_a_ledger_that_cannot_recall_is_not_told_of_the_end_either() -> None:
    """It is of no use, and whoever calls is not kept waiting a second time."""

    async def main() -> tuple[list[str], int]:
        store, simulator = Store(), vendor()
        await call(simulator, store, "k")
        ledger = FakeLedger(store, method="recall")
        async with in_process(simulator, ledger=ledger) as client:
            with pytest.raises(LedgerUnavailable):
                await client.submit("13900000001", CONTENT, key="l")
        return ledger.told, len(simulator.arrivals)

    assert run_virtual(main()) == (["look", "recall"], 1)


def test_a_number_is_recalled_before_its_first_call_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """From then on the guard knows more; numbers that are called together are one question."""
    most = few_or_many(100, MOST)
    monkeypatch.setattr(batches, "MOST", most)

    async def main() -> list[int]:
        store, simulator = Store(), vendor()
        await call(simulator, store, "k")
        ledger = FakeLedger(store)
        mobiles = [f"139{place:08d}" for place in range(1, most + 20)]
        async with in_process(simulator, ledger=ledger) as client:
            for _ in range(3):
                await asyncio.gather(*(client.submit(mobile, CONTENT) for mobile in mobiles))
                await asyncio.sleep(60.0)
        return ledger.asked

    assert run_virtual(main()) == [most, 19]


def test_a_call_in_flight_elsewhere_counts_too() -> None:
    """The other process has sent it a moment ago."""

    async def main() -> Any:
        store, simulator = Store(), vendor()
        journal = FakeLedger(store).calls(simulator.account)
        await journal.intend(Draft("k", MOBILE, CONTENT))
        return await call(simulator, store, None)

    assert isinstance(run_virtual(main()), RateLimited)


@pytest.mark.parametrize("make", [lambda: None, Misbehaving])
def test_a_guard_that_cannot_be_told_is_left_alone(make: Callable[[], Any]) -> None:
    """It keeps its windows by itself, or keeps none."""

    async def main() -> tuple[Any, list[str]]:
        store, simulator = Store(), vendor()
        await call(simulator, store, "k")
        await asyncio.sleep(2.0)
        ledger = FakeLedger(store)
        async with in_process(simulator, ledger=ledger, guard=make()) as client:
            return await client.submit(MOBILE, CONTENT), ledger.told

    end, told = run_virtual(main())
    assert isinstance(end, Submission)
    assert told == []


@pytest.mark.parametrize("broken", ["remembers", "restore"])
def test_a_guard_that_fails_to_be_told_fails_closed(broken: str) -> None:
    """GuardUnavailable, for keyed calls and others, and a later one may go."""

    class Broken(MemoryGuard):
        failing = True

        def remembers(self, account: str, mobile: str) -> bool:
            if self.failing and broken == "remembers":
                raise ConnectionError("no memory")
            return super().remembers(account, mobile)

        def restore(self, account: str, mobile: str, ages: Any) -> None:
            if self.failing:
                raise ConnectionError("no memory")
            super().restore(account, mobile, ages)

    async def main() -> tuple[list[Any], int]:
        store, simulator, guard = Store(), vendor(), Broken(clock=loop_time)
        await call(simulator, store, "k")
        await asyncio.sleep(2.0)
        found = [await call(simulator, store, key, guard=guard) for key in ("l", None)]
        guard.failing = False
        found.append(await call(simulator, store, "l", guard=guard))
        return found, len(simulator.arrivals)

    (keyed, other, later), requests = run_virtual(main())
    assert isinstance(keyed, GuardUnavailable)
    assert isinstance(other, GuardUnavailable)
    assert isinstance(later, Submission)
    assert requests == 2


def test_a_run_recalls_a_batch_at_a_time_before_its_messages_turn() -> None:
    """A resumed run holds back who was called ten times that day, and asks in few questions."""

    async def main() -> tuple[dict[str, str], list[int], list[str]]:
        store, simulator = Store(), vendor()
        earlier = FakeLedger(store)
        for place in range(10):
            draft = Draft(f"k{place}", MOBILE, CONTENT)
            end = Submission(str(place), MOBILE, "ok")
            store.rows[simulator.account, "", draft.key] = Row(draft, earlier, end, loop_time())
        await asyncio.sleep(3_600.0)
        ledger = FakeLedger(store)
        given = [(f"139{place:08d}", CONTENT) for place in range(few_or_many(400, 1_000))]
        async with in_process(simulator, ledger=ledger) as client:
            async with client.submit_many(given, run="nightly", max_wait=5.0) as run:
                outcomes = [outcome async for outcome in run]
        return {each.message.mobile: each.status for each in outcomes}, ledger.asked, ledger.told

    ends, asked, told = run_virtual(main())
    assert ends.pop(MOBILE) == "HELD"
    assert set(ends.values()) == {"ACCEPTED"}
    assert len(asked) <= 4
    assert told.count("look") == 1  # of the one that is held back: it may be a second of its key


def test_a_guard_that_fails_to_be_told_of_a_batch_costs_only_its_messages() -> None:
    """Each of them asks again when its turn comes."""

    class Broken(MemoryGuard):
        def remembers(self, account: str, mobile: str) -> bool:
            if mobile.endswith("3"):
                raise ConnectionError("no memory")
            return super().remembers(account, mobile)

    async def main() -> list[Any]:
        store, simulator = Store(), vendor()
        await call(simulator, store, "k")
        await asyncio.sleep(2.0)
        given = [(f"139{place:08d}", CONTENT) for place in range(20)]
        guard = Broken(clock=loop_time)
        async with in_process(simulator, ledger=FakeLedger(store), guard=guard) as client:
            async with client.submit_many(given, run="nightly") as run:
                return [each.error async for each in run if each.status != "ACCEPTED"]

    assert [type(error) for error in run_virtual(main())] == [GuardUnavailable] * 2


def test_a_ledger_that_lies_about_ages_is_told_of_without_the_whole_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Who calls without a key calls all the same; the log is no place for a phone number."""

    async def main() -> int:
        store, simulator = Store(), vendor()
        await call(simulator, store, "k")
        ledger = FakeLedger(store, method="recall", manner="lies")
        async with in_process(simulator, ledger=ledger) as client:
            await client.submit("13900000007", CONTENT)
        return len(simulator.arrivals)

    assert run_virtual(main()) == 2
    (line,) = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    why = "it gave {'139****0007': [nan]} for ages: ValueError: an age is no number of seconds"
    assert line == (
        f"a number's earlier calls are not known: the ledger could not be asked ({why})"
    )
