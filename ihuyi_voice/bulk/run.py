"""Many submissions from one coroutine: a run that no slow number can block.

Theory of operation. A message is *read* from the caller's iterable; it is *in flight* while an
attempt at it is being made; it is *deferred* while its number's guard holds it back or its retry
is not due, or while an earlier message to the same number is unfinished; it is *finished* when
its outcome lies in the queue that the consumer reads. Transitions:

    read ── free number, room ──> in flight ── end ──> finished
    read ── busy number ──> deferred ── ready, room ──> in flight
    in flight ── a Delay ──> deferred
    read, deferred ── the run has stopped ──> finished, NOT_SENT

They happen in the scheduler's `pump`, which never awaits. A deferred message occupies no task, so
nobody sleeps on a slow number. One that had no connection keeps its place among those in flight:
then all numbers are affected, and slowing down is right. So does one that got code 0, when many
before it got it, too.

Bounds: `concurrency` attempts in flight, fewer until the vendor has answered and when the breaker
is half-way (see `pace`);
`max_rate` attempts a second, of which what the guard held back is none;
`max_deferred` messages deferred, then reading pauses at the first to a busy number, and at twice as
many in any case; as many unread outcomes as may be in flight, then nothing new starts.

With a journal (a run that has a name) there is a state before these: a message is *looked up*, up
to `AHEAD` of them at a time (see `lookup`), and one that was settled earlier is finished at once,
*replayed*:

    read ── look-up ── settled earlier ──> finished, replayed
                    ── open ──> read

A key that comes twice in one run has one number, so the second waits behind the first like any
message to a busy number; then its intent finds the first one's end, or a look-up does before the
guard would hold it back. What is durable when: an intent before the first byte of each attempt, its
end before its outcome is told; what is held back or can't be sent, too, before that. What the run
never began with leaves no entry: it is open. The run is opened by `__aenter__` (and refused there
if another process works on it), and released when it has been left, whatever happens; before that,
what is still to be written gets its time.

Stopping. A journal that fails, or says that the run was stopped or taken over, a code whose action
is STOP, the breaker, or an error that is nobody's outcome lets those
in flight end, and everything else, deferred or not read yet, comes out NOT_SENT with that cause;
a source that then has nothing to give is given up. Leaving the run early does the same with what
was read, ahead of its turn or not, and leaves the rest of the iterable unread. With a journal that
works, what comes out after a stop is looked up like the rest: NOT_SENT would be wrong for what was
accepted earlier. Those in flight get
`grace` seconds, and so does a source that won't let go; what is then cancelled comes out UNKNOWN
if its first byte may have left, or as the vendor
answered, if that was read. Every outcome is counted in `summary`, and `drain` hands over
those that nobody consumed.

What ended the iterable, or broke the run, is raised once: by the iterator after the last outcome,
or when the block is left. `error` keeps it.

A run may be left, or drained, in what one of its own attempts waits for: a hook of httpx's, a
guard, a ledger. That attempt is not waited for there; it ends when that has returned.

Cancellation. Of the consumer in `__anext__`: takes no outcome away. While leaving: the run cancels
its attempts at once and still collects their outcomes, however often it is cancelled again; the
CancelledError goes on after that. Of the run's own tasks, by others: the run stops.
"""

import asyncio
import logging
from types import TracebackType
from typing import Self

import attrs

from ihuyi_voice.bulk.intake import Check
from ihuyi_voice.bulk.leaving import Tasks, cut_short, is_within, others_ended
from ihuyi_voice.bulk.options import BulkOptions
from ihuyi_voice.bulk.outcomes import Outcome
from ihuyi_voice.bulk.progress import Progress, Tally
from ihuyi_voice.bulk.reason import Reason
from ihuyi_voice.bulk.scheduler import Scheduler
from ihuyi_voice.bulk.sources import Messages, Source, check_messages, length, open_source
from ihuyi_voice.bulk.turns import FEW, Turns
from ihuyi_voice.calls import (
    Journaling,
    JournalOfRun,
    Submitter,
    next_number,
)
from ihuyi_voice.common.closing import Closing, closing
from ihuyi_voice.common.logs import tell
from ihuyi_voice.errors import VoiceError
from ihuyi_voice.events import RunStarted, RunStopped
from ihuyi_voice.models import OutcomeStatus

logger = logging.getLogger("ihuyi_voice.bulk")


class BulkRun:
    """A run of submissions: an async context manager, and an async iterator over its outcomes.

    After the last outcome the iterator raises what the caller's iterable raised, if it did;
    leaving the block raises it if it has not been raised yet.
    """

    def __init__(
        self,
        messages: Messages,
        check: Check,
        submitter: Submitter,
        options: BulkOptions,
        journal: JournalOfRun | None = None,
    ) -> None:
        check_messages(messages)
        self._messages = messages
        self._check = check
        self._submitter = submitter
        self._options = options
        self._journal = journal
        self._number = next_number()
        self._is_entered = False
        self._is_unwanted = False  # somebody drained it before it began
        total = length(messages) if options.total is None else options.total
        self._tally = Tally(total=total)
        self._scheduler: Scheduler | None = None
        self._source: Source | None = None
        self._gone: asyncio.Event | None = None
        self._leaving: Tasks = set()  # the task that does
        self._drains = 0  # that have begun and not returned
        self._drained: list[Outcome] = []
        self._told = False
        self._consumed_at_once = 0
        self._turns = Turns()

    async def __aenter__(self) -> Self:
        if self._is_entered:
            raise RuntimeError("a run can be entered once; call submit_many again")
        self._is_entered = True
        journaling = None if self._journal is None else await self._journal.open()
        try:
            self._begin(journaling)
        except BaseException:
            await self._leave(begun=True)
            self._warn_of(self._untold())
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._leave()
        untold = self._untold()
        if untold is not None and kind is None:
            raise untold
        self._warn_of(untold)  # the consumer's own exception goes first

    def _warn_of(self, error: BaseException | None) -> None:
        if error is not None:
            tell(logger, logging.WARNING, "a run was ended by %s, too", type(error).__name__)

    def _begin(self, journaling: Journaling | None) -> None:
        scheduler = Scheduler(self._submitter, self._check, self._options, self._tally, journaling)
        self._scheduler = scheduler
        self._tally.start(asyncio.get_running_loop().time())
        self._tell_of_start(scheduler)  # a hook may end the program here: nothing is opened yet
        self._source = open_source(self._messages, scheduler.pump)
        scheduler.begin(self._source, left=self._is_unwanted)

    def _tell_of_start(self, scheduler: Scheduler) -> None:
        events = self._submitter.events
        if events.wants(RunStarted):
            events.tell(RunStarted(self._number, self._tally.total, scheduler.progress))

    def _tell_of_end(self, scheduler: Scheduler) -> None:
        reason = scheduler.stopped_by
        text = None if reason is None else str(reason)
        cause = self.error if reason is None else reason.cause or self.error
        elapsed = scheduler.progress().elapsed
        by_choice = cause is None and reason in {None, Reason.left()}
        event = RunStopped(self._number, self.summary, elapsed, text, cause)
        self._submitter.events.stopped(event, by_choice=by_choice)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        scheduler = self._scheduler or self._entered()
        self._consumed_at_once += 1
        if self._consumed_at_once > FEW:  # a stopped run has all the rest at once
            self._consumed_at_once = 0
            await self._turns.after(FEW)
        while not scheduler.outcomes:
            self._consumed_at_once = 0
            if scheduler.finished:
                raise self._untold() or StopAsyncIteration
            scheduler.changed.clear()
            await scheduler.changed.wait()
            self._turns.begin()
        return scheduler.consume()

    async def drain(self) -> list[Outcome]:
        """Start nothing more, await those in flight, and return all outcomes not yet consumed.

        Several drains at once all wait, and all get the same, so that none is told that nothing
        happened; a later one gets nothing. An error of the iterable is not raised here, where it
        would cost the outcomes, but when the block is left or the iteration goes on; see `error`.
        """
        self._drains += 1
        try:
            await self._leave()
            if self._scheduler is not None:
                self._drained += self._scheduler.outcomes
                self._scheduler.outcomes.clear()
            return list(self._drained)
        finally:
            self._drains -= 1
            if not self._drains:
                self._drained.clear()

    @property
    def summary(self) -> dict[OutcomeStatus, int]:
        """How many messages have ended in which way so far, consumed or not."""
        return dict(self._tally.counts)

    @property
    def progress(self) -> Progress:
        """Where the run stands."""
        return self._entered().progress()

    @property
    def error(self) -> BaseException | None:
        """What the caller's iterable raised, or what broke the run; None if nothing did."""
        failure = None if self._scheduler is None else self._scheduler.failure
        return failure or (None if self._source is None else self._source.error)

    def ending_at(self, *kinds: type[VoiceError]) -> Self:
        """Let a message that ends in such an error end the run at once, before it is entered.

        Then nothing overtakes that message: what is to the same number starts no more.
        """
        self._options = attrs.evolve(self._options, fatal=kinds)
        return self

    @property
    def stopped_by(self) -> Reason | None:
        """Why it starts nothing more; None if it goes on or is whole."""
        return None if self._scheduler is None else self._scheduler.stopped_by

    def _untold(self) -> BaseException | None:
        if self._told:
            return None
        error = self.error
        self._told = error is not None
        return error

    async def _leave(self, *, begun: bool = False) -> None:
        if self._scheduler is None and not begun:  # its journal may be on the way
            self._is_unwanted = self._is_entered
            return
        with closing() as one:
            if self._scheduler is not None and is_within(self._scheduler, one):
                others = await others_ended(self._scheduler, one, self._options.grace)
                await cut_short(self._scheduler, others)
            elif self._gone is not None:
                if one.others(self._leaving):  # or else who leaves it waits for us
                    await self._gone.wait()
            else:
                await self._leave_first(one)

    async def _leave_first(self, one: Closing) -> None:
        self._gone, self._leaving = asyncio.Event(), {one.task}
        try:
            if self._scheduler is not None:
                await self._end(self._scheduler, one)
        finally:
            try:
                await self._release()
            finally:
                self._gone.set()

    async def _end(self, scheduler: Scheduler, one: Closing) -> None:
        try:
            await others_ended(scheduler, one, self._options.grace)
        finally:
            try:
                await cut_short(scheduler)
            finally:
                self._tell_of_end(scheduler)

    async def _release(self) -> None:
        """Let others have the run, however often this task is cancelled."""
        cancelled = None if self._journal is None else await self._journal.close()
        if cancelled is not None:
            raise cancelled

    def _entered(self) -> Scheduler:
        if self._scheduler is None:
            raise RuntimeError("use `async with client.submit_many(...) as run` first")
        return self._scheduler
