"""What is tried again, and when; and what one call has been through.

The rules are tenacity's. A call that succeeds at once never builds them.
"""

import logging
import random
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import attrs

from ihuyi_voice.calls.events import Events
from ihuyi_voice.common.logs import tell
from ihuyi_voice.errors import (
    InvalidRequest,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    VendorError,
    VoiceError,
)
from ihuyi_voice.events import RetryEvent, call_hook
from ihuyi_voice.inputs import check_called, counted, lasting, not_negative, waited
from ihuyi_voice.models import Action, Operation

if TYPE_CHECKING:
    from tenacity import AsyncRetrying, RetryCallState

logger = logging.getLogger("ihuyi_voice.retries")

# Which ambiguous calls may simply be made again. AddTemplate may not: the second try's
# "template exists" would hide the id that the first one was given.
_REPEATABLE: Final = frozenset({Operation.BALANCE, Operation.DELETE_TEMPLATE})
_LONGEST_RETRY_AFTER: Final = 86_400.0


def _callable(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None:
        check_called(attribute.name, value)


@attrs.frozen
class RetryPolicy:
    """How often and how long a call is tried again; each attempt is signed afresh.

    Tried again are: what was surely not sent, code 0 (提交失败), ambiguous reads and deletions,
    and a vendor's 408x once its window has passed, if `max_wait` allows. Waiting for one of our own
    connections uses up no attempt.

    Attributes:
        attempts: The most attempts a call gets, the first one included; 1 turns retries off.
        initial: Seconds before the second attempt; doubles with each further one.
        maximum: The longest wait between two attempts, in seconds, jitter apart.
        jitter: Each wait is longer by a random share of itself, up to this one: 0.5 for a half.
        total_time: No attempt begins later than so many seconds after the first one.
        resend_unknown: Also send again what may have reached the vendor: at least once instead of
            at most once. The phone may ring twice; meant for alarms. The number's limits are waited
            for as long as `total_time` allows, whatever `max_wait` says.
        on_retry: Called with a `RetryEvent` before each wait; what it raises is logged.
    """

    attempts: int = attrs.field(default=4, validator=counted)
    initial: float = attrs.field(default=0.5, validator=not_negative)
    maximum: float = attrs.field(default=30.0, validator=waited)
    jitter: float = attrs.field(default=0.5, validator=not_negative)
    total_time: float = attrs.field(default=60.0, validator=lasting)
    resend_unknown: bool = False
    on_retry: Callable[[RetryEvent], None] | None = attrs.field(default=None, validator=_callable)

    def allows(self, operation: Operation, error: VoiceError) -> bool:
        """Say whether a call that ended in `error` may be made again at all."""
        if isinstance(error, NotSent):
            return error.transient
        if isinstance(error, OutcomeUnknown):
            return operation in _REPEATABLE or (
                self.resend_unknown and operation is Operation.SUBMIT
            )
        return isinstance(error, VendorError) and error.action is Action.RETRY

    def tenacity(self) -> "AsyncRetrying":
        """Return this policy's stop and wait rules in tenacity's terms."""
        from tenacity import (  # noqa: PLC0415 - a call that succeeds at once never needs it
            AsyncRetrying,
            stop_after_attempt,
            stop_any,
            stop_before_delay,
            wait_exponential,
        )

        exponential = wait_exponential(multiplier=self.initial, max=self.maximum)
        return AsyncRetrying(
            stop=stop_any(stop_after_attempt(self.attempts), stop_before_delay(self.total_time)),
            wait=lambda state: exponential(state) * (1 + random.uniform(0, self.jitter)),  # noqa: S311 - no secret
        )


def check_retry(retry: object) -> None:
    """Refuse what is no policy.

    Raises:
        InvalidRequest: It says what to give instead.
    """
    if retry is not None and not isinstance(retry, RetryPolicy):
        hint = f": did you mean RetryPolicy(attempts={retry})?" if type(retry) is int else ""
        raise InvalidRequest(
            f"retry must be a RetryPolicy, not {type(retry).__name__}{hint}", field="retry"
        )


def retry_after(error: VoiceError) -> float:
    """Return the seconds that a reply's Retry-After asks for, a day at most, 0 if it asks for none.

    A date is read against the reply's own Date, so that nobody's clock has to be right.
    """
    if error.raw is None:
        return 0.0
    headers = error.raw.headers
    asked = headers.get("retry-after", "").strip()
    try:
        if asked.isascii() and asked.isdigit():
            seconds = float(asked)
        else:
            date = parsedate_to_datetime(headers.get("date", ""))
            seconds = (parsedate_to_datetime(asked) - date).total_seconds()
    except (TypeError, ValueError, OverflowError):  # whatever the other side wrote there
        return 0.0
    return min(max(0.0, seconds), _LONGEST_RETRY_AFTER)


@attrs.define(eq=False)
class Tries:
    """What one call has been through, and its verdict.

    Attributes:
        operation: What is asked.
        policy: The rules.
        events: Who is told when it is tried again.
        call: Its number in events.
        attempts: Requests begun so far.
        asked: When the first was asked for, in seconds of the event loop's clock.
        started: When the first one that got a connection began.
        unknown: The first attempt that may have reached the vendor.
        refused: The vendor's last refusal.
        failed: How the last attempt ended.
        unwanted: Says whether nobody wants it any more since the last attempt began: then nothing
            more is sent.
    """

    operation: Operation
    policy: RetryPolicy
    events: Events | None = None
    call: int | None = None
    attempts: int = 0
    asked: float | None = None
    started: float = 0.0
    unknown: OutcomeUnknown | None = None
    refused: VendorError | None = None
    failed: VoiceError | None = None
    unwanted: Callable[[], bool] = attrs.field(default=bool, repr=False)
    _state: "RetryCallState | None" = None

    def begin(self, now: float) -> None:
        """Count an attempt that begins now."""
        if self.asked is None:
            self.asked = now
        if not self.attempts:
            self.started = now
        self.attempts += 1

    def note(self, error: VoiceError) -> None:
        """Remember how an attempt ended."""
        error.attempts = self.attempts
        self.failed = error
        if isinstance(error, OutcomeUnknown):
            self.unknown = self.unknown or error
        elif isinstance(error, VendorError):
            self.refused = error
        elif isinstance(error, NotSent) and error.queued:
            self.attempts -= 1

    @property
    def is_over(self) -> bool:
        """Whether it is known how the last attempt ended."""
        return self.failed is not None and self.failed.attempts == self.attempts

    def verdict(self, error: VoiceError) -> VoiceError:
        """Return what the caller is told if the call ends with `error` now.

        What may have arrived stays unknown, unless the call is one that does no harm twice and
        the vendor has answered it since. A refusal stays the refusal it was, whatever failed later.
        """
        final = self._final(error)
        if final is not error and final.__cause__ is None:
            final.__cause__ = error
        final.attempts = self.attempts
        return final

    def broken(self, exc: BaseException) -> BaseException:
        """Return what the caller is told if something breaks that is none of our errors.

        That is the exception itself where nothing was sent, or else what the attempts came to.
        """
        if self.unknown is None and self.refused is None:
            return exc
        error = NotSent(f"the next attempt broke ({type(exc).__name__})")
        error.__cause__ = exc
        return self.verdict(error)

    def next_delay(self, error: VoiceError, now: float) -> float | None:
        """Return the seconds until the next attempt, or None if there shall be none.

        Args:
            error: How the last attempt ended, already noted.
            now: The event loop's clock.
        """
        if self.unwanted() or not self.policy.allows(self.operation, error):
            return None
        state = self._rules(now)
        if isinstance(error, NotSent) and error.queued:
            return self._queued_delay(now)
        delay = max(state.retry_object.wait(state), retry_after(error))
        state.upcoming_sleep = delay
        if state.retry_object.stop(state):
            return None
        self._tell(error, delay)
        return delay

    def window_delay(self, error: RateLimited, window: float) -> float | None:
        """Return `window`, or None if no attempt is left; the caller's `max_wait` bounds it."""
        if self.unwanted() or self.attempts >= self.policy.attempts:
            return None
        self._tell(error, window)
        return window

    def _final(self, error: VoiceError) -> VoiceError:
        answered = isinstance(error, VendorError) and not _is_held(error)
        if self.unknown is not None and not (answered and self.operation in _REPEATABLE):
            return self.unknown
        return error if answered or self.refused is None else self.refused

    def _queued_delay(self, now: float) -> float | None:
        # It has waited already; what bounds it is the time in all.
        waited = now - (self.asked or 0.0)
        return 0.0 if self.policy.attempts > 1 and waited < self.policy.total_time else None

    def _rules(self, now: float) -> "RetryCallState":
        if self._state is None:
            from tenacity import RetryCallState  # noqa: PLC0415 - as in `RetryPolicy.tenacity`

            self._state = RetryCallState(self.policy.tenacity(), None, (), {})
        self._state.start_time = self.started
        self._state.attempt_number = max(1, self.attempts)
        self._state.outcome_timestamp = now
        return self._state

    def _tell(self, error: VoiceError, delay: float) -> None:
        operation, attempt = self.operation, self.attempts
        text = "%s attempt %d: %s; again in %.2f s"
        facts = {
            "voice_call": self.call,
            "voice_operation": operation.value,
            "voice_attempts": attempt,
            "voice_error": type(error).__name__,
            "voice_delay": delay,
        }
        tell(logger, logging.INFO, text, operation.value, attempt, error, delay, extra=facts)
        hook, events = self.policy.on_retry, self.events
        if hook is None and (events is None or RetryEvent not in events.kinds):
            return
        event = RetryEvent(operation, attempt, delay, error, self.call)
        failure = None if hook is None else call_hook(hook, event)
        if failure is not None:
            tell(logger, logging.WARNING, "on_retry failed: %s", type(failure).__name__)
        if events is not None and RetryEvent in events.kinds:
            events.tell(event)


def _is_held(error: VendorError) -> bool:
    return isinstance(error, RateLimited) and error.source == "guard"
