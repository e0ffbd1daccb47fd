"""Where the outcomes of a run lie until somebody consumes them, counted and told of."""

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import compress
from operator import attrgetter
from typing import Final

from ihuyi_voice.bulk.outcomes import Outcome
from ihuyi_voice.bulk.progress import Tally
from ihuyi_voice.calls import Events
from ihuyi_voice.common.foreign import ENDING, Endings
from ihuyi_voice.models import Message, OutcomeStatus

_STATUS: Final = attrgetter("status")
_REPLAYED: Final = attrgetter("replayed")
_STATUSES: Final = tuple(OutcomeStatus)


class Outbox:
    """A queue of outcomes.

    Attributes:
        outcomes: Those that nobody has consumed yet.
        changed: Set when there is one, or when there won't be another one.

    Args:
        tally: Counts them.
        events: Is told of them.
    """

    def __init__(self, tally: Tally, events: Events) -> None:
        self.outcomes: deque[Outcome] = deque()
        self.changed = asyncio.Event()
        self._tally = tally
        self._events = events

    def put(self, outcome: Outcome, call: int | None) -> None:
        """Queue one up, of the call of that number, if it has one."""
        if outcome.replayed:
            self._tally.again(outcome.status)
        else:
            self._tally.ended(outcome.status, outcome.error)
        self.outcomes.append(outcome)
        self.changed.set()
        if self._events.hears_of(outcome.status):
            self._tell_of(outcome, call)

    def put_all(self, outcomes: Sequence[Outcome], calls: Sequence[int | None]) -> None:
        """Queue many up.

        Args:
            outcomes: They.
            calls: Their numbers in events, if they have any.

        Raises:
            KeyboardInterrupt, SystemExit: A hook ended the program, which goes on when all lie
                here and have been told.
        """
        if not outcomes:
            return
        statuses = self._count(outcomes)
        self.outcomes.extend(outcomes)
        self.changed.set()
        heard = [status for status in statuses if self._events.hears_of(status)]
        if heard:
            self._tell(heard, outcomes, calls)

    def _count(self, outcomes: Sequence[Outcome]) -> list[OutcomeStatus]:
        """Count them; return which statuses there are."""
        # By lists: what an enumeration is hashed by is written in Python.
        statuses = [*map(_STATUS, outcomes)]
        there = [status for status in _STATUSES if status in statuses]
        again = [*compress(statuses, map(_REPLAYED, outcomes))]
        for status in there if again else ():
            self._tally.again(status, again.count(status))
        if len(again) < len(outcomes):
            for outcome in outcomes:
                if not outcome.replayed:
                    self._tally.ended(outcome.status, outcome.error)
        return there

    def _tell(
        self,
        heard: Sequence[OutcomeStatus],
        outcomes: Sequence[Outcome],
        calls: Sequence[int | None],
    ) -> None:
        endings = Endings()
        for outcome, call in zip(outcomes, calls, strict=True):
            if outcome.status in heard:
                with endings:
                    self._tell_of(outcome, call)
        endings.let_go()

    def _tell_of(self, outcome: Outcome, call: int | None) -> None:
        end = outcome.status, _number_of(outcome.message), outcome.error, outcome.voice_id
        spent = outcome.attempts, outcome.timing
        self._events.settled(call, *end, *spent, replayed=outcome.replayed)


def _number_of(message: Message) -> str:
    """Return a message's number; nothing if its class, which may be the caller's, has none."""
    try:
        return message.mobile
    except ENDING:
        raise
    except BaseException:  # noqa: BLE001 - it is somebody else's, and this is only for telling
        return ""
