"""Foreign code raises oddly: what can't be written, can't be changed, or is no Exception."""

import asyncio
import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from traceback import extract_stack
from typing import Any

import attrs
import httpx
import pytest

from ihuyi_voice import (
    LedgerUnavailable,
    Message,
    NotSent,
    Outcome,
    OutcomeStatus,
    OutcomeUnknown,
    RateLimited,
    Submission,
    VendorError,
    VoiceClient,
    VoiceError,
)
from ihuyi_voice.calls import Ending, Settled, Waited
from ihuyi_voice.errors import GuardUnavailable
from ihuyi_voice.events import Event
from ihuyi_voice.guards import Lease, MemoryGuard, Wait
from ihuyi_voice.models import Draft
from ihuyi_voice.simulator import Fault, FaultKind, Simulator
from tests.bulk.test_named_runs import RUN, messages
from tests.support.guards import Misbehaving, NoException
from tests.support.journals import Asked, FakeJournal, FakeLedger
from tests.support.vendor import BASE_URL, CONTENT, MOBILE, ONCE, in_process, vendor
from tests.support.virtual_time import loop_time, run_virtual


class Speechless(Exception):
    """Its own words fail, as by an attribute that was forgotten."""

    def __str__(self) -> str:
        raise AttributeError("nothing")


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    """Nothing can be assigned to it, a traceback neither."""

    why: str = "frozen"


class Wordless:
    """It can't be written."""

    def __repr__(self) -> str:
        raise ValueError("no repr")


ODD = pytest.mark.parametrize("kind", [Speechless, Frozen, NoException])


@attrs.define(eq=False)
class Unwritten(FakeLedger):
    """A ledger that can't write how a call ended."""

    kind: type[BaseException] = ValueError

    async def misbehave(self, method: Asked) -> bool:
        """Raise, if it is told how a call ended."""
        if method == "settle":
            raise self.kind
        return await FakeLedger.misbehave(self, method)


async def run_of(client: VoiceClient, count: int, *, run: str | None = None) -> list[Outcome]:
    """Return the outcomes of a run, whatever ends the program in its midst."""
    found: list[Outcome] = []
    bulk = client.submit_many(messages(count), run=run)
    try:
        async with bulk:
            async for outcome in bulk:
                found.append(outcome)  # noqa: PERF401 - it may end in the middle
    except SystemExit:
        pass
    return found + await bulk.drain()


def rung(simulator: Simulator) -> int:
    """Return how many phones rang."""
    return sum(simulator.rung().values())


@ODD
def test_an_end_that_cannot_be_written_changes_no_answer(kind: type[BaseException]) -> None:
    """In a call and in a run, whatever the ledger's error does when it is looked at."""

    async def main() -> None:
        simulator = vendor(limits=())
        async with in_process(simulator, ledger=Unwritten(kind=kind), retry=ONCE) as client:
            submission = await client.submit(MOBILE, CONTENT, key="k")
        assert (rung(simulator), bool(submission.voice_id)) == (1, True)
        async with in_process(simulator, ledger=Unwritten(kind=kind), retry=ONCE) as client:
            found = await run_of(client, 3, run=RUN)
        counts = Counter(outcome.status for outcome in found)
        assert counts[OutcomeStatus.ACCEPTED] == rung(simulator) - 1
        assert counts.total() == 3

    run_virtual(main())


class Breaking(httpx.AsyncBaseTransport):
    """A transport that fails once the vendor has the request."""

    def __init__(self, simulator: Simulator, kind: type[BaseException]) -> None:
        self._inner = httpx.ASGITransport(app=simulator)
        self._kind = kind

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Hand a request over, and fail."""
        await self._inner.handle_async_request(request)
        raise self._kind


@ODD
def test_a_transport_that_fails_oddly_leaves_it_unknown(kind: type[BaseException]) -> None:
    """No message of a run is lost."""

    async def main() -> None:
        simulator = vendor(limits=())
        http_client = httpx.AsyncClient(transport=Breaking(simulator, kind))
        given: dict[str, Any] = {"base_url": BASE_URL, "retry": ONCE, "guard": None}
        account = simulator.account, simulator.api_key
        async with VoiceClient(*account, http_client=http_client, **given) as client:
            with pytest.raises(OutcomeUnknown):
                await client.submit(MOBILE, CONTENT)
            found = await run_of(client, 5)
        counts = Counter(outcome.status for outcome in found)
        assert counts[OutcomeStatus.UNKNOWN] == rung(simulator) - 1
        assert counts.total() == 5

    run_virtual(main())


@ODD
def test_a_guard_that_fails_oddly_cannot_be_asked(kind: type[BaseException]) -> None:
    """Nothing is sent."""

    class Failing(MemoryGuard):
        async def reserve(self, account: str, mobile: str) -> Lease | Wait:
            raise kind

    async def main() -> None:
        simulator = vendor()
        async with in_process(simulator, guard=Failing(), retry=ONCE) as client:
            with pytest.raises(GuardUnavailable, match=kind.__name__):
                await client.submit(MOBILE, CONTENT)
        assert rung(simulator) == 0

    run_virtual(main())


@pytest.mark.parametrize("kind", [GeneratorExit, asyncio.CancelledError, NoException])
@pytest.mark.parametrize("code", [None, 4072, 4081])
def test_a_guard_that_never_suspends_takes_no_answer_away(
    kind: type[BaseException], code: int | None
) -> None:
    """Whatever it raises is its own: nobody cancels or closes what is awaited in no turn."""

    class Failing(MemoryGuard):
        never_suspends = True

        async def commit(self, lease: Lease) -> None:
            raise kind

        async def release(self, lease: Lease) -> None:
            raise kind

        async def block(self, lease: Lease, seconds: float) -> None:
            raise kind

    async def main() -> None:
        simulator = vendor(limits=())
        if code is not None:
            simulator.add_fault(Fault(FaultKind.CODE, code=code))
        status = OutcomeStatus.ACCEPTED if code is None else OutcomeStatus.REJECTED
        async with in_process(simulator, guard=Failing(), retry=ONCE) as client:
            call = client.submit("13911111111", CONTENT)
            found = await asyncio.gather(call, return_exceptions=True)
            bulk = await run_of(client, 3)
        assert isinstance(found[0], Submission if code is None else VendorError)
        assert [outcome.status for outcome in bulk] == [status] * 3

    run_virtual(main())


@pytest.mark.parametrize(
    "wait",
    [Wait(1.0, window="minute"), Wait(1.0, window=[]), Wait(9.0, reason=5), Wordless()],  # type: ignore[arg-type]  # that is the point
    ids=["text", "list", "number", "no words"],
)
def test_a_wait_that_is_none_cannot_be_understood(wait: Any) -> None:
    """The guard is of no use then, and says so."""

    class Lying(MemoryGuard):
        async def reserve(self, account: str, mobile: str) -> Any:
            return wait

    async def main() -> None:
        simulator = vendor()
        async with in_process(simulator, guard=Lying(), retry=ONCE) as client:
            if isinstance(wait, Wait):
                with pytest.raises(GuardUnavailable, match="the guard gave"):
                    await client.submit(MOBILE, CONTENT)
                found = await run_of(client, 3)
                assert {type(outcome.error) for outcome in found} == {GuardUnavailable}
            else:
                await client.submit(MOBILE, CONTENT)  # any object is a lease

    run_virtual(main())


class Odd(FakeJournal):
    """A journal whose answers can't be looked at."""

    given: Any = None

    async def look(self, drafts: Sequence[Any]) -> Any:
        """Give what is given."""
        return self.given() if self.ledger.method == "look" else await super().look(drafts)

    async def recall(self, mobiles: Sequence[str]) -> Any:
        """Give what is given."""
        return self.given()

    @property
    def has_recent(self) -> bool:
        """Raise, if that is asked for."""
        if self.ledger.method == "enter":
            raise NoException("has_recent")
        return self.ledger.method == "recall"


class Raising(dict[str, Any]):
    """Raises when it is asked."""

    def get(self, *_: object) -> Any:
        """Raise."""
        raise NoException("get")


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("look", lambda: [Wordless()]),
        ("look", Wordless),
        ("recall", Wordless),
        ("recall", Raising),
    ],
)
def test_a_ledger_that_answers_oddly_holds_nobody_up(
    method: Asked, given: Callable[[], Any]
) -> None:
    """A keyed call says that it could not be asked; it waited for ever."""

    class OddLedger(FakeLedger):
        def calls(self, account: str, *, retry_rejected: bool = False) -> FakeJournal:
            journal = Odd(self, account, "", retry_rejected)
            journal.given = given
            return journal

    async def main() -> None:
        simulator, guard = vendor(), MemoryGuard(clock=loop_time)
        async with in_process(simulator, ledger=OddLedger(method=method), guard=guard) as client:
            with pytest.raises(LedgerUnavailable):
                await client.submit(MOBILE, CONTENT, key="k")
        assert (rung(simulator), guard.statistics().in_flight) == (0, 0)

    run_virtual(main())


def test_whether_a_ledger_knows_calls_may_fail_oddly() -> None:
    """Then it is asked."""

    class OddLedger(FakeLedger):
        def calls(self, account: str, *, retry_rejected: bool = False) -> FakeJournal:
            journal = Odd(self, account, "", retry_rejected)
            journal.given = dict[str, Any]
            return journal

    async def main() -> Submission:
        async with in_process(vendor(), ledger=OddLedger(method="enter")) as client:
            return await client.submit(MOBILE, CONTENT, key="k")

    assert run_virtual(main()).voice_id


def is_asked_by(*names: str) -> bool:
    """Say whether one of these functions is what asks, at few removes, also as mutmut names it."""
    asking = [frame.name for frame in extract_stack(limit=12)]
    return any(each == name or f"{name}__mutmut" in each for each in asking for name in names)


@pytest.mark.parametrize("code", [4080, 405])
def test_a_clock_that_raises_no_exception_locks_no_number(code: int) -> None:
    """After a refusal, whose time nobody can tell: in a call and in a run."""

    def clock() -> float:
        if is_asked_by("after", "_ahead_of"):
            raise NoException("clock")
        return loop_time()

    async def main() -> None:
        simulator, guard = vendor(Fault(FaultKind.CODE, code=code)), MemoryGuard(clock=loop_time)
        ledger = FakeLedger()
        async with in_process(simulator, ledger=ledger, guard=guard, clock=clock) as client:
            with pytest.raises(VoiceError) as caught:
                await client.submit(MOBILE, CONTENT, key="k", max_wait=0)
            await run_of(client, 3, run=RUN)
        assert caught.value.status is OutcomeStatus.REJECTED
        assert not isinstance(caught.value, RateLimited) or caught.value.retry_at is None
        assert guard.statistics().in_flight == 0
        assert "INTENT" not in [*ledger.store.states().values(), *ledger.store.states(RUN).values()]

    run_virtual(main())


@pytest.mark.parametrize("given", [ValueError("moved"), NoException("moved"), "soon"])
def test_a_clock_that_cannot_be_read_any_more_is_where_it_was(given: object) -> None:
    """The answer is told nevertheless, and nothing hangs."""

    class Moving:
        def __call__(self) -> float:
            return loop_time()

        def moved(self) -> Any:
            if not is_asked_by("timing"):
                return 0.0
            if isinstance(given, BaseException):
                raise given
            return given

    async def main() -> None:
        simulator, ledger = vendor(limits=()), FakeLedger()
        async with in_process(simulator, ledger=ledger, clock=Moving()) as client:
            await client.submit(MOBILE, CONTENT, key="k")
            found = await run_of(client, 3, run=RUN)
        assert {outcome.status for outcome in found} == {OutcomeStatus.ACCEPTED}
        assert rung(simulator) == 4

    run_virtual(main())


@pytest.fixture
def httpx_logs() -> Iterator[list[BaseException]]:
    """Have httpx's own log lines handled by what raises what is put into this list."""
    raised: list[BaseException] = []

    class Raises(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if raised:
                raise raised[0]

    log, handler = logging.getLogger("httpx"), Raises()
    before, propagates = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    yield raised
    log.removeHandler(handler)
    log.setLevel(before)
    log.propagate = propagates


@pytest.mark.parametrize("kind", [ValueError, NoException, asyncio.CancelledError])
def test_a_handler_of_httpxs_log_that_raises_changes_no_answer(
    httpx_logs: list[BaseException], kind: type[BaseException]
) -> None:
    """It made UNKNOWN of every accepted call."""
    httpx_logs.append(kind())

    async def main() -> None:
        simulator = vendor(limits=())
        async with in_process(simulator) as client:
            await client.submit(MOBILE, CONTENT)
            found = await run_of(client, 3)
        assert {outcome.status for outcome in found} == {OutcomeStatus.ACCEPTED}

    run_virtual(main())


def test_an_answer_that_was_read_is_kept_when_a_hook_ends_the_program() -> None:
    """The ledger knows it, and the number counts it."""

    async def end(_: httpx.Response) -> None:
        raise SystemExit

    async def main() -> Mapping[str, str]:
        simulator, ledger, guard = vendor(), FakeLedger(), MemoryGuard(clock=loop_time)
        client = in_process(simulator, ledger=ledger, guard=guard)
        client.http_client.event_hooks["response"].append(end)
        with pytest.raises(SystemExit):
            await client.submit(MOBILE, CONTENT, key="k")
        with pytest.raises(RateLimited):
            await client.submit(MOBILE, CONTENT, key="another", max_wait=0)
        return ledger.store.states()

    assert run_virtual(main())["k"] == "ACCEPTED"


def test_a_refusal_that_was_read_is_kept_too() -> None:
    """It is REJECTED in the ledger, not UNKNOWN."""

    async def end(_: httpx.Response) -> None:
        raise SystemExit

    async def main() -> Mapping[str, str]:
        ledger = FakeLedger()
        client = in_process(vendor(Fault(FaultKind.CODE, code=4072)), ledger=ledger)
        client.http_client.event_hooks["response"].append(end)
        with pytest.raises(SystemExit):
            await client.submit(MOBILE, CONTENT, key="k")
        return ledger.store.states()

    assert run_virtual(main()) == {"k": "REJECTED"}


def test_a_hook_that_ends_the_program_between_intent_and_attempt_leaves_neither() -> None:
    """Intent and lease are taken back, for nothing was sent."""

    def leave(event: Event) -> None:
        if isinstance(event, Waited):
            raise SystemExit

    async def main() -> None:
        simulator, ledger, guard = vendor(), FakeLedger(latency=0.1), MemoryGuard(clock=loop_time)
        client = in_process(simulator, ledger=ledger, guard=guard, on_event=leave)
        with pytest.raises(SystemExit):
            await client.submit(MOBILE, CONTENT, key="k")
        (row,) = ledger.store.rows.values()
        assert isinstance(row.end, NotSent)
        assert str(row.end) == "the call was cut off before it was sent (SystemExit)"
        assert (guard.statistics().in_flight, rung(simulator)) == (0, 0)

    run_virtual(main())


def test_a_journal_that_ends_the_program_after_the_answer_keeps_no_number_locked() -> None:
    """The guard is told of the call all the same."""

    class EndingJournal(FakeJournal):
        async def settle(self, draft: Draft, end: Ending) -> None:
            raise SystemExit

    class EndingLedger(FakeLedger):
        def calls(self, account: str, *, retry_rejected: bool = False) -> FakeJournal:
            return EndingJournal(self, account, "", retry_rejected)

    async def main() -> None:
        guard = Misbehaving()
        with pytest.raises(SystemExit):
            async with in_process(vendor(), ledger=EndingLedger(), guard=guard) as client:
                await client.submit(MOBILE, CONTENT, key="k")
        assert (guard.settled, guard.in_flight) == (["commit"], 0)

    run_virtual(main())


@pytest.mark.parametrize("run", [None, RUN])
def test_a_run_that_stops_tells_of_all_that_it_had_deferred(run: str | None) -> None:
    """Though a hook ends the program at the first of them."""
    listed = [Message(MOBILE, f"您的验证码是：{place}。") for place in range(20)]
    left: list[Event] = []

    def leave(event: Event) -> None:
        if isinstance(event, Settled) and event.status is OutcomeStatus.NOT_SENT and not left:
            left.append(event)
            raise SystemExit

    found: list[Outcome] = []

    async def main() -> None:
        simulator = vendor(Fault(FaultKind.CODE, code=405, nth=2), limits=(), latency=0.05)
        client = in_process(simulator, retry=ONCE, on_event=leave, ledger=FakeLedger())
        bulk = client.submit_many(listed, run=run, max_wait=1_000)
        try:
            async with bulk:
                async for outcome in bulk:
                    found.append(outcome)  # noqa: PERF401 - it ends in the middle
        finally:
            found.extend(await bulk.drain())

    with pytest.raises(SystemExit):
        run_virtual(main())
    assert len({outcome.message.content for outcome in found}) == len(found) == 20


def test_calls_whose_hooks_close_the_client_wait_for_nobody() -> None:
    """Two waited for each other, until a timeout."""

    async def main() -> float:
        client = in_process(vendor(latency=0.05))

        async def close(_: httpx.Response) -> None:
            await client.aclose()

        client.http_client.event_hooks["response"].append(close)
        began = loop_time()
        calls = (client.submit(each.mobile, each.content) for each in messages(5))
        assert all(await asyncio.gather(*calls))
        return loop_time() - began

    assert run_virtual(main()) < 1.0
