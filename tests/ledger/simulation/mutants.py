"""Ledgers that break a promise, so that the simulation can show that it notices."""

# pyright: reportPrivateUsage=false

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest.mock import patch

from ihuyi_voice.calls import Ending
from ihuyi_voice.errors import CallInFlight, NotSent, OutcomeUnknown, RunStopped
from ihuyi_voice.ledger import commits, matching
from ihuyi_voice.ledger.entries import report_of
from ihuyi_voice.ledger.states import State
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


class ReportsGuessed(WatchedJournal):
    """A report settles one of several calls that it may be of."""

    @classmethod
    def altered(cls) -> AbstractContextManager[object]:
        """Take the first that fits."""
        return patch.object(matching, "_match_one", _guess)


class AnythingAccepted(WatchedJournal):
    """A page tells of whatever was begun as if it had been accepted."""

    @classmethod
    def altered(cls) -> AbstractContextManager[object]:
        """Ask for no state."""
        statement = commits._ACCEPTED.replace(" AND state = {ACCEPTED}", "")
        return patch.object(commits, "_ACCEPTED", statement)


class PersonsWordLast(WatchedJournal):
    """Who was asleep is not heard any more when a person has decided."""

    @classmethod
    def altered(cls) -> AbstractContextManager[object]:
        """Write to what is in flight or unknown only, and drop what comes when it is neither."""
        settle = commits._SETTLE.partition(" AND (state IN")[0]
        stack = ExitStack()
        statement = settle + " AND state IN ({INTENT}, {UNKNOWN})"
        stack.enter_context(patch.object(commits, "_SETTLE", statement))
        stack.enter_context(patch.object(commits, "kept_apart", _dropped))
        return stack


class LateAcceptancesDropped(WatchedJournal):
    """An acceptance is silently dropped if its key was opened again meanwhile."""

    @classmethod
    def altered(cls) -> AbstractContextManager[object]:
        """Drop it."""
        return patch.object(commits, "kept_apart", _dropped)


def _guess(calls: Any, told: Any, found: Any) -> None:
    known = {row["voice_id"] for row in calls if row["voice_id"]}
    free = [row for row in told if row["voice_id"] not in known]
    for call in calls:
        if free and call["state"] == State.UNKNOWN:
            place = (call["run"], call["key"])
            found.candidates[place] = [report_of(free.pop(0))]
            found.settled.append(place)


def _dropped(*_: object) -> Any:
    yield from ()
    return list[str]()


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
    ReportsGuessed,
    AnythingAccepted,
    PersonsWordLast,
    LateAcceptancesDropped,
)
