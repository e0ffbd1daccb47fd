"""What an attempt came to: by the vendor's answer where one was read, whatever has ended it."""

from collections.abc import Callable

from ihuyi_voice.calls.holding import after
from ihuyi_voice.calls.job import Job
from ihuyi_voice.calls.retries import retry_after
from ihuyi_voice.errors import NotSent, RateLimited, VoiceError
from ihuyi_voice.models import Operation, Submission
from ihuyi_voice.protocol import Answer, Call, VoicePhp, window_of


def read_answer(
    voice: VoicePhp, clock: Callable[[], float], job: Job
) -> Submission | VoiceError | None:
    """Return the vendor's answer to a job's last attempt, read before something cut it off."""
    if job.sent is None or job.sent.reply is None:
        return None
    try:
        answer = voice.read(Call(Operation.SUBMIT), job.sent.reply)
    except VoiceError as error:
        note(clock, job, error)
        return error
    job.answer = accepted_as(job, answer)
    return job.answer


def accepted_as(job: Job, answer: Answer) -> Submission:
    """Return what the caller is told of an acceptance."""
    raw, timing = answer.raw, job.timing()
    return Submission(answer.value, job.mobile, answer.msg, job.attempts, raw, timing)


def cut_off_before(error: BaseException) -> NotSent:
    """Return how an attempt ended of which nothing was sent."""
    return NotSent(f"the call was cut off before it was sent ({type(error).__name__})")


def note(clock: Callable[[], float], job: Job, error: VoiceError) -> None:
    """Remember how an attempt ended, and when a refusal's number may be called again."""
    job.tries.note(error)
    if isinstance(error, RateLimited):
        error.retry_at = after(clock, window(error))


def window(error: RateLimited) -> float:
    """Return for how many seconds the vendor closes what it refused."""
    return max(window_of(error.code), retry_after(error))
