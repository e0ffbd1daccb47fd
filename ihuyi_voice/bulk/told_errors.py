"""An outcome's error, made anew from what its dict tells of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from ihuyi_voice import errors
from ihuyi_voice.errors import NotSent, OutcomeUnknown, RateLimited, VendorError, VoiceError
from ihuyi_voice.models import Action, Operation, OutcomeStatus

_MARK: Final = "\0"  # stands for what the vendor said, to find what stands around it
_BY_STATUS: Final[Mapping[OutcomeStatus, type[VoiceError]]] = {
    OutcomeStatus.REJECTED: VendorError,
    OutcomeStatus.HELD: RateLimited,
    OutcomeStatus.NOT_SENT: NotSent,
    OutcomeStatus.UNKNOWN: OutcomeUnknown,
}


def as_time(given: datetime | str | None) -> datetime | None:
    """Return a time, of ISO 8601 or as it is."""
    return datetime.fromisoformat(given) if isinstance(given, str) else given


def error_of(
    status: OutcomeStatus, given: Mapping[str, Any], retry_at: datetime | None
) -> VoiceError:
    """Return the error of an outcome that is none of acceptance.

    Args:
        status: What became of the message.
        given: The outcome as a dict.
        retry_at: When the number may be called again.
    """
    kind = getattr(errors, str(given.get("error")), None)
    if not (isinstance(kind, type) and issubclass(kind, VoiceError)):  # of another version
        kind = _BY_STATUS[status]
    text = str(given.get("text") or "")
    if issubclass(kind, VendorError):
        frame = _refusal(kind, given, _MARK, status, retry_at)
        before, _, after = str(frame).partition(_MARK)
        msg = text.removeprefix(before).removesuffix(after)
        error: VoiceError = _refusal(kind, given, msg, status, retry_at)
    else:
        error = kind(text)
    error.attempts = given.get("attempts", 0)
    return error


def _refusal(
    kind: type[VendorError],
    given: Mapping[str, Any],
    msg: str,
    status: OutcomeStatus,
    retry_at: datetime | None,
) -> VendorError:
    code = given.get("code")
    action = Action(given.get("action") or Action.WAIT)
    error = kind(0 if code is None else code, msg, Operation.SUBMIT, action)
    if isinstance(error, RateLimited):
        error.source = "guard" if status is OutcomeStatus.HELD else "vendor"
        error.retry_at = retry_at
    return error
