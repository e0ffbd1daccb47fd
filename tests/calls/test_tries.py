"""What one call has been through decides what its caller is told: a row a test, without any I/O."""

import math
import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice import (
    Action,
    GuardUnavailable,
    InvalidRequest,
    NotSent,
    Operation,
    OutcomeStatus,
    OutcomeUnknown,
    RateLimited,
    RawReply,
    RetryPolicy,
    RunStopped,
    SubmissionFailed,
    VendorError,
    VoiceError,
)
from ihuyi_voice.calls.retries import Tries, retry_after
from ihuyi_voice.protocol.codes import vendor_error

SUBMIT = Operation.SUBMIT


def refused(code: int = 0) -> VendorError:
    """Return a refusal of the vendor's."""
    return vendor_error(SUBMIT, code, "")


def held() -> RateLimited:
    """Return a refusal of the guard's."""
    error = RateLimited(4080, "", SUBMIT, Action.WAIT)
    error.source = "guard"
    return error


def queued() -> NotSent:
    """Return the error of a request that waited too long for one of our own connections."""
    error = NotSent("queue")
    error.queued = True
    return error


def told(*errors: VoiceError, operation: Operation = SUBMIT) -> VoiceError:
    """Return what the caller is told after attempts that ended so; the last is no attempt."""
    tries = Tries(operation, RetryPolicy())
    for error in errors[:-1]:
        tries.begin(0.0)
        tries.note(error)
    return tries.verdict(errors[-1])


UNKNOWN, REFUSED, NOT_SENT, LATER = (
    OutcomeUnknown("?"), refused(4081), NotSent("no connection"), refused(4072),
)  # fmt: skip


@pytest.mark.parametrize(
    ("went", "verdict"),
    [
        ((NOT_SENT,), NOT_SENT),
        ((NOT_SENT, RunStopped("left")), RunStopped),
        ((REFUSED, RunStopped("left")), REFUSED),
        ((REFUSED, NOT_SENT, NotSent("again")), REFUSED),
        ((REFUSED, held()), REFUSED),
        ((REFUSED, GuardUnavailable("no guard")), REFUSED),
        ((REFUSED, LATER), LATER),
        ((UNKNOWN, RunStopped("left")), UNKNOWN),
        ((UNKNOWN, REFUSED, LATER), UNKNOWN),
        ((UNKNOWN, held()), UNKNOWN),
        ((UNKNOWN, NOT_SENT, OutcomeUnknown("later")), UNKNOWN),
        ((held(),), RateLimited),
        ((NOT_SENT, held()), RateLimited),
    ],
)
def test_the_verdict_on_a_submission(
    went: tuple[VoiceError, ...], verdict: VoiceError | type[VoiceError]
) -> None:
    """Unknown stays unknown, a refusal stays that refusal, the rest is as it ends."""
    final = told(*went)
    assert isinstance(final, verdict) if isinstance(verdict, type) else final is verdict


@pytest.mark.parametrize(
    ("operation", "went", "verdict"),
    [
        (Operation.BALANCE, (UNKNOWN, LATER), LATER),
        (Operation.BALANCE, (UNKNOWN, NOT_SENT), UNKNOWN),
        (Operation.DELETE_TEMPLATE, (UNKNOWN, LATER), LATER),
        (Operation.ADD_TEMPLATE, (UNKNOWN, NOT_SENT), UNKNOWN),
    ],
)
def test_the_verdict_on_what_does_no_harm_twice(
    operation: Operation, went: tuple[VoiceError, ...], verdict: VoiceError
) -> None:
    """What the vendor said last in words is the better answer there."""
    assert told(*went, operation=operation) is verdict


def test_the_verdict_tells_what_came_after_it_and_how_many_attempts() -> None:
    """As its cause."""
    unknown, later = OutcomeUnknown("?"), NotSent("later")
    final = told(unknown, later, later)
    assert (final, final.__cause__, final.attempts) == (unknown, later, 2)


ERRORS = {
    "unknown": OutcomeUnknown("?"),
    "refused": refused(0),
    "limited": refused(4081),
    "not sent": NotSent("no"),
    "stopped": RunStopped("left"),
    "guard": GuardUnavailable("no guard"),
    "held": held(),
    "invalid": InvalidRequest("bad"),
}


@pytest.mark.parametrize(("first", "then"), list(product(ERRORS, ERRORS)))
def test_no_later_trouble_ever_makes_less_of_what_is_known(first: str, then: str) -> None:
    """After UNKNOWN nothing is safe to send again; after REJECTED nothing says it was not sent."""
    final = told(ERRORS[first], ERRORS[then])
    if first == "unknown":
        assert final.status is OutcomeStatus.UNKNOWN
    elif first in {"refused", "limited"}:
        assert final.status in {OutcomeStatus.REJECTED, OutcomeStatus.UNKNOWN}


def test_something_that_broke_is_raised_as_it_is_unless_more_is_known() -> None:
    """A programming error is no outcome where nothing was sent."""
    exc = TypeError("a mistake")
    tries = Tries(SUBMIT, RetryPolicy())
    assert tries.broken(exc) is exc
    tries.begin(0.0)
    tries.note(refused(0))
    final = tries.broken(exc)
    assert isinstance(final, SubmissionFailed)
    assert isinstance(final.__cause__, NotSent)
    assert final.__cause__.__cause__ is exc


def delays(policy: RetryPolicy, error: VoiceError, many: int = 6) -> list[float | None]:
    """Return the delays after each of so many attempts, all begun at once."""
    tries = Tries(SUBMIT, policy)
    found: list[float | None] = []
    for _ in range(many):
        tries.begin(0.0)
        tries.note(error)
        found.append(tries.next_delay(error, 0.0))
    return found


@given(st.integers(0, 2**32), st.floats(0, 2), st.floats(0.01, 10))
def test_jitter_is_a_share_of_the_wait(seed: int, jitter: float, initial: float) -> None:
    """Nothing for a wait of nothing, and never more than its share of a long one."""
    random.seed(seed)
    policy = RetryPolicy(attempts=7, initial=initial, jitter=jitter, maximum=30.0, total_time=1e9)
    for place, delay in enumerate(delays(policy, refused(0))):
        base = min(initial * 2**place, 30.0)
        assert delay is not None
        assert base <= delay <= base * (1 + jitter) * (1 + 1e-9)


def test_the_time_in_all_may_be_for_ever() -> None:
    """Then the attempts alone bound it."""
    policy = RetryPolicy(attempts=3, initial=1.0, jitter=0.0, total_time=math.inf)
    assert delays(policy, refused(0), 3) == [1.0, 2.0, None]


def test_no_wait_has_no_jitter() -> None:
    """An initial wait of 0 means at once."""
    assert delays(RetryPolicy(initial=0.0, jitter=1.0), refused(0), 3) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("since", [0.0, 1_000.0])
def test_waiting_for_our_own_connections_uses_up_no_attempt(since: float) -> None:
    """Only the time in all bounds it, whatever the clock said first; with retries off, none."""
    policy = RetryPolicy(attempts=2, initial=1.0, jitter=0.0, total_time=50.0)
    tries = Tries(SUBMIT, policy)
    for now in (0.0, 10.0, 20.0, 49.0):
        tries.begin(since + now)
        tries.note(queued())
        assert (tries.next_delay(queued(), since + now), tries.attempts) == (0.0, 0)
    tries.begin(since + 49.0)
    tries.note(queued())
    assert tries.next_delay(queued(), since + 50.0) is None
    alone = Tries(SUBMIT, RetryPolicy(attempts=1))
    alone.begin(since)
    alone.note(queued())
    assert alone.next_delay(queued(), since) is None


def reply(**headers: str) -> NotSent:
    """Return an error whose reply has these headers."""
    error = NotSent("x")
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    error.raw = RawReply(503, pairs, b"")
    return error


DATE = "Wed, 25 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (NotSent("no reply"), 0.0),
        (reply(), 0.0),
        (reply(retry_after="7"), 7.0),
        (reply(retry_after="soon"), 0.0),
        (reply(retry_after="-5"), 0.0),
        (reply(retry_after="9" * 400), 86_400.0),
        (reply(retry_after="Wed, 25 Nov 2026 10:00:30 GMT", date=DATE), 30.0),
        (reply(retry_after="Wed, 25 Nov 2026 09:00:00 GMT", date=DATE), 0.0),
        (reply(retry_after="Wed, 25 Nov 2026 10:00:30 GMT"), 0.0),
        (reply(retry_after="Wed, 25 Nov 9999 23:59:59 -2359", date=DATE), 86_400.0),
        (reply(retry_after="Mon, 01 Jan 0001 00:00:00 +2359", date=DATE), 0.0),
        (reply(retry_after="Wed, 25 Nov 2026 10:00:30 +999999", date=DATE), 0.0),
        (reply(retry_after="Wed, 25 Nov 2026 10:00:30 GMT", date="x, 1 Jan 1 0:0 +99999999"), 0.0),
    ],
)
def test_retry_after_is_read_whatever_stands_there(error: VoiceError, seconds: float) -> None:
    """An absurd time zone or number must not hide the vendor's code."""
    assert retry_after(error) == seconds


@pytest.mark.parametrize(
    "options", [{"on_retry": 3}, {"jitter": -0.1}, {"attempts": 0}, {"attempts": 2.5}]
)
def test_a_policy_that_cannot_be_meant_is_refused(options: dict[str, object]) -> None:
    """When it is made, by the name of the option."""
    (name,) = options
    with pytest.raises(InvalidRequest, match=name) as caught:
        RetryPolicy(**options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - wrong on purpose
    assert caught.value.field == name
