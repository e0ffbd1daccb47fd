"""A run with a name goes on: replays, duplicates, the look-up stage, and who has the run."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest

from ihuyi_voice import (
    InvalidRequest,
    LedgerUnavailable,
    MemoryGuard,
    Message,
    Outcome,
    OutcomeStatus,
    OutcomeUnknown,
    RunInUse,
    RunStopped,
    Submission,
    VoiceClient,
)
from ihuyi_voice.bulk.lookup import AHEAD
from ihuyi_voice.calls import Ending
from ihuyi_voice.models import Draft, digest
from ihuyi_voice.simulator import Fault, Simulator
from tests.bulk.support import others, pairs
from tests.support.journals import FakeLedger, Manner, Row, Store
from tests.support.long import few_or_many
from tests.support.vendor import CONTENT, MOBILE, ONCE, in_process, vendor
from tests.support.virtual_time import loop_time, run_virtual

ACCEPTED, HELD, NOT_SENT, REJECTED, UNKNOWN = (
    OutcomeStatus.ACCEPTED, OutcomeStatus.HELD, OutcomeStatus.NOT_SENT, OutcomeStatus.REJECTED,
    OutcomeStatus.UNKNOWN,
)  # fmt: skip
RUN = "nightly"


def messages(count: int, start: int = 0) -> list[Message]:
    """Return messages to so many numbers."""
    return [Message(mobile, CONTENT) for mobile, _ in pairs(count, start)]


async def all_of(client: VoiceClient, given: Any, **options: Any) -> list[Outcome]:
    """Return all outcomes of a run."""
    options.setdefault("run", RUN)
    async with client.submit_many(given, **options) as run:
        return [outcome async for outcome in run]


def ended(
    store: Store, entries: Iterable[tuple[Message, Ending]], account: str, ledger: FakeLedger
) -> None:
    """Write that these ended so, long ago."""
    for message, end in entries:
        key = message.reference or digest(message.mobile, message.content)
        draft = Draft(key, message.mobile, message.content, message.reference)
        store.rows[account, RUN, key] = Row(draft, ledger, end, -1e6)


def settled(store: Store, given: list[Message], account: str, ledger: FakeLedger) -> None:
    """Write that these were accepted, long ago."""
    ends = ((each, Submission(f"id-{each.mobile}", each.mobile, "ok")) for each in given)
    ended(store, ends, account, ledger)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["list", "generator", "async"])
def test_a_run_that_was_left_goes_on_where_it_ended(kind: str) -> None:
    """Nobody is called twice, nobody is forgotten, and each message has one outcome, each time."""

    def given() -> Any:
        async def stream() -> AsyncIterator[Message]:
            for message in messages(1_500):
                yield message

        if kind == "async":
            return stream()
        return messages(1_500) if kind == "list" else iter(messages(1_500))

    async def main() -> tuple[list[Outcome], list[Outcome], Counter[Any]]:
        simulator, ledger = vendor(latency=0.05), FakeLedger(latency=0.01)
        async with in_process(simulator, ledger=ledger) as client:
            first: list[Outcome] = []
            async with client.submit_many(given(), run=RUN) as run:
                async for outcome in run:
                    first.append(outcome)
                    if len(first) > 700:
                        break
            first += await run.drain()
            second = await all_of(client, given())
        return first, second, simulator.rung()

    first, second, rung = run_virtual(main())
    sent = {outcome.message for outcome in first if outcome.status is ACCEPTED}
    assert len(sent) >= 700
    assert {outcome.message for outcome in second if outcome.replayed} == sent
    assert len(second) == len({outcome.message for outcome in second}) == 1_500
    assert {outcome.status for outcome in second} == {ACCEPTED}
    assert len(rung) == 1_500
    assert set(rung.values()) == {1}


@pytest.mark.slow
@pytest.mark.parametrize("page", [0, 1_000])
def test_a_run_that_is_settled_sends_nothing_and_is_soon_told(page: int) -> None:
    """Neither slow start, concurrency nor rate hold its replays back; they are the same ends."""
    many = few_or_many(2 * AHEAD, 4 * AHEAD)

    async def main() -> tuple[list[Outcome], list[Outcome], float, int, list[int], Any]:
        simulator, ledger = vendor(), FakeLedger(page=page)
        async with in_process(simulator, ledger=ledger) as client:
            first = await all_of(client, messages(many))
            ledger.asked.clear()
            began = loop_time()
            async with client.submit_many(
                messages(many), run=RUN, concurrency=1, max_rate=0.5
            ) as run:
                second = [outcome async for outcome in run]
            took = loop_time() - began
        return first, second, took, len(simulator.arrivals), ledger.asked, run.progress

    first, second, took, requests, asked, progress = run_virtual(main())
    assert took == 0.0
    assert requests == many
    assert all(outcome.replayed for outcome in second)
    by_message = {outcome.message: outcome.voice_id for outcome in first}
    assert {outcome.message: outcome.voice_id for outcome in second} == by_message
    # All are looked up, unless they stand on pages.
    assert (sum(asked), max(asked, default=0)) == ((0, 0) if page else (many, AHEAD))
    # Some are read while others are looked up, and then not as many.
    assert len(asked) <= many // AHEAD + 2
    assert (progress.replayed, progress.finished, progress.rate) == (many, many, 0.0)


def test_progress_and_eta_leave_replays_out() -> None:
    """The rate is that of this run's own work."""

    async def main() -> Any:
        simulator, store = vendor(latency=1.0), Store()
        ledger = FakeLedger(store)
        settled(store, messages(900), simulator.account, ledger)
        async with in_process(simulator, ledger=ledger) as client:
            async with client.submit_many(messages(1_000), run=RUN, concurrency=1) as run:
                async for outcome in run:
                    if not outcome.replayed and run.progress.finished == 950:
                        break
                progress = run.progress
        return progress

    progress = run_virtual(main())
    assert progress.replayed == 900
    assert progress.rate == pytest.approx(1.0)
    assert progress.eta == pytest.approx(50.0)


def test_what_opens_again_is_sent_again_and_what_does_not_is_told_again() -> None:
    """HELD, NOT_SENT and refusals by STOP, WAIT or RETRY; not FIX_REQUEST, and not UNKNOWN."""
    codes = {0: 4051, 1: 4081, 2: 4072, 3: None}

    async def main() -> tuple[dict[str, Outcome], dict[str, Outcome], int]:
        simulator, ledger = vendor(), FakeLedger()
        given = messages(6)
        for place, code in codes.items():
            fault = Fault("empty", mobile=given[place].mobile, times=1)
            if code is not None:
                fault = Fault("code", code=code, mobile=given[place].mobile, times=1)
            simulator.add_fault(fault)
        first: dict[str, Outcome] = {}
        async with in_process(simulator, ledger=ledger, retry=ONCE, guard=None) as client:
            for message in given:  # one at a time: a STOP ends a run
                for outcome in await all_of(client, [message], max_wait=0.0):
                    first[message.mobile] = outcome
            second = {each.message.mobile: each for each in await all_of(client, given)}
        return first, second, len(simulator.arrivals)

    first, second, requests = run_virtual(main())
    assert [each.status for each in first.values()] == [REJECTED] * 3 + [UNKNOWN] + [ACCEPTED] * 2
    assert [second[mobile].status for mobile in first] == [
        ACCEPTED, ACCEPTED, REJECTED, UNKNOWN, ACCEPTED, ACCEPTED,
    ]  # fmt: skip
    assert [second[mobile].replayed for mobile in first] == [False] * 2 + [True] * 4
    assert requests == 6 + 2


def test_retry_rejected_opens_what_asked_for_another_request() -> None:
    """A template that has been approved meanwhile, for example."""

    async def main() -> list[OutcomeStatus]:
        simulator = vendor(Fault("code", code=4072, times=1))
        async with in_process(simulator, ledger=FakeLedger(), retry=ONCE) as client:
            found = await all_of(client, messages(1))
            found += await all_of(client, messages(1))
            found += await all_of(client, messages(1), retry_rejected=True)
        return [outcome.status for outcome in found]

    assert run_virtual(main()) == [REJECTED, REJECTED, ACCEPTED]


def test_the_list_may_grow_and_its_order_change() -> None:
    """New keys are added, missing ones stay as they are."""

    async def main() -> tuple[list[bool], int]:
        simulator, ledger = vendor(), FakeLedger()
        async with in_process(simulator, ledger=ledger) as client:
            await all_of(client, messages(10))
            found = await all_of(client, list(reversed(messages(15, start=5))))
        return sorted(outcome.replayed for outcome in found), len(ledger.store.rows)

    assert run_virtual(main()) == ([False] * 10 + [True] * 5, 20)


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("guarded", [False, True])
def test_the_same_message_twice_in_one_run_rings_once(*, guarded: bool, resumed: bool) -> None:
    """Both have an outcome; the second is the first one's, and no limit of the number is met."""

    async def main() -> tuple[list[Outcome], int]:
        simulator, ledger = vendor(latency=1.0), FakeLedger()
        guard = MemoryGuard(clock=loop_time) if guarded else None
        async with in_process(simulator, ledger=ledger, guard=guard) as client:
            if resumed:
                await all_of(client, messages(5, start=100))
            given = [message for message in messages(20) for _ in range(12)]
            return await all_of(client, given, max_wait=0.0), len(simulator.arrivals)

    found, requests = run_virtual(main())
    assert requests == 20 + 5 * resumed
    assert Counter(outcome.status for outcome in found) == {ACCEPTED: 240}
    assert Counter(outcome.replayed for outcome in found) == {False: 20, True: 220}
    ids = {(outcome.message.mobile, outcome.voice_id) for outcome in found}
    assert len(ids) == 20


def test_what_waits_here_for_its_turn_loses_nothing_of_its_max_wait() -> None:
    """It counts from the moment in which the message might be sent."""

    async def main() -> list[OutcomeStatus]:
        store, simulator = Store(), vendor()
        settled(store, messages(1, start=500), simulator.account, FakeLedger(store))
        given = [*messages(40), Message(messages(40)[-1].mobile, CONTENT + "!")]
        async with in_process(simulator, ledger=FakeLedger(store)) as client:
            found = await all_of(client, given, max_rate=2.0, max_wait=5.0)
        return [outcome.status for outcome in found]

    assert run_virtual(main()) == [ACCEPTED] * 41


def test_a_reference_is_the_key_and_another_message_under_it_is_refused() -> None:
    """In this run, and in a later one; two references ring a number twice."""

    async def main() -> tuple[list[Outcome], list[Outcome]]:
        ledger = FakeLedger()
        async with in_process(vendor(), ledger=ledger) as client:
            first = await all_of(
                client, [Message(MOBILE, CONTENT, "a"), Message(MOBILE, CONTENT, "b")]
            )
            second = await all_of(client, [Message("13900000001", CONTENT, "a")])
        assert set(ledger.store.states(RUN)) == {"a", "b"}
        return first, second

    first, (second,) = run_virtual(main())
    assert [outcome.status for outcome in first] == [ACCEPTED] * 2
    assert second.status is NOT_SENT
    assert isinstance(second.error, InvalidRequest)
    assert not second.replayed


@pytest.mark.parametrize("reference", ["", "a\nb", "k" * 201, 7, b"x"])
def test_a_reference_that_can_be_no_key_is_that_messages_outcome(reference: Any) -> None:
    """The others go on, and the ledger knows nothing of it."""

    async def main() -> tuple[list[Outcome], dict[str, str]]:
        ledger = FakeLedger()
        async with in_process(vendor(), ledger=ledger) as client:
            given = [Message(MOBILE, CONTENT, reference), *messages(2)]
            return await all_of(client, given), ledger.store.states(RUN)

    found, states = run_virtual(main())
    assert sorted(outcome.status for outcome in found) == [ACCEPTED, ACCEPTED, NOT_SENT]
    assert len(states) == 2


@pytest.mark.parametrize("resumed", [False, True])
def test_a_message_that_cannot_be_sent_is_written_before_its_outcome_is_told(
    *, resumed: bool
) -> None:
    """NOT_SENT, so that a later run may have it mended; texts that no database takes, too."""
    bad: list[Any] = [
        Message("123", CONTENT, "bad-1"), Message(MOBILE, "", "bad-2"),
        Message("139\x000000", "\ud800\x00"), ("nobody", CONTENT),
    ]  # fmt: skip

    async def main() -> tuple[list[Outcome], list[str], dict[str, str]]:
        ledger = FakeLedger(latency=0.5)
        async with in_process(vendor(), ledger=ledger) as client:
            if resumed:
                await all_of(client, messages(1, start=100))
            told: list[str] = []
            given: list[Any] = [*bad, 5, *messages(1)]
            async with client.submit_many(given, run=RUN) as run:
                found: list[Outcome] = []
                async for outcome in run:
                    found.append(outcome)
                    told = list(ledger.store.states(RUN).values())
            return found, told, ledger.store.states(RUN)

    found, told, states = run_virtual(main())
    assert sorted(outcome.status for outcome in found) == [ACCEPTED] + [NOT_SENT] * 5
    assert sorted(told) == ["ACCEPTED"] * (1 + resumed) + ["NOT_SENT"] * 4
    assert states["bad-1"] == states["bad-2"] == "NOT_SENT"
    for key in states:
        key.encode()


def test_a_list_of_wrong_numbers_alone_is_written_in_batches() -> None:
    """Not one after the other: a wrong column costs no hour."""
    many = few_or_many(1_000, 3_000)

    async def main() -> tuple[int, float, int]:
        ledger = FakeLedger(latency=0.05)
        async with in_process(vendor(), ledger=ledger) as client:
            began = loop_time()
            found = await all_of(client, (("12", f"text {place}") for place in range(many)))
            return len(found), loop_time() - began, len(ledger.store.rows)

    count, took, rows = run_virtual(main())
    assert (count, rows) == (many, many)
    assert took < many / 1_000


async def test_a_run_needs_a_ledger_and_a_name() -> None:
    """And what belongs to a run needs a run."""
    async with in_process(Simulator()) as client:
        with pytest.raises(InvalidRequest, match="needs a ledger"):
            client.submit_many([], run=RUN)
        with pytest.raises(InvalidRequest, match=r"Ledger\.open"):
            client.submit_many([], run=RUN, ledger="calls.db")  # type: ignore[arg-type]
        alone: list[dict[str, Any]] = [
            {"ledger": FakeLedger()}, {"takeover": True}, {"retry_rejected": True},
        ]  # fmt: skip
        for options in alone:
            with pytest.raises(InvalidRequest, match="need a run"):
                client.submit_many([], **options)
        names: list[Any] = ["", "a\nb", "k" * 201, 5]
        for name in names:
            with pytest.raises(InvalidRequest, match=r"^run ") as caught:
                client.submit_many([], run=name, ledger=FakeLedger())
            assert caught.value.field == "run"


def test_a_run_may_have_a_ledger_of_its_own() -> None:
    """In place of the client's, or where the client has none."""

    async def main() -> tuple[int, int]:
        own, clients = FakeLedger(), FakeLedger()
        async with in_process(vendor(), ledger=clients) as client:
            await all_of(client, messages(3), ledger=own)
        async with in_process(vendor()) as client:
            await all_of(client, messages(3), ledger=own)
        return len(own.store.rows), len(clients.store.rows)

    assert run_virtual(main()) == (3, 0)


def test_a_run_that_somebody_works_on_is_refused_when_it_is_entered() -> None:
    """And taken over on request: then the other one can't go on, and says so."""

    async def main() -> tuple[list[Outcome], list[Outcome], Counter[Any]]:
        store, simulator = Store(), vendor(latency=1.0)
        there, here = FakeLedger(store), FakeLedger(store)
        async with in_process(simulator, ledger=there) as theirs:
            async with in_process(simulator, ledger=here) as ours:
                async with theirs.submit_many(messages(200), run=RUN, concurrency=5) as first:
                    found = [await anext(first)]
                    with pytest.raises(RunInUse, match=RUN):
                        await all_of(ours, messages(200))
                    second = await all_of(ours, messages(200), takeover=True)
                    found += [outcome async for outcome in first]
        return found, second, simulator.rung()

    first, second, rung = run_virtual(main())
    assert len(first) == len(second) == 200
    stopped = [outcome for outcome in first if isinstance(outcome.error, RunStopped)]
    assert len(stopped) > 150
    assert all("taken the run over" in str(outcome.error) for outcome in stopped)
    assert set(rung.values()) == {1}


@pytest.mark.parametrize("leaving", ["whole", "early", "by an exception", "cancelled", "drained"])
def test_the_run_is_free_however_it_is_left(leaving: str) -> None:
    """The next one may have it at once."""

    async def use(client: VoiceClient) -> None:
        async with client.submit_many(messages(50), run=RUN, concurrency=5) as run:
            if leaving == "whole":
                assert len([outcome async for outcome in run]) == 50
            await asyncio.sleep(1.0)
            if leaving == "drained":
                await run.drain()
            if leaving == "by an exception":
                raise LookupError
            if leaving == "cancelled":
                await asyncio.sleep(1e9)

    async def main() -> tuple[dict[Any, Any], list[str]]:
        ledger = FakeLedger(latency=0.01)
        async with in_process(vendor(latency=0.3), ledger=ledger) as client:
            task = asyncio.create_task(use(client))
            await asyncio.sleep(2.0)
            task.cancel()
            await asyncio.wait({task})
            owners = dict(ledger.store.owners)
            assert not others()
        return owners, list(ledger.store.states(RUN).values())

    owners, states = run_virtual(main())
    assert not owners
    assert "INTENT" not in states


@pytest.mark.parametrize(
    ("manner", "why"),
    [
        ("raises", "ConnectionError: no database to leave"),
        ("raises no Exception", "NoException: leave"),
        ("is cancelled", "CancelledError"),
        ("hangs", "CancelledError"),
    ],
)
def test_a_run_that_cannot_be_released_loses_no_outcome(
    manner: Manner, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its outcomes are told; the log tells of the rest."""

    async def main() -> int:
        ledger = FakeLedger(method="leave", manner=manner)
        async with in_process(vendor(), ledger=ledger) as client:
            return len(await all_of(client, messages(5)))

    assert run_virtual(main()) == 5
    told = [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]
    assert told == [f"a run was not released ({why})"]


@pytest.mark.parametrize(
    ("manner", "why"),
    [
        ("raises", "ConnectionError: no database to enter"),
        ("raises no Exception", "RuntimeError: it was ended by NoException"),
        ("is cancelled", "RuntimeError: it was cancelled from inside"),
    ],
)
def test_a_run_that_cannot_be_opened_says_so_and_sends_nothing(manner: Manner, why: str) -> None:
    """LedgerUnavailable, when it is entered, with the reason in words."""

    async def main() -> tuple[str, int]:
        simulator, ledger = vendor(), FakeLedger(method="enter", manner=manner)
        async with in_process(simulator, ledger=ledger) as client:
            with pytest.raises(LedgerUnavailable) as caught:
                await all_of(client, messages(5))
        return str(caught.value), len(simulator.arrivals)

    assert run_virtual(main()) == (f"the run could not be opened ({why})", 0)


def test_a_caller_cancelled_while_the_run_is_opened_leaves_it_free() -> None:
    """Whether it was opened by then or not."""

    async def main(after: float) -> tuple[bool, dict[Any, Any]]:
        ledger = FakeLedger(method="enter", manner="is slow", latency=0.5)
        async with in_process(vendor(), ledger=ledger) as client:
            task = asyncio.create_task(all_of(client, messages(5)))
            await asyncio.sleep(after)
            task.cancel()
            await asyncio.wait({task})
        return task.cancelled(), ledger.store.owners

    for after in (0.0, 0.1, 0.5, 1.0, 2.5, 2.5001):
        assert run_virtual(main(after)) == (True, {})


def test_a_source_that_cannot_be_read_leaves_the_run_free() -> None:
    """What its `iter` raises is raised when the run is entered."""

    class Broken:
        def __iter__(self) -> Iterator[Message]:
            raise LookupError

    async def main() -> dict[Any, Any]:
        ledger = FakeLedger()
        async with in_process(vendor(), ledger=ledger) as client:
            with pytest.raises(LookupError):
                await all_of(client, Broken())
        return ledger.store.owners

    assert run_virtual(main()) == {}


def test_a_call_cut_off_in_flight_is_unknown_in_the_next_run_too() -> None:
    """It is not sent again."""

    async def main() -> tuple[list[Outcome], list[Outcome], int]:
        simulator, ledger = vendor(Fault("silence", times=1)), FakeLedger()
        async with in_process(simulator, ledger=ledger, retry=ONCE) as client:
            async with client.submit_many(messages(1), run=RUN, grace=0.0) as run:
                await simulator.arrived()
            first = await run.drain()
            second = await all_of(client, messages(1))
        return first, second, len(simulator.arrivals)

    (first,), (second,), requests = run_virtual(main())
    assert isinstance(first.error, OutcomeUnknown)
    assert isinstance(second.error, OutcomeUnknown)
    assert (first.replayed, second.replayed, requests) == (False, True, 1)
