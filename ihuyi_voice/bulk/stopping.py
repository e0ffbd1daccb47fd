"""Why a run starts nothing more, and what becomes of the messages whose turn never comes.

What was deferred comes out NOT_SENT at once. What was not read yet does as the consumer takes
outcomes, and all that was read ahead at once if whoever had the run has left it. A source that
brings nothing for a while is given up then: nobody is to wait for messages that aren't sent.
"""

import asyncio
from typing import Final

from ihuyi_voice.bulk.deferral import Deferral
from ihuyi_voice.bulk.intake import Intake
from ihuyi_voice.bulk.outbox import Outbox
from ihuyi_voice.bulk.outcomes import ended
from ihuyi_voice.bulk.reason import Reason
from ihuyi_voice.calls import Submitter
from ihuyi_voice.common.foreign import Endings

_QUIET: Final = 0.1  # seconds without a message after which a stopped run gives up its source


class Stopping:
    """What a run that has stopped does with the rest.

    Attributes:
        reason: Why nothing more starts; None if the run goes on.

    Args:
        deferral: What waits for its time.
        submitter: Whose jobs those are.
        outbox: Where outcomes go.
        most: How many of them may lie there unread.
    """

    def __init__(self, deferral: Deferral, submitter: Submitter, outbox: Outbox, most: int) -> None:
        self.reason: Reason | None = None
        self._deferral = deferral
        self._submitter = submitter
        self._outbox = outbox
        self._most = most
        self._left = False
        self._patience = 0.0
        self._now = asyncio.get_running_loop().time

    def stop(self, reason: Reason) -> None:
        """Start nothing more; the first reason counts."""
        if self.reason is None:
            self.reason = reason
            self._wait_on()

    def leave(self, *, finished: bool) -> None:
        """Let the rest come out at once; what was finished before was not stopped by that."""
        if not finished:
            self.stop(Reason.left())
        self._left = True

    def wake_up(self, intake: Intake | None) -> float | None:
        """Return when the source is to be given up, if nothing else comes; None if it is not."""
        return self._patience if intake is not None and self._is_quiet(intake) else None

    def refuse_all(self, intake: Intake | None) -> None:
        """Let what was deferred, and as much of the rest as is wanted, come out NOT_SENT."""
        if self.reason is None:
            return
        endings = Endings()
        self._refuse_deferred(self.reason, endings)
        if intake is not None:
            self._refuse_unread(intake, self.reason, endings)
        endings.let_go()

    def _refuse_deferred(self, reason: Reason, endings: Endings) -> None:
        while (item := self._deferral.drop()) is not None:
            self._submitter.abandon(item.job)
            end = item.job.verdict(reason.error())
            with endings:
                self._outbox.put(ended(item.message, end), item.job.call)

    def _refuse_unread(self, intake: Intake, reason: Reason, endings: Endings) -> None:
        more = True
        while more and (self._left or self._has_room()):
            with endings:
                more = intake.refuse(reason.error())
            if more:
                self._wait_on()
        if self._is_quiet(intake) and self._now() >= self._patience:
            intake.give_up()

    def _wait_on(self) -> None:
        self._patience = self._now() + _QUIET

    def _is_quiet(self, intake: Intake) -> bool:
        """Say whether the run waits for nothing but its source."""
        return intake.is_quiet and self._has_room()

    def _has_room(self) -> bool:
        return len(self._outbox.outcomes) < self._most
