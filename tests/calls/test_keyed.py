"""A keyed call rings once: replays, other keys, other processes, and what opens again."""

import asyncio
from typing import Any

import httpx
import pytest

from ihuyi_voice import (
    CallInFlight,
    GuardUnavailable,
    InvalidRequest,
    LedgerUnavailable,
    MemoryGuard,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    RetryPolicy,
    Submission,
    SubmissionFailed,
    TemplateMismatch,
    VoiceClient,
    VoiceError,
)
from ihuyi_voice.guards import Lease, Wait
from ihuyi_voice.models import Draft
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.guards import Misbehaving
from tests.support.journals import Asked, FakeLedger, Store
from tests.support.vendor import CONTENT, MOBILE, ONCE, in_process, vendor
from tests.support.virtual_time import loop_time, run_virtual

OTHER = "13900000001"
KEY = "order-9633-shipped"


async def ends(client: VoiceClient, times: int, **options: Any) -> list[Submission | VoiceError]:
    """Make the same keyed call so many times, one after the other."""
    found: list[Submission | VoiceError] = []
    for _ in range(times):
        try:
            found.append(await client.submit(MOBILE, CONTENT, key=KEY, **options))
        except VoiceError as error:
            found.append(error)
    return found


def test_each_later_call_returns_the_same_submission_without_a_request() -> None:
    """The ledger is asked first: neither the guard's limits nor the vendor are."""

    async def main() -> tuple[list[Any], int, list[str]]:
        ledger, simulator = FakeLedger(), vendor()
        async with in_process(simulator, ledger=ledger) as client:
            found = await ends(client, 5)
        return found, len(simulator.arrivals), ledger.told

    found, requests, told = run_virtual(main())
    assert isinstance(found[0], Submission)
    assert found == [found[0]] * 5
    assert requests == 1
    assert told == ["look", "intend", "settle", "look", "look", "look", "look"]


def test_a_replay_needs_no_connection() -> None:
    """The vendor may be gone by then."""

    async def main() -> list[Any]:
        store = Store()
        async with in_process(vendor(), ledger=FakeLedger(store)) as client:
            first = await ends(client, 1)
        account, gone = vendor().account, "http://127.0.0.1:9"
        ledger = FakeLedger(store)
        async with VoiceClient(account, "k", base_url=gone, ledger=ledger, retry=ONCE) as client:
            return first + await ends(client, 1)

    first, second = run_virtual(main())
    assert first == second


def test_a_refusal_that_asks_for_another_request_is_raised_again_without_one() -> None:
    """The same code and text, and it is sent again only with `retry_rejected`."""

    async def main() -> tuple[list[Any], int]:
        simulator = vendor(Fault("code", code=4072, times=1))
        async with in_process(simulator, ledger=FakeLedger()) as client:
            found = await ends(client, 2)
            requests = len(simulator.arrivals)
            return found + await ends(client, 2, retry_rejected=True), requests

    (first, second, third, fourth), requests = run_virtual(main())
    assert isinstance(first, TemplateMismatch)
    assert isinstance(second, TemplateMismatch)
    assert (first.code, first.msg) == (second.code, second.msg)
    assert requests == 1
    assert isinstance(third, Submission)
    assert third == fourth


@pytest.mark.parametrize("code", [4051, 4081, 0])
def test_a_refusal_that_may_pass_later_opens_the_key_again(code: int) -> None:
    """By STOP, WAIT or RETRY."""

    async def main() -> list[Any]:
        simulator = vendor(Fault("code", code=code, times=1))
        async with in_process(simulator, ledger=FakeLedger(), retry=ONCE, guard=None) as client:
            return await ends(client, 3)

    first, second, third = run_virtual(main())
    assert isinstance(first, VoiceError)
    assert isinstance(second, Submission)
    assert second == third


def test_what_was_surely_not_sent_opens_the_key_again() -> None:
    """Here the guard could not be asked at first."""

    class Moody(Misbehaving):
        async def reserve(self, account: str, mobile: str) -> Lease | Wait:
            if not self.told:
                await self._misbehave("reserve")
            return await self.inside.reserve(account, mobile)

    async def main() -> tuple[list[Any], list[str], dict[str, str]]:
        ledger = FakeLedger()
        guard = Moody("reserve", "raises")
        async with in_process(vendor(), ledger=ledger, guard=guard) as client:
            (first,) = await ends(client, 1)
            states = ledger.store.states()
            return [first, *await ends(client, 2)], ledger.told, states

    (first, second, third), told, states = run_virtual(main())
    assert isinstance(first, GuardUnavailable)
    assert states == {KEY: "NOT_SENT"}
    assert isinstance(second, Submission)
    assert second == third
    assert told == ["look", "settle", "look", "intend", "settle", "look"]


def test_a_held_call_is_written_as_held_and_may_be_made_later() -> None:
    """The key opens again with the number's window."""

    async def main() -> tuple[list[Any], dict[str, str]]:
        ledger, simulator = FakeLedger(), vendor()
        async with in_process(simulator, ledger=ledger) as client:
            await client.submit(MOBILE, CONTENT)
            (held,) = await ends(client, 1)
            states = ledger.store.states()
            return [held, *await ends(client, 2, max_wait=2.0)], states

    (held, second, third), states = run_virtual(main())
    assert isinstance(held, RateLimited)
    assert states == {KEY: "HELD"}
    assert isinstance(second, Submission)
    assert second == third


def test_an_unknown_call_is_not_sent_again() -> None:
    """Until somebody settles it."""

    async def main() -> tuple[list[Any], int]:
        simulator = vendor(Fault("empty", times=1))
        async with in_process(simulator, ledger=FakeLedger(), retry=ONCE, guard=None) as client:
            return await ends(client, 3), len(simulator.arrivals)

    found, requests = run_virtual(main())
    assert [type(end) for end in found if isinstance(end, OutcomeUnknown)] == [type(found[0])] * 3
    assert requests == 1


@pytest.mark.parametrize("mobile", [MOBILE, OTHER])
def test_another_message_under_a_used_key_is_refused_in_words(mobile: str) -> None:
    """Another number, or another content."""

    async def main() -> tuple[InvalidRequest, int]:
        simulator = vendor()
        async with in_process(simulator, ledger=FakeLedger()) as client:
            await ends(client, 1)
            with pytest.raises(InvalidRequest) as caught:
                await client.submit(mobile, CONTENT + (mobile == MOBILE) * "!", key=KEY)
        return caught.value, len(simulator.arrivals)

    error, requests = run_virtual(main())
    assert "another number or content" in str(error)
    assert (error.field, requests) == ("key", 1)


def test_another_message_under_a_key_in_flight_is_refused_at_once() -> None:
    """In this process nobody has to be asked."""

    async def main() -> float:
        simulator = vendor(Fault("latency", seconds=3.0))
        async with in_process(simulator, ledger=FakeLedger()) as client:
            first = asyncio.create_task(client.submit(MOBILE, CONTENT, key=KEY))
            await simulator.arrived()
            began = loop_time()
            with pytest.raises(InvalidRequest):
                await client.submit(OTHER, CONTENT, key=KEY, max_wait=10.0)
            took = loop_time() - began
            await first
        return took

    assert run_virtual(main()) == 0.0


@pytest.mark.parametrize("options", [{}, {"guard": None}])
@pytest.mark.parametrize(
    ("callers", "seconds", "later"), [(2, 3.0, 0.0), (50, 3.0, 0.0), (2, 0.01, 0.0), (5, 3.0, 0.3)]
)
def test_calls_of_one_key_at_a_time_ring_once_and_wake_at_once(
    callers: int, seconds: float, later: float, options: dict[str, Any]
) -> None:
    """All get the first one's answer in the moment in which it is known, whenever they came."""

    async def main() -> tuple[list[Submission], int, list[float]]:
        simulator = vendor(Fault("latency", seconds=seconds))
        woken: list[float] = []
        async with in_process(simulator, ledger=FakeLedger(), **options) as client:

            async def call(place: int) -> Submission:
                await asyncio.sleep(place * later)
                found = await client.submit(MOBILE, CONTENT, key=KEY, max_wait=10.0)
                woken.append(loop_time())
                return found

            found = await asyncio.gather(*(call(place) for place in range(callers)))
        return found, len(simulator.arrivals), woken

    found, requests, woken = run_virtual(main())
    assert found == [found[0]] * callers
    assert requests == 1
    assert len(set(woken)) == 1


@pytest.mark.parametrize("max_wait", [0.0, 0.5, 2.0])
def test_a_key_in_flight_is_waited_for_no_longer_than_max_wait(max_wait: float) -> None:
    """Then the caller is told so; nothing was sent by it."""

    async def main() -> tuple[CallInFlight, float, Submission]:
        simulator = vendor(Fault("latency", seconds=3.0))
        async with in_process(simulator, ledger=FakeLedger()) as client:
            first = asyncio.create_task(client.submit(MOBILE, CONTENT, key=KEY))
            await simulator.arrived()
            began = loop_time()
            with pytest.raises(CallInFlight) as caught:
                await client.submit(MOBILE, CONTENT, key=KEY, max_wait=max_wait)
            return caught.value, loop_time() - began, await first

    error, took, first = run_virtual(main())
    assert (took, error.attempts) == (max_wait, 0)
    assert str(error) == "a call with this key is in flight, and did not end within max_wait"
    assert isinstance(error, NotSent)
    assert first.voice_id


def test_a_timeout_while_a_key_is_in_flight_says_what_it_waited_for() -> None:
    """And not that the number was busy."""

    async def main() -> VoiceError:
        simulator = vendor(Fault("latency", seconds=3.0))
        async with in_process(simulator, ledger=FakeLedger()) as client:
            first = asyncio.create_task(client.submit(MOBILE, CONTENT, key=KEY))
            await simulator.arrived()
            with pytest.raises(VoiceError) as caught:
                await client.submit(MOBILE, CONTENT, key=KEY, max_wait=9.0, timeout=1.0)
            await first
        return caught.value

    assert isinstance(run_virtual(main()), CallInFlight)


@pytest.mark.parametrize("fault", [None, Fault("code", code=4072), Fault("empty")])
def test_a_call_of_another_process_is_waited_for_with_growing_pauses(fault: Fault | None) -> None:
    """Its end is this one's, and the ledger is not asked without end."""

    async def main() -> tuple[Any, Any, int, list[str]]:
        store, simulator = Store(), vendor(Fault("latency", seconds=5.0))
        if fault is not None:
            simulator.add_fault(fault)
        there, here = FakeLedger(store), FakeLedger(store)
        async with in_process(simulator, ledger=there, retry=ONCE) as theirs:
            async with in_process(simulator, ledger=here, retry=ONCE) as ours:
                first = asyncio.create_task(theirs.submit(MOBILE, CONTENT, key=KEY))
                await simulator.arrived()
                (end,) = await ends(ours, 1, max_wait=60.0)
                (theirs_end,) = await asyncio.gather(first, return_exceptions=True)
        return end, theirs_end, len(simulator.arrivals), here.told

    end, first, requests, told = run_virtual(main())
    assert type(end) is type(first)
    assert str(end) == str(first)
    assert requests == 1
    assert set(told) == {"look"}
    assert len(told) <= 16


def test_what_a_dead_process_left_in_flight_is_unknown() -> None:
    """It is not sent again."""

    async def main() -> tuple[list[Any], int]:
        store, simulator = Store(), vendor(Fault("silence", times=1))
        there = FakeLedger(store)
        async with in_process(simulator, ledger=there, retry=ONCE) as theirs:
            first = asyncio.create_task(theirs.submit(MOBILE, CONTENT, key=KEY))
            await simulator.arrived()
            there.alive = False
            async with in_process(simulator, ledger=FakeLedger(store)) as ours:
                found = await ends(ours, 2)
            first.cancel()
            await asyncio.wait({first})
        return found, len(simulator.arrivals)

    found, requests = run_virtual(main())
    assert [type(end) for end in found] == [OutcomeUnknown] * 2
    assert requests == 1


def test_two_processes_that_begin_in_one_moment_ring_once() -> None:
    """Both find nothing, one is granted the intent; the other gives its lease back, and waits."""

    async def main() -> tuple[list[Any], int, list[int]]:
        store, simulator = Store(), vendor(latency=1.0)
        guards = [MemoryGuard(clock=loop_time) for _ in range(3)]
        clients = [
            in_process(simulator, ledger=FakeLedger(store, latency=0.5), guard=guard)
            for guard in guards
        ]
        calls = (each.submit(MOBILE, CONTENT, key=KEY, max_wait=30.0) for each in clients)
        found = await asyncio.gather(*calls)
        for client in clients:
            await client.aclose()
        return found, len(simulator.arrivals), [each.statistics().in_flight for each in guards]

    found, requests, locked = run_virtual(main())
    assert found == [found[0]] * 3
    assert requests == 1
    assert locked == [0, 0, 0]


def test_who_waits_for_another_process_keeps_nobody_from_the_number() -> None:
    """It has left the number's line, and the guard is free."""

    class Late(FakeLedger):
        async def misbehave(self, method: Asked) -> bool:
            if self.told or method != "look":
                return await super().misbehave(method)
            self.told.append(method)  # the other process intends just after this look
            rows, self.store.rows = self.store.rows, {}
            asyncio.get_running_loop().call_soon(setattr, self.store, "rows", rows)
            return False

    store = Store()
    there = FakeLedger(store)

    async def main() -> Any:
        simulator, ours = vendor(), Late(store)
        await there.calls(simulator.account).intend(Draft(KEY, MOBILE, CONTENT))
        await asyncio.sleep(2.0)
        guard = MemoryGuard(clock=loop_time)
        async with in_process(simulator, ledger=ours, guard=guard) as client:
            waiting = asyncio.create_task(client.submit(MOBILE, CONTENT, key=KEY, max_wait=9.0))
            await asyncio.sleep(0.5)
            assert "intend" in ours.told
            async with in_process(simulator, guard=guard) as other:
                end = await other.submit(MOBILE, CONTENT)
            with pytest.raises(CallInFlight):
                await waiting
        return end

    assert isinstance(run_virtual(main()), Submission)


@pytest.mark.parametrize("max_wait", [0.0, 9.0])
def test_who_is_held_back_for_the_very_call_it_asks_for_is_told_of_that(max_wait: float) -> None:
    """Another process made it just after this one had looked, before the guard that they share."""

    class Early(FakeLedger):
        async def misbehave(self, method: Asked) -> bool:
            if not self.told:
                rows, self.store.rows = self.store.rows, {}
                asyncio.get_running_loop().call_soon(setattr, self.store, "rows", rows)
            return await super().misbehave(method)

    async def main() -> tuple[list[Any], int, float]:
        store, simulator, began = Store(), vendor(), loop_time()
        guard = MemoryGuard(clock=loop_time)
        async with in_process(simulator, ledger=FakeLedger(store), guard=guard) as there:
            found = await ends(there, 1)
        async with in_process(simulator, ledger=Early(store), guard=guard) as here:
            found += await ends(here, 1, max_wait=max_wait)
        return found, len(simulator.arrivals), loop_time() - began

    found, requests, took = run_virtual(main())
    assert isinstance(found[0], Submission)
    assert found == [found[0]] * 2
    assert requests == 1
    assert took == 0.0


def test_a_timeout_of_who_waits_for_a_key_leaves_the_call_in_flight_alone() -> None:
    """Its entry stays in flight: said to be not sent, it would ring again after a crash."""

    async def main() -> tuple[Any, dict[str, str], Any, list[str]]:
        ledger, simulator = FakeLedger(), vendor(latency=5.0)
        async with in_process(simulator, ledger=ledger) as client:
            first = asyncio.create_task(client.submit(MOBILE, CONTENT, key=KEY))
            await asyncio.sleep(1.0)
            (second,) = await ends(client, 1, max_wait=9.0, timeout=0.5)
            between = ledger.store.states()
            end = await first
        return second, between, end, ledger.told

    second, between, end, told = run_virtual(main())
    assert isinstance(second, CallInFlight)
    assert between == {KEY: "INTENT"}
    assert isinstance(end, Submission)
    assert told == ["look", "intend", "settle"]


def test_a_retry_settles_each_attempt_and_intends_the_next() -> None:
    """A process that dies between two attempts leaves nothing UNKNOWN."""
    policy = RetryPolicy(initial=5.0, jitter=0.0)

    async def main() -> tuple[list[str], dict[str, str], dict[str, str]]:
        ledger, simulator = FakeLedger(), vendor(Fault("code", code=0, times=1))
        async with in_process(simulator, ledger=ledger, retry=policy) as client:
            call = asyncio.create_task(client.submit(MOBILE, CONTENT, key=KEY))
            await simulator.arrived()
            await asyncio.sleep(1.0)
            between = ledger.store.states()
            await call
        return ledger.told, between, ledger.store.states()

    told, between, after = run_virtual(main())
    assert told == ["look", "intend", "settle", "intend", "settle"]
    assert between == {KEY: "REJECTED"}
    assert after == {KEY: "ACCEPTED"}


def test_an_attempt_that_was_not_sent_after_a_refusal_is_written_once_as_the_refusal() -> None:
    """It is what the caller is told, and nothing later says it better."""

    async def fail(_: httpx.Request) -> None:
        if simulator.arrivals:
            raise httpx.ConnectError("no connection")

    async def main() -> tuple[list[str], bool]:
        ledger, policy = FakeLedger(), RetryPolicy(attempts=2, jitter=0.0)
        async with in_process(simulator, ledger=ledger, retry=policy) as client:
            client.http_client.event_hooks["request"].append(fail)
            with pytest.raises(SubmissionFailed) as caught:
                await client.submit(MOBILE, CONTENT, key=KEY)
        (row,) = ledger.store.rows.values()
        return ledger.told, row.end is caught.value

    simulator = vendor(Fault("code", code=0, times=1))
    assert run_virtual(main()) == (["look", "intend", "settle", "intend", "settle"], True)


@pytest.mark.parametrize(
    "key", ["", "  ", "k" * 201, "a\nb", "a\x00b", "\ud800", 5, b"key", ("a",)]
)
def test_a_key_that_can_be_none_is_refused(key: Any) -> None:
    """Empty, too long, of another type, or with characters that nobody sees."""

    async def main() -> None:
        simulator = vendor()
        async with in_process(simulator, ledger=FakeLedger()) as client:
            with pytest.raises(InvalidRequest) as caught:
                await client.submit(MOBILE, CONTENT, key=key)
        assert caught.value.field == "key"
        assert not simulator.arrivals

    run_virtual(main())


@pytest.mark.parametrize(
    "key", ["k", "k" * 200, "订单 9633", " a b ", "订单\u30009633", "👩\u200d🔧"]
)
def test_a_key_may_be_any_text_that_people_write(key: str) -> None:
    """In any language, as it is."""

    async def main() -> dict[str, str]:
        ledger = FakeLedger()
        async with in_process(vendor(), ledger=ledger) as client:
            await client.submit(MOBILE, CONTENT, key=key)
        return ledger.store.states()

    assert run_virtual(main()) == {key: "ACCEPTED"}


def test_a_key_of_another_type_is_told_of_by_that_type() -> None:
    """An id that is a number is the usual one."""
    wrong: Any = 9633

    async def main() -> str:
        async with in_process(vendor(), ledger=FakeLedger()) as client:
            with pytest.raises(InvalidRequest) as caught:
                await client.submit(MOBILE, CONTENT, key=wrong)
        return str(caught.value)

    assert run_virtual(main()) == "key must be text, not of type int"


def test_a_key_is_its_accounts() -> None:
    """Another account may use it for another message, in the same moment and the same ledger."""

    async def main() -> list[int]:
        ledger = FakeLedger()
        simulators = [vendor(latency=1.0, account=name) for name in ("VM1", "VM2")]
        clients = [in_process(each, ledger=ledger, guard=None) for each in simulators]
        texts = [CONTENT, CONTENT + "再见"]
        calls = zip(clients, texts, strict=True)
        await asyncio.gather(*(each.submit(MOBILE, text, key=KEY) for each, text in calls))
        for client in clients:
            await client.aclose()
        return [len(each.arrivals) for each in simulators]

    assert run_virtual(main()) == [1, 1]


async def test_a_key_needs_a_ledger() -> None:
    """Without one nothing could keep the promise."""
    async with in_process(Simulator()) as client:
        with pytest.raises(InvalidRequest) as caught:
            await client.submit(MOBILE, CONTENT, key=KEY)
        assert caught.value.field == "key"
        assert str(caught.value) == "key needs a ledger: VoiceClient(ledger=…)"
        with pytest.raises(InvalidRequest) as caught:
            client.submit_many([], run="nightly")
        assert caught.value.field == "run"
        hint = "VoiceClient(ledger=…), or submit_many(…, ledger=…)"
        assert str(caught.value) == f"run needs a ledger: {hint}"
        with pytest.raises(InvalidRequest, match="needs a key"):
            await client.submit(MOBILE, CONTENT, retry_rejected=True)


async def test_a_key_and_resend_unknown_promise_opposites() -> None:
    """At most once, and at least once."""
    policy = RetryPolicy(resend_unknown=True)
    async with in_process(Simulator(), ledger=FakeLedger(), retry=policy) as client:
        with pytest.raises(InvalidRequest, match="resend_unknown"):
            await client.submit(MOBILE, CONTENT, key=KEY)
        with pytest.raises(InvalidRequest, match="resend_unknown"):
            client.submit_many([], run="nightly")


@pytest.mark.parametrize("ledger", ["calls.db", FakeLedger, object(), 5])
def test_what_is_no_ledger_is_refused_with_a_hint(ledger: Any) -> None:
    """A path is to be opened first."""
    with pytest.raises(InvalidRequest, match=r"Ledger\.open") as caught:
        VoiceClient("a", "k", ledger=ledger)
    assert caught.value.field == "ledger"


def test_a_call_without_a_key_is_in_no_ledger() -> None:
    """And works without one that answers."""

    async def main() -> tuple[str, dict[str, str]]:
        ledger = FakeLedger(method="recall")
        ledger.store.owners[("", "")] = ledger
        async with in_process(vendor(), ledger=ledger) as client:
            await ends(client, 1)
            submission = await client.submit(OTHER, CONTENT)
        return submission.voice_id, ledger.store.states()

    voice_id, states = run_virtual(main())
    assert voice_id
    assert states == {KEY: "ACCEPTED"}


def test_a_ledger_that_is_not_open_says_so_and_nothing_is_sent() -> None:
    """Whatever error it finds for that."""

    class Closed(FakeLedger):
        def calls(self, account: str, *, retry_rejected: bool = False) -> Any:
            raise RuntimeError("it is not open")

    async def main() -> None:
        simulator = vendor()
        async with in_process(simulator, ledger=Closed()) as client:
            with pytest.raises(LedgerUnavailable, match="it is not open"):
                await client.submit(MOBILE, CONTENT, key=KEY)
            assert (await client.submit(MOBILE, CONTENT)).voice_id
        assert len(simulator.arrivals) == 1

    run_virtual(main())
