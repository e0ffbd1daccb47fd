"""What to do next about an error, in words: by the vendor's code, or by its family."""

from ihuyi_voice.cli.language import text
from ihuyi_voice.cli.texts import TEXTS
from ihuyi_voice.errors import (
    InvalidRequest,
    LedgerUnavailable,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    VendorError,
    VoiceError,
)
from ihuyi_voice.models import Operation


def advice(error: VoiceError) -> str:
    """Return what to do about an error; empty where its own words say all there is."""
    if isinstance(error, RateLimited) and error.source == "guard":
        return _when(error)
    if isinstance(error, VendorError):
        return text(key_of(error.code, error.operation))
    if isinstance(error, InvalidRequest | LedgerUnavailable):
        return ""
    if isinstance(error, OutcomeUnknown):
        return text("next.OutcomeUnknown")
    return text("advice.NotSent") if isinstance(error, NotSent) else ""


def key_of(code: int, operation: Operation = Operation.SUBMIT) -> str:
    """Return the key of what to do about a code of the vendor's."""
    keys = f"next.{operation.value}.{code}", f"next.{code}", f"advice.{code}"
    return next((key for key in keys if key in TEXTS), "next.unlisted")


def _when(error: RateLimited) -> str:
    if error.retry_at is None:
        return ""
    return text("next.HELD", when=f"{error.retry_at.astimezone():%Y-%m-%d %H:%M:%S}")
