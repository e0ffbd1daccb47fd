"""What happens to calls and runs: asked for, waiting, attempted, tried again, ended.

submitted ── waited ── attempt started ── attempt ended ── settled
                ▲                               │
                └────────── retried ────────────┘
cut off: instead of settled, where a caller was cancelled or the program broke: no outcome
"""

from collections.abc import Callable
from typing import Any, Literal, Protocol

import attrs

from ihuyi_voice.common.redaction import mask_mobile, mask_numbers, shown_error
from ihuyi_voice.errors import RateLimited, VoiceError
from ihuyi_voice.models import Operation, OutcomeStatus, Timing


def _shown(text: str | None) -> str:
    return "None" if text is None else mask_numbers(repr(text))


@attrs.frozen(slots=False)
class Submitted:
    """A call was asked for, and its number and content are right.

    Attributes:
        call: Its number in this process; the same in each event of it.
        mobile: The number, whole, for programs; the repr masks it.
    """

    call: int
    mobile: str = attrs.field(repr=mask_mobile)


@attrs.frozen(slots=False)
class Waited:
    """A call has waited, and goes on.

    Attributes:
        call: Its number.
        cause: For what: `guard` (limits, and others who were first), `ledger`, or `connection`.
        seconds: How long.
    """

    call: int
    cause: Literal["guard", "ledger", "connection"]
    seconds: float


@attrs.frozen(slots=False)
class AttemptStarted:
    """A request is about to be made; it is told within the task that makes it.

    Attributes:
        call: Its call's number.
        attempt: Which one it is, from 1.
        method: `POST` or `GET`.
        url: Where it goes, without a query, for that may hold a secret.
    """

    call: int
    attempt: int
    method: Literal["POST", "GET"]
    url: str


@attrs.frozen(slots=False)
class AttemptEnded:
    """A request has ended.

    Attributes:
        call: Its call's number.
        attempt: Which one it was, from 1.
        seconds: How long it took, the wait for a connection included.
        http_status: The reply's status, if a reply came.
        error: What it ended in; None if the vendor accepted.
    """

    call: int
    attempt: int
    seconds: float
    http_status: int | None = None
    error: BaseException | None = attrs.field(default=None, repr=shown_error)


@attrs.frozen
class RetryEvent:
    """A call is about to be tried again.

    Attributes:
        operation: What is asked.
        attempt: How many attempts were made so far.
        delay: Seconds until the next one.
        error: Why the last one failed.
        call: Its number; None for what is no submission.
    """

    operation: Operation
    attempt: int
    delay: float
    error: VoiceError = attrs.field(repr=shown_error)
    call: int | None = None


@attrs.frozen(slots=False)
class Settled:
    """A submission has its outcome; each has one such event, unless it was cut off.

    Attributes:
        status: One of the five.
        mobile: The number, whole, for programs; the repr masks it.
        call: Its number; None if it never became a call, as its number or content is wrong.
        code: The vendor's code, 2 for an acceptance; None if there was no answer.
        voice_id: The vendor's serial number, if it was accepted.
        attempts: Requests begun.
        error: Why it was not accepted.
        timing: Where its time went; None if it never became a call, or was settled earlier.
        replayed: Whether it was settled earlier, so that nothing was sent.
    """

    status: OutcomeStatus
    mobile: str = attrs.field(repr=mask_mobile)
    call: int | None = None
    code: int | None = None
    voice_id: str | None = None
    attempts: int = 0
    error: VoiceError | None = attrs.field(default=None, repr=shown_error)
    timing: Timing | None = None
    replayed: bool = False

    def facts(self) -> dict[str, Any]:
        """Return what a log record carries: no secret, and no whole number."""
        error, timing = self.error, self.timing
        retry_at = error.retry_at if isinstance(error, RateLimited) else None
        return {
            "voice_call": self.call,
            "voice_status": self.status.value,
            "voice_mobile": mask_mobile(self.mobile),
            "voice_code": self.code,
            "voice_id": self.voice_id,
            "voice_attempts": self.attempts,
            "voice_error": None if error is None else type(error).__name__,
            "voice_retry_at": None if retry_at is None else retry_at.isoformat(),
            "voice_replayed": self.replayed,
            "voice_seconds": None if timing is None else timing.total,
            "voice_guard_wait": None if timing is None else timing.guard,
            "voice_ledger_wait": None if timing is None else timing.ledger,
            "voice_pool_wait": None if timing is None else timing.pool,
            "voice_backoff": None if timing is None else timing.backoff,
        }


@attrs.frozen
class CutOff:
    """A submission has no outcome: its caller was cancelled, or the program broke.

    Attributes:
        call: Its number.
        in_flight: Whether its request may have reached the vendor, so that the phone may ring.
        error: What is raised instead: a CancelledError, or an error of the program.
    """

    call: int
    in_flight: bool
    error: BaseException | None = attrs.field(default=None, repr=shown_error)


class Standing(Protocol):
    """Where a run stands, as far as events go; a run's `Progress`."""

    @property
    def in_flight(self) -> int:
        """Attempts being made."""
        ...

    @property
    def deferred(self) -> int:
        """Messages held back until later."""
        ...


@attrs.frozen
class RunStarted:
    """A run has begun.

    Attributes:
        run: What tells it apart from others of this process.
        total: How many messages there are; None if nobody knows.
        look: Returns where it stands, at any time until it has ended.
    """

    run: int
    total: int | None
    look: Callable[[], Standing] = attrs.field(repr=False, eq=False)


@attrs.frozen
class RunStopped:
    """A run has ended.

    Attributes:
        run: As in its `RunStarted`.
        counts: Its messages by status.
        seconds: How long it took.
        reason: Why it began with nothing more; None if it is whole.
        cause: The error behind that, if there is one.
    """

    run: int
    counts: dict[OutcomeStatus, int]
    seconds: float
    reason: str | None = attrs.field(default=None, repr=_shown)
    cause: BaseException | None = attrs.field(default=None, repr=shown_error)

    def facts(self) -> dict[str, Any]:
        """Return what a log record carries."""
        return {
            "voice_run": self.run,
            "voice_counts": {status.value: count for status, count in self.counts.items()},
            "voice_seconds": self.seconds,
            "voice_reason": self.reason,
            "voice_error": None if self.cause is None else type(self.cause).__name__,
        }
