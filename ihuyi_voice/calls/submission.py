"""One submission in steps: reserve the number, make one attempt, settle, say what comes next.

With a journal, a step looks the message up before the line and the guard, and has its intent
written before the attempt; the attempt's end is written whatever becomes of the caller.

A step never sleeps. It ends in a `Submission`, in an error that is final, or in a `Delay`, after
which the same job is to be stepped again. A single call sleeps the delay away, a bulk run puts
the job aside, so both keep the same rules. A job that will not be stepped again is abandoned: its
place in the number's line is given up.

The vendor's answer wins over whatever breaks after it: a guard that fails or hangs is logged, a
cancellation is put off until the answer has been handed over.

What a cancellation does: in the line, inside `reserve` and inside `intend` nothing has happened,
and a reservation or an intent that arrives later is taken back; during the attempt the lease is
committed if the body may have been taken and released if it surely was not, the journal is told
UNKNOWN or NOT_SENT, and the CancelledError goes on to the caller. Where a hook or a transport
swallows it nothing is sent any more: the call is what it had come to, and is not tried again.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import attrs

from ihuyi_voice.calls import telling
from ihuyi_voice.calls.answers import accepted_as, cut_off_before, note, read_answer, window
from ihuyi_voice.calls.attempt import Endpoint
from ihuyi_voice.calls.entry import Entry
from ihuyi_voice.calls.errands import put_off
from ihuyi_voice.calls.events import Events, next_number
from ihuyi_voice.calls.guarding import Guarding, Settled, lapsing
from ihuyi_voice.calls.holding import BEHIND, SOON, held_back, over, too_late, wait_or_hold
from ihuyi_voice.calls.job import ON_CONNECTION, ON_GUARD, ON_LEDGER, Delay, Job
from ihuyi_voice.calls.lines import Lines, Pause
from ihuyi_voice.calls.moved import Moved
from ihuyi_voice.calls.recalling import Recalling
from ihuyi_voice.calls.retries import RetryPolicy, Tries
from ihuyi_voice.common.bound import Bound
from ihuyi_voice.common.foreign import PASSING
from ihuyi_voice.errors import NotSent, OutcomeUnknown, RateLimited, VoiceError
from ihuyi_voice.guards import Guard, Lease, Unset, Wait, check_guard
from ihuyi_voice.http import Sent, step_at
from ihuyi_voice.models import Operation, Submission
from ihuyi_voice.protocol import Call, closes_the_account

_LONGEST_LOOK: Final = 3_600.0


@attrs.define(eq=False)
class Submitter:
    """Makes the submissions of one account.

    Attributes:
        endpoint: Makes the attempts.
        guarding: Keeps the limits per number.
        policy: What is tried again.
        clock: Returns Unix time in seconds, UTC, for `retry_at`. Waits go by the event loop's, and
            by this one where it can be moved: then `moved()` of it returns by how many seconds it
            was, and `passing(seconds)` a future that is done once it was moved so far.
        recalling: Tells the guard what a ledger knows.
        events: Is told what happens.
    """

    endpoint: Endpoint
    guarding: Guarding
    policy: RetryPolicy
    clock: Callable[[], float]
    recalling: Recalling
    events: Events = attrs.field(factory=Events)
    _lines: Lines | None = None
    _pause: Pause | None = None
    _moved: Callable[[], float] | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._moved = getattr(self.clock, "moved", None)

    def guarded_by(self, guard: Guard | Unset | None) -> "Submitter":
        """Return one that has another guard, if one is given, and all else in common with this one.

        Raises:
            InvalidRequest: It is no guard.
        """
        if isinstance(guard, Unset):
            return self
        check_guard(guard)
        guarding = self.guarding.of(guard)
        if guarding is self.guarding:
            return self
        recalling = attrs.evolve(self.recalling, guarding=guarding)
        return attrs.evolve(self, guarding=guarding, recalling=recalling, lines=None)

    def job(self, mobile: str, content: str, max_wait: float) -> Job:
        """Return a new submission, whose number and content are checked already."""
        if self.events.is_choosy:
            self.events.ask()
        time = self.time()
        return self.job_of(mobile, content, max_wait, next_number(), time(), time)

    def job_of(
        self, mobile: str, content: str, max_wait: float, call: int, asked: float,
        time: Callable[[], float],
    ) -> Job:  # fmt: skip
        """Return the one that was asked for under that number, then by `time`."""
        tries = Tries(Operation.SUBMIT, self.policy, self.events, call)
        # By place: to make an object by names costs Python a dict.
        return Job(mobile, content, asked + max_wait, tries, call, asked, asked, time)

    async def submit(self, job: Job, timeout: float | None) -> Submission:  # noqa: ASYNC109 - an outcome, no TimeoutError
        """Step a job to its end, sleeping between the steps.

        Args:
            job: The submission.
            timeout: The longest to take, in seconds; then it ends in what is known by then.

        Raises:
            VoiceError: How it ended, if it was not accepted.
        """
        if timeout is not None:
            job.until = asyncio.get_running_loop().time() + timeout
        telling.announce(job)
        try:
            end = await self._bounded(job, timeout)
        except VoiceError as error:
            self.events.ended(job.call, job.mobile, error, replayed=job.replayed)
            raise
        except BaseException as error:
            telling.cut_off(self.events, job, error)
            raise
        self.events.accepted(job.call, job.mobile, end, replayed=job.replayed)
        return end

    async def _bounded(self, job: Job, timeout: float | None) -> Submission:  # noqa: ASYNC109 - as above
        if timeout is None:
            return await self._to_the_end(job)
        job.deadline = min(job.deadline, job.now() + timeout)
        try:
            async with Bound(timeout):
                return await self._to_the_end(job)
        except TimeoutError as exc:
            if job.waits_for is ON_CONNECTION:
                job.waits_for = step_at(exc) or ON_CONNECTION
            ready_at = self._lines.ready_at(job.mobile) if self._lines is not None else 0.0
            final = job.verdict(too_late(self.clock, job, timeout, ready_at))
            if job.entry is not None and job.waits_for is not ON_LEDGER:
                await job.entry.close(final)
            raise final from final.__cause__

    async def step(self, job: Job) -> Submission | Delay:
        """Go one step.

        Raises:
            VoiceError: The job has ended, and not in an acceptance.
            BaseException: Something is wrong with the program; nothing was sent.
        """
        kept = False
        try:
            result = await self._result(job)
            if not isinstance(result, Delay):
                return result
            kept = result.error is None and not result.elsewhere
            return self._movable(result)
        except VoiceError as error:
            final = job.verdict(error)
            if job.entry is not None:
                await job.entry.close(final)
            raise final from final.__cause__
        except PASSING:
            raise
        except BaseException as exc:  # noqa: BLE001 - raised again
            if job.answer is not None:  # whatever broke after it
                return job.answer
            told = job.tries.broken(exc)
            raise told from told.__cause__
        finally:
            if not kept:
                self.abandon(job)

    def _movable(self, delay: Delay) -> Delay:
        """Return a delay that ends, too, when a clock that can be moved was moved so far."""
        passing = getattr(self.clock, "passing", None)
        if passing is None or delay.turn is not None:
            return delay
        return attrs.evolve(delay, turn=passing(delay.seconds))

    def time(self) -> Callable[[], float]:
        """Return what tells the event loop's time, and by how much the clock was moved besides."""
        time = asyncio.get_running_loop().time
        return time if self._moved is None else Moved(time, self._moved)

    def answered(self, job: Job) -> Submission | VoiceError | None:
        """Return the vendor's answer to a job's last attempt, if one was read, whatever came."""
        return read_answer(self.endpoint.voice, self.clock, job)

    def abandon(self, job: Job) -> None:
        """Give up a job's place in its number's line; to do so twice does no harm."""
        if self._lines is not None:
            self._lines.leave(job.mobile, job)

    # --- before the attempt

    async def _to_the_end(self, job: Job) -> Submission:
        try:
            while True:
                step = await self.step(job)
                if isinstance(step, Submission):
                    return step
                job.delay = step
                if not step.elsewhere:  # the ledger has said its word
                    job.waits_for = ON_GUARD
                await over(step)
                job.delay, job.waits_for = None, ON_GUARD
        finally:
            self.abandon(job)
            if job.entry is not None:
                job.entry.land()

    async def _result(self, job: Job) -> Submission | Delay:
        entry = job.entry
        if entry is not None and not entry.looked:
            known = await entry.look(job)
            if known is not None:
                return known
        return self._stand_in_line(job) or await self._attempt_if_free(job)

    def _stand_in_line(self, job: Job) -> Delay | None:
        """Return how long to wait for the account, or for others who want the same number."""
        lines = self._lines = self._lines or self.guarding.lines()
        pause = self._pause = self._pause or self.guarding.pause()
        if pause.until and (left := pause.left(now := job.now())):
            return wait_or_hold(self.clock, job, Wait(left, whole_account=True), now)
        if not self.guarding.is_on or lines.join(job.mobile, job):
            return None
        return self._behind(job, lines.ready_at(job.mobile))

    def _behind(self, job: Job, first_ready_at: float) -> Delay:
        """Return how long to stand behind others, unless it is known to be in vain."""
        now = job.now()
        left = job.patience - now
        if left > 0 and first_ready_at <= job.patience:
            return Delay(min(left, _LONGEST_LOOK), turn=job.turn, waits_for=BEHIND)
        raise held_back(self.clock, 4080, max(SOON, first_ready_at - now))

    async def _attempt_if_free(self, job: Job) -> Submission | Delay:
        await self.recalling.before(job)
        job.waits_for = ON_GUARD
        lease = await self.guarding.reserve(job.mobile)
        if isinstance(lease, Wait):
            return await self._closed(job, lease)
        known = None if job.entry is None else await self._intend(job, job.entry, lease)
        if known is not None:
            return known
        job.waits_for = ON_CONNECTION
        try:
            return await self._attempt(job, lease)
        except VoiceError as error:
            return self._failed(job, error)

    async def _closed(self, job: Job, wait: Wait) -> Submission | Delay:
        """Return how long the guard holds a job back; one that was sent meanwhile has its end."""
        entry = job.entry
        known = await entry.look(job) if entry is not None and entry.unsure else None
        if known is not None:
            return known
        now = job.now()
        if self._lines is not None:
            self._lines.hold(job.mobile, now + wait.seconds)
        return wait_or_hold(self.clock, job, wait, now)

    async def _intend(
        self, job: Job, entry: Entry, lease: Lease | None
    ) -> Submission | Delay | None:
        """Have the intent written; where it isn't granted, nothing is sent."""
        granted = False
        try:
            began = job.now()
            known = await entry.intend(job)
            granted = known is None
            telling.written(self.events, job, began)
        except BaseException as error:
            end = cut_off_before(error) if granted else None  # a hook has ended the program then
            put_off(await self._taken_back(job, lease, end), error)
            raise
        if known is not None:
            put_off(await self.guarding.release(lease))
        return known

    async def _taken_back(
        self, job: Job, lease: Lease | None, end: NotSent | None
    ) -> asyncio.CancelledError | None:
        """Give back the lease of what isn't sent, and have its end written, if it has one."""
        released = self.guarding.release(lease)
        return await (released if end is None else self._settle(job, end, released))

    # --- the attempt, and after it

    async def _attempt(self, job: Job, lease: Lease | None) -> Submission:
        began = job.now()
        sent = job.sent = Sent(job.now)
        sent.unwanted = job.tries.unwanted = job.unwanted()
        call = Call(Operation.SUBMIT, {"mobile": job.mobile, "content": job.content})
        try:
            began = telling.let_go(self.events, job, self.endpoint.voice, began)
            sent.lapsed = lapsing(lease)
            answer = await self.endpoint.ask(call, sent)
        except BaseException as error:
            try:
                if isinstance(error, VoiceError):
                    note(self.clock, job, error)
                telling.over(self.events, job, sent, began, error)
            finally:
                cancelled = await self._settle_failed(job, lease, error, sent)
            put_off(cancelled, error)
            raise
        try:
            telling.over(self.events, job, sent, began, None)
        finally:
            told = job.answer = accepted_as(job, answer)
            job.sent = None  # what it was made of goes now, not with dozens when they are settled
            del call, sent, answer
            if job.on_answer is not None:
                job.on_answer(job)
            put_off(await self._settle(job, told, self.guarding.commit(lease)))
        return told

    async def _settle_failed(
        self, job: Job, lease: Lease | None, error: BaseException, sent: Sent
    ) -> asyncio.CancelledError | None:
        """End the lease of an attempt that failed, by what the vendor may have counted."""
        end = error if isinstance(error, VoiceError) else self._cut_off(job, error, sent)
        try:
            if end is not error and isinstance(end, OutcomeUnknown):
                telling.may_ring(job, error)
        finally:  # a log handler may end the program there
            cancelled = await self._settle(job, end, self._settled_lease(lease, end))
        return cancelled

    def _cut_off(self, job: Job, error: BaseException, sent: Sent) -> Submission | VoiceError:
        """Return what an attempt came to that something other than its end has ended."""
        answered = self.answered(job)
        if answered is not None:
            return answered
        end: VoiceError = cut_off_before(error)
        if sent.may_have_arrived:
            end = OutcomeUnknown("the call was cut off in flight")
        job.tries.note(end)
        return end

    def _settled_lease(self, lease: Lease | None, end: Submission | VoiceError) -> Settled:
        if isinstance(end, RateLimited) and not closes_the_account(end.code):
            return self.guarding.block(lease, window(end))
        if isinstance(end, OutcomeUnknown | Submission):
            return self.guarding.commit(lease)
        return self.guarding.release(lease)

    async def _settle(
        self, job: Job, end: Submission | VoiceError, settled_lease: Settled
    ) -> asyncio.CancelledError | None:
        """Have journal and guard know how an attempt ended; they are told side by side."""
        entry = job.entry
        if entry is None:
            return await settled_lease
        written = cancelled = None
        try:
            written = entry.settle(end if isinstance(end, Submission) else job.verdict(end))
        finally:  # the journal may end the program there, and a log handler here
            try:
                cancelled = await settled_lease
            finally:
                del settled_lease  # its frame, too, goes now
                if written is not None:
                    cancelled = await entry.written(written) or cancelled
        return cancelled

    def _failed(self, job: Job, error: VoiceError) -> Delay:
        now = job.now()
        if isinstance(error, RateLimited):
            delay = self._until_window(job, error, now)
        else:
            delay = job.tries.next_delay(error, now)
        if delay is None:
            raise error
        job.since = now + delay
        job.backoff += delay
        return Delay(delay, error)

    def _until_window(self, job: Job, error: RateLimited, now: float) -> float | None:
        seconds = window(error)
        if closes_the_account(error.code) and self._pause is not None:
            self._pause.extend(now + seconds)
        if now + seconds > job.patience:
            return None
        return job.tries.window_delay(error, seconds)
