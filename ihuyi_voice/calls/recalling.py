"""What the guard of one process is told of a number before its first call: what a ledger knows.

So the limits hold across restarts. A guard that can't be told keeps its windows by itself.
"""

import logging
from collections.abc import Iterable

import attrs

from ihuyi_voice.calls.guarding import Guarding
from ihuyi_voice.calls.job import ON_LEDGER, Job
from ihuyi_voice.calls.journaling import Journaling
from ihuyi_voice.common.logs import tell
from ihuyi_voice.errors import GuardUnavailable, LedgerUnavailable

logger = logging.getLogger("ihuyi_voice")


@attrs.frozen
class Recalling:
    """Between a guard and the journals of one account.

    Attributes:
        guarding: Whom to tell.
        journaling: Whom to ask about calls without a key; None for nobody.
    """

    guarding: Guarding
    journaling: Journaling | None = None

    async def before(self, job: Job) -> None:
        """Tell the guard of a job's number, before it is asked for the first time.

        Raises:
            LedgerUnavailable: The ledger could not be asked, and the job has a key.
            GuardUnavailable: The guard failed.
        """
        entry, journaling = job.entry, self.journaling
        if entry is not None:
            journaling = None if entry.recalled else entry.journaling
            entry.recalled = True
        if journaling is None or not journaling.has_recent or not self.guarding.forgot(job.mobile):
            return
        job.waits_for = ON_LEDGER
        try:
            ages = await journaling.recall(job.mobile)
        except LedgerUnavailable as error:
            if entry is not None:
                entry.closed = True
                raise
            # Who has no key may call without a ledger.
            tell(logger, logging.WARNING, "a number's earlier calls are not known: %s", error)
            return
        self.guarding.restore(job.mobile, ages)

    async def before_all(self, mobiles: Iterable[str], journaling: Journaling) -> bool:
        """Do the same for numbers of a run, in one question; else each is to be asked for again.

        Raises:
            LedgerUnavailable: The ledger could not be asked.
        """
        if not journaling.has_recent:
            return True
        try:
            forgotten = [each for each in dict.fromkeys(mobiles) if self.guarding.forgot(each)]
            known = await journaling.recall_all(forgotten) if forgotten else ()
            for mobile, ages in zip(forgotten, known, strict=True):
                self.guarding.restore(mobile, ages)
        except GuardUnavailable:
            return False
        return True
