"""What an outcome says, to people and to programs, and what it must not hold."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from ihuyi_voice import Message, NotSent, Outcome, OutcomeStatus, VoiceError
from ihuyi_voice.bulk.outcomes import accepted_earlier, ended, no_message
from ihuyi_voice.calls import Delay, Job
from ihuyi_voice.errors import RateLimited
from ihuyi_voice.inputs.recipients import Recipient
from ihuyi_voice.models import Action, Operation
from tests.bulk.support import Script, accept, pairs, refusal, run_of
from tests.support.virtual_time import run_virtual

ACCEPTED, REJECTED, HELD, NOT_SENT, UNKNOWN = OutcomeStatus


def test_an_outcome_as_json_says_all_that_records_need() -> None:
    """The number is the caller's own, and whole."""
    error = RateLimited(4081, "too many", Operation.SUBMIT, Action.WAIT)
    error.retry_at = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
    error.attempts = 2
    outcome = ended(Message("13900000000", "hello", reference="order 7"), error)
    assert json.loads(json.dumps(outcome.to_dict(), allow_nan=False)) == {
        "mobile": "13900000000",
        "content": "hello",
        "reference": "order 7",
        "status": "REJECTED",
        "voice_id": None,
        "code": 4081,
        "text": "Submit 4081: too many [wait]",
        "error": "RateLimited",
        "action": "wait",
        "attempts": 2,
        "retry_at": "2026-11-25T12:30:00+00:00",
        "replayed": False,
    }


def test_an_acceptance_as_json_has_its_id_and_the_vendors_code() -> None:
    """And nothing that went wrong."""
    values = Outcome(Message("1", "x"), ACCEPTED, "id", replayed=True).to_dict()
    assert (values["voice_id"], values["code"], values["replayed"]) == ("id", 2, True)
    assert (values["error"], values["text"], values["action"]) == (None, None, None)


class Silent(str):
    """Text of a class that can't be shown."""

    __slots__ = ()

    def __str__(self) -> str:
        """Fail."""
        raise LookupError

    __repr__ = __str__


def test_many_of_before_are_what_each_would_be_by_itself() -> None:
    """Every field of theirs is filled, and they are as frozen."""
    messages = [Message(str(n), "x") for n in range(3)]
    many = accepted_earlier(messages, iter("abc"), iter([1, 2, 3]))
    each = zip(messages, "abc", [1, 2, 3], strict=True)
    alone = [Outcome(m, ACCEPTED, i, attempts=n, replayed=True) for m, i, n in each]
    assert many == alone
    assert [attrs.astuple(one) for one in many] == [attrs.astuple(one) for one in alone]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        many[0].status = REJECTED  # type: ignore[misc]  # that is the point
    assert accepted_earlier([], [], []) == []


@pytest.mark.parametrize(
    "value",
    [None, 7, 10**5_000, 1.5, math.nan, b"x", object(), ["13900000000"], Silent("x")],
    ids=lambda value: type(value).__name__,
)
def test_whatever_a_message_holds_an_outcome_is_json_and_has_a_repr(value: Any) -> None:
    """People pass on what a file or a table gave them."""
    for message in (Message(value, value, value), Recipient(value, value, line=3)):
        outcome = ended(message, NotSent("no"))
        assert json.loads(json.dumps(outcome.to_dict(), allow_nan=False))["status"] == "NOT_SENT"
        assert "NOT_SENT" in repr(outcome)
        assert "Message" in repr(message) or "Recipient" in repr(message)


def test_a_number_given_as_an_int_is_masked_like_any_other() -> None:
    """In the repr of messages and outcomes, wherever it stands."""
    for number in (13900000000, 13900000000.0, "13900000000"):
        message: Any = Message(number, number)  # type: ignore[arg-type]  # as a table gives it
        assert "13900000000" not in repr(message)
        assert "13900000000" not in repr(ended(message, NotSent("no")))


def test_what_is_none_is_shown_as_none() -> None:
    """Not as half a number."""
    message: Any = Message(None, 5)  # type: ignore[arg-type]  # as a table gives it
    assert repr(message) == "Message(mobile=None, content=5, reference=None)"


def test_a_reference_is_shown_as_it_is_but_for_the_numbers_in_it() -> None:
    """People take a number for a name."""
    assert "reference='order 7'" in repr(Message("1", "x", "order 7"))
    assert "reference='139****0000'" in repr(Message("1", "x", "13900000000"))


def test_what_is_no_message_is_shown_whatever_its_repr_does() -> None:
    """The message of its outcome says what it was."""

    class Hostile:
        def __repr__(self) -> str:
            raise LookupError

    assert no_message(Hostile()).content == "<Hostile>"
    assert no_message(7).content == "7"


def frames(error: BaseException | None) -> list[object]:
    """Return the tracebacks of an exception and of all that is chained to it."""
    if error is None:
        return []
    own = [] if error.__traceback__ is None else [error.__traceback__]
    members: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    chained = (error.__cause__, error.__context__, *members)
    return own + [frame for each in chained for frame in frames(each)]


def fail(errors: list[Exception]) -> None:
    """Raise some errors at once."""
    raise ExceptionGroup("two addresses", errors)


def chain() -> None:
    """Raise an error with causes, contexts and a group."""
    try:
        try:
            fail([OSError("one"), raised(OSError("two"))])
        except ExceptionGroup as group:
            raise NotSent("no connection") from group
    except NotSent:
        raise NotSent("again no connection")  # noqa: B904 - its context is what is looked at


def raised(error: Exception) -> Exception:
    """Return an error that has a traceback."""
    try:
        raise error
    except OSError as exc:
        return exc


def test_kept_outcomes_hold_no_frames() -> None:
    """Neither of the error nor of what caused it: frames hold whatever was in them."""

    def answer(job: Job) -> Any:
        if job.attempts == 1:
            try:
                chain()
            except NotSent as exc:
                job.tries.note(exc)
                return Delay(1.0, exc)
        return chain() if job.content == "text 0" else accept(job)

    async def main() -> list[Outcome]:
        async with run_of(pairs(2), Script(answer)) as run:
            return [outcome async for outcome in run]

    with pytest.raises(NotSent) as caught:
        chain()
    assert len(frames(caught.value)) >= 3
    outcomes = run_virtual(main())
    assert {outcome.status for outcome in outcomes} == {ACCEPTED, NOT_SENT}
    assert [frames(outcome.error) for outcome in outcomes] == [[], []]


def test_the_cause_that_stopped_a_run_holds_no_frames_either() -> None:
    """All outcomes after it share it."""

    def answer(job: Job) -> Any:
        raise refusal(405)

    async def main() -> list[Outcome]:
        async with run_of(pairs(5), Script(answer)) as run:
            return [outcome async for outcome in run]

    outcomes = run_virtual(main())
    assert isinstance(outcomes[-1].error, VoiceError)
    assert outcomes[-1].error.__cause__ is outcomes[0].error
    assert not any(frames(outcome.error) for outcome in outcomes)
