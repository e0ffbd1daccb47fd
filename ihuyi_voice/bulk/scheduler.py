"""Which message starts next: the pump of a run, and the tasks that make its attempts.

`pump` never awaits. It is called whenever something may start that could not before: a message was
read ahead, an attempt ended, an outcome was consumed, a number's turn came, a timer fired. What
can't start now and isn't waiting for one of these has a timer: something that can start always has
a wake-up.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from contextvars import copy_context
from functools import partial
from math import inf
from typing import Final

from ihuyi_voice.bulk.alarm import Alarm
from ihuyi_voice.bulk.attempts import attempt, known_end
from ihuyi_voice.bulk.deferral import Deferral, Item
from ihuyi_voice.bulk.intake import Check, Intake
from ihuyi_voice.bulk.lookup import AHEAD, JournaledIntake
from ihuyi_voice.bulk.options import BulkOptions
from ihuyi_voice.bulk.outbox import Outbox
from ihuyi_voice.bulk.outcomes import Outcome, outcome_of
from ihuyi_voice.bulk.pace import Pace, is_answer
from ihuyi_voice.bulk.places import Places, Worker
from ihuyi_voice.bulk.progress import Progress, Tally
from ihuyi_voice.bulk.reason import STOPPED, Reason
from ihuyi_voice.bulk.sources import Source, no_end
from ihuyi_voice.bulk.stopping import Stopping
from ihuyi_voice.calls import Delay, Journaling, Submitter
from ihuyi_voice.common.foreign import words
from ihuyi_voice.common.logs import tell
from ihuyi_voice.common.redaction import forget_frames
from ihuyi_voice.errors import VoiceError
from ihuyi_voice.models import Submission

logger = logging.getLogger("ihuyi_voice.bulk")

_READ_AT_ONCE: Final = 64  # then the event loop gets a turn
_ITEMS_A_TASK: Final = 16  # then another task goes on, for attempts may end without any wait
_SOONEST: Final = 0.001  # seconds until a step is repeated, whatever a guard says
_GOES_ON: Final = "an attempt goes on although it was cancelled"


class Scheduler:
    """Takes messages from a source, submits them, and queues up their outcomes.

    Attributes:
        outcomes: Those that nobody has consumed yet.
        changed: Set when there is an outcome, or when there won't be another one.
        failure: An error that is no outcome's: of this program, or of foreign code in a step.
    """

    def __init__(
        self,
        submitter: Submitter,
        check: Check,
        options: BulkOptions,
        tally: Tally,
        journaling: Journaling | None = None,
    ) -> None:
        self._outbox = Outbox(tally, submitter.events)
        self.outcomes = self._outbox.outcomes
        self.changed = self._outbox.changed
        self.failure: BaseException | None = None
        self._submitter = submitter
        self._check = check
        self._options = options
        self._tally = tally
        self._journaling = journaling
        self._pace = Pace(
            options.concurrency, options.max_rate, options.max_failures, options.max_rejections
        )
        self._deferral = Deferral()
        self._intake: Intake | None = None
        self._stopping = Stopping(self._deferral, submitter, self._outbox, options.concurrency)
        self._met_busy = False  # whether the last message that was read is to a busy number
        self._budget = 0
        self._space = max(options.concurrency, AHEAD // 2)
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._on_end = self._over
        self._alarm = Alarm(self._loop, self.pump)
        early = 0 if journaling is None else options.concurrency // 2
        self._places = Places(early, self._alarm.set_now)

    # --- seen from outside

    def begin(self, source: Source, *, left: bool = False) -> None:
        """Begin to read, unless it was left; if that breaks, leaving gives the source up."""
        submitter, wait = self._submitter, self._options.max_wait
        options = source, self._check, submitter.job, wait, self._tally, self
        self._intake = Intake(*options)
        journaling = self._journaling
        if journaling is not None:
            self._intake = JournaledIntake(*options, journaling=journaling, submitter=submitter)
        (self.leave if left else self.pump)()

    @property
    def workers(self) -> set[Worker]:
        """The tasks that make the attempts in flight."""
        return self._places.workers

    @property
    def readers(self) -> set[Worker]:
        """The tasks that read ahead and look up."""
        return set() if self._intake is None else set(self._intake.tasks)

    @property
    def finished(self) -> bool:
        """Whether every message that was taken has its outcome, and no more will be taken."""
        ended = self._intake is None or self._intake.ended
        return ended and not len(self._places) and not len(self._deferral)

    @property
    def has_space(self) -> bool:
        """Whether there is room for the outcomes of messages that are looked up."""
        return len(self.outcomes) < self._space

    def progress(self) -> Progress:
        """Return where the run stands."""
        return self._tally.progress(
            in_flight=self._places.in_flight,
            deferred=len(self._deferral),
            now=self._loop.time(),
            last_ready=self._deferral.last_time,
            waiting=self._deferral.reasons,
        )

    def consume(self) -> Outcome:
        """Take the first outcome from the queue."""
        count = len(self.outcomes)
        outcome = self.outcomes.popleft()
        try:
            if count == self._options.concurrency or self._stopping.reason:
                self.pump()
            elif count == self._space and self._intake is not None:
                self._intake.fill()
        except BaseException:  # of the caller's iterable, which ends the program
            self.outcomes.appendleft(outcome)
            raise
        return outcome

    def leave(self) -> None:
        """Start nothing more, and read nothing more."""
        self._stopping.leave(finished=self.finished)
        if self._intake is not None:
            self._intake.give_up()
        self.pump()

    def write_off(self, workers: set[Worker], *, readers: bool = True) -> None:
        """Give messages their outcome whose attempts, or readers, don't end though cancelled."""
        with ExitStack() as each:  # from the last to the first; a hook may end the program in any
            each.callback(self.pump)
            if readers and self._intake is not None:
                each.callback(self._intake.write_off)
            for worker in workers & self._places.workers:
                each.callback(self._lose, worker)
                each.callback(tell, logger, logging.WARNING, _GOES_ON)

    # --- what may start

    def pump(self) -> None:
        """Start whatever may start now, and see to it that this is called again in time."""
        self._budget = _READ_AT_ONCE
        try:
            self._heed_journal()
            if self._intake is not None:
                self._intake.fill()
            while not self._stopping.reason and (item := self._next()) is not None:
                self._places.take(self._hire(item), item)
            self._stopping.refuse_all(self._intake)
        finally:  # the caller's iterable, or a hook, may end the program, and that may go on
            self._alarm.set(self._wake_up())
            if self.finished:
                self.changed.set()

    def _hire(self, item: Item) -> Worker:
        # Not by the loop's factory: an eager one would run attempts inside the pump. And in the
        # context in which the run was entered, not in that of whoever happens to pump.
        context = self._context.copy()
        worker = asyncio.Task(self._work(item), loop=self._loop, context=context)
        worker.add_done_callback(self._on_end)
        return worker

    def _next(self) -> Item | None:
        """Return a message that may start now; None if there is none, or the budget is used up."""
        while True:
            now = self._loop.time()
            next_time = self._pace.next_time
            if next_time is not None and now < next_time:
                return None
            if self._stopping.reason or len(self.outcomes) >= self._options.concurrency:
                return None
            room = self._has_room()
            item = self._deferral.pop_ready(now, room=room)
            if item is None and room and self._budget and self._may_read():
                self._budget -= 1
                item = self._admitted()
                if item is None:
                    continue
            if item is not None:
                item.start, item.begun = self._pace.take(now), item.job.tries.attempts
            return item

    def _has_room(self) -> bool:
        return self._pace.has_room(self._places.in_flight, self._deferral.places)

    def _may_read(self) -> bool:
        """Say whether to look at another message, which may be to a free number.

        With `max_deferred` deferred, reading pauses at the first message whose number is busy; with
        twice as many, it pauses anyway, for numbers that looked free may be held back by the guard.
        What is in memory anyway is read on.
        """
        if (intake := self._intake) is None or not intake.ready:
            return False
        space = self._options.max_deferred * (1 if self._met_busy else 2)
        return intake.in_memory or len(self._deferral) < space

    def _admitted(self) -> Item | None:
        """Take a message; return it if its number is free, and see to it otherwise."""
        item = None if self._intake is None else self._intake.take()
        if item is None:
            return None
        self._met_busy = not self._deferral.claim(item)
        return None if self._met_busy else item

    def _wake_up(self) -> float | None:
        """Return when something may start that no other event would start."""
        if self._stopping.reason:
            return self._stopping.wake_up(self._intake)
        if len(self.outcomes) >= self._options.concurrency:
            return None  # until one is consumed
        room = self._has_room()
        ready = self._deferral.next_time(room=room)
        if room and self._may_read():
            ready = 0.0
        if ready is None or ready == inf:  # only a turn can come sooner, and that pumps
            return None
        return max(ready, self._pace.next_time or 0.0, self._loop.time())

    # --- one message

    async def _work(self, item: Item) -> None:
        """Make attempts, one message's after another's, as long as there is something to do."""
        worker = asyncio.current_task()
        assert worker is not None  # noqa: S101 - a coroutine that runs has one
        for turns_left in range(_ITEMS_A_TASK - 1, -1, -1):
            end = await attempt(self._submitter, item.job, self)
            if self._places.leave(worker) is None:
                return  # written off meanwhile
            if worker.cancelling():
                self.interrupted()
            self._settle(item, end)
            following = self._next() if turns_left and not self._stopping.reason else None
            if following is None:
                self.pump()
                return
            item = following
            self._places.take(worker, item)
            if self._deferral.places or self._has_room():
                self.pump()

    def _settle(self, item: Item, end: Submission | Delay | VoiceError) -> None:
        begun = item.job.tries.attempts > item.begun
        self._pace.settle(item.start, begun=begun)
        self._heed_journal()
        if isinstance(end, Delay):
            self._defer(item, end)
            return
        if item.job.replayed:
            self._finish(item, outcome_of(item.message, end, replayed=True))
            return
        error = None if isinstance(end, Submission) else end
        if begun and is_answer(error):
            self._pace.answered()
        reason = self._pace.reason_to_stop(error, item.job.tries.refused)
        if error is not None and isinstance(error, self._options.fatal):
            reason = Reason(STOPPED, error)
        if reason is not None:
            self._stopping.stop(reason)
        self._finish(item, outcome_of(item.message, end))

    def _defer(self, item: Item, delay: Delay) -> None:
        now = self._loop.time()
        ready_at = now + max(delay.seconds, _SOONEST)
        if delay.error is not None:
            forget_frames(delay.error)  # it may wait for long
            self._tally.troubled(delay.error)
            if is_answer(delay.error):
                self._pace.answered()
        if delay.whole_account:
            self._pace.close(ready_at)
        item.keeps_place = self._pace.slows_all(delay.error)
        item.waits_for = delay.waits_for
        turn, known = delay.turn, item.turn
        item.turn = turn
        if turn is not None and turn is not known:
            if turn.done():
                ready_at = now
            else:
                turn.add_done_callback(partial(self._turn_came, item))
        self._deferral.put_aside(item, ready_at)

    def _turn_came(self, item: Item, turn: "asyncio.Future[None]") -> None:
        if turn is item.turn and self._deferral.hasten(item, self._loop.time()):
            self.pump()

    def _finish(self, item: Item, outcome: Outcome) -> None:
        self._deferral.finish(item, self._loop.time())
        self.emit(outcome, item.job.call)

    def emit(self, outcome: Outcome, call: int | None = None) -> None:
        """Queue an outcome up, of the call of that number."""
        self._outbox.put(outcome, call)

    def emit_all(self, outcomes: Sequence[Outcome], calls: Sequence[int | None]) -> None:
        """Queue many up at once."""
        self._outbox.put_all(outcomes, calls)

    # --- stopping

    @property
    def stopped_by(self) -> Reason | None:
        """Why nothing more starts; None if it does."""
        return self._stopping.reason

    def interrupted(self) -> None:
        """Stop because somebody has cancelled a task of the run."""
        self._stopping.stop(Reason("the tasks of the run were cancelled"))

    def _heed_journal(self) -> None:
        """Stop if the ledger failed, or if another process has the run."""
        if self._journaling is not None and self._journaling.failure is not None:
            self._stopping.stop(Reason(STOPPED, self._journaling.failure))

    def broken(self, exc: BaseException) -> VoiceError:
        """Stop for an error that is no outcome's; return what its message comes to."""
        self.failure = self.failure or no_end(exc)
        reason = Reason(f"the run broke ({words(exc)})")
        self._stopping.stop(reason)
        return reason.error()

    def _over(self, worker: Worker) -> None:
        """Look after a task that ended without a word: cancelled before it began, or killed."""
        # An interruption is no news: the event loop has raised it.
        if worker.cancelled() or worker.exception() is not None:
            self.interrupted()
            if worker in self._places:
                self._lose(worker)
            self.pump()

    def _lose(self, worker: Worker) -> None:
        """Give the message of an attempt that doesn't end the outcome that is known of it."""
        item = self._places.leave(worker)
        assert item is not None  # noqa: S101 - who asks has looked
        self._submitter.abandon(item.job)
        end = known_end(self._submitter, item.job, item.begun)
        self._finish(item, outcome_of(item.message, end))
