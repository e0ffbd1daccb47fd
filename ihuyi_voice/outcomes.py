"""How the end of a submission becomes one of the five outcomes."""

from ihuyi_voice.errors import (
    OutcomeUnknown,
    RateLimited,
    RunStopped,
    VendorError,
    VoiceError,
)
from ihuyi_voice.models import Message, Outcome, Submission
from ihuyi_voice.vocabulary import OutcomeStatus


def stopped(reason: str, cause: Exception | None) -> RunStopped:
    """Return the error of a message whose turn never came."""
    error = RunStopped(f"{reason} before this message's turn" + (f": {cause}" if cause else ""))
    error.__cause__ = cause
    return error


def accepted(message: Message, submission: Submission) -> Outcome:
    """Return the outcome of a message that the vendor took."""
    return Outcome(
        message, OutcomeStatus.ACCEPTED, submission.voice_id, attempts=submission.attempts
    )


def ended(message: Message, error: VoiceError) -> Outcome:
    """Return the outcome of a message that ended in an error."""
    retry_at = error.retry_at if isinstance(error, RateLimited) else None
    return Outcome(message, _status(error), None, error, error.attempts, retry_at)


def _status(error: VoiceError) -> OutcomeStatus:
    if isinstance(error, RateLimited) and error.source == "guard":
        return OutcomeStatus.HELD
    if isinstance(error, VendorError):
        return OutcomeStatus.REJECTED
    return OutcomeStatus.UNKNOWN if isinstance(error, OutcomeUnknown) else OutcomeStatus.NOT_SENT
