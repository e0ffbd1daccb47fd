"""A message's entry in a journal: looked up, intended, and settled around each attempt.

States of an entry here: not looked up; looked up, and nobody has sent it; granted, from `intend` to
`settle`; closed, when the journal has said its word, and there is nothing to tell it.
"""

import asyncio
from collections.abc import Awaitable
from typing import Final

import attrs

from ihuyi_voice.calls.errands import put_off
from ihuyi_voice.calls.flights import Flight, Flights
from ihuyi_voice.calls.job import ON_LEDGER, Delay, Job
from ihuyi_voice.calls.journal import Ending
from ihuyi_voice.calls.journaling import Journaling
from ihuyi_voice.errors import (
    CallInFlight,
    InvalidRequest,
    LedgerUnavailable,
    RunStopped,
    VoiceError,
)
from ihuyi_voice.models import Draft, Submission

_SHORTEST_LOOK: Final = 0.02
_LONGEST_LOOK: Final = 0.5
_LONGEST_WAIT: Final = 3_600.0


@attrs.define(eq=False)
class Entry:
    """One message's, between its steps.

    Attributes:
        draft: What is to be called.
        journaling: The journal that it is in.
        flights: The keyed calls in flight in this process; None in a run, which nobody shares.
        looked: Whether it has been looked up, so that it may go to the guard.
        unsure: Whether a message of the same key may have been sent since, as another process
            may have done at any time, and this run some time ago: then it is looked up again
            before it waits for the guard, which may hold it back for that very call.
        recalled: Whether the number's calls have been asked for.
        closed: Whether its end comes from the journal, or the journal is of no use.
        settled: The end that the journal was told last.
    """

    draft: Draft
    journaling: Journaling
    flights: Flights | None = None
    looked: bool = False
    unsure: bool = False
    recalled: bool = False
    closed: bool = False
    settled: Ending | None = None
    _flight: Flight | None = None
    _pause: float = _SHORTEST_LOOK

    async def look(self, job: Job) -> Submission | Delay | None:
        """Return an earlier acceptance, or how long to wait for another's; None to go on.

        Raises:
            VoiceError: An earlier end, or there is no use in waiting.
        """
        turn = self._ahead()
        if turn is not None:
            return self._elsewhere(job, turn)
        job.waits_for = ON_LEDGER
        try:
            known = self._known(job, await self.journaling.look(self.draft))
        except LedgerUnavailable:
            self.closed = True
            raise
        return known or self._take_off(job)

    async def intend(self, job: Job) -> Submission | Delay | None:
        """Have the intent written; return as `look` does, None if the call may be sent.

        Raises:
            VoiceError: As in `look`.
        """
        job.waits_for = ON_LEDGER
        try:
            return self._known(job, await self.journaling.intend(self.draft))
        except LedgerUnavailable:
            self.closed = True
            raise

    def settle(self, end: Ending) -> "asyncio.Future[None]":
        """Begin to write how it ended; to be awaited by `written`."""
        self.settled = end
        return self.journaling.settle(self.draft, end)

    def written(self, task: "asyncio.Future[None]") -> Awaitable[asyncio.CancelledError | None]:
        """Wait until that is written; return a cancellation which was not heeded."""
        return self.journaling.settled(self.draft, task)

    async def close(self, end: VoiceError) -> None:
        """Have an end written that no attempt came to, unless the journal knows it.

        Who only waited for another call of its key has nothing to say: that one is in flight.
        """
        only_waited = self.flights is not None and self._flight is None
        if self.closed or only_waited or end is self.settled:
            return
        put_off(await self.written(self.settle(end)))

    def land(self) -> None:
        """Let others have the key; to do so twice does no harm."""
        if self.flights is not None and self._flight is not None:
            self.flights.land(self._flight)

    def _ahead(self) -> "asyncio.Future[None] | None":
        if self.flights is None or self._flight is not None:
            return None
        return self.flights.ahead(self.draft)

    def _take_off(self, job: Job) -> Delay | None:
        turn = self._ahead()
        if turn is not None:  # another was faster while we looked
            return self._elsewhere(job, turn)
        self.looked, self.unsure = True, self.flights is not None
        if self.flights is not None and self._flight is None:
            self._flight = self.flights.take_off(self.draft)
        return None

    def _known(self, job: Job, end: Ending | None) -> Submission | Delay | None:
        if end is None or isinstance(end, CallInFlight):
            return None if end is None else self._elsewhere(job, None)
        self.closed = True
        job.replayed = not isinstance(end, InvalidRequest | RunStopped)
        if isinstance(end, Submission):
            return end
        raise end

    def _elsewhere(self, job: Job, turn: "asyncio.Future[None] | None") -> Delay:
        """Return how long to wait for a call of the same key, unless that is in vain."""
        left = job.deadline - job.now()
        if left <= 0:
            self.closed = True
            raise CallInFlight("a call with this key is in flight, and did not end within max_wait")
        self.looked = False
        if turn is not None:
            return Delay(min(left, _LONGEST_WAIT), turn=turn, elsewhere=True)
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_LOOK)
        return Delay(min(left, pause), elsewhere=True)
