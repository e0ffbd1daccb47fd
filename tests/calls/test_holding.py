"""What is held back, as plain functions: for how long, or with which error and which words."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from ihuyi_voice import CallInFlight, NotSent, Operation, RateLimited, RetryPolicy, VoiceError
from ihuyi_voice.calls import Job
from ihuyi_voice.calls.holding import after, held_back, over, too_late, wait_or_hold
from ihuyi_voice.calls.job import ON_CONNECTION, ON_LEDGER, Delay
from ihuyi_voice.calls.retries import Tries
from ihuyi_voice.guards import Wait
from ihuyi_voice.models import Action
from tests.support.vendor import CONTENT, MOBILE
from tests.support.virtual_time import loop_time, run_virtual

NOW = 5_000.0
UNIX = 1_800_000_000.0
OF_THE_NUMBER = "此号码的提交频率已达上限; this number may not be called again yet"
OF_THE_ACCOUNT = "账户的提交频率已达上限; the account may not call anybody yet"


def clock() -> float:
    """Return the time in Unix seconds."""
    return UNIX


def job_of(max_wait: float = 10.0, **options: Any) -> Job:
    """Return a call that was asked for now."""
    tries = Tries(Operation.SUBMIT, RetryPolicy())
    return Job(MOBILE, CONTENT, NOW + max_wait, tries, now=lambda: NOW, **options)


def told(error: VoiceError) -> tuple[object, ...]:
    """Return all that an error of a number's says."""
    assert isinstance(error, RateLimited)
    assert error.retry_at is not None
    left = error.retry_at.timestamp() - UNIX
    return error.code, error.msg, error.source, round(left, 6)


@pytest.mark.parametrize(
    ("wait", "delay"),
    [
        (Wait(10.0), Delay(10.0, waits_for="an earlier call to its number")),
        (Wait(3.0, 60.0), Delay(3.0, waits_for="its minute")),
        (Wait(0.0, 1.0), Delay(0.001, waits_for="its second")),
        (Wait(-7.0, 1.0), Delay(0.001, waits_for="its second")),
        (
            Wait(1.0, whole_account=True),
            Delay(1.0, whole_account=True, waits_for="the account's rate"),
        ),
        (Wait(1.0, reason="quiet hours"), Delay(1.0, waits_for="quiet hours")),
    ],
)
def test_what_fits_into_a_callers_patience_is_waited_for(wait: Wait, delay: Delay) -> None:
    """To its very end; and never not at all, whatever a guard says."""
    assert attrs.evolve(delay, waits_for=wait.waits_for) == wait_or_hold(clock, job_of(), wait, NOW)
    if wait.window is not None or wait.whole_account or wait.reason:
        assert wait.waits_for == delay.waits_for


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        (Wait(10.1, 1.0), (4080, OF_THE_NUMBER, "guard", 10.1)),
        (Wait(30.0, 60.0), (4081, OF_THE_NUMBER, "guard", 30.0)),
        (Wait(40_000.0, 86_400.0), (4082, OF_THE_NUMBER, "guard", 40_000.0)),
        (Wait(11.0, 7.0), (4080, OF_THE_NUMBER, "guard", 11.0)),
        (Wait(11.0), (4080, OF_THE_NUMBER, "guard", 11.0)),
        (Wait(11.0, 60.0, whole_account=True), (4010, OF_THE_ACCOUNT, "guard", 11.0)),
        (Wait(11.0, 60.0, reason="quiet hours"), (4081, "quiet hours", "guard", 11.0)),
        (Wait(11.0, whole_account=True, reason="x"), (4010, "x", "guard", 11.0)),
    ],
)
def test_what_takes_longer_is_held_with_the_code_of_its_window(
    wait: Wait, expected: tuple[object, ...]
) -> None:
    """As the vendor would have told it, and says when it may be sent."""
    with pytest.raises(RateLimited) as caught:
        wait_or_hold(clock, job_of(), wait, NOW)
    assert told(caught.value) == expected
    assert (caught.value.operation, caught.value.action) == (Operation.SUBMIT, Action.WAIT)


@pytest.mark.parametrize("seconds", [0.0, 1.0, float("nan"), float("inf")])
def test_who_has_no_patience_is_held_at_once(seconds: float) -> None:
    """However short the wait would be, and if it is no number at all."""
    with pytest.raises(RateLimited):
        wait_or_hold(clock, job_of(0.0), Wait(seconds, 1.0), NOW)


def test_a_call_that_is_late_for_another_of_its_key_says_so() -> None:
    """It is in flight elsewhere."""
    job = job_of(delay=Delay(0.5, elsewhere=True))
    error = too_late(clock, job, 3.5, 0.0)
    assert isinstance(error, CallInFlight)
    assert str(error) == "a call with this key is in flight, for more than 3.5 s"


@pytest.mark.parametrize(
    ("ready_at", "left"), [(0.0, 1.0), (NOW + 0.5, 1.0), (NOW + 60.0, 60.0), (NOW - 9.0, 1.0)]
)
def test_a_call_that_is_late_behind_others_says_when_it_may_be_sent(
    ready_at: float, left: float
) -> None:
    """In a second at least, where nobody knows."""
    error = too_late(clock, job_of(delay=Delay(5.0)), 3.0, ready_at)
    assert told(error) == (4080, OF_THE_NUMBER, "guard", left)


@pytest.mark.parametrize(
    ("delay", "waits_for", "reason"),
    [
        (None, ON_LEDGER, "the ledger did not answer"),
        (None, ON_CONNECTION, ON_CONNECTION),
        (Delay(5.0, NotSent("refused")), ON_LEDGER, "its next try was not due yet"),
    ],
)
def test_a_call_that_is_late_for_anything_else_was_not_sent(
    delay: Delay | None, waits_for: str, reason: str
) -> None:
    """In words, and with how the last attempt ended as its cause."""
    job = job_of(delay=delay, waits_for=waits_for)
    job.tries.note(last := NotSent("refused"))
    error = too_late(clock, job, 2.5, 0.0)
    assert type(error) is NotSent
    assert str(error) == f"it was not sent within its timeout of 2.5 s: {reason}"
    assert error.__cause__ is last


def test_a_clock_that_does_not_tell_the_time_costs_only_the_time() -> None:
    """The answer matters more; what ends the program ends it."""

    def clock_of(given: Any) -> Any:
        def tell() -> Any:
            if isinstance(given, BaseException):
                raise given
            return given

        return tell

    assert after(lambda: UNIX, 1.5) == datetime.fromtimestamp(UNIX + 1.5, UTC)
    for odd in (ZeroDivisionError(), GeneratorExit(), "now", None, float("nan"), 1e300):
        assert after(clock_of(odd), 1.0) is None
        assert held_back(clock_of(odd), 4081, 1.0).retry_at is None
    for ending in (KeyboardInterrupt(), SystemExit()):
        with pytest.raises(type(ending)):
            after(clock_of(ending), 1.0)


@pytest.mark.parametrize(("at", "took"), [(None, 3.0), (1.0, 1.0), (9.0, 3.0)])
def test_a_delay_is_over_with_its_time_or_with_its_turn(at: float | None, took: float) -> None:
    """Whichever comes first; a turn that is late is left alone."""

    async def main() -> tuple[float, bool]:
        loop = asyncio.get_running_loop()
        turn = None if at is None else loop.create_future()
        if turn is not None and at is not None:
            loop.call_later(at, turn.set_result, None)
        began = loop_time()
        await over(Delay(3.0, turn=turn))
        return loop_time() - began, turn is not None and turn.cancelled()

    assert run_virtual(main()) == (took, False)
