"""What the guard of one process is told of a number before its first call: what a ledger knows.

So the limits hold across restarts. A guard that can't be told keeps its windows by itself.
"""

import logging
from collections.abc import Sequence

import attrs

from ihuyi_voice.calls.entry import Entry
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

    async def before_all(self, jobs: Sequence[Job]) -> None:
        """Do the same for jobs of a run, in one question.

        Raises:
            LedgerUnavailable: The ledger could not be asked.
        """
        entries = [job.entry for job in jobs if job.entry is not None]
        if entries and entries[0].journaling.has_recent:
            try:
                await self._all(entries)
            except GuardUnavailable:
                return  # each of them asks again when its turn comes
        for entry in entries:
            entry.recalled = True

    async def _all(self, entries: Sequence[Entry]) -> None:
        numbers = dict.fromkeys(entry.draft.mobile for entry in entries)
        mobiles = [mobile for mobile in numbers if self.guarding.forgot(mobile)]
        if mobiles:
            known = await entries[0].journaling.recall_all(mobiles)
            for mobile, ages in zip(mobiles, known, strict=True):
                self.guarding.restore(mobile, ages)
