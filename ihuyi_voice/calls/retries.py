"""What is tried again, and when: the tenacity policy.

The first attempt runs without any of this: a call that succeeds at once never builds a `Backoff`.
"""

import logging
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

import attrs
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    stop_after_attempt,
    stop_any,
    stop_before_delay,
    wait_exponential,
    wait_random,
)

from ihuyi_voice.errors import (
    NotSent,
    OutcomeUnknown,
    VendorError,
    VoiceError,
)
from ihuyi_voice.inputs.options import above_zero, not_negative
from ihuyi_voice.models import Action, Operation

logger = logging.getLogger("ihuyi_voice.calls.retries")

# Which ambiguous calls may simply be made again. AddTemplate may not: the second try's
# "template exists" would hide the id that the first one was given.
_REPEATABLE: Final = frozenset({Operation.BALANCE, Operation.DELETE_TEMPLATE})


@attrs.frozen
class RetryEvent:
    """A call is about to be tried again.

    Attributes:
        operation: What is asked.
        attempt: How many attempts were made so far.
        delay: Seconds until the next one.
        error: Why the last one failed.
    """

    operation: Operation
    attempt: int
    delay: float
    error: VoiceError


@attrs.frozen
class RetryPolicy:
    """How often and how long a call is tried again; each attempt is signed afresh.

    Tried again are: what was surely not sent, code 0 (提交失败), ambiguous reads and deletions,
    and a vendor's 408x once its window has passed, if `max_wait` allows.

    Attributes:
        attempts: The most attempts a call gets, the first one included; 1 turns retries off.
        initial: Seconds before the second attempt; doubles with each further one.
        maximum: The longest wait between two attempts, in seconds.
        jitter: Up to so many random seconds are added to each wait.
        total_time: No attempt begins later than so many seconds after the first one.
        resend_unknown: Also send again what may have reached the vendor: at least once instead of
            at most once. The phone may ring twice; meant for alarms.
        on_retry: Called with a `RetryEvent` before each wait.
    """

    attempts: int = attrs.field(default=4, validator=above_zero)
    initial: float = attrs.field(default=0.5, validator=not_negative)
    maximum: float = attrs.field(default=30.0, validator=not_negative)
    jitter: float = attrs.field(default=0.5, validator=not_negative)
    total_time: float = attrs.field(default=60.0, validator=above_zero)
    resend_unknown: bool = False
    on_retry: Callable[[RetryEvent], None] | None = None

    def allows(self, operation: Operation, error: VoiceError) -> bool:
        """Say whether a call that ended in `error` may be made again at all."""
        if isinstance(error, NotSent):
            return error.transient
        if isinstance(error, OutcomeUnknown):
            return operation in _REPEATABLE or (
                self.resend_unknown and operation is Operation.SUBMIT
            )
        return isinstance(error, VendorError) and error.action is Action.RETRY

    def tenacity(self) -> AsyncRetrying:
        """Return this policy's stop and wait rules in tenacity's terms."""
        return AsyncRetrying(
            stop=stop_any(stop_after_attempt(self.attempts), stop_before_delay(self.total_time)),
            wait=wait_exponential(multiplier=self.initial, max=self.maximum)
            + wait_random(0, self.jitter),
        )


def retry_after(error: VoiceError) -> float:
    """Return the seconds that a reply's Retry-After asks for, 0 if it asks for none.

    A date is read against the reply's own Date, so that nobody's clock has to be right.
    """
    if error.raw is None:
        return 0.0
    headers = error.raw.headers
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        until = parsedate_to_datetime(asked) - parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return 0.0
    return max(0.0, until.total_seconds())


class Backoff:
    """The waits of one call that has failed at least once.

    Args:
        policy: The rules.
        operation: What is asked.
        started: When the first attempt began, in seconds of a monotonic clock.
    """

    def __init__(self, policy: RetryPolicy, operation: Operation, started: float) -> None:
        self._policy = policy
        self._operation = operation
        self._rules = policy.tenacity()
        self._state = RetryCallState(self._rules, None, (), {})
        self._state.start_time = started

    def next_delay(self, error: VoiceError, now: float) -> float | None:
        """Return the seconds until the next attempt, or None if there shall be none.

        Args:
            error: How the last attempt ended; its `attempts` counts them.
            now: The same clock as `started`.
        """
        state = self._state
        state.attempt_number = error.attempts
        state.outcome_timestamp = now
        state.upcoming_sleep = delay = max(self._rules.wait(state), retry_after(error))
        if self._rules.stop(state):
            return None
        self._tell(error, delay)
        return delay

    def window_delay(self, error: VoiceError, window: float) -> float | None:
        """Return `window`, or None if no attempt is left; the caller's `max_wait` bounds it."""
        if error.attempts >= self._policy.attempts:
            return None
        self._tell(error, window)
        return window

    def _tell(self, error: VoiceError, delay: float) -> None:
        operation, attempt = self._operation, error.attempts
        logger.info("%s attempt %d: %s; again in %.2f s", operation.value, attempt, error, delay)
        if self._policy.on_retry is not None:
            self._policy.on_retry(RetryEvent(operation, attempt, delay, error))
