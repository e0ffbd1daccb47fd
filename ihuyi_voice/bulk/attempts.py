"""One step of a submission inside a run: it ends in a value, whatever happens."""

import asyncio

from ihuyi_voice.bulk.intake import Desk
from ihuyi_voice.calls import Delay, Job, Submitter
from ihuyi_voice.common.foreign import ENDING
from ihuyi_voice.errors import OutcomeUnknown, RunStopped, VoiceError
from ihuyi_voice.models import Submission


async def attempt(submitter: Submitter, job: Job, desk: Desk) -> Submission | Delay | VoiceError:
    """Step a job.

    Args:
        submitter: Whose job it is.
        job: The job.
        desk: Whom to tell of an error that is no outcome's.
    """
    try:
        return await submitter.step(job)
    except VoiceError as error:
        return error
    except asyncio.CancelledError:  # by the run, by others, or of foreign code's own making
        ended_by: VoiceError = RunStopped("the attempt was cut short")
    except (GeneratorExit, *ENDING):
        raise
    # A programming error: the run can't go on, but no outcome is lost.
    except BaseException as exc:  # noqa: BLE001
        ended_by = desk.broken(exc)
    submitter.abandon(job)
    return job.verdict(ended_by) if job.answer is None else job.answer


def known_end(submitter: Submitter, job: Job, begun: int) -> Submission | VoiceError:
    """Return what is known of an attempt that doesn't end although it was cancelled.

    That is the vendor's answer, if one was read, or that nothing was sent, as by a request hook
    that hangs: then nothing will be. The journal is told of it.

    Args:
        submitter: Whose job it is.
        job: The job.
        begun: Requests begun before that step.
    """
    if job.answer is not None:
        return job.answer
    cut_short = RunStopped("the attempt was cut short")
    if job.attempts == begun or job.tries.is_over:
        return job.verdict(cut_short)
    answered = submitter.answered(job)
    if answered is None and not _is_held_up(job):
        return _cut_off(job)
    end = answered if isinstance(answered, Submission) else job.verdict(answered or cut_short)
    if job.entry is not None:
        job.entry.journaling.tell(job.entry.draft, end)
    return end


def _is_held_up(job: Job) -> bool:
    """Say whether the request has not gone out; if so, it does not any more."""
    sent = job.sent
    if sent is None or sent.bodyless or sent.may_have_arrived:
        return False
    sent.over = True
    return True


def _cut_off(job: Job) -> VoiceError:
    error = OutcomeUnknown("the call was cut off in flight, and its end is not known")
    error.attempts, error.timing = job.attempts, job.timing()
    return error
