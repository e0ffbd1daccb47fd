"""Single submissions under the guard, on virtual time."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from ihuyi_voice import (
    GuardUnavailable,
    InvalidMobile,
    Limits,
    MemoryGuard,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    VoiceClient,
)
from ihuyi_voice.guards import Lease, Wait
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.guards import Misbehaving
from tests.support.vendor import CONTENT, MOBILE, ONCE, answering, in_process
from tests.support.virtual_time import loop_time, run_virtual


def vendor(latency: float = 0.0) -> Simulator:
    """Return a simulator on virtual time."""
    return Simulator(clock=loop_time, latency=latency)


def test_a_second_call_within_the_second_is_held_back_before_it_costs_anything() -> None:
    """RateLimited by the guard, with the time at which it may be made."""

    async def main() -> None:
        simulator = vendor()
        async with in_process(simulator, clock=lambda: 1.8e9) as client:
            await client.submit(MOBILE, CONTENT)
            with pytest.raises(RateLimited) as caught:
                await client.submit(MOBILE, CONTENT)
            assert (caught.value.source, caught.value.code, caught.value.attempts) == (
                "guard", 4080, 0,
            )  # fmt: skip
            assert caught.value.retry_at == datetime.fromtimestamp(1.8e9 + 1.0, UTC)
        assert len(simulator.arrivals) == 1

    run_virtual(main())


def test_the_guard_names_the_code_that_the_vendor_would_have_given() -> None:
    """By the window that holds the number back: here three calls a minute."""

    async def main() -> None:
        async with in_process(vendor()) as client:
            for _ in range(3):
                await client.submit(MOBILE, CONTENT, max_wait=2.0)
            with pytest.raises(RateLimited) as caught:
                await client.submit(MOBILE, CONTENT, max_wait=2.0)
            assert (caught.value.code, caught.value.source) == (4081, "guard")

    run_virtual(main())


def test_max_wait_lets_it_wait_for_its_turn() -> None:
    """A second, measured from the reply."""

    async def main() -> None:
        simulator = vendor(latency=0.5)
        async with in_process(simulator) as client:
            await client.submit(MOBILE, CONTENT)
            replied = loop_time()
            await client.submit(MOBILE, CONTENT, max_wait=1.0)
            assert loop_time() - replied == pytest.approx(1.5)
        assert set(simulator.codes) == {2}

    run_virtual(main())


def test_two_at_once_to_one_number_go_one_after_the_other() -> None:
    """The second waits until the first has its reply, and then for the window."""

    async def main() -> None:
        simulator = vendor(latency=0.5)
        async with in_process(simulator) as client:
            calls = (client.submit(MOBILE, CONTENT, max_wait=5.0) for _ in range(3))
            await asyncio.gather(*calls)
        assert set(simulator.codes) == {2}

    run_virtual(main())


def test_a_call_in_flight_holds_the_number_no_longer_than_max_wait() -> None:
    """Without a wait the second is refused at once, with one it is refused in time."""

    async def main() -> None:
        simulator = vendor(latency=100.0)
        async with in_process(simulator) as client:
            first = asyncio.create_task(client.submit(MOBILE, CONTENT))
            await asyncio.sleep(1.0)
            for max_wait in (0.0, 2.0):
                started = loop_time()
                with pytest.raises(RateLimited) as caught:
                    await client.submit(MOBILE, CONTENT, max_wait=max_wait)
                assert loop_time() - started == pytest.approx(max_wait)
                assert caught.value.retry_at is not None
            await first

    run_virtual(main())


def test_a_rejection_or_what_was_not_sent_doesnt_close_the_number() -> None:
    """Its phone didn't ring."""

    async def main() -> None:
        simulator = vendor()
        simulator.add_fault(Fault("code", code=406, times=5))
        guard = MemoryGuard(clock=loop_time)
        async with in_process(simulator, guard=guard) as client:
            for _ in range(5):
                with pytest.raises(InvalidMobile):
                    await client.submit(MOBILE, CONTENT)
            await client.submit(MOBILE, CONTENT)
        assert guard.statistics().in_flight == 0

    run_virtual(main())


def test_an_unknown_outcome_closes_the_number_as_an_acceptance_does() -> None:
    """The phone may be ringing."""

    async def main() -> None:
        simulator = vendor()
        simulator.add_fault(Fault("disconnect_after", times=1))
        async with in_process(simulator, retry=ONCE) as client:
            with pytest.raises(OutcomeUnknown):
                await client.submit(MOBILE, CONTENT)
            with pytest.raises(RateLimited):
                await client.submit(MOBILE, CONTENT)

    run_virtual(main())


def test_cancellation_in_flight_counts_as_unknown_and_goes_to_the_caller() -> None:
    """The caller gets its CancelledError, and the number is closed for its second."""

    async def main() -> None:
        simulator = vendor(latency=100.0)
        guard = MemoryGuard(clock=loop_time)
        async with in_process(simulator, guard=guard) as client:
            task = asyncio.create_task(client.submit(MOBILE, CONTENT))
            await asyncio.sleep(1.0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await guard.reserve(client.account, MOBILE) == Wait(1.0)

    run_virtual(main())


async def test_cancellation_before_the_first_byte_leaves_the_number_free() -> None:
    """While it waits for a connection of our own pool, nothing was sent."""
    simulator = Simulator()
    simulator.add_fault(Fault("silence"))
    guard = MemoryGuard()
    async with simulator.serve() as url:
        async with VoiceClient(
            simulator.account, simulator.api_key, base_url=url, guard=guard, max_connections=1
        ) as client:
            first = asyncio.create_task(client.submit(MOBILE, CONTENT))
            await simulator.arrived()
            second = asyncio.create_task(client.submit("13911111111", CONTENT))
            await asyncio.sleep(0)
            for task in (second, first):
                task.cancel()
                await asyncio.wait({task})
            assert not isinstance(await guard.reserve(client.account, "13911111111"), Wait)
            assert isinstance(await guard.reserve(client.account, MOBILE), Wait)


def test_without_a_guard_the_vendor_alone_keeps_the_limits() -> None:
    """guard=None is an explicit choice."""

    async def main() -> None:
        simulator = vendor()
        async with in_process(simulator, guard=None, retry=ONCE) as client:
            await client.submit(MOBILE, CONTENT)
            with pytest.raises(RateLimited) as caught:
                await client.submit(MOBILE, CONTENT)
            assert caught.value.source == "vendor"

    run_virtual(main())


def test_clients_may_share_a_guard() -> None:
    """What one called the other knows."""

    async def main() -> None:
        simulator = vendor()
        guard = MemoryGuard(Limits(), clock=loop_time)
        async with in_process(simulator, guard=guard) as one:
            async with in_process(simulator, guard=guard) as other:
                await one.submit(MOBILE, CONTENT)
                with pytest.raises(RateLimited):
                    await other.submit(MOBILE, CONTENT)

    run_virtual(main())


def test_an_unreachable_vendor_doesnt_lock_the_number() -> None:
    """Not sent, and free again."""

    async def main() -> None:
        guard = MemoryGuard(clock=loop_time)

        def refuse(_: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused")

        async with answering(refuse, guard=guard) as client:
            with pytest.raises(NotSent):
                await client.submit(MOBILE, CONTENT)
        assert guard.statistics().in_flight == guard.statistics().numbers == 0

    run_virtual(main())


class Shared(MemoryGuard):
    """A guard whose account has one turn a second, and any number is free."""

    max_rate = 1.0

    def __init__(self) -> None:
        super().__init__(Limits(None, None, None))
        self.turn_at = 0.0
        self.asked = 0

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        """Give out turns."""
        self.asked += 1
        if loop_time() < self.turn_at:
            return Wait(self.turn_at - loop_time(), whole_account=True)
        self.turn_at = loop_time() + 1.0
        return await super().reserve(account, mobile)


def test_a_call_that_waits_for_the_accounts_turn_is_told_the_accounts_code() -> None:
    """4010, and what its number is told is nothing: whoever wants that may go sooner elsewhere."""

    async def main() -> None:
        async with in_process(vendor(), guard=Shared()) as client:
            await client.submit(MOBILE, CONTENT)
            with pytest.raises(RateLimited) as caught:
                await client.submit(MOBILE, CONTENT)
            assert (caught.value.code, caught.value.source) == (4010, "guard")
            started = loop_time()
            await client.submit(MOBILE, CONTENT, max_wait=5.0)
            assert loop_time() - started == pytest.approx(1.0)

    run_virtual(main())


def test_a_run_keeps_to_the_guards_rate_and_neither_asks_nor_reads_on_in_vain() -> None:
    """Beside another run on the same account: all is sent, with a few questions for each."""
    read: list[int] = []
    started = 0.0

    def messages(start: int) -> Iterator[tuple[str, str]]:
        for number in range(start, start + 200):
            read.append(number)
            yield f"139{number:08d}", CONTENT

    async def one(client: VoiceClient, start: int) -> int:
        sent = 0
        async with client.submit_many(messages(start)) as run:
            async for outcome in run:
                assert outcome.error is None
                sent += 1
                assert len(read) <= loop_time() - started + 20  # no faster than the turns
        return sent

    async def main() -> None:
        nonlocal started
        guard, started = Shared(), loop_time()
        async with (
            in_process(vendor(), guard=guard) as first,
            in_process(vendor(), guard=guard) as second,
        ):
            assert sum(await asyncio.gather(one(first, 0), one(second, 1_000))) == 400
        assert loop_time() - started == pytest.approx(400.0, abs=10.0)
        assert guard.asked <= 4 * 400

    run_virtual(main())


class Telling(MemoryGuard):
    """Says by itself why it can't be asked."""

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        """Reserve nothing."""
        raise GuardUnavailable("Redis is full")


def test_a_guard_that_says_why_it_is_not_there_is_quoted_as_it_is() -> None:
    """Its words are not put into others."""

    async def main() -> None:
        async with in_process(vendor(), guard=Telling()) as client:
            with pytest.raises(GuardUnavailable, match=r"^Redis is full$"):
                await client.submit(MOBILE, CONTENT)

    run_virtual(main())


def test_a_guard_whose_waits_are_none_is_not_asked_without_end() -> None:
    """There is a moment between two questions, whatever it says, so that others have their turn."""

    class Hasty(Misbehaving):
        async def reserve(self, account: str, mobile: str) -> Lease | Wait:
            self.told.append("reserve")
            assert len(self.told) < 1_000
            return Wait(0.0)

    async def main() -> int:
        guard = Hasty()
        async with in_process(vendor(), guard=guard) as client:
            with pytest.raises(RateLimited):
                await client.submit(MOBILE, CONTENT, max_wait=0.05)
        return len(guard.told)

    assert run_virtual(main()) <= 52
