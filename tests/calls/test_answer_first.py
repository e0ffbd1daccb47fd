"""The vendor's answer wins over everything that breaks after it; a test for each neighbour."""

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, get_args

import pytest

from ihuyi_voice import (
    GuardUnavailable,
    NotSent,
    Outcome,
    OutcomeStatus,
    OutcomeUnknown,
    RateLimited,
    RetryEvent,
    RetryPolicy,
    SubmissionFailed,
    VoiceError,
)
from ihuyi_voice.calls.waiting import PATIENCE
from ihuyi_voice.guards import MemoryGuard, Wait
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.guards import Manner, Method, Misbehaving, NoException
from tests.support.vendor import CONTENT, MOBILE, ONCE, in_process, vendor
from tests.support.virtual_time import loop_time, run_virtual

MANNERS = get_args(Manner)
# What the vendor says, and what the guard is told then.
ENDS: list[tuple[Fault | None, Method, OutcomeStatus]] = [
    (None, "commit", OutcomeStatus.ACCEPTED),
    (Fault("code", code=4081), "block", OutcomeStatus.REJECTED),
    (Fault("code", code=4010), "release", OutcomeStatus.REJECTED),  # of no number's making
    (Fault("code", code=4051), "release", OutcomeStatus.REJECTED),
    (Fault("code", code=4072), "release", OutcomeStatus.REJECTED),
    (Fault("code", code=0), "release", OutcomeStatus.REJECTED),
    (Fault("empty"), "commit", OutcomeStatus.UNKNOWN),
]


async def ended(simulator: Simulator, guard: Any, **options: Any) -> VoiceError | str:
    """Make one submission; return its voice id, or its error."""
    options.setdefault("retry", ONCE)
    async with in_process(simulator, guard=guard, **options) as client:
        try:
            return (await client.submit(MOBILE, CONTENT)).voice_id
        except VoiceError as error:
            return error


def status(end: VoiceError | str) -> OutcomeStatus:
    """Return which outcome that is."""
    return OutcomeStatus.ACCEPTED if isinstance(end, str) else end.status


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize(("fault", "method", "expected"), ENDS)
def test_a_guard_that_fails_to_settle_changes_no_answer(
    fault: Fault | None, method: Method, expected: OutcomeStatus, manner: Manner
) -> None:
    """Whether it raises, is cancelled from inside, hangs or is slow: the vendor has spoken."""

    async def main() -> tuple[VoiceError | str, list[str], float]:
        guard = Misbehaving(method, manner)
        began = loop_time()
        end = await ended(vendor(fault), guard)
        return end, guard.told, loop_time() - began

    end, told, took = run_virtual(main())
    assert status(end) is expected
    assert told == ["reserve", method]
    assert took <= 2 * PATIENCE  # once for the call, once for closing
    if isinstance(end, RateLimited):
        assert end.retry_at is not None


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize(("fault", "method", "expected"), ENDS)
def test_a_guard_that_fails_to_settle_changes_no_outcome_of_a_run(
    fault: Fault | None, method: Method, expected: OutcomeStatus, manner: Manner
) -> None:
    """The voice id is there, and a refusal stays that refusal."""

    async def main() -> Outcome:
        guard = Misbehaving(method, manner)
        simulator = vendor(fault)
        async with in_process(simulator, guard=guard, retry=ONCE) as client:
            async with client.submit_many([(MOBILE, CONTENT)], max_wait=0.0) as run:
                (outcome,) = [outcome async for outcome in run]
        return outcome

    outcome = run_virtual(main())
    assert outcome.status is expected
    assert (outcome.voice_id is None) is (expected is not OutcomeStatus.ACCEPTED)


@pytest.mark.parametrize("manner", ["raises", "raises no Exception", "is cancelled", "hangs"])
def test_a_guard_that_cannot_be_asked_sends_nothing(manner: Manner) -> None:
    """It fails closed, in words, and soon."""

    async def main() -> VoiceError | str:
        simulator = vendor()
        end = await ended(simulator, Misbehaving("reserve", manner))
        assert not simulator.arrivals
        return end

    end = run_virtual(main())
    assert isinstance(end, GuardUnavailable)
    assert isinstance(end, NotSent)
    assert end.status is OutcomeStatus.NOT_SENT
    assert "the guard could not be asked" in str(end)


def test_in_a_run_a_guard_that_cannot_be_asked_is_an_outcome_and_the_run_goes_on() -> None:
    """Not the end of the iterator."""

    class Moody(Misbehaving):
        async def reserve(self, account: str, mobile: str) -> Any:
            if mobile.endswith("3"):
                raise ConnectionError("no guard")
            return await super().reserve(account, mobile)

    async def main() -> list[Outcome]:
        async with in_process(vendor(), guard=Moody()) as client:
            messages = [(f"1390000000{n}", CONTENT) for n in range(8)]
            async with client.submit_many(messages) as run:
                return [outcome async for outcome in run]

    outcomes = run_virtual(main())
    assert len(outcomes) == 8
    failed = [outcome for outcome in outcomes if outcome.status is not OutcomeStatus.ACCEPTED]
    assert [type(outcome.error) for outcome in failed] == [GuardUnavailable]


@pytest.mark.parametrize("given", [None, "soon", float("nan"), float("inf"), -1.0, 10**400])
def test_a_wait_that_is_no_number_is_no_wait(given: Any) -> None:
    """A guard of somebody's own, written for an older contract perhaps, holds nobody for ever."""

    class Odd(Misbehaving):
        async def reserve(self, account: str, mobile: str) -> Any:
            return Wait(given)

    async def main() -> VoiceError | str:
        return await ended(vendor(), Odd())

    assert isinstance(run_virtual(main()), GuardUnavailable)


@pytest.mark.parametrize("given", [None, False, True, 0, 5.0, "", b""], ids=repr)
def test_a_guard_that_gives_no_lease_sends_nothing(given: object) -> None:
    """It may have been written for a yes or a no, or for seconds to wait."""

    class Empty(Misbehaving):
        async def reserve(self, account: str, mobile: str) -> Any:
            return given

    async def main() -> VoiceError | str:
        return await ended(vendor(), Empty())

    assert isinstance(run_virtual(main()), GuardUnavailable)


def test_what_a_guard_gave_instead_is_named() -> None:
    """So that whoever wrote it finds the place."""

    class Odd(Misbehaving):
        async def reserve(self, account: str, mobile: str) -> Any:
            return Wait("soon")  # type: ignore[arg-type]  # an older contract perhaps

    async def main() -> VoiceError | str:
        return await ended(vendor(), Odd())

    text = str(run_virtual(main()))
    assert text.startswith("the guard gave Wait(seconds='soon'")
    assert text.endswith(": no lease, no wait")


def test_a_subclass_of_the_memory_guard_may_be_slow() -> None:
    """That its parent never suspends is no word about it."""

    class Slow(MemoryGuard):
        async def commit(self, lease: Any) -> None:
            await asyncio.sleep(2.0)
            await super().commit(lease)

    async def main() -> tuple[bool, int]:
        slow = Slow(clock=loop_time)
        async with in_process(vendor(), guard=slow, retry=ONCE) as client:
            task = asyncio.create_task(client.submit(MOBILE, CONTENT))
            await asyncio.sleep(1.0)
            task.cancel()
            submission = await task
        return bool(submission.voice_id), slow.statistics().in_flight

    assert run_virtual(main()) == (True, 0)


@contextmanager
def hostile_logging(kind: str) -> Generator[None]:
    """Let every line of our loggers meet a filter or a handler that raises."""

    class Raising(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("the disk is full")

        def filter(self, record: logging.LogRecord) -> bool:
            if kind == "filter":
                raise OSError("the filter failed")
            return True

    names = ("ihuyi_voice", "ihuyi_voice.retries", "httpx", "httpcore")
    loggers = [logging.getLogger(name) for name in names]
    handler = Raising()
    for logger in loggers:
        if kind == "logger's filter":
            logger.addFilter(handler.filter)
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(handler.filter)
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)


@pytest.mark.parametrize("kind", ["handler", "filter", "logger's filter"])
@pytest.mark.parametrize(("fault", "method", "expected"), ENDS)
def test_a_log_handler_that_raises_changes_no_answer(
    fault: Fault | None, method: Method, expected: OutcomeStatus, kind: str
) -> None:
    """Nor does a filter: log lines are told to other people's code."""

    async def main() -> VoiceError | str:
        with hostile_logging(kind):
            return await ended(vendor(fault), Misbehaving(method, "raises"))

    assert status(run_virtual(main())) is expected


@pytest.mark.parametrize("broken", ["raises", "is a coroutine function"])
def test_a_retry_hook_that_fails_hides_nothing(
    broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The retry goes on, and the log says that the hook failed."""

    async def waits(_: RetryEvent) -> None: ...

    def raises(_: RetryEvent) -> None:
        raise LookupError("in the hook")

    hook: Any = raises if broken == "raises" else waits
    policy = RetryPolicy(initial=1.0, jitter=0.0, on_retry=hook)

    async def main() -> VoiceError | str:
        simulator = vendor(Fault("code", code=0, times=1))
        return await ended(simulator, Misbehaving(), retry=policy)

    assert isinstance(run_virtual(main()), str)
    named = {"raises": "LookupError", "is a coroutine function": "TypeError"}
    assert f"on_retry failed: {named[broken]}" in caplog.messages


@pytest.mark.parametrize(
    "error", [LookupError("in the hook"), asyncio.CancelledError(), NoException("in the hook")]
)
def test_a_retry_hook_that_fails_leaves_an_unknown_unknown(error: BaseException) -> None:
    """With resend_unknown it is called between two tries of what may ring."""

    def raises(_: RetryEvent) -> None:
        raise error

    policy = RetryPolicy(attempts=2, initial=1.0, jitter=0.0, resend_unknown=True, on_retry=raises)

    async def main() -> VoiceError | str:
        return await ended(vendor(Fault("empty")), Misbehaving(), retry=policy)

    assert isinstance(run_virtual(main()), OutcomeUnknown)


def test_a_clock_that_fails_after_the_answer_costs_only_retry_at() -> None:
    """The vendor's code is what matters."""
    times = iter([1_700_000_000.0])  # enough to sign one request

    async def main() -> VoiceError | str:
        simulator = vendor(Fault("code", code=4081))
        return await ended(simulator, Misbehaving(), clock=lambda: next(times))

    end = run_virtual(main())
    assert isinstance(end, RateLimited)
    assert (end.code, end.retry_at, end.source) == (4081, None, "vendor")


def test_a_clock_that_fails_before_signing_is_raised_as_what_it_is() -> None:
    """Nothing was sent: a mistake of the program is no outcome."""

    def clock() -> float:
        raise ZeroDivisionError("the clock")

    async def main() -> tuple[list[str], int]:
        guard, simulator = Misbehaving(), vendor()
        async with in_process(simulator, guard=guard, retry=ONCE, clock=clock) as client:
            with pytest.raises(ZeroDivisionError):
                await client.submit(MOBILE, CONTENT)
        return guard.settled, len(simulator.arrivals)

    assert run_virtual(main()) == (["release"], 0)


@pytest.mark.parametrize("code", [0, 4081])
def test_a_run_that_is_left_during_a_backoff_keeps_the_refusal(code: int) -> None:
    """REJECTED, with its code and its retry_at, not NOT_SENT."""

    async def main() -> Outcome:
        simulator = vendor(Fault("code", code=code))
        policy = RetryPolicy(initial=50.0, jitter=0.0, maximum=50.0)
        async with in_process(simulator, guard=Misbehaving(), retry=policy) as client:
            async with client.submit_many([(MOBILE, CONTENT)]) as run:
                await simulator.arrived()
                await asyncio.sleep(1.0)
                (outcome,) = await run.drain()
        return outcome

    outcome = run_virtual(main())
    assert outcome.status is OutcomeStatus.REJECTED
    assert isinstance(outcome.error, RateLimited if code else SubmissionFailed)
    assert (outcome.retry_at is None) is (code == 0)


def test_a_client_closed_during_the_backoff_of_an_alarm_leaves_it_unknown() -> None:
    """Not a bare RuntimeError: the first try may ring."""
    policy = RetryPolicy(initial=5.0, jitter=0.0, resend_unknown=True)

    async def main() -> VoiceError:
        simulator = vendor(Fault("empty"))
        client = in_process(simulator, guard=Misbehaving(), retry=policy)
        task = asyncio.create_task(client.submit(MOBILE, CONTENT))
        await simulator.arrived()
        await asyncio.sleep(1.0)
        await client.aclose()
        with pytest.raises(OutcomeUnknown) as caught:
            await task
        return caught.value

    assert run_virtual(main()).attempts == 2


@pytest.mark.parametrize("known", [False, True])
def test_a_client_closed_before_anything_was_sent_raises_its_own_error(*, known: bool) -> None:
    """Or the refusal that is known by then."""
    policy = RetryPolicy(initial=5.0, jitter=0.0)

    async def main() -> None:
        simulator = vendor(Fault("code", code=0, times=1))
        client = in_process(simulator, guard=Misbehaving(), retry=policy)
        if not known:
            await client.aclose()
            with pytest.raises(RuntimeError, match="closed"):
                await client.submit(MOBILE, CONTENT)
            return
        task = asyncio.create_task(client.submit(MOBILE, CONTENT))
        await simulator.arrived()
        await asyncio.sleep(1.0)
        await client.aclose()
        with pytest.raises(SubmissionFailed):
            await task

    run_virtual(main())
