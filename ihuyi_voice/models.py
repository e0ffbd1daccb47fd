"""The values that everybody passes around, and the words for them; all of them frozen.

In order: the words (operations, outcomes, actions), what came over the wire, what is submitted
and what the vendor says at once. What it pushes later stands in `reports`.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Self

import attrs

from ihuyi_voice.common.redaction import Redactor, mask_mobile, mask_numbers, place_of
from ihuyi_voice.common.schemas import dict_schema
from ihuyi_voice.reports import (
    CHINA,
    DELIVERY_STATUSES,
    DeliveryReport,
    DeliveryStatus,
    Fields,
    StatusRow,
    TemplateAudit,
)

__all__ = [  # noqa: RUF022 - sorted as all of ours are
    "Action",
    "AddedTemplate",
    "CHINA",
    "DELIVERY_STATUSES",
    "DeliveryReport",
    "DeliveryStatus",
    "Draft",
    "Fields",
    "Message",
    "Operation",
    "OutcomeStatus",
    "RawReply",
    "StatusRow",
    "Submission",
    "TemplateAudit",
    "Timing",
    "digest",
]


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


class Action(StrEnum):
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


_SHOWN = 200
_UNSAFE_HEADERS = frozenset({b"set-cookie", b"location"})
_MASK = Redactor()


@attrs.frozen(eq=False)
class RawReply:
    """One HTTP reply as it came; the body is masked whenever it is shown.

    The replies that results and errors carry are sealed: they hold no secret.

    Attributes:
        status: The HTTP status.
        content: The body; in a sealed reply, without secrets.
    """

    status: int
    _headers: Sequence[tuple[bytes, bytes]] = attrs.field(repr=False)
    content: bytes = attrs.field(repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        """The reply's headers by lower-case name, without cookies and redirect targets."""
        shown = ((k.lower(), v) for k, v in self._headers if k.lower() not in _UNSAFE_HEADERS)
        return {name.decode("latin-1"): _MASK(value.decode("latin-1")) for name, value in shown}

    @property
    def points_to(self) -> str:
        """Scheme, host and path of where a redirect points; none if it doesn't, or is sealed."""
        found = (value for name, value in self._headers if name.lower() == b"location")
        return place_of(next(found, b"").decode("latin-1"))

    @property
    def body(self) -> str:
        """The whole body as text, with masked numbers."""
        return _MASK(self.content.decode("utf-8", "replace"))

    @property
    def excerpt(self) -> str:
        """The first 200 characters of `body`, on one line."""
        # Mask first, cut afterwards: a number cut in two would no longer be recognised.
        start = _MASK(self.content[: 8 * _SHOWN].decode("utf-8", "replace"))
        return " ".join(start[:_SHOWN].split())

    def sealed(self, redact: Redactor) -> "RawReply":
        """Return this reply without secrets: nothing that is made of it can show one."""
        safe = [pair for pair in self._headers if pair[0].lower() not in _UNSAFE_HEADERS]
        clean = redact.is_clean(b"\n".join([self.content, *[value for _, value in safe]]))
        if clean and len(safe) == len(self._headers):
            return self
        headers = [(name, redact.in_bytes(value)) for name, value in safe]
        return RawReply(self.status, headers, redact.in_bytes(self.content))


def _shown(mask: Callable[[str], str]) -> Callable[[object], str]:
    """Return a repr that masks what it shows, and never raises whatever the caller put there."""

    def show(value: object) -> str:
        if value is None:
            return "None"
        try:
            if isinstance(value, str | int | float):
                return mask(str(value))
        except Exception:  # noqa: BLE001, S110 - an int of 5,000 digits, a class of the caller's
            pass
        return f"<{type(value).__name__}>"

    return show


def _shown_reference(value: object) -> str:
    """Return the repr of what is the caller's own and may be anything, its numbers masked."""
    try:
        return mask_numbers(repr(value))
    except Exception:  # noqa: BLE001 - as above
        return f"<{type(value).__name__}>"


@attrs.frozen
class Message:
    """One notification to be submitted (section 2.3).

    Attributes:
        mobile: The number to call; the repr masks it.
        content: What the voice says.
        reference: The caller's own name for this message, if any; it is not sent.
    """

    mobile: str = attrs.field(repr=_shown(mask_mobile))
    content: str = attrs.field(repr=_shown(mask_numbers))
    reference: str | None = attrs.field(default=None, repr=_shown_reference)


@attrs.frozen
class Draft:
    """A message as a ledger keeps it: checked, and under its key.

    Attributes:
        key: Its name within the run, or among the keyed calls; see `digest`.
        mobile: The number, normalised; the repr masks it.
        content: What the voice says.
        reference: The caller's own name for the message, if any.
    """

    key: str
    mobile: str = attrs.field(repr=mask_mobile)
    content: str = attrs.field(repr=mask_numbers)
    reference: str | None = attrs.field(default=None, repr=_shown_reference)


def digest(mobile: str, content: str) -> str:
    """Return the key of a message without a reference: the same for the same number and content."""
    # What can't be sent has one, too.
    said = f"{mobile}\n{content}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(said).hexdigest()


@attrs.frozen
class Timing:
    """Where the time of a submission went, in seconds.

    Attributes:
        call: Its number in this process, as in its events.
        total: From being asked for to its end.
        guard: Waiting to be let go: for the limits, and for others who were first; a ledger's
            answers are in it.
        ledger: Waiting for a ledger.
        pool: Waiting for a connection.
        backoff: Waiting between attempts.
    """

    call: int
    total: float
    guard: float = 0.0
    ledger: float = 0.0
    pool: float = 0.0
    backoff: float = 0.0


@attrs.frozen
class Submission:
    """The vendor accepted a notification and will call (section 2.3).

    Attributes:
        voice_id: The vendor's serial number, the key to the delivery report.
        mobile: The number as it was sent; the repr masks it.
        msg: The vendor's text.
        attempts: How many requests it took.
        raw: The reply as it came.
        timing: Where its time went; None if it was settled earlier.
    """

    voice_id: str
    mobile: str = attrs.field(repr=mask_mobile)
    msg: str
    attempts: int = 1
    raw: RawReply | None = attrs.field(default=None, eq=False, repr=False)
    timing: Timing | None = attrs.field(default=None, eq=False, repr=False)

    def to_dict(self) -> dict[str, str | int]:
        """Return it as JSON takes it; the number is whole, and no secret is in it."""
        return {
            "voice_id": self.voice_id,
            "mobile": self.mobile,
            "msg": self.msg,
            "attempts": self.attempts,
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Return what `to_dict` made a dict of; keys that it doesn't know are left alone.

        Raises:
            KeyError: There is no `voice_id`, or no `mobile`.
        """
        return cls(
            str(given["voice_id"]),
            given["mobile"],
            given.get("msg", ""),
            given.get("attempts", 1),
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, _: object, handler: Callable[[Any], Any]) -> Any:  # noqa: ANN401
        """Tell pydantic how it is read and shown."""
        shape = {"voice_id": str, "mobile": str, "msg": str, "attempts": int}
        return dict_schema(cls, shape, cls.from_dict, handler)


@attrs.frozen
class AddedTemplate:
    """The vendor took a template and will audit it (section 4.3).

    Attributes:
        template_id: The vendor's id, the key to the audit and to deletion.
        content: The template as it was sent.
        msg: The vendor's text.
        attempts: How many requests it took.
        raw: The reply as it came.
    """

    template_id: str
    content: str
    msg: str
    attempts: int = 1
    raw: RawReply | None = attrs.field(default=None, eq=False, repr=False)
