"""Exceptions, in families by what the caller may do next.

VoiceError
├── InvalidRequest          fix the input; nothing was sent
├── NotSent                 surely never reached the vendor; safe to send again
│   ├── RunStopped          a bulk run ended before this message's turn
│   ├── GuardUnavailable    the guard could not be asked beforehand
│   ├── LedgerUnavailable   the ledger could not be asked or written beforehand
│   │   └── LedgerClosed    it is not open
│   ├── CallInFlight        a call of the same key is in flight elsewhere, and its end isn't known
│   └── RunInUse            another living process works on the run
├── OutcomeUnknown          may have reached the vendor; sending again may ring twice
│   └── UnreadableReply     a reply came, and it made no sense
└── VendorError             the vendor said no: `code`, `msg`, `operation`, `action`
    ├── SubmissionFailed    0 提交失败; retried by itself
    ├── AccessDenied        400, 4052: the address may not call
    ├── InvalidCredentials  401, 402, 405, 4053, 40501, 40502
    ├── AccountUnavailable  4050, 40505, Submit's 408: frozen, or no contract
    ├── BalanceExhausted    4051
    ├── InvalidMobile       403, 406
    ├── Blacklisted         4030
    ├── ContentRejected     404, 407, 4077
    ├── TemplateMismatch    4071, 4072, 40722
    ├── TemplateExists      AddTemplate's 408
    ├── TemplateNotFound    DelTemplate's 404
    └── RateLimited         4010, 4080 to 4086; also raised by the guard before anything is sent
"""

from datetime import datetime
from typing import Final, Literal

from ihuyi_voice.models import Action, Operation, OutcomeStatus, RawReply, Timing

_CLOCK_OFF: Final = 5.0  # seconds; a Date has whole ones, and was on its way


class VoiceError(Exception):
    """Anything that this package raises on purpose.

    Attributes:
        attempts: How many requests were begun for this call, 0 if none.
        raw: The vendor's reply, if one came; safe to show.
        status: Which of the five outcomes it means for a submission.
        timing: Where a submission's time went; None if it never became a call.
    """

    status: OutcomeStatus = OutcomeStatus.NOT_SENT
    attempts: int = 0
    raw: RawReply | None = None
    timing: Timing | None = None

    @property
    def http_status(self) -> int:
        """What a web app may answer its own caller.

        422 if the request has to be mended, 202 if the phone may ring and a report will tell, and
        503 if the same request may pass later, or once a person has acted.
        """
        return 503

    def to_dict(self) -> dict[str, str | int | None]:
        """Return it as JSON takes it; no secret is in it, and no whole number."""
        return {
            "error": type(self).__name__,
            "text": str(self),
            "status": self.status.value,
            "attempts": self.attempts,
        }


class InvalidRequest(VoiceError, ValueError):
    """The input can't be sent as it is; nothing was sent.

    Attributes:
        field: The argument that is wrong, for example `mobile`; None if there is no single one.
    """

    def __init__(self, reason: str, *, field: str | None = None) -> None:
        super().__init__(reason)
        self.field = field

    @property
    def http_status(self) -> int:
        """422: the request has to be mended."""
        return 422


class NotSent(VoiceError):
    """The request surely never reached the vendor: no connection, no pool slot, a stopped run.

    Attributes:
        transient: Whether trying again may help; then it is done by itself, as the policy says.
        queued: Whether it only waited for one of our own connections, too long for its timeout.
            That is not the vendor's trouble, and uses up no attempt.
    """

    transient: bool = True
    queued: bool = False


class RunStopped(NotSent):
    """The bulk run ended before this message was submitted; `__cause__` says why."""

    transient = False


class GuardUnavailable(NotSent):
    """The guard could not be reached or failed before anything was sent; `__cause__` says how."""

    transient = False


class LedgerUnavailable(NotSent):
    """The ledger could not be asked, or written to, before anything was sent.

    Its text says what is wrong with the database; `__cause__` says how it was found out.
    """

    transient = False


class LedgerClosed(LedgerUnavailable):
    """The ledger is not open: it has not been entered yet, or it has been left."""


class CallInFlight(NotSent):
    """Another call with this key is in flight, and did not end within `max_wait`.

    This one sent nothing; the same key may be asked again.
    """

    transient = False


class RunInUse(NotSent):
    """Another living process works on this run; the text says since when, and its last beat."""

    transient = False


class OutcomeUnknown(VoiceError):
    """The request may have reached the vendor, and no usable reply came.

    A delivery report may settle it; sending again may make the phone ring twice.
    """

    status = OutcomeStatus.UNKNOWN

    @property
    def http_status(self) -> int:
        """202: the phone may ring, and a report will tell."""
        return 202


class UnreadableReply(OutcomeUnknown):
    """A reply came and can't be used: empty, cut off, an error page, or not what was asked."""


class VendorError(VoiceError):
    """The vendor replied a code that is not success.

    Attributes:
        code: The vendor's code; unlisted ones are kept as they came.
        msg: What the vendor wrote, redacted; for people, not for programs.
        operation: What was asked: the same code means different things in different operations.
        action: What to do about it.
    """

    status = OutcomeStatus.REJECTED

    def __init__(self, code: int, msg: str, operation: Operation, action: Action) -> None:
        super().__init__(code, msg, operation, action)
        self.code = code
        self.msg = msg
        self.operation = operation
        self.action = action

    def __str__(self) -> str:
        return f"{self.operation.value} {self.code}: {self.msg} [{self.action.value}]"

    @property
    def http_status(self) -> int:
        """422 if the request has to be mended; 503 if it may pass later, or a person has to act."""
        return 422 if self.action is Action.FIX_REQUEST else 503

    def to_dict(self) -> dict[str, str | int | None]:
        """Return it as JSON takes it: code, text and action, too."""
        return super().to_dict() | {
            "code": self.code,
            "msg": self.msg,
            "operation": self.operation.value,
            "action": self.action.value,
        }


class SubmissionFailed(VendorError):
    """0 提交失败: the vendor could not take it this time."""


class AccessDenied(VendorError):
    """400, 4052: this machine's address may not use the account."""


class InvalidCredentials(VendorError):
    """401, 402, 405, 4053, 40501, 40502: account, key or dynamic password is wrong.

    Attributes:
        clock_ahead: By how many seconds this machine's clock is ahead of the reply's Date, negative
            if behind; None if nobody can tell. A dynamic password has the time in it (section 7).
    """

    clock_ahead: float | None = None

    def __str__(self) -> str:
        ahead = self.clock_ahead
        if ahead is None or abs(ahead) < _CLOCK_OFF:
            return super().__str__()
        way = "ahead of" if ahead > 0 else "behind"
        return f"{super().__str__()}; this machine's clock is {abs(ahead):.0f} s {way} the vendor's"


class AccountUnavailable(VendorError):
    """4050, 40505, Submit's 408: the account is frozen or has no contract."""


class BalanceExhausted(VendorError):
    """4051: no notifications are left on the account."""


class InvalidMobile(VendorError):
    """403, 406: the vendor does not take this number."""


class Blacklisted(VendorError):
    """4030: the number is on the vendor's black list."""


class ContentRejected(VendorError):
    """404, 407, 4077: the content is empty, has sensitive words or isn't registered."""


class TemplateMismatch(VendorError):
    """4071, 4072, 40722: no template, or the content doesn't follow it."""


class TemplateExists(VendorError):
    """AddTemplate's 408: the account has this template already."""


class TemplateNotFound(VendorError):
    """DelTemplate's 404: there is no template of this id."""


class RateLimited(VendorError):
    """Too many calls to this number, said by the guard beforehand or by the vendor.

    Attributes:
        retry_at: When the number may be called again, aware and in UTC; None if nobody knows.
        source: `guard` if nothing was sent, `vendor` if the vendor refused it.
    """

    retry_at: datetime | None = None
    source: Literal["guard", "vendor"] = "vendor"

    def __str__(self) -> str:
        if self.source == "vendor":
            return super().__str__()
        at = "" if self.retry_at is None else f"; not before {self.retry_at:%Y-%m-%d %H:%M:%S} UTC"
        return f"held back by the guard, nothing was sent: {self.msg}{at} [{self.code}]"

    @property
    def status(self) -> OutcomeStatus:  # type: ignore[override]  # told by its source
        """HELD if the guard said so, and nothing was sent; else REJECTED."""
        return OutcomeStatus.HELD if self.source == "guard" else OutcomeStatus.REJECTED

    def to_dict(self) -> dict[str, str | int | None]:
        """Return it as JSON takes it: when the number may be called again, too."""
        at = None if self.retry_at is None else self.retry_at.isoformat()
        return super().to_dict() | {"retry_at": at, "source": self.source}


class StorageUnavailable(VoiceError):
    """A database could not do what was asked; whoever keeps something in it says so in its words.

    The inbox, for example, raises InboxUnavailable instead.
    """


class StorageClosed(StorageUnavailable):
    """The database is not open any more."""


class InboxUnavailable(VoiceError):
    """The inbox's database could not do what was asked: nothing was stored, or nothing was read.

    The receiver answers 503 then, and the vendor tries again.
    """


class InboxClosed(InboxUnavailable):
    """The inbox is not open: it has not been entered yet, or it has been left."""
