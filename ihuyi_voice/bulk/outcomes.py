"""How the end of a submission becomes one of the five outcomes."""

from datetime import datetime

import attrs

from ihuyi_voice.common.redaction import forget_frames
from ihuyi_voice.errors import (
    RateLimited,
    RunStopped,
    VoiceError,
)
from ihuyi_voice.models import Message, OutcomeStatus, Submission


@attrs.frozen
class Outcome:
    """How one message of a bulk run ended.

    Attributes:
        message: The message as the caller gave it.
        status: One of the five.
        voice_id: The vendor's serial number if it was accepted.
        error: Why it was not accepted; None if it was.
        attempts: How many requests were begun for it.
        retry_at: When the number may be called again (HELD), aware and in UTC.
    """

    message: Message
    status: OutcomeStatus
    voice_id: str | None = None
    error: VoiceError | None = None
    attempts: int = 0
    retry_at: datetime | None = None


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
    forget_frames(error)
    return Outcome(message, error.status, None, error, error.attempts, retry_at)
