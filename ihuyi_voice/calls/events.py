"""What a client tells of its calls while they go on: one typed stream of events.

The same facts stand in log lines as `extra` fields, named `voice_…`, under the logger
`ihuyi_voice.outcomes`. Events are told in the order in which things happen, within the task that
makes them happen, by a plain call. The hook is foreign code: what it raises is dropped after one
warning, and whatever it does changes no outcome; while it blocks, the event loop does.

    submitted ── waited ── attempt started ── attempt ended ── settled
                    ▲                               │
                    └────────── retried ────────────┘
    cut off: instead of settled, where a caller was cancelled or the program broke: no outcome
"""

import inspect
import logging
from collections.abc import Callable
from itertools import count
from typing import Any, Final, Literal, Protocol, TypeAlias

import attrs

from ihuyi_voice.common.foreign import ENDING
from ihuyi_voice.common.logs import tell
from ihuyi_voice.common.redaction import mask_mobile, mask_numbers
from ihuyi_voice.errors import InvalidRequest, VendorError, VoiceError
from ihuyi_voice.models import Operation, OutcomeStatus, Submission, Timing

logger = logging.getLogger("ihuyi_voice.outcomes")

_ACCEPTED: Final = 2  # the vendor's code
_NOTICED: Final = 0.001  # seconds of waiting that are worth an event
_LEVELS: Final = {
    OutcomeStatus.ACCEPTED: logging.DEBUG,
    OutcomeStatus.HELD: logging.INFO,
    OutcomeStatus.NOT_SENT: logging.INFO,
    OutcomeStatus.REJECTED: logging.WARNING,
    OutcomeStatus.UNKNOWN: logging.WARNING,
}
_numbers: Final = count(1)


@attrs.frozen
class Submitted:
    """A call was asked for, and its number and content are right.

    Attributes:
        call: Its number in this process; the same in each event of it.
        mobile: The number, whole, for programs; the repr masks it.
    """

    call: int
    mobile: str = attrs.field(repr=mask_mobile)


@attrs.frozen
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


@attrs.frozen
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


@attrs.frozen
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
    error: BaseException | None = None


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
    error: VoiceError
    call: int | None = None


@attrs.frozen
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
    error: VoiceError | None = None
    timing: Timing | None = None
    replayed: bool = False

    def facts(self) -> dict[str, Any]:
        """Return what a log record carries: no secret, and no whole number."""
        timing = self.timing
        return {
            "voice_call": self.call,
            "voice_status": self.status.value,
            "voice_mobile": mask_mobile(self.mobile),
            "voice_code": self.code,
            "voice_id": self.voice_id,
            "voice_attempts": self.attempts,
            "voice_error": None if self.error is None else type(self.error).__name__,
            "voice_seconds": None if timing is None else timing.total,
            "voice_guard_wait": None if timing is None else timing.guard,
            "voice_pool_wait": None if timing is None else timing.pool,
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
    error: BaseException | None = None


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
    reason: str | None = None
    cause: BaseException | None = None


Event: TypeAlias = (
    Submitted
    | Waited
    | AttemptStarted
    | AttemptEnded
    | RetryEvent
    | Settled
    | CutOff
    | RunStarted
    | RunStopped
)


def next_number() -> int:
    """Return a number that no other call or run of this process has."""
    return next(_numbers)


def checked_hook(hook: Callable[[Event], object] | None) -> Callable[[Event], object] | None:
    """Return a hook that can be called.

    Raises:
        InvalidRequest: It can't.
    """
    if hook is not None and not callable(hook):
        raise InvalidRequest(f"on_event is {hook!r:.80}, which can't be called", field="on_event")
    return hook


@attrs.define(eq=False)
class Events:
    """Tells events to the hook of a client, if it has one.

    Attributes:
        hook: The caller's; None for nobody. Who tells looks first, for events cost something.
    """

    hook: Callable[[Event], object] | None = None
    _has_failed: bool = False

    def tell(self, event: Event) -> None:
        """Tell one."""
        if self.hook is None:
            return
        failure = call_hook(self.hook, event)
        if failure is not None and not self._has_failed:
            self._has_failed = True
            text = "on_event failed (%s); what it fails at later is not told"
            tell(logger, logging.WARNING, text, type(failure).__name__)

    def waited(self, call: int, cause: Literal["guard", "ledger", "connection"], s: float) -> None:
        """Tell of a wait that was one."""
        if self.hook is not None and s >= _NOTICED:
            self.tell(Waited(call, cause, s))

    def accepted(self, call: int, mobile: str, end: Submission, *, replayed: bool = False) -> None:
        """Tell that a submission was accepted."""
        told = call, OutcomeStatus.ACCEPTED, mobile, None, end.voice_id, end.attempts, end.timing
        self.settled(*told, replayed=replayed)

    def ended(self, call: int, mobile: str, error: VoiceError, *, replayed: bool = False) -> None:
        """Tell that a submission ended in an error."""
        told = call, error.status, mobile, error, None, error.attempts, error.timing
        self.settled(*told, replayed=replayed)

    def settled(
        self,
        call: int | None,
        status: OutcomeStatus,
        mobile: str,
        error: VoiceError | None,
        voice_id: str | None,
        attempts: int,
        timing: Timing | None,
        *,
        replayed: bool = False,
    ) -> None:
        """Tell how a submission ended, in the log as well."""
        level = logging.DEBUG if replayed else _LEVELS[status]
        is_logged = logger.isEnabledFor(level)
        if self.hook is None and not is_logged:
            return
        told = voice_id, attempts, error, timing, replayed
        event = Settled(status, _text(mobile), call, _code(status, error), *told)
        if is_logged:
            _log(level, event)
        self.tell(event)


def _code(status: OutcomeStatus, error: VoiceError | None) -> int | None:
    if status is OutcomeStatus.ACCEPTED:
        return _ACCEPTED
    if status is OutcomeStatus.REJECTED and isinstance(error, VendorError):
        return error.code
    return None


def _text(mobile: object) -> str:
    """Return a number as text; what is none may be anything, which the message's outcome says."""
    try:
        return str(mobile)
    except Exception:  # noqa: BLE001 - an int of 5,000 digits, a class of the caller's
        return f"<{type(mobile).__name__}>"


def _log(level: int, event: Settled) -> None:
    said = mask_numbers(str(event.voice_id if event.error is None else event.error))
    text, masked = "a call to %s ended %s: %s", mask_mobile(event.mobile)
    tell(logger, level, text, masked, event.status.value, said, extra=event.facts())


def call_hook(hook: Callable[[Any], object], event: object) -> BaseException | None:
    """Call the caller's hook, which may do anything and changes nothing; return what it raised."""
    try:
        given = hook(event)
        if inspect.iscoroutine(given):
            given.close()
            return TypeError("a hook is called, not awaited; give a plain function")
    except ENDING:
        raise
    except BaseException as exc:  # noqa: BLE001 - it is the caller's code
        return exc
    return None
