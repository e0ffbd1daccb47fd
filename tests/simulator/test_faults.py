"""Faults on demand, in process and over a real socket."""

import asyncio
import random

import httpx
import pytest

from ihuyi_voice.simulator import Disconnected, Fault, FaultKind, PushFault, Simulator
from tests.support.virtual_time import loop_time, run_virtual

FORM = {
    "account": "VM00000000",
    "password": "simulator-key",
    "mobile": "13900000000",
    "content": "x",
}
URL = "http://vendor.test/webservice/voice.php"
SUBMIT = {"method": "Submit"}


async def submit(client: httpx.AsyncClient, url: str = URL, **fields: str) -> httpx.Response:
    """Make one submission."""
    return await client.post(url, params=SUBMIT, data={**FORM, **fields})


@pytest.mark.parametrize(
    ("fault", "status", "start", "acted"),
    [
        (Fault("status", status=503), 503, b"<html>", True),
        (Fault("truncated"), 200, b"<?xml", True),
        (Fault("unreadable"), 200, b"<html>", True),
        (Fault("empty"), 200, b"", True),
        (Fault("code", code=0), 200, b"<?xml", False),
        (Fault("latency", seconds=0.001), 200, b"<?xml", True),
    ],
)
@pytest.mark.parametrize("over", ["socket", "process"])
async def test_a_reply_goes_wrong_as_told(
    fault: Fault, status: int, start: bytes, *, acted: bool, over: str
) -> None:
    """And the arrival tells whether the vendor acted."""
    simulator = Simulator(limits=())
    simulator.add_fault(fault)
    reply = await _one(simulator, over)
    assert reply.status_code == status
    assert reply.content.startswith(start)
    assert (simulator.arrivals[-1].processed, simulator.arrivals[-1].fault) == (acted, fault.kind)
    assert ("</SubmitResult>" in reply.text) is (fault.kind in {"code", "latency"})


@pytest.mark.parametrize("kind", [FaultKind.DISCONNECT_BEFORE, FaultKind.DISCONNECT_AFTER])
async def test_a_connection_breaks_before_or_after_the_vendor_acts(kind: FaultKind) -> None:
    """A real reset over a socket, an exception in process."""
    for over, error in (("socket", httpx.TransportError), ("process", Disconnected)):
        simulator = Simulator()
        simulator.add_fault(Fault(kind))
        with pytest.raises(error):
            await _one(simulator, over)
        assert simulator.arrivals[0].processed is (kind is FaultKind.DISCONNECT_AFTER)
        assert (simulator.balance == 1_000_000) is (kind is FaultKind.DISCONNECT_BEFORE)


async def test_a_reply_of_success_by_a_fault_is_no_call() -> None:
    """The vendor didn't act: no phone rings, nothing is charged, reported or counted as done."""
    simulator = Simulator(push_to="http://ear.test/x")
    simulator.add_fault(Fault("code", code=2))
    assert "<code>2</code>" in (await _one(simulator, "process")).text
    assert not simulator.arrivals[0].processed
    assert simulator.arrivals[0].code is None
    assert not simulator.rung()
    assert simulator.codes == {None: 1}
    assert (simulator.balance, simulator.next_push) == (1_000_000, None)


async def test_silence_lasts_until_the_server_ends() -> None:
    """The vendor acted, and never answers."""
    simulator = Simulator()
    simulator.add_fault(Fault("silence"))
    async with httpx.AsyncClient() as client:
        async with simulator.serve() as url:
            waiting = asyncio.create_task(submit(client, url))
            await simulator.arrived()
            assert not waiting.done()
        with pytest.raises(httpx.TransportError):
            await waiting
    assert simulator.arrivals[0].processed


def test_a_fault_strikes_by_operation_number_share_nth_and_times() -> None:
    """All conditions must fit."""
    chance = random.Random(1)
    every_third = Fault("empty", operation="Submit", mobile="1", nth=3, times=2)
    struck = [every_third.strikes("Submit", "1", chance) for _ in range(12)]
    assert [place for place, hit in enumerate(struck, 1) if hit] == [3, 6]
    assert not every_third.strikes("GetNum", "1", chance)
    assert not every_third.strikes("Submit", "2", chance)
    assert (every_third.seen, every_third.hits) == (12, 2)
    share = Fault("empty", share=0.25)
    assert 180 < sum(share.strikes("Submit", "1", chance) for _ in range(1_000)) < 320


def test_latency_may_jitter() -> None:
    """On virtual time: never less than its seconds, never more than its jitter beside them."""

    async def main() -> list[float]:
        simulator = Simulator(limits=(), clock=loop_time)
        simulator.add_fault(Fault("latency", seconds=1.0, jitter=2.0))
        took: list[float] = []
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=simulator)) as client:
            for _ in range(50):
                started = loop_time()
                await submit(client)
                took.append(loop_time() - started)
        return took

    took = run_virtual(main())
    assert 1.0 <= min(took) < 1.5
    assert 2.5 < max(took) <= 3.0


async def test_clearing_the_faults_makes_everything_right_again() -> None:
    """And an unknown kind is refused."""
    simulator = Simulator(limits=())
    simulator.add_fault(Fault("empty"))
    assert not (await _one(simulator, "process")).content
    simulator.clear_faults()
    assert (await _one(simulator, "process")).content
    with pytest.raises(ValueError, match="nonsense"):
        Fault("nonsense")


async def test_only_the_last_arrivals_are_kept_if_told_so() -> None:
    """A million requests need no memory."""
    simulator = Simulator(limits=(), keep_arrivals=2)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=simulator)) as client:
        for place in range(5):
            await submit(client, content=str(place))
    assert [arrival.content for arrival in simulator.arrivals] == ["3", "4"]
    assert simulator.codes == {2: 5}


async def test_a_port_that_is_taken_is_an_error_at_once() -> None:
    """Not a server that never becomes ready."""
    async with Simulator().serve() as url:
        port = int(url.split(":")[2].split("/")[0])
        with pytest.raises(OSError, match="in use"):
            async with Simulator().serve(port=port):
                pass


async def _one(simulator: Simulator, over: str) -> httpx.Response:
    if over == "process":
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=simulator)) as client:
            return await submit(client)
    async with simulator.serve() as url, httpx.AsyncClient() as client:
        return await submit(client, url)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("nth", 0),
        ("times", -1),
        ("share", 1.1),
        ("share", float("nan")),
        ("seconds", -1.0),
        ("jitter", float("inf")),
        ("status", 99),
        ("status", 600),
    ],
)
def test_a_rule_that_can_not_be_is_refused_when_it_is_made(name: str, wrong: float) -> None:
    """Not at the first request, which it would fail with an error of Python's."""
    with pytest.raises(ValueError, match=rf"{name} is {wrong}"):
        Fault("status", **{name: wrong})  # type: ignore[arg-type]  # whichever it is
    fault = Fault("status")
    with pytest.raises(ValueError, match=f"{name} is"):
        setattr(fault, name, wrong)
    if name not in {"jitter", "status"}:
        with pytest.raises(ValueError, match=f"{name} is"):
            PushFault("late", **{name: wrong})  # type: ignore[arg-type]  # likewise
