"""How many submissions may start now: concurrency, slow start, `max_rate`, and the breaker.

Pure: no I/O, and no clock of its own. Slow start: before the first usable answer one submission
is in flight, then each usable answer makes room for one more, so that every round of them doubles
what is in flight, up to `concurrency`. Any reply with a code is usable. The breaker watches how
messages end, one after the other, and says when that tells of a common cause. Half-way there it
lets no more be in flight than would end the run, so that a wrong template costs the breaker's
number of requests, and not what is in flight besides.
"""

from collections import deque
from math import inf
from typing import Final

import attrs

from ihuyi_voice.bulk.reason import STOPPED, Reason
from ihuyi_voice.errors import InvalidRequest, NotSent, RateLimited, VendorError, VoiceError
from ihuyi_voice.models import Action, OutcomeStatus

_LATE: Final = 0.01  # timers fire a little late; so much of that may be made up for, in seconds
_AT_FIRST: Final = 3  # failures before the first usable answer
_THIS_NUMBER_ONLY: Final = frozenset({406, 4030})  # what the vendor says of a single number


@attrs.define(eq=False)
class Start:
    """A submission that was let go; whether it really began is known later.

    Attributes:
        time: When it was let go.
        earliest: When it might have been at the earliest.
        settled: Whether that is known.
    """

    time: float
    earliest: float
    settled: bool = False


class Rate:
    """Spaces submissions out. What turns out to have begun no request gives its share back.

    Kept are the starts from the first undecided one on, so that the next time can be worked out
    as if those that came to nothing had never been. Those are mostly the latest, as a guard says at
    once what it holds back; so it costs nothing that others may be undecided for long.
    """

    def __init__(self, per_second: float) -> None:
        self._gap = 1 / per_second
        self._starts: deque[Start] = deque()
        self.next_time = 0.0

    def take(self, now: float) -> Start:
        """Note that a submission starts; `next_time` says when another one may."""
        start = Start(now, self.next_time)
        self._append(start)
        return start

    def settle(self, start: Start, *, begun: bool) -> None:
        """Note whether a request was really begun."""
        start.settled = True
        if not begun:
            self._forget(start)
        while self._starts and self._starts[0].settled:
            self._starts.popleft()

    def _forget(self, start: Start) -> None:
        later: list[Start] = []
        while (last := self._starts.pop()) is not start:
            later.append(last)
        self.next_time = start.earliest
        for each in reversed(later):
            each.earliest = self.next_time
            self._append(each)

    def _append(self, start: Start) -> None:
        self._starts.append(start)
        self.next_time = max(start.earliest, start.time - _LATE) + self._gap


class Pace:
    """Says how many submissions may be in flight, when the next may start, and when to give up.

    Args:
        concurrency: The most in flight.
        max_rate: The most submissions a second; None for no cap.
        max_failures: So many UNKNOWN or NOT_SENT in a row are a common cause, and 3 before the
            first usable answer; None for any number.
        max_rejections: The same of rejections with one code.
    """

    def __init__(
        self,
        concurrency: int,
        max_rate: float | None,
        max_failures: int | None,
        max_rejections: int | None,
    ) -> None:
        self._concurrency = concurrency
        self._max_failures = max_failures
        self._max_rejections = max_rejections
        self._rate = None if max_rate is None else Rate(max_rate)
        self._closed_until = 0.0
        self._limit = 1  # the slow start's
        self._most = 1  # that, or less if the breaker is half-way
        self._answered = False
        self._failures = 0
        self._rejections = 0
        self._refusals = 0  # that are tried again
        self._code: int | None = None

    @property
    def next_time(self) -> float | None:
        """When the rate allows another submission, by the clock of `take`; None for at any time."""
        if self._rate is None:
            return self._closed_until or None
        return max(self._rate.next_time, self._closed_until)

    def close(self, until: float) -> None:
        """Start nothing before then: others use the account too, and it is their turn."""
        self._closed_until = until

    def has_room(self, in_flight: int, waiting: int) -> bool:
        """Say whether one more may be in flight.

        Args:
            in_flight: Attempts being made.
            waiting: Those which wait for a connection, and keep their places meanwhile.
        """
        if self._answered:
            return in_flight + waiting < self._most
        # Nobody has heard of the vendor yet. Where there is no connection, a few may try side by
        # side, or a dead address would cost a few times all the retries of one message.
        most = min(self._concurrency, _AT_FIRST) if waiting else 1
        return in_flight + waiting < most

    def take(self, now: float) -> Start | None:
        """Note that a submission starts."""
        return None if self._rate is None else self._rate.take(now)

    def settle(self, start: Start | None, *, begun: bool) -> None:
        """Note whether that submission began a request; if not, it used up nothing."""
        if self._rate is not None and start is not None:
            self._rate.settle(start, begun=begun)

    def slows_all(self, error: VoiceError | None) -> bool:
        """Note why an attempt has to be made again; say whether its message keeps its place then.

        Without a connection it does. So it does if many in a row were refused so that they are
        tried again (code 0), for then all are likely to be, and none is to hurry into the same.
        """
        if isinstance(error, VendorError) and error.action is Action.RETRY:
            self._refusals += 1
            return _left(self._refusals, self._max_rejections) < inf
        return isinstance(error, NotSent)

    def answered(self) -> None:
        """Note a usable answer."""
        self._answered = True
        if self._limit < self._concurrency:
            self._limit += 1
            self._narrow()

    def reason_to_stop(
        self, error: VoiceError | None, refused: VendorError | None
    ) -> Reason | None:
        """Note how a message ended; return why the run must stop.

        Args:
            error: How it ended; None if it was accepted.
            refused: The vendor's last refusal of it, which may hide behind an unknown outcome.
        """
        too_many = self.ended(error)
        if error is None:
            return None
        for told in (error, refused):
            if isinstance(told, VendorError) and told.action is Action.STOP:
                return Reason(STOPPED, told)
        return Reason(STOPPED, error, too_many) if too_many else None

    def ended(self, error: VoiceError | None) -> str | None:
        """Note how a message ended; return in words what is too many, if this one is."""
        if error is None:
            self._failures = self._rejections = self._refusals = 0
            self._most = self._limit
            return None
        if _tells_nothing(error):
            return None
        if isinstance(error, VendorError):
            return self._rejected(error.code)
        self._failures += 1
        self._narrow()
        if self._max_failures is None or self._failures < self._most_failures(self._max_failures):
            return None
        return f"{self._failures} messages in a row came out UNKNOWN or NOT_SENT"

    def _narrow(self) -> None:
        failures = _left(self._failures, self._max_failures)
        self._most = int(min(self._limit, failures, _left(self._rejections, self._max_rejections)))

    def _most_failures(self, most: int) -> int:
        return most if self._answered else min(_AT_FIRST, most)

    def _rejected(self, code: int) -> str | None:
        self._failures = 0
        self._rejections = self._rejections + 1 if code == self._code else 1
        self._code = code
        self._narrow()
        if self._max_rejections is None or self._rejections < self._max_rejections:
            return None
        return f"{self._rejections} messages in a row were rejected with code {code}"


def _left(count: int, most: int | None) -> float:
    """Return how many more would be too many, once half of them are there."""
    return inf if most is None or 2 * count < most else most - count


def _tells_nothing(error: VoiceError) -> bool:
    """Say whether an end concerns that message alone, so that it neither counts nor resets."""
    if isinstance(error, InvalidRequest | RateLimited) or error.status is OutcomeStatus.HELD:
        return True
    return isinstance(error, VendorError) and error.code in _THIS_NUMBER_ONLY


def is_answer(error: VoiceError | None) -> bool:
    """Say whether an attempt that ended so brought a usable answer: success, or any code."""
    return error is None or (
        isinstance(error, VendorError) and error.status is not OutcomeStatus.HELD
    )
