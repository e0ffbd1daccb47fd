"""How the end of a submission becomes one of the five outcomes."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import repeat
from typing import Any, Final, Literal, Self

import attrs

from ihuyi_voice.bulk.told_errors import as_time, error_of
from ihuyi_voice.common.foreign import ENDING
from ihuyi_voice.common.redaction import forget_frames
from ihuyi_voice.common.schemas import Shape, dict_schema
from ihuyi_voice.errors import RateLimited, VendorError, VoiceError
from ihuyi_voice.models import Message, OutcomeStatus, Submission, Timing

_ACCEPTED: Final = 2  # the vendor's code
_LARGEST: Final = 2**63 - 1  # of integers that every writer of JSON takes


@attrs.frozen
class Outcome:
    """How one message of a bulk run ended.

    Attributes:
        message: The message as the caller gave it.
        status: One of the five.
        voice_id: The vendor's serial number if it was accepted.
        error: Why it was not accepted; None if it was. It holds no frames: its traceback and
            those of its causes are taken off, so that outcomes can be kept.
        attempts: How many requests were begun for it.
        retry_at: When the number may be called again (HELD, or refused for that reason), aware
            and in UTC.
        replayed: Whether an earlier run had settled it, so that nothing was sent by this one.
        timing: Where its time went; None if it never became a call, or was settled earlier.
    """

    message: Message
    status: OutcomeStatus
    voice_id: str | None = None
    error: VoiceError | None = None
    attempts: int = 0
    retry_at: datetime | None = None
    replayed: bool = False
    timing: Timing | None = attrs.field(default=None, eq=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can have it, for the caller's own records.

        The number is whole, for whose it is, it belongs to; keys, passwords and replies are not in
        it. `code` is the vendor's, 2 for an acceptance; `retry_at` is in ISO 8601.
        """
        error = self.error
        refused = error if isinstance(error, VendorError) else None
        accepted = _ACCEPTED if self.status is OutcomeStatus.ACCEPTED else None
        return {
            "mobile": _plain(self.message.mobile),
            "content": _plain(self.message.content),
            "reference": _plain(self.message.reference),
            "status": self.status.value,
            "voice_id": self.voice_id,
            "code": refused.code if refused else accepted,
            "text": None if error is None else str(error),
            "error": None if error is None else type(error).__name__,
            "action": refused.action.value if refused else None,
            "attempts": self.attempts,
            "retry_at": None if self.retry_at is None else self.retry_at.isoformat(),
            "replayed": self.replayed,
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Return what `to_dict` made a dict of, its error included, but not that error's causes.

        Raises:
            KeyError: There is no `mobile`, no `content`, or no `status`.
        """
        message = Message(given["mobile"], given["content"], given.get("reference"))
        status = OutcomeStatus(given["status"])
        retry_at = as_time(given.get("retry_at"))
        error = None if status is OutcomeStatus.ACCEPTED else error_of(status, given, retry_at)
        return cls(
            message,
            status,
            given.get("voice_id"),
            error,
            given.get("attempts", 0),
            retry_at,
            given.get("replayed", False),
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, _: object, handler: Callable[[Any], Any]) -> Any:  # noqa: ANN401
        """Tell pydantic how it is read and shown."""
        return dict_schema(cls, _SHAPE, cls.from_dict, handler)


_FILLS: Final[Mapping[str, Callable[[Outcome, object], None]]] = {
    each.name: getattr(Outcome, each.name).__set__ for each in attrs.fields(Outcome)
}
_SHAPE: Final[Shape] = {
    "mobile": str | int | float | None,
    "content": str | int | float | None,
    "reference": str | int | float | None,
    "status": Literal["ACCEPTED", "REJECTED", "HELD", "NOT_SENT", "UNKNOWN"],
    "voice_id": str | None,
    "code": int | None,
    "text": str | None,
    "error": str | None,
    "action": str | None,
    "attempts": int,
    "retry_at": str | None,
    "replayed": bool,
}


def _plain(value: object) -> str | int | float | None:
    """Return a value that JSON has, and the text of any other."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and abs(value) <= _LARGEST:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return _repr(value)


def no_message(given: object) -> Message:
    """Return what stands in an outcome for something that is no message."""
    return Message("", _repr(given))


def _repr(value: object) -> str:
    """Return the start of a repr, whatever the value's own does."""
    try:
        return repr(value)[:80]
    except ENDING:
        raise
    except BaseException:  # noqa: BLE001 - it is somebody else's, and this is only for showing
        return f"<{type(value).__name__}>"


def accepted(message: Message, submission: Submission, *, replayed: bool = False) -> Outcome:
    """Return the outcome of a message that the vendor took."""
    return Outcome(
        message,
        OutcomeStatus.ACCEPTED,
        submission.voice_id,
        None,
        submission.attempts,
        None,
        replayed,
        submission.timing,
    )


def accepted_earlier(
    messages: Sequence[Message], voice_ids: Iterable[str], attempts: Iterable[int]
) -> list[Outcome]:
    """Return those of many messages that the vendor took before this run.

    Field by field: a frozen class fills its objects one by one at nearly twice the cost, and half a
    million of them stand before a run that goes on.
    """
    columns: dict[str, Iterable[object]] = {
        "message": messages, "status": repeat(OutcomeStatus.ACCEPTED), "voice_id": voice_ids,
        "attempts": attempts, "replayed": [True] * len(messages),
    }  # fmt: skip
    outcomes = [Outcome.__new__(Outcome) for _ in messages]
    for name, fill in _FILLS.items():
        filled: Iterator[None] = map(fill, outcomes, columns.get(name, repeat(None)))
        deque(filled, maxlen=0)
    return outcomes


def ended(message: Message, error: VoiceError, *, replayed: bool = False) -> Outcome:
    """Return the outcome of a message that ended in an error, which loses its frames here."""
    retry_at = error.retry_at if isinstance(error, RateLimited) else None
    forget_frames(error)
    return Outcome(
        message, error.status, None, error, error.attempts, retry_at, replayed, error.timing
    )


def outcome_of(
    message: Message, end: Submission | VoiceError, *, replayed: bool = False
) -> Outcome:
    """Return the outcome of a message by its end, which it may have had before this run."""
    if isinstance(end, Submission):
        return accepted(message, end, replayed=replayed)
    return ended(message, end, replayed=replayed)
