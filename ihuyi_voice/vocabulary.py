"""The words that everybody uses: operations, outcomes and what to do about a code."""

from enum import Enum, StrEnum


class Operation(StrEnum):
    """What can be asked of the vendor; the value is the `method` of its URL (sections 2 to 5)."""

    SUBMIT = "Submit"
    BALANCE = "GetNum"
    ADD_TEMPLATE = "AddTemplate"
    DELETE_TEMPLATE = "DelTemplate"


class OutcomeStatus(StrEnum):
    """How a submission ended; each ends in exactly one of these.

    Attributes:
        ACCEPTED: The vendor replied code 2; the `voice_id` is known.
        REJECTED: The vendor replied another code; its `action` says what to do.
        HELD: The guard would have had to wait longer than allowed. Nothing was sent;
            `retry_at` says when it may be.
        NOT_SENT: The request surely never reached the vendor. It is safe to send again.
        UNKNOWN: The request may have reached the vendor and no usable reply came. Sending again
            may make the phone ring twice.
    """

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    HELD = "HELD"
    NOT_SENT = "NOT_SENT"
    UNKNOWN = "UNKNOWN"


class Action(Enum):
    """What a code asks of the caller.

    Attributes:
        FIX_REQUEST: This request will never pass as it is; others may.
        WAIT: The same request may pass later.
        RETRY: The same request may pass at once; the client retries it by itself.
        STOP: No request will pass until a person has acted; a bulk run ends.
    """

    FIX_REQUEST = "fix_request"
    WAIT = "wait"
    RETRY = "retry"
    STOP = "stop"
