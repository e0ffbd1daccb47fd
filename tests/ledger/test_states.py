"""How a call ended, as columns and back: nothing of it is lost, and nothing is made up."""

from datetime import UTC, datetime, timedelta

import pytest

from ihuyi_voice import (
    Action,
    CallInFlight,
    GuardUnavailable,
    InvalidRequest,
    NotSent,
    Operation,
    OutcomeUnknown,
    RateLimited,
    RunStopped,
    Submission,
    SubmissionFailed,
    TemplateMismatch,
    UnreadableReply,
    VendorError,
    VoiceError,
)
from ihuyi_voice.ledger.states import (
    Ending,
    State,
    ending_of,
    kept,
    moment,
    opens,
    storable,
    within_reach,
)
from tests.support.ledgers import A, accepted, held, refused, row_of

CLOSED_UNTIL = datetime(2026, 11, 25, 21, 30, tzinfo=UTC)


def told(end: Ending | None) -> tuple[object, ...]:
    """Return all that an end tells."""
    if not isinstance(end, VoiceError):
        return (end,)
    parts = (getattr(end, name, None) for name in ("code", "msg", "action", "retry_at", "source"))
    return (type(end), str(end), end.status, end.attempts, *parts)


def limited(source: str, action: Action = Action.WAIT) -> RateLimited:
    """Return what closes a number until a time."""
    error = RateLimited(4081, "一分钟", Operation.SUBMIT, action)
    error.source, error.retry_at, error.attempts = source, CLOSED_UNTIL, 2  # type: ignore[assignment]
    return error


def begun(error: VoiceError) -> VoiceError:
    """Return an end after three attempts."""
    error.attempts = 3
    return error


ENDS: list[tuple[State, Ending]] = [
    (State.ACCEPTED, accepted()),
    (State.HELD, limited("guard")),
    (State.HELD, held()),
    (State.REFUSED, limited("vendor")),
    (State.REFUSED, refused(Action.STOP, 4051)),
    (State.REFUSED, begun(SubmissionFailed(0, "提交失败", Operation.SUBMIT, Action.RETRY))),
    (State.REJECTED, begun(TemplateMismatch(4072, "不匹配", Operation.SUBMIT, Action.FIX_REQUEST))),
    (State.NOT_SENT, begun(NotSent("no connection"))),
    (State.NOT_SENT, GuardUnavailable("away")),
    (State.NOT_SENT, RunStopped("the run ended")),
    (State.NOT_SENT, CallInFlight("in flight")),
    (State.NOT_SENT, InvalidRequest("no number")),
    (State.UNKNOWN, begun(OutcomeUnknown("no reply within 30 s"))),
    (State.UNKNOWN, UnreadableReply("an error page")),
]


@pytest.mark.parametrize(("state", "end"), ENDS)
def test_what_is_written_of_an_end_is_read_again(state: State, end: Ending) -> None:
    """Its class, words, code, action and attempts; and who closed the number, and until when."""
    row = row_of(end)
    assert row["state"] == state
    assert told(ending_of(row)) == told(end)


@pytest.mark.parametrize("state", [State.OPEN, State.INTENT])
def test_what_has_not_ended_has_no_end(state: State) -> None:
    """Whatever an earlier attempt has left in its row."""
    assert ending_of(row_of(NotSent("no connection"), state=int(state))) is None


def test_what_a_person_or_a_report_settled_has_no_words_of_the_vendors() -> None:
    """And perhaps no id: then they are empty, and not made up."""
    end = ending_of(row_of(accepted(), voice_id=None, text=None))
    assert end == Submission("", A, "", 2)


@pytest.mark.parametrize("kind", ["RefusedInYearsToCome", "NotSent", "annotations", None])
def test_a_refusal_of_a_class_that_is_not_known_is_a_refusal(kind: str | None) -> None:
    """A later version may have written it; a code is the vendor's, who says what to do."""
    end = ending_of(row_of(refused(Action.STOP, 4051), kind=kind, text=None))
    assert told(end) == told(begun_once(VendorError(4051, "", Operation.SUBMIT, Action.STOP)))


def begun_once(error: VoiceError) -> VoiceError:
    """Return an end after one attempt."""
    error.attempts = 1
    return error


@pytest.mark.parametrize("kind", ["LaterClass", "datetime", "VoiceClient", None])
@pytest.mark.parametrize(("state", "type_"), [("UNKNOWN", OutcomeUnknown), ("NOT_SENT", NotSent)])
def test_an_end_of_a_class_that_is_not_known_is_what_its_state_says(
    kind: str | None, state: str, type_: type[VoiceError]
) -> None:
    """Never one that may ring for one that may not, and the other way round."""
    end = ending_of(row_of(NotSent("x"), kind=kind, state=int(State[state]), text=None))
    assert told(end) == told(type_(""))


def test_a_time_that_is_kept_is_aware_and_in_utc() -> None:
    """It doesn't depend on where the machine is."""
    at = moment(CLOSED_UNTIL.timestamp())
    assert at is not None
    assert at == CLOSED_UNTIL
    assert at.utcoffset() == timedelta(0)
    assert moment(None) is None


@pytest.mark.parametrize(
    ("given", "stored"),
    [("plain", "plain"), ("您好", "您好"), ("a\0b", "ab"), ("您\0好", "您好"), ("a\ud800", "a?")],
)
def test_a_text_is_kept_without_what_no_database_takes(given: str, stored: str) -> None:
    """It is ASCII or not."""
    assert storable(given) == stored


class Nameless:
    """A name of a message that can't be written."""

    def __str__(self) -> str:
        raise RuntimeError


def test_a_reference_is_kept_as_a_text() -> None:
    """Whatever it is; one that can't be written is told by its class."""
    given = (None, "row 7", 7, "a\0", Nameless())
    assert [kept(each) for each in given] == [None, "row 7", "7", "a", "<Nameless>"]


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, 1 - 2**63])
def test_a_number_within_reach_is_kept(number: int) -> None:
    """And one beyond it is the nearest that a database takes."""
    assert within_reach(number) == number
    assert within_reach(10**30) == 2**63 - 1
    assert within_reach(-(10**30)) == 1 - 2**63


def test_what_may_be_sent_again_is_told_by_the_order_of_states() -> None:
    """By which statements go; what may have rung never is, whatever is asked for."""
    once, again = opens(retry_rejected=False), opens(retry_rejected=True)
    assert [each for each in State if each <= once] == [
        State.OPEN, State.HELD, State.NOT_SENT, State.REFUSED
    ]  # fmt: skip
    assert [each for each in State if once < each <= again] == [State.REJECTED]
