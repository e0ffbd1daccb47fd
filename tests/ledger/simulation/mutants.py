"""Ledgers that break a promise, so that the simulation can show that it notices."""

import asyncio
from collections.abc import Mapping, Sequence

from ihuyi_voice.calls import Ending
from ihuyi_voice.errors import CallInFlight, NotSent, OutcomeUnknown, RunStopped
from ihuyi_voice.models import Draft, Submission
from tests.ledger.simulation.watched import WatchedJournal


class NoFence(WatchedJournal):
    """Who was taken over sends on."""

    async def intending(self, draft: Draft) -> Ending | None:
        """Take no notice of it."""
        end = await super().intending(draft)
        return None if isinstance(end, RunStopped) else end


class OutcomeBeforeIntent(WatchedJournal):
    """The intent is written when the call has ended."""

    async def intending(self, draft: Draft) -> Ending | None:
        """Write nothing yet."""
        return None

    async def settling(self, draft: Draft, end: Ending) -> None:
        """Write both."""
        await super().intending(draft)
        await super().settling(draft, end)


class IntentNotAwaited(WatchedJournal):
    """The call is sent while its intent is being written."""

    async def intending(self, draft: Draft) -> Ending | None:
        """Begin to write it."""
        self.begun = asyncio.create_task(super().intending(draft))
        self.begun.add_done_callback(lambda task: task.cancelled() or task.exception())
        return None


class UnknownReopened(WatchedJournal):
    """What may have rung is sent again."""

    def read(self, end: Ending | None) -> Ending | None:
        """Take it for sure."""
        return None if isinstance(end, OutcomeUnknown) else end

    async def settling(self, draft: Draft, end: Ending) -> None:
        """Write that it was not sent."""
        await super().settling(draft, NotSent("so they say") if _is_unknown(end) else end)


class EverybodyDead(WatchedJournal):
    """A keyed call that a living process has in flight is sent beside it."""

    def read(self, end: Ending | None) -> Ending | None:
        """Take its owner for dead, and its call for not sent."""
        return None if isinstance(end, CallInFlight) else end


class NothingSettled(WatchedJournal):
    """Acceptances are not written."""

    async def settling(self, draft: Draft, end: Ending) -> None:
        """Write anything else."""
        if not isinstance(end, Submission):
            await super().settling(draft, end)


class NothingRecalled(WatchedJournal):
    """A guard starts with no memory."""

    async def recall(self, mobiles: Sequence[str]) -> Mapping[str, Sequence[float]]:
        """Remember nothing."""
        return {}


class AnotherId(WatchedJournal):
    """An acceptance is written with another id than the vendor's."""

    async def settling(self, draft: Draft, end: Ending) -> None:
        """Change it."""
        if isinstance(end, Submission):
            end = Submission(end.voice_id + "0", end.mobile, end.msg)
        await super().settling(draft, end)


def _is_unknown(end: Ending) -> bool:
    return isinstance(end, OutcomeUnknown)


ALL = (
    NoFence,
    OutcomeBeforeIntent,
    IntentNotAwaited,
    UnknownReopened,
    EverybodyDead,
    NothingSettled,
    NothingRecalled,
    AnotherId,
)
