"""A cancellation that a hook or a transport swallows, or whose cleanup hangs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Literal

import httpx
import pytest

from ihuyi_voice import (
    MemoryGuard,
    NotSent,
    OutcomeStatus,
    RetryPolicy,
    Submission,
    VendorError,
    VoiceClient,
    VoiceError,
)
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.journals import FakeLedger
from tests.support.vendor import BASE_URL, CONTENT, MOBILE, ONCE, in_process, vendor
from tests.support.virtual_time import VirtualLoop, loop_time, run_virtual

SLOW = 10.0
FOR_EVER = 1e6
CONNECTING: Final = "connection.connect_tcp.started"
STARTED: Final = "http11.send_request_headers.started"


async def swallow(_: object) -> None:
    """Take some time, whoever cancels."""
    end = loop_time() + SLOW
    while loop_time() < end:
        try:
            await asyncio.sleep(end - loop_time())
        except asyncio.CancelledError:
            continue


async def change(_: object) -> None:
    """Make a trouble of the network of a cancellation."""
    try:
        await asyncio.sleep(SLOW)
    except asyncio.CancelledError:
        raise httpx.ConnectError("cut short") from None


async def hang(_: object) -> None:
    """Hang, and once more in the cleanup: a connection that can't be closed, say."""
    try:
        await asyncio.sleep(FOR_EVER)
    finally:
        await asyncio.sleep(FOR_EVER)


class Deaf(httpx.AsyncBaseTransport):
    """A transport that does so before it takes the body."""

    tells: Literal["never", "late", "early"] = "never"
    """When it tells httpx's trace that it begins to write: after that, or before."""

    def __init__(self, simulator: Simulator, does: Callable[[object], Awaitable[None]]) -> None:
        self._to = httpx.ASGITransport(app=simulator)
        self._does = does

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, after a while."""
        if self.tells != "never":
            first = STARTED if self.tells == "early" else CONNECTING
            await request.extensions["trace"](first, {})
        await self._does(request)
        if self.tells == "late":
            await request.extensions["trace"](STARTED, {})
        return await self._to.handle_async_request(request)


def client_of(
    simulator: Simulator, place: str, does: Callable[[object], Awaitable[None]], **options: Any
) -> VoiceClient:
    """Return a client with such a neighbour."""
    if place != "hook":
        transport = Deaf(simulator, does)
        transport.tells = "late" if place == "telling transport" else "never"
        web = httpx.AsyncClient(transport=transport)
        return VoiceClient(
            simulator.account, simulator.api_key, base_url=BASE_URL, http_client=web, **options
        )
    client = in_process(simulator, **options)
    client.http_client.event_hooks["request"].append(does)
    return client


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("does", [swallow, change])
@pytest.mark.parametrize(
    ("method", "place"),
    [("POST", "hook"), ("POST", "transport"), ("GET", "hook"), ("GET", "telling transport")],
)
def test_a_call_whose_time_is_over_is_sent_no_more(
    method: str, place: str, does: Callable[[object], Awaitable[None]], attempts: int
) -> None:
    """It is NOT_SENT, as the vendor never sees it; its number and its key are free again."""

    async def main() -> None:
        simulator, ledger, began = vendor(), FakeLedger(), loop_time()
        policy = RetryPolicy(attempts=attempts, jitter=0.0)
        guard = MemoryGuard(clock=loop_time)
        options = {"ledger": ledger, "retry": policy, "method": method, "guard": guard}
        async with client_of(simulator, place, does, **options) as client:
            with pytest.raises(NotSent):
                await client.submit(MOBILE, CONTENT, key="k", timeout=1.0)
            assert loop_time() - began <= SLOW
            assert not simulator.arrivals
            assert ledger.store.states() == {"k": "NOT_SENT"}
            assert guard.statistics().in_flight == 0

    run_virtual(main())


@pytest.mark.parametrize("timeout", [None, 100.0])
@pytest.mark.parametrize("does", [swallow, change])
@pytest.mark.parametrize("place", ["hook", "transport"])
def test_a_callers_own_timeout_ends_it_all_the_same(
    place: str, does: Callable[[object], Awaitable[None]], timeout: float | None
) -> None:
    """Not after another attempt, nor with an answer that nobody wants any more."""

    async def main() -> None:
        simulator, began = vendor(), loop_time()
        async with client_of(simulator, place, does) as client:
            with pytest.raises(NotSent):
                async with asyncio.timeout(1.0):
                    await client.submit(MOBILE, CONTENT, timeout=timeout)
            assert loop_time() - began <= SLOW
            assert not simulator.arrivals

    run_virtual(main())


def test_what_has_begun_to_go_out_goes_on() -> None:
    """To say that it was not sent would be wrong."""

    async def main() -> Submission:
        simulator = vendor()
        transport = Deaf(simulator, swallow)
        transport.tells = "early"
        web = httpx.AsyncClient(transport=transport)
        async with VoiceClient(
            simulator.account, simulator.api_key, base_url=BASE_URL, http_client=web
        ) as client:
            return await client.submit(MOBILE, CONTENT, timeout=1.0)

    assert run_virtual(main()).voice_id


def test_a_template_is_not_added_either() -> None:
    """Nor is anything else sent whose caller is gone."""

    async def main() -> None:
        simulator = vendor()
        async with client_of(simulator, "hook", swallow) as client:
            with pytest.raises(NotSent):
                async with asyncio.timeout(1.0):
                    await client.add_template("您的验证码是：【变量】。")
            assert not simulator.arrivals

    run_virtual(main())


@pytest.mark.parametrize("code", [0, 4080])
def test_a_refusal_is_not_tried_again_for_somebody_who_is_gone(code: int) -> None:
    """A hook of the reply has swallowed that: what the vendor said is what it comes to."""

    async def main() -> None:
        simulator = vendor(Fault("code", code=code, times=1))
        async with in_process(simulator) as client:
            client.http_client.event_hooks["response"].append(swallow)
            with pytest.raises(VendorError) as caught:
                async with asyncio.timeout(1.0):
                    await client.submit(MOBILE, CONTENT, max_wait=60.0)
        assert caught.value.code == code
        assert len(simulator.arrivals) == 1

    run_virtual(main())


@pytest.mark.parametrize("place", ["hook", "clock"])
def test_a_program_that_stood_still_sends_nothing_whose_time_is_over(place: str) -> None:
    """Nobody had a turn to cancel it: a hook or a clock blocked the loop, or it was stopped."""

    def block(*_: object) -> float:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.jumping.now += SLOW
        return loop.time()

    async def main() -> None:
        simulator = vendor()
        options: dict[str, Any] = {"clock": block} if place == "clock" else {"on_event": block}
        async with in_process(simulator, retry=ONCE, **options) as client:
            with pytest.raises(NotSent, match="its time was over"):
                await client.submit(MOBILE, CONTENT, timeout=1.0)
        assert not simulator.arrivals

    run_virtual(main())


def test_a_call_in_somebodys_cleanup_is_sent() -> None:
    """What was cancelled before is no reason: an alarm at the end of a program, say."""

    async def main() -> None:
        simulator = vendor()

        async def program() -> None:
            try:
                await asyncio.sleep(SLOW)
            finally:
                await client.submit(MOBILE, CONTENT)

        async with in_process(simulator) as client:
            task = asyncio.create_task(program())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert [each.code for each in simulator.arrivals] == [2]

    run_virtual(main())


class Clinging(httpx.AsyncBaseTransport, httpx.AsyncByteStream):
    """A transport that hangs in one place, and in its cleanup there; its reply is its own stream.

    Attributes:
        arrived: The bodies that it took.
    """

    def __init__(self, place: str) -> None:
        self.arrived: list[bytes] = []
        self._place = place

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Take a body."""
        assert isinstance(request.stream, httpx.AsyncByteStream)
        self.arrived.append(b"".join([chunk async for chunk in request.stream]))
        await self._hang_in("transport")
        return httpx.Response(200, stream=self)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give a reply."""
        await self._hang_in("body")
        yield b"<SubmitResult></SubmitResult>"

    async def aclose(self) -> None:
        """Close the reply."""
        await self._hang_in("closing")

    async def _hang_in(self, place: str) -> None:
        if place == self._place:
            await hang(None)


@pytest.mark.parametrize("place", ["request", "transport", "body", "closing"])
def test_who_hangs_in_a_cleanup_holds_up_no_call(place: str) -> None:
    """It is cancelled there as well, a second later, and the call ends in what it has come to."""
    transport = Clinging(place)

    async def main() -> tuple[VoiceError, float]:
        guard = MemoryGuard(clock=loop_time)
        web = httpx.AsyncClient(transport=transport)
        async with VoiceClient("VM1", "key", http_client=web, guard=guard) as client:
            if place == "request":
                web.event_hooks["request"].append(hang)
            began = loop_time()
            with pytest.raises(VoiceError) as caught:
                await client.submit(MOBILE, CONTENT, timeout=3.0)
            assert guard.statistics().in_flight == 0
            return caught.value, loop_time() - began

    error, took = run_virtual(main())
    assert error.status is (OutcomeStatus.UNKNOWN if transport.arrived else OutcomeStatus.NOT_SENT)
    assert bool(transport.arrived) is (place != "request")
    assert took == 4.0


def test_a_reply_that_drips_and_can_not_be_closed_holds_up_no_run() -> None:
    """The time for a reply holds for its stream and what closes it, whoever hangs there."""

    async def main() -> tuple[list[OutcomeStatus], float]:
        web, began = httpx.AsyncClient(transport=Clinging("body")), loop_time()
        async with (
            VoiceClient("VM1", "key", http_client=web, timeout=10.0, guard=None) as client,
            client.submit_many([(MOBILE, CONTENT)]) as run,
        ):
            return [outcome.status async for outcome in run], loop_time() - began

    statuses, took = run_virtual(main())
    assert statuses == [OutcomeStatus.UNKNOWN]
    assert took < 60.0
