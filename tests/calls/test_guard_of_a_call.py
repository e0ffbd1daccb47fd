"""A guard that is given for one call, in place of the client's, and a guard's other powers."""

import asyncio
from typing import Any

import pytest

from ihuyi_voice import InvalidRequest, MemoryGuard, NotSent, RateLimited, VoiceClient
from ihuyi_voice.calls.guarding import Guarding
from ihuyi_voice.calls.retries import RetryPolicy, check_retry
from ihuyi_voice.calls.waiting import PATIENCE
from ihuyi_voice.guards import Lease, Wait
from ihuyi_voice.models import Draft
from tests.support.guards import Misbehaving
from tests.support.journals import FakeLedger, Store
from tests.support.vendor import CONTENT, MOBILE, ONCE, in_process, vendor
from tests.support.virtual_time import loop_time, run_virtual


def test_what_is_no_guard_is_refused_for_a_call_as_well() -> None:
    """Before anything is sent."""

    async def main() -> int:
        simulator, wrong = vendor(), 5
        given: Any = wrong
        async with in_process(simulator) as client:
            with pytest.raises(InvalidRequest, match="must be a MemoryGuard") as caught:
                await client.submit(MOBILE, CONTENT, guard=given)
        assert caught.value.field == "guard"
        return len(simulator.arrivals)

    assert run_virtual(main()) == 0


def test_the_guard_that_is_given_is_the_one_that_is_asked() -> None:
    """And no other: neither the client's, nor none."""

    async def main() -> tuple[list[str], list[str]]:
        own, given = Misbehaving(), Misbehaving()
        async with in_process(vendor(), guard=own) as client:
            await client.submit(MOBILE, CONTENT, guard=given)
        return own.told, given.told

    assert run_virtual(main()) == ([], ["reserve", "commit"])


def test_a_call_with_a_guard_of_its_own_stands_behind_nobody_before_the_clients() -> None:
    """An alarm goes out at once, though an earlier call to its number waits until morning."""

    class Closed(MemoryGuard):
        async def reserve(self, account: str, mobile: str) -> Lease | Wait:
            return Wait(30_000.0)

    async def main() -> float:
        async with in_process(vendor(), guard=Closed()) as client:
            first = asyncio.create_task(client.submit(MOBILE, CONTENT, max_wait=40_000.0))
            await asyncio.sleep(1.0)
            began = loop_time()
            await client.submit(MOBILE, CONTENT, guard=MemoryGuard(clock=loop_time))
            took = loop_time() - began
            first.cancel()
            await asyncio.wait({first})
        return took

    assert run_virtual(main()) == 0.0


def test_the_guard_that_is_given_keeps_the_numbers_of_the_clients_account() -> None:
    """Or it would know nothing of what others call for that account."""

    async def main() -> str:
        simulator, given = vendor(), MemoryGuard(clock=loop_time)
        assert isinstance(await given.reserve(simulator.account, MOBILE), Lease)
        async with in_process(simulator) as client:
            with pytest.raises(RateLimited) as caught:
                await client.submit(MOBILE, CONTENT, guard=given)
        return caught.value.source

    assert run_virtual(main()) == "guard"


def test_the_guard_that_is_given_is_told_what_the_ledger_knows() -> None:
    """A fresh one would let a number ring that was called a moment ago."""

    async def main() -> Any:
        store, simulator = Store(), vendor()
        journal = FakeLedger(store).calls(simulator.account)
        await journal.intend(Draft("k", MOBILE, CONTENT))
        given = MemoryGuard(clock=loop_time)
        async with in_process(simulator, ledger=FakeLedger(store), guard=None) as client:
            with pytest.raises(Exception, match="4080"):
                await client.submit(MOBILE, CONTENT, guard=given)
        return given.statistics().numbers, len(simulator.arrivals)

    assert run_virtual(main()) == (1, 0)


async def _closed_during(guard: Misbehaving, client: VoiceClient) -> None:
    """Close a client while a guard that was given for a call is reserving."""
    call = asyncio.create_task(client.submit(MOBILE, CONTENT, guard=guard))
    await guard.begun.wait()
    call.cancel()
    await asyncio.wait({call})
    await client.aclose()


def test_closing_waits_for_the_guard_of_a_call_too() -> None:
    """What it reserves when nobody waits any more is released before all is closed."""

    async def main() -> list[str]:
        guard = Misbehaving("reserve", "is slow")
        async with in_process(vendor()) as client:
            await _closed_during(guard, client)
            return guard.settled

    assert run_virtual(main()) == ["release"]


class Forgetful:
    """A guard that says what it remembers, and can be told of nothing."""

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        """Lock nothing."""
        return Lease(account, mobile)

    async def commit(self, lease: Lease) -> None:
        """Forget."""

    release = commit

    async def block(self, lease: Lease, seconds: float) -> None:
        """Forget."""

    def remembers(self, account: str, mobile: str) -> bool:
        """Remember nobody."""
        return False


def test_a_guard_that_can_not_be_told_is_a_guard_all_the_same() -> None:
    """One of the two methods alone does nothing."""

    async def main() -> int:
        simulator = vendor()
        options = {"guard": Forgetful(), "ledger": FakeLedger()}
        async with in_process(simulator, **options) as client:
            await client.submit(MOBILE, CONTENT, key="k")
        return len(simulator.arrivals)

    assert run_virtual(main()) == 1


class Paced(MemoryGuard):
    """A guard with a rate."""

    def __init__(self, max_rate: Any) -> None:
        super().__init__()
        self.max_rate = max_rate


@pytest.mark.parametrize(
    ("own", "rate", "cap"),
    [
        (2.0, None, 2.0),
        (2, 5.0, 2),
        (0.5, None, 0.5),
        (5.0, 2.0, 2.0),
        (0, None, None),
        (0, 3.0, 3.0),
        (-1.0, 3.0, 3.0),
        (float("inf"), 3.0, 3.0),
        (float("nan"), 3.0, 3.0),
        ("fast", 3.0, 3.0),
        (None, 3.0, 3.0),
        (None, None, None),
    ],
)
def test_the_lower_of_two_rates_counts(own: Any, rate: float | None, cap: float | None) -> None:
    """A guard's own counts if it is one."""
    assert Guarding(Paced(own), "a").cap(rate) == cap
    assert Guarding(MemoryGuard(), "a").cap(rate) == rate


async def test_clients_of_one_guard_stand_in_one_line() -> None:
    """For each account its own; without a guard there is nobody to share one with."""
    guard = MemoryGuard()
    lines = Guarding(guard, "a").lines()
    assert Guarding(guard, "a").lines() is lines
    assert Guarding(guard, "b").lines() is not lines
    assert Guarding(MemoryGuard(), "a").lines() is not lines
    assert Guarding(None, "a").lines() is not Guarding(None, "a").lines()


@pytest.mark.parametrize(
    ("retry", "text"),
    [
        (3, "retry must be a RetryPolicy, not int: did you mean RetryPolicy(attempts=3)?"),
        ("often", "retry must be a RetryPolicy, not str"),
        (True, "retry must be a RetryPolicy, not bool"),
        (RetryPolicy, "retry must be a RetryPolicy, not type"),
    ],
)
def test_what_is_no_policy_is_said_in_words(retry: Any, text: str) -> None:
    """A number most likely means attempts."""
    with pytest.raises(InvalidRequest) as caught:
        check_retry(retry)
    assert (str(caught.value), caught.value.field) == (text, "retry")
    for right in (None, RetryPolicy()):
        check_retry(right)


def test_a_guard_that_hangs_says_how_long_it_was_waited_for() -> None:
    """In the error that the caller has."""

    async def main() -> str:
        guard = Misbehaving("reserve", "hangs")
        async with in_process(vendor(), guard=guard, retry=ONCE) as client:
            with pytest.raises(NotSent) as caught:
                await client.submit(MOBILE, CONTENT)
        return str(caught.value)

    text = f"TimeoutError: no answer within {PATIENCE:g} s"
    assert run_virtual(main()) == f"the guard could not be asked ({text})"
