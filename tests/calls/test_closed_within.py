"""A client that is closed in what one of its own calls waits for: a guard, a ledger, a hook."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any, Literal, TypeAlias

import httpx
import pytest

from ihuyi_voice import MemoryGuard, Submission, VendorError, VoiceClient
from ihuyi_voice.calls import AttemptEnded, AttemptStarted, Settled, Submitted
from ihuyi_voice.calls.errands import Errands
from ihuyi_voice.calls.waiting import PATIENCE
from ihuyi_voice.common.closing import closing
from ihuyi_voice.events import Event
from ihuyi_voice.simulator import Fault, FaultKind, Simulator
from tests.bulk.support import others
from tests.bulk.test_named_runs import messages
from tests.support.awaiting import AwaitingGuard, AwaitingLedger, Then
from tests.support.journals import FakeLedger
from tests.support.vendor import BASE_URL, ONCE, in_process, vendor
from tests.support.virtual_time import loop_time, run_virtual

Place: TypeAlias = Literal[
    "request hook", "response hook", "transport", "reserve", "commit", "release", "block",
    "look", "intend", "settle",
]  # fmt: skip
PLACES: tuple[Place, ...] = Place.__args__  # type: ignore[attr-defined]  # of a Literal
BEFORE = {"reserve", "look", "intend"}
"""Where no request is in flight yet: a call whose client is closed there is not made."""
FIRST = {"look", "request hook"}
"""Where the first closes it before the others come by."""
REFUSED = {"release": 4072, "block": 4080}


class Transport(httpx.AsyncBaseTransport):
    """The same of a transport, once the vendor has the request."""

    def __init__(self, simulator: Simulator, then: Then) -> None:
        self._inner = httpx.ASGITransport(app=simulator)
        self._then = then

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Hand a request over, and await it."""
        response = await self._inner.handle_async_request(request)
        await self._then("transport")
        return response


def client_over(
    simulator: Simulator, guard: AwaitingGuard, ledger: FakeLedger, then: Then
) -> VoiceClient:
    """Return a client all of whose foreign parts await something of the caller's."""
    given: dict[str, Any] = {"guard": guard, "ledger": ledger, "retry": ONCE}
    http_client = httpx.AsyncClient(transport=Transport(simulator, then))
    for kind in ("request", "response"):
        http_client.event_hooks[kind].append(partial(_hook, then, f"{kind} hook"))
    account = simulator.account, simulator.api_key
    return VoiceClient(*account, base_url=BASE_URL, http_client=http_client, **given)


async def _hook(then: Then, place: str, _: object) -> None:
    await then(place)


@pytest.mark.parametrize("calls", [1, 3])
@pytest.mark.parametrize("place", PLACES)
def test_a_client_may_be_closed_wherever_its_calls_wait(place: Place, calls: int) -> None:
    """At once, by one call or by several that do so together; no number stays locked."""
    code = REFUSED.get(place)
    refusals = [] if code is None else [Fault(FaultKind.CODE, code=code, times=9)]
    closed: list[float] = []

    async def main() -> None:
        async def then(where: str) -> None:
            if where == place:
                began = loop_time()
                await client.aclose()
                closed.append(loop_time() - began)

        simulator = vendor(*refusals, limits=(), latency=0.1)
        guard, ledger = AwaitingGuard(then), AwaitingLedger(then=then)
        client = client_over(simulator, guard, ledger, then)
        began = loop_time()
        given = (client.submit(m.mobile, m.content, key=m.mobile) for m in messages(calls))
        ends = await asyncio.gather(*given, return_exceptions=True)
        assert loop_time() - began < 1.0
        assert len(closed) == (1 if place in FIRST else calls)
        await client.aclose()
        assert not others()

        accepted = [end for end in ends if isinstance(end, Submission)]
        refused = [end for end in ends if isinstance(end, VendorError if code else RuntimeError)]
        assert len(accepted) + len(refused) == calls
        assert bool(accepted) == (code is None and place not in BEFORE)
        assert not refused or code or place in BEFORE | FIRST
        assert guard.inside.statistics().in_flight == 0
        assert "INTENT" not in ledger.store.states().values()
        assert sum(simulator.rung().values()) == len(accepted)

    run_virtual(main())


@pytest.mark.parametrize("kind", [Submitted, AttemptStarted, AttemptEnded, Settled])
def test_a_client_that_an_event_has_closed_keeps_the_answer(kind: type[Event]) -> None:
    """By a task that nobody waits for."""
    tasks: list[asyncio.Task[None]] = []

    def hear(event: Event) -> None:
        if isinstance(event, kind) and not tasks:
            tasks.append(asyncio.get_running_loop().create_task(client_of[0].aclose()))

    client_of: list[VoiceClient] = []

    async def main() -> None:
        simulator, guard = vendor(limits=(), latency=0.1), MemoryGuard(clock=loop_time)
        ledger = FakeLedger(latency=0.01)
        client = in_process(simulator, guard=guard, ledger=ledger, on_event=hear, retry=ONCE)
        client_of.append(client)
        began = loop_time()
        (message,) = messages(1)
        with suppress(RuntimeError):  # it was closed before
            assert (await client.submit(message.mobile, message.content, key="k")).voice_id
        await tasks[0]
        assert loop_time() - began < 1.0
        assert guard.statistics().in_flight == 0
        rung = sum(simulator.rung().values())
        assert [*ledger.store.states().values()] in ([["ACCEPTED"]] if rung else [[], ["NOT_SENT"]])

    run_virtual(main())


def test_whoever_closes_a_client_waits_for_a_guard_that_does_so_too() -> None:
    """The guard is closed out of the number's commit, and the client no sooner than that ends."""

    async def main() -> None:
        async def then(where: str) -> None:
            if where == "commit":
                begun.set()
                await client.aclose()
                await asyncio.sleep(2.0)

        begun, guard, ledger = asyncio.Event(), AwaitingGuard(then), FakeLedger()
        client = client_over(vendor(), guard, ledger, then)
        (message,) = messages(1)
        call = asyncio.create_task(client.submit(message.mobile, message.content))
        await begun.wait()
        await client.aclose()
        assert guard.inside.statistics().in_flight == 0
        assert (await call).voice_id

    run_virtual(main())


def test_errands_that_wait_for_each_other_by_way_of_a_third_are_found() -> None:
    """The first closes what the second is in, the second what the third is in, and so around."""

    async def main() -> None:
        rooms = [Errands() for _ in range(3)]
        began, done = loop_time(), list[int]()

        async def close(place: int) -> None:
            await asyncio.sleep(0)  # until all have begun
            await rooms[(place + 1) % 3].aclose()
            done.append(place)

        await asyncio.gather(*(rooms[place].begin(close(place)) for place in range(3)))
        assert sorted(done) == [0, 1, 2]
        assert loop_time() - began < PATIENCE

    run_virtual(main())


async def test_who_closes_something_else_is_waited_for() -> None:
    """It waits for none of us, so that it ends."""
    room, other, freed = Errands(), Errands(), asyncio.Event()
    ended: list[str] = []

    async def errand() -> None:
        await other.aclose()
        ended.append("errand")

    other.begin(freed.wait())
    room.begin(errand())
    closer = asyncio.create_task(room.aclose())
    await asyncio.sleep(0)
    assert not closer.done()
    freed.set()
    await closer
    assert ended == ["errand"]


async def test_nothing_is_left_of_who_has_closed() -> None:
    """Also if it was cancelled."""
    room = Errands()
    room.begin(asyncio.sleep(1_000.0))
    task = asyncio.create_task(room.aclose())
    await asyncio.sleep(0)
    with closing() as one:
        assert one.others({task}) == {task}
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    with closing() as one:
        assert one.others(()) == set()
