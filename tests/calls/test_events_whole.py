"""Nothing that an event begins stays open: what counts calls or attempts comes back to zero.

However calls end: by answers, by failures of vendor, guard and ledger, by cancellation, by errors
of the program, in runs that are left, and settled earlier by a ledger.
"""

import asyncio
import random
from collections import Counter
from contextlib import suppress
from typing import Any, get_args

import httpx
import pytest

from ihuyi_voice import OutcomeStatus, RetryPolicy, VoiceClient, VoiceError
from ihuyi_voice.calls import AttemptEnded, AttemptStarted, CutOff, Event, Settled, Submitted
from ihuyi_voice.simulator import Fault
from tests.support.guards import Manner as GuardManner
from tests.support.guards import Method as GuardMethod
from tests.support.guards import Misbehaving
from tests.support.journals import Asked, FakeLedger, Manner, Store
from tests.support.vendor import BASE_URL, CONTENT, FAST, MOBILE, in_process, vendor
from tests.support.virtual_time import run_virtual

FAULTS = [
    None,
    Fault("code", code=0, times=2),
    Fault("code", code=4072),
    Fault("code", code=4051),
    Fault("code", code=4081),
    Fault("disconnect_after"),
    Fault("empty"),
]


def assert_whole(events: list[Event], outcomes: int | None = None) -> None:
    """Check that each call has one end, told under its number, and each attempt as well."""
    begun = Counter(event.call for event in events if isinstance(event, Submitted))
    settled = Counter(event.call for event in events if isinstance(event, Settled))
    cut = Counter(event.call for event in events if isinstance(event, CutOff))
    ended = settled + cut
    assert {call: ended[call] for call in begun} == dict(begun)
    assert set(ended) <= {*begun, None}
    started = Counter(event.call for event in events if isinstance(event, AttemptStarted))
    over = Counter(event.call for event in events if isinstance(event, AttemptEnded))
    assert started == over
    if outcomes is not None:
        assert settled.total() == outcomes


async def calls(client: VoiceClient, rng: random.Random) -> None:
    """Make some calls, side by side, of which some are cancelled or time out."""
    tasks = [
        asyncio.create_task(
            client.submit(
                f"1390000000{n % 3}",
                CONTENT,
                max_wait=rng.choice([0.0, 3.0]),
                timeout=rng.choice([None, 0.5, 5.0]),
            )
        )
        for n in range(6)
    ]
    for task in tasks:
        await asyncio.sleep(rng.choice([0.0, 0.01, 0.3]))
        if rng.random() < 0.3:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fault", FAULTS)
def test_calls_end_once(fault: Fault | None, seed: int) -> None:
    """Whatever the vendor does, and whoever is cancelled."""

    async def main() -> list[Event]:
        events: list[Event] = []
        options: dict[str, Any] = {"retry": FAST, "timeout": 2.0, "on_event": events.append}
        async with in_process(vendor(fault), **options) as client:
            await calls(client, random.Random(seed))
        return events

    assert_whole(run_virtual(main()))


@pytest.mark.parametrize("manner", get_args(GuardManner))
@pytest.mark.parametrize("method", get_args(GuardMethod))
def test_calls_end_once_with_a_guard_that_breaks(method: GuardMethod, manner: GuardManner) -> None:
    """Before the call or after it."""

    async def main() -> list[Event]:
        events: list[Event] = []
        options: dict[str, Any] = {"guard": Misbehaving(method, manner), "on_event": events.append}
        async with in_process(vendor(Fault("code", code=4072, times=2)), **options) as client:
            await calls(client, random.Random(1))
        return events

    assert_whole(run_virtual(main()))


@pytest.mark.parametrize("manner", get_args(Manner))
@pytest.mark.parametrize("method", ["look", "recall", "intend", "settle"])
def test_keyed_calls_end_once_with_a_ledger_that_breaks(method: Asked, manner: Manner) -> None:
    """The second of one key is settled earlier, and has an event of its own."""

    async def main() -> list[Event]:
        events: list[Event] = []
        ledger = FakeLedger(method=method, manner=manner, after=1)
        async with in_process(vendor(), ledger=ledger, on_event=events.append) as client:
            for key in ["a", "a", "b"]:
                with suppress(VoiceError):
                    await client.submit(MOBILE, CONTENT, key=key, max_wait=3.0)
        return events

    events = run_virtual(main())
    assert_whole(events, outcomes=3)


def test_a_call_that_its_key_has_settled_ends_under_its_own_number() -> None:
    """Not under that of the earlier call."""

    async def main() -> list[Event]:
        events: list[Event] = []
        async with in_process(vendor(), ledger=FakeLedger(), on_event=events.append) as client:
            await asyncio.gather(
                *(client.submit(MOBILE, CONTENT, key="a", max_wait=5.0) for _ in "abc")
            )
        return events

    events = run_virtual(main())
    assert_whole(events, outcomes=3)
    replayed = [event.replayed for event in events if isinstance(event, Settled)]
    assert sorted(replayed) == [False, True, True]


def test_an_error_of_the_program_ends_its_call_as_well() -> None:
    """It is raised as what it is, and nobody else would tell of it."""

    def broken(request: httpx.Request) -> httpx.Response:
        raise LookupError("no route")

    async def main() -> list[Event]:
        events: list[Event] = []
        http_client = httpx.AsyncClient(transport=httpx.MockTransport(broken))
        options: dict[str, Any] = {"base_url": BASE_URL, "http_client": http_client}
        async with VoiceClient("a", "b", on_event=events.append, **options) as client:
            with pytest.raises(LookupError):
                await client.submit(MOBILE, CONTENT)
        return events

    events = run_virtual(main())
    assert_whole(events)
    end = events[-1]
    assert isinstance(end, CutOff)
    assert not end.in_flight
    assert isinstance(end.error, LookupError)


@pytest.mark.parametrize("run", [None, "nightly"])
@pytest.mark.parametrize("left", ["never", "at once", "after one", "without grace"])
@pytest.mark.parametrize("fault", FAULTS)
def test_each_message_of_a_run_ends_once(fault: Fault | None, left: str, run: str | None) -> None:
    """Read, deferred, in flight or refused when the run stops or is left."""

    async def main() -> tuple[list[Event], int]:
        events: list[Event] = []
        options: dict[str, Any] = {
            "retry": RetryPolicy(initial=0.1, attempts=2),
            "timeout": 30.0,
            "on_event": events.append,
            "ledger": None if run is None else FakeLedger(),
        }
        messages = [(f"139{n // 2:08d}", f"您的订单号是：{n}。") for n in range(30)]
        how: dict[str, Any] = {"run": run, "grace": 0.0 if left == "without grace" else 5.0}
        async with in_process(vendor(fault), **options) as client:
            async with client.submit_many(messages, max_wait=5.0, **how) as bulk:
                await asyncio.sleep(0.0 if left == "at once" else 0.5)
                async for _ in bulk:
                    if left == "after one":
                        break
                if left != "never":
                    await bulk.drain()
        return events, sum(bulk.summary.values())

    events, outcomes = run_virtual(main())
    assert_whole(events, outcomes)


def test_a_resumed_run_ends_each_call_under_its_number() -> None:
    """Also what was settled earlier, of which nothing is sent."""

    async def main() -> list[Event]:
        store = Store()
        for events in [list[Event](), second := list[Event]()]:
            options: dict[str, Any] = {"ledger": FakeLedger(store), "on_event": events.append}
            messages = [(f"139{n:08d}", CONTENT) for n in range(20)] + [("12", CONTENT)]
            async with in_process(vendor(), **options) as client:
                async with client.submit_many(messages, run="nightly") as run:
                    assert len([outcome async for outcome in run]) == 21
        return second

    events = run_virtual(main())
    assert_whole(events, outcomes=21)
    replayed = Counter(event.status for event in events if isinstance(event, Settled))
    assert replayed[OutcomeStatus.ACCEPTED] == 20
