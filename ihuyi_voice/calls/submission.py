"""One submission in steps: reserve the number, make one attempt, settle, say what comes next.

A step never sleeps. It ends in a `Submission`, in an error that is final, or in a `Delay`, after
which the same job is to be stepped again. A single call sleeps the delay away, a bulk run puts
the job aside, so both keep the same rules.

What a cancellation does: inside `reserve` nothing is held yet; during the attempt the lease is
committed if the first byte may have gone out and released if it surely did not, and the
CancelledError goes on to the caller.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs

from ihuyi_voice.calls.attempt import Answer, Endpoint
from ihuyi_voice.calls.retries import Backoff, RetryPolicy
from ihuyi_voice.errors import NotSent, OutcomeUnknown, RateLimited, VendorError, VoiceError
from ihuyi_voice.guards import Guard, Lease, Wait
from ihuyi_voice.http.sending import Transmission
from ihuyi_voice.models import Action, Operation, Submission
from ihuyi_voice.protocol.codes import RATE_WINDOWS
from ihuyi_voice.protocol.requests import Call

_CODE_OF_WINDOW: dict[float | None, int] = {seconds: code for code, seconds in RATE_WINDOWS.items()}
_HELD_TEXT = "此号码的提交频率已达上限; this number may not be called again yet"


@attrs.frozen
class Delay:
    """The job isn't done; step it again later.

    Attributes:
        seconds: How long to wait; None until no call to this number is in flight.
        error: What went wrong, if an attempt was made; None if only the guard holds it back.
    """

    seconds: float | None
    error: VoiceError | None = None


@attrs.define(eq=False)
class Job:
    """The state of one submission between its steps.

    Attributes:
        mobile: The number, normalised.
        content: What the voice says, checked.
        started: When the first attempt was made, in seconds of the event loop's clock.
        deadline: No guard's wait may end later than this, same clock.
        attempts: Requests begun so far.
        unknown: The first attempt that may have reached the vendor; from then on nothing less
            than an acceptance can say otherwise.
        failed: How the last attempt ended.
        backoff: Its waits; made with the first failure.
    """

    mobile: str
    content: str
    started: float
    deadline: float
    attempts: int = 0
    unknown: OutcomeUnknown | None = None
    failed: VoiceError | None = None
    backoff: Backoff | None = None

    def verdict(self, error: VoiceError) -> VoiceError:
        """Return what the caller is told if the job ends with `error` now."""
        final: VoiceError = self.unknown or error
        if final is not error and final.__cause__ is None:
            final.__cause__ = error
        final.attempts = self.attempts
        return final


@attrs.frozen
class Submitter:
    """Submits for one account, under its guard and its retry policy."""

    account: str
    endpoint: Endpoint
    guard: Guard | None
    policy: RetryPolicy
    clock: Callable[[], float]

    def job(self, mobile: str, content: str, max_wait: float) -> Job:
        """Return a new job; its clock starts now."""
        now = asyncio.get_running_loop().time()
        return Job(mobile, content, now, now + max_wait)

    async def step(self, job: Job) -> Submission | Delay:
        """Take one step of `job`.

        Raises:
            VoiceError: The job has ended so.
        """
        lease = await self.guard.reserve(self.account, job.mobile) if self.guard else None
        if isinstance(lease, Wait):
            return self._held(job, lease)
        if not job.attempts:
            job.started = asyncio.get_running_loop().time()
        job.attempts += 1
        try:
            answer = await self._attempt(job, lease)
        except VoiceError as error:
            error.attempts = job.attempts
            return self._failed(job, error)
        return Submission(answer.value, job.mobile, answer.msg, job.attempts, answer.raw)

    async def freed(self, job: Job) -> None:
        """Return once no call to the job's number is in flight."""
        if self.guard is not None:
            await self.guard.freed(self.account, job.mobile)

    async def _attempt(self, job: Job, lease: Lease | None) -> Answer:
        sent = Transmission()
        call = Call(Operation.SUBMIT, {"mobile": job.mobile, "content": job.content})
        try:
            answer = await self.endpoint.ask(call, sent)
        except BaseException as error:
            if not isinstance(error, VoiceError) and sent.may_have_arrived:
                job.unknown = job.unknown or OutcomeUnknown("the call was cut off in flight")
            if lease is not None and self.guard is not None:
                await _settle(self.guard, lease, error, sent)
            raise
        if lease is not None and self.guard is not None:
            await self.guard.commit(lease)
        return answer

    def _held(self, job: Job, wait: Wait) -> Delay:
        now = asyncio.get_running_loop().time()
        if now + (wait.seconds or 0.0) <= job.deadline and job.deadline > now:
            return Delay(wait.seconds)
        # Where the call in flight will end is anybody's guess; its window is a second at least.
        seconds = RATE_WINDOWS[4080] if wait.seconds is None else wait.seconds
        code = _CODE_OF_WINDOW.get(wait.window, 4080)
        error = job.failed or RateLimited(code, _HELD_TEXT, Operation.SUBMIT, Action.WAIT)
        if isinstance(error, RateLimited):
            error.source = "guard" if job.failed is None else "vendor"
            error.retry_at = self._in(seconds)
        raise job.verdict(error)

    def _failed(self, job: Job, error: VoiceError) -> Delay:
        job.failed = error
        if isinstance(error, OutcomeUnknown) and job.unknown is None:
            job.unknown = error
        now = asyncio.get_running_loop().time()
        if isinstance(error, RateLimited):
            delay = self._until_window(job, error, now)
        elif self.policy.allows(Operation.SUBMIT, error):
            delay = self._backoff(job).next_delay(error, now)
        else:
            delay = None
        if delay is None:
            raise job.verdict(error)
        return Delay(delay, error)

    def _until_window(self, job: Job, error: RateLimited, now: float) -> float | None:
        window = RATE_WINDOWS.get(error.code, RATE_WINDOWS[4081])
        error.retry_at = self._in(window)
        if now + window > job.deadline:
            return None
        return self._backoff(job).window_delay(error, window)

    def _backoff(self, job: Job) -> Backoff:
        if job.backoff is None:
            job.backoff = Backoff(self.policy, Operation.SUBMIT, job.started)
        return job.backoff

    def _in(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC) + timedelta(seconds=seconds)


async def _settle(guard: Guard, lease: Lease, error: BaseException, sent: Transmission) -> None:
    """End the lease of an attempt that failed, by what the vendor may have counted."""
    if isinstance(error, RateLimited):
        await guard.teach(lease, error.code)
    elif isinstance(error, NotSent | VendorError) or not sent.may_have_arrived:
        await guard.release(lease)
    else:
        await guard.commit(lease)
