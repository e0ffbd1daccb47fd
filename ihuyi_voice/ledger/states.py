"""The states of an entry, and the way between how a call ended and the columns that say so.

The order of the numbers is used: what is at most REFUSED may be sent again.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Final, Literal, TypeAlias

from ihuyi_voice import errors
from ihuyi_voice.errors import (
    OutcomeUnknown,
    RateLimited,
    VendorError,
    VoiceError,
)
from ihuyi_voice.models import Action, Operation, OutcomeStatus, Submission
from ihuyi_voice.storage import Row

Ending: TypeAlias = Submission | VoiceError
"""How a message ended."""

ACCEPTED_CODE: Final = 2
ENDED: Final = {
    "state": "SMALLINT", "attempts": "INTEGER", "kind": "TEXT", "text": "TEXT",
    "voice_id": "TEXT", "code": "BIGINT", "action": "TEXT", "retry_at": "DOUBLE PRECISION",
}  # fmt: skip
"""The columns that say how a call ended, and their types."""

_LARGEST: Final = 2**63 - 1


class State(IntEnum):
    """What has become of an entry.

    Attributes:
        OPEN: Nothing yet.
        HELD: The guard held it back; opens again.
        NOT_SENT: It was surely not sent; opens again.
        REFUSED: REJECTED by STOP, WAIT or RETRY; opens again.
        REJECTED: REJECTED by FIX_REQUEST; opens again only if that is asked for.
        INTENT: In flight, or about to be.
        ACCEPTED: The vendor took it.
        UNKNOWN: It may have reached the vendor.
    """

    OPEN = 0
    HELD = 1
    NOT_SENT = 2
    REFUSED = 3
    REJECTED = 4
    INTENT = 5
    ACCEPTED = 6
    UNKNOWN = 7


Open: TypeAlias = Literal["OPEN"]
STATUS_OF: Final[Mapping[int, OutcomeStatus]] = {
    State.HELD: OutcomeStatus.HELD,
    State.NOT_SENT: OutcomeStatus.NOT_SENT,
    State.REFUSED: OutcomeStatus.REJECTED,
    State.REJECTED: OutcomeStatus.REJECTED,
    State.ACCEPTED: OutcomeStatus.ACCEPTED,
    State.UNKNOWN: OutcomeStatus.UNKNOWN,
}
_STATE_OF: Final = {
    OutcomeStatus.HELD: State.HELD,
    OutcomeStatus.NOT_SENT: State.NOT_SENT,
    OutcomeStatus.UNKNOWN: State.UNKNOWN,
}


def opens(*, retry_rejected: bool) -> int:
    """Return the highest state that may be sent again."""
    return State.REJECTED if retry_rejected else State.REFUSED


def columns_of(end: Ending) -> tuple[Any, ...]:
    """Return the columns that say how a call ended, in the order of `ENDED`."""
    if isinstance(end, Submission):
        text, voice_id = storable(end.msg), storable(end.voice_id)
        accepted = int(State.ACCEPTED), end.attempts, None, text
        return *accepted, voice_id, ACCEPTED_CODE, None, None
    if isinstance(end, VendorError):
        return _refusal(end)
    state, kind = int(_STATE_OF[end.status]), type(end).__name__
    return state, end.attempts, kind, storable(str(end)), None, None, None, None


def _refusal(end: VendorError) -> tuple[Any, ...]:
    state = _STATE_OF.get(end.status)
    if state is None:
        state = State.REJECTED if end.action is Action.FIX_REQUEST else State.REFUSED
    said = int(state), end.attempts, type(end).__name__, storable(end.msg)
    retry_at = end.retry_at if isinstance(end, RateLimited) else None
    seconds = None if retry_at is None else retry_at.timestamp()
    return *said, None, within_reach(end.code), end.action.value, seconds


def ending_of(row: Row) -> Ending | None:
    """Return how the call of an entry ended; None if it has not."""
    state = State(row["state"])
    if state in {State.OPEN, State.INTENT}:
        return None
    if state is State.ACCEPTED:
        return Submission(
            row["voice_id"] or "", row["mobile"], row["text"] or "", int(row["attempts"])
        )
    error = _error(row, state)
    error.attempts = int(row["attempts"])
    return error


def _error(row: Row, state: State) -> VoiceError:
    kind = _kind(row["kind"])
    if row["code"] is not None:
        refused = kind if issubclass(kind, VendorError) else VendorError
        return _vendor_error(row, refused, state)
    if state is State.UNKNOWN and not issubclass(kind, OutcomeUnknown):
        kind = OutcomeUnknown
    return kind(row["text"] or "")


def _vendor_error(row: Row, kind: type[VendorError], state: State) -> VendorError:
    action = Action(row["action"] or Action.FIX_REQUEST.value)
    error = kind(int(row["code"]), row["text"] or "", Operation.SUBMIT, action)
    if isinstance(error, RateLimited):
        error.source = "guard" if state is State.HELD else "vendor"
        error.retry_at = moment(row["retry_at"])
    return error


def _kind(name: str | None) -> type[VoiceError]:
    found = getattr(errors, name or "", None)
    if isinstance(found, type) and issubclass(found, VoiceError):
        return found
    return errors.NotSent


def moment(seconds: float | None) -> datetime | None:
    """Return Unix seconds as a time, aware and in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def storable(text: str) -> str:
    """Return a text as every database takes it: without NUL and halves of characters."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def kept(reference: object) -> str | None:
    """Return the caller's own name for a message, which may be anything, as it is kept."""
    if reference is None:
        return None
    try:
        return storable(str(reference))
    except Exception:  # noqa: BLE001 - it is the caller's class, and only a name
        return f"<{type(reference).__name__}>"


def within_reach(number: int) -> int:
    """Return an integer as every database takes it."""
    return max(-_LARGEST, min(number, _LARGEST))
