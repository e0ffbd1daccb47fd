"""What an error means to whoever runs the command: its words, its exit code, what to do next."""

import errno
from collections.abc import Callable
from socket import gaierror
from typing import Final

from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.language import text
from ihuyi_voice.cli.texts import TEXTS
from ihuyi_voice.common.network import NetworkForbidden
from ihuyi_voice.errors import (
    InboxUnavailable,
    InvalidRequest,
    LedgerUnavailable,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    RunInUse,
    StorageUnavailable,
    VendorError,
    VoiceError,
)
from ihuyi_voice.models import Operation

FAMILIES: Final[tuple[tuple[type[VoiceError], Exit], ...]] = (
    # the first family that fits counts
    (InvalidRequest, Exit.USAGE),
    (RateLimited, Exit.NOT_REACHED),
    (VendorError, Exit.REFUSED),
    (LedgerUnavailable, Exit.NOT_WRITTEN),
    (NotSent, Exit.NOT_REACHED),
    (OutcomeUnknown, Exit.UNKNOWN),
    (StorageUnavailable, Exit.NOT_WRITTEN),
    (InboxUnavailable, Exit.NOT_WRITTEN),
)
_OF_THE_DISK: Final = frozenset({errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EROFS, errno.EDQUOT})


def _of_the_system(error: Exception) -> Exit:
    """Return USAGE for a file or a host that was named wrongly, NOT_WRITTEN for a port or a disk.

    What the disk itself says (full, broken, read-only) is no wrong name.
    """
    number, path = getattr(error, "errno", None), getattr(error, "filename", None)
    named = isinstance(error, gaierror) or path is not None
    return Exit.USAGE if named and number not in _OF_THE_DISK else Exit.NOT_WRITTEN


_OTHERS: Final[tuple[tuple[type[Exception], Callable[[Exception], Exit]], ...]] = (
    (ImportError, lambda _: Exit.EXTRA),
    (NetworkForbidden, lambda _: Exit.USAGE),
    (OSError, _of_the_system),
)
TOLD: Final[tuple[type[Exception], ...]] = (VoiceError, *(kind for kind, _ in _OTHERS))
"""What is told in words; anything else is a fault of the program, and has a traceback."""


def exit_code(error: Exception) -> Exit:
    """Return the exit code for an error that is told in words."""
    if isinstance(error, VoiceError):
        return _family(error)[1]
    return next(code(error) for kind, code in _OTHERS if isinstance(error, kind))


def _family(error: VoiceError) -> tuple[type[VoiceError], Exit]:
    found = (family for family in FAMILIES if isinstance(error, family[0]))
    return next(found, (VoiceError, Exit.NOT_ALL))


def error_words(error: VoiceError) -> dict[str, str]:
    """Return what `error.voice` says of an error: its name, its family in words, its reason."""
    family = text(f"family.{_family(error)[0].__name__}")
    return {"name": type(error).__name__, "family": family, "reason": str(error)}


def advice(error: VoiceError, unsure: str = "next.OutcomeUnknown") -> str:
    """Return what to do about an error; empty where its own words say all there is.

    Args:
        error: The error.
        unsure: What to do about what may have happened, a key.
    """
    if isinstance(error, RateLimited) and error.source == "guard":
        return _when(error)
    if isinstance(error, VendorError):
        return text(key_of(error.code, error.operation))
    if isinstance(error, InvalidRequest | LedgerUnavailable | RunInUse):
        return ""
    if isinstance(error, OutcomeUnknown):
        return text(unsure)
    return text("advice.NotSent") if isinstance(error, NotSent) else ""


def key_of(code: int, operation: Operation = Operation.SUBMIT) -> str:
    """Return the key of what to do about a code of the vendor's."""
    keys = f"next.{operation.value}.{code}", f"next.{code}", f"advice.{code}"
    return next((key for key in keys if key in TEXTS), "next.unlisted")


def _when(error: RateLimited) -> str:
    if error.retry_at is None:
        return ""
    return text("next.HELD", when=f"{error.retry_at.astimezone():%Y-%m-%d %H:%M:%S}")
