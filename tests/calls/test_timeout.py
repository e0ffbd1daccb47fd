"""`submit(timeout=…)` bounds one call, and what it ends in is an outcome."""

import asyncio
import socket
from typing import Any

import httpx
import pytest

from ihuyi_voice import (
    InvalidRequest,
    Limits,
    MemoryGuard,
    NotSent,
    OutcomeStatus,
    OutcomeUnknown,
    RateLimited,
    RetryPolicy,
    SubmissionFailed,
    VoiceClient,
)
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.proxies import running
from tests.support.sockets import Reader, Writer, never, serving
from tests.support.vendor import CONTENT, MOBILE, in_process
from tests.support.virtual_time import loop_time, run_virtual


def outcome(*faults: Fault, timeout: float, **options: Any) -> tuple[object, float, int]:
    """Return how a submission ended, after how many seconds and arrivals."""

    async def main() -> tuple[object, float, int]:
        simulator = Simulator(clock=loop_time)
        for fault in faults:
            simulator.add_fault(fault)
        async with in_process(simulator, **options) as client:
            began = loop_time()
            (end,) = await asyncio.gather(
                client.submit(MOBILE, CONTENT, timeout=timeout, max_wait=100.0),
                return_exceptions=True,
            )
            return end, loop_time() - began, len(simulator.arrivals)

    return run_virtual(main())


def test_a_silent_vendor_leaves_it_unknown() -> None:
    """It had gone out; nothing is sent again."""
    end, took, arrived = outcome(Fault("silence"), timeout=3.0)
    assert isinstance(end, OutcomeUnknown)
    assert (took, arrived) == (3.0, 1)


def test_a_backoff_that_lasts_longer_ends_in_what_the_vendor_said() -> None:
    """Code 0 is a refusal, not a timeout."""
    policy = RetryPolicy(initial=10.0, jitter=0.0)
    end, took, arrived = outcome(Fault("code", code=0), timeout=3.0, retry=policy)
    assert isinstance(end, SubmissionFailed)
    assert (took, arrived) == (3.0, 1)


def test_limits_that_need_longer_are_told_at_once() -> None:
    """Nothing is waited for in vain, whatever `max_wait` allows."""

    async def main() -> tuple[RateLimited, float]:
        simulator = Simulator(clock=loop_time)
        guard = MemoryGuard(Limits(None, 1, None), clock=loop_time)
        async with in_process(simulator, guard=guard) as client:
            await client.submit(MOBILE, CONTENT)
            began = loop_time()
            with pytest.raises(RateLimited) as caught:
                await client.submit(MOBILE, CONTENT, max_wait=100.0, timeout=30.0)
            return caught.value, loop_time() - began

    error, took = run_virtual(main())
    assert (error.source, took) == ("guard", 0.0)


def test_a_call_that_never_went_out_says_so_in_words() -> None:
    """The guard is slow beforehand: nothing was sent, and it may be sent again."""

    class Slow(MemoryGuard):
        async def reserve(self, account: str, mobile: str) -> Any:
            await asyncio.sleep(4.0)
            return await super().reserve(account, mobile)

    end, took, arrived = outcome(timeout=3.0, guard=Slow())
    assert isinstance(end, NotSent)
    assert "within its timeout of 3 s: the guard did not answer" in str(end)
    assert (took, arrived) == (3.0, 0)


def test_one_that_waits_behind_another_call_to_its_number_is_held() -> None:
    """Nothing was sent, and `retry_at` says when it may be: a second after the other, at least."""

    async def main() -> tuple[RateLimited, float]:
        simulator = Simulator(clock=loop_time)
        simulator.add_fault(Fault("latency", seconds=10.0))
        async with in_process(simulator, clock=loop_time) as client:
            first = asyncio.create_task(client.submit(MOBILE, CONTENT))
            await simulator.arrived()
            with pytest.raises(RateLimited) as caught:
                await client.submit(MOBILE, CONTENT, max_wait=100.0, timeout=3.0)
            now = loop_time()
            await first
        assert len(simulator.arrivals) == 1
        return caught.value, now

    error, now = run_virtual(main())
    assert (error.status, error.code) == (OutcomeStatus.HELD, 4080)
    assert error.retry_at is not None
    assert error.retry_at.timestamp() == pytest.approx(now + 1.0)


def test_one_whose_next_try_is_not_due_yet_says_so() -> None:
    """Behind it stands how the last try ended."""
    policy = RetryPolicy(initial=10.0, jitter=0.0)

    async def main() -> NotSent:
        options = {"base_url": "http://127.0.0.1:9/voice.php", "retry": policy}
        async with VoiceClient("a", "key", **options) as client:  # type: ignore[arg-type]
            with pytest.raises(NotSent, match="its next try was not due yet") as caught:
                await client.submit(MOBILE, CONTENT, timeout=3.0)
        return caught.value

    assert isinstance(run_virtual(main()).__cause__, NotSent)


def test_in_time_it_changes_nothing() -> None:
    """And leaves no timer behind."""
    end, took, arrived = outcome(Fault("latency", seconds=2.0), timeout=3.0)
    assert not isinstance(end, BaseException)
    assert (took, arrived) == (2.0, 1)


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan"), "3", True])
def test_a_timeout_that_is_none_is_refused(timeout: Any) -> None:
    """By its name, before anything happens."""
    with pytest.raises(InvalidRequest, match="timeout"):
        end, _, _ = outcome(timeout=timeout)
        if isinstance(end, BaseException):
            raise end


def test_a_cancellation_from_outside_stays_one() -> None:
    """The timeout is only ours."""

    async def main() -> bool:
        simulator = Simulator(clock=loop_time)
        simulator.add_fault(Fault("silence"))
        async with in_process(simulator) as client:
            task = asyncio.create_task(client.submit(MOBILE, CONTENT, timeout=30.0))
            await simulator.arrived()
            task.cancel()
            await asyncio.wait({task})
            return task.cancelled()

    assert run_virtual(main())


@pytest.mark.parametrize("alarms", [4])
def test_alarms_are_sent_again_with_default_waits(alarms: int) -> None:
    """`resend_unknown=True` waits for the number's second by itself, with a max_wait of 0."""

    async def main() -> list[int]:
        simulator = Simulator(clock=loop_time)
        simulator.add_fault(Fault("empty", nth=1))
        policy = RetryPolicy(resend_unknown=True)
        attempts: list[int] = []
        for n in range(alarms):
            simulator.clear_faults()
            simulator.add_fault(Fault("empty", times=1))
            async with in_process(simulator, retry=policy) as client:
                attempts.append((await client.submit(f"1390000000{n}", CONTENT)).attempts)
        return attempts

    assert run_virtual(main()) == [2] * alarms


async def ended_waiting(base_url: str, **options: Any) -> str:
    """Return how a call ends whose timeout is shorter than that of its connection.

    Without the seconds that it took: a machine that is busy tells of more.
    """
    limits = httpx.Timeout(5.0, connect=0.3)  # closing waits so long for what still connects
    async with VoiceClient("a", "key", base_url=base_url, timeout=limits, **options) as client:
        with pytest.raises(NotSent) as caught:
            await client.submit(MOBILE, CONTENT, timeout=0.1)
    return str(caught.value).rpartition(" within ")[0]


@pytest.mark.slow
async def test_the_step_of_connecting_that_took_too_long_is_told() -> None:
    """As a connection's own timeout tells it: TLS, a proxy's answer to CONNECT, TLS behind it."""
    began = "it was not sent within its timeout of 0.1 s: "
    async with serving(never) as port:
        end = await ended_waiting(f"https://127.0.0.1:{port}/v.php")
        assert end == f"{began}connected to 127.0.0.1:{port}, but no TLS answer"
    for answer, told in (
        (b"", "connected to the proxy {}, but no answer to CONNECT"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "the proxy {} connected to 127.0.0.1:9, but no TLS answer"),
    ):
        async with running(answer) as proxy:
            place = f"127.0.0.1:{proxy.port}"
            end = await ended_waiting("https://127.0.0.1:9/v.php", proxy=f"http://{place}")
        assert end == f"{began}{told.format(place)}"


async def test_a_vendor_that_takes_no_connection_is_told() -> None:
    """As behind a firewall that swallows: TCP itself doesn't come."""
    with socket.socket() as full, socket.socket() as last:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        last.connect(full.getsockname())  # its backlog takes no other
        place = f"127.0.0.1:{full.getsockname()[1]}"
        end = await ended_waiting(f"http://{place}/v.php")
    assert end.endswith(f": no connection to {place}")


async def test_one_that_waits_for_a_connection_of_ours_says_so() -> None:
    """Then nothing is being connected for it."""
    arrived = asyncio.Event()

    async def take(reader: Reader, writer: Writer) -> None:
        arrived.set()
        await never(reader, writer)

    async with serving(take) as port:
        url = f"http://127.0.0.1:{port}/v.php"
        async with VoiceClient("a", "key", base_url=url, max_connections=1) as client:
            first = asyncio.create_task(client.submit(MOBILE, CONTENT))
            await arrived.wait()
            with pytest.raises(NotSent, match="it waited for one of our own connections"):
                await client.submit("13900000009", CONTENT, timeout=0.1)
            first.cancel()
            await asyncio.wait({first})
