"""What a submission's steps tell of themselves: its waits, its attempts, its being cut off."""

import logging
from collections.abc import Iterable, Sequence

from ihuyi_voice.calls.events import Events, next_number
from ihuyi_voice.calls.job import Job
from ihuyi_voice.common.logs import tell
from ihuyi_voice.common.redaction import mask_mobile
from ihuyi_voice.events import AttemptEnded, AttemptStarted, CutOff, Submitted
from ihuyi_voice.http import Sent
from ihuyi_voice.models import Message
from ihuyi_voice.protocol import VoicePhp

logger = logging.getLogger("ihuyi_voice")


def announce(job: Job) -> None:
    """Tell that a call was asked for, once nothing is wrong with it."""
    events = job.tries.events
    if events is not None and Submitted in events.kinds:
        events.tell(Submitted(job.call, job.mobile))


def announced(events: Events, mobile: str) -> int:
    """Tell that a call was asked for whose job is made later, if at all; return its number."""
    if events.is_choosy:
        events.ask()
    call = next_number()
    if Submitted in events.kinds:
        events.tell(Submitted(call, mobile))
    return call


def announced_all(events: Events, messages: Sequence[Message]) -> Iterable[int]:
    """Tell the same of many, one after the other as their numbers are asked for."""
    if not events.is_choosy and Submitted not in events.kinds:
        return [next_number() for _ in messages]
    return (announced(events, each.mobile) for each in messages)


def let_go(events: Events, job: Job, voice: VoicePhp, now: float) -> float:
    """Count an attempt, and what it has waited for that; return when it begins."""
    job.tries.begin(now)
    waited = max(0.0, now - job.since)
    job.guard_wait += waited
    events.waited(job.call, "guard", waited)
    if AttemptStarted not in events.kinds:
        return now
    events.tell(AttemptStarted(job.call, job.attempts, voice.method, voice.address))
    return job.now()


def written(events: Events, job: Job, began: float) -> None:
    """Count what it has waited for its journal since then."""
    waited = job.now() - began
    job.ledger_wait += waited
    events.waited(job.call, "ledger", waited)


def over(events: Events, job: Job, sent: Sent, began: float, error: BaseException | None) -> None:
    """Count what an attempt has waited for a connection, and tell of its end."""
    now = job.now()
    waited = max(0.0, (now if sent.left is None else sent.left) - began)
    job.pool_wait += waited
    events.waited(job.call, "connection", waited)
    if AttemptEnded not in events.kinds:
        return
    status = None if sent.reply is None else sent.reply.status
    attempt = max(1, job.attempts)  # one that only waited for a connection counts as none
    events.tell(AttemptEnded(job.call, attempt, now - began, status, error))


def may_ring(job: Job, error: BaseException) -> None:
    """Log that an attempt was cut off after the vendor may have seen its request."""
    _log(logging.WARNING, "a call to %s was cut off in flight (%s): the phone may ring", job, error)


def cut_off(events: Events, job: Job, error: BaseException) -> None:
    """Tell that the caller was cancelled, or that something broke that is no outcome's."""
    in_flight = job.tries.unknown is not None or job.answer is not None
    try:
        if job.answer is not None:
            text = "a call to %s was accepted, and its caller cut off (%s)"
            _log(logging.WARNING, text, job, error)
        elif not in_flight:  # else it was said when it happened
            _log(logging.INFO, "a call to %s was cut off (%s): none is in flight", job, error)
    finally:  # a log handler may end the program
        if CutOff in events.kinds:
            events.tell(CutOff(job.call, in_flight, error))


def _log(level: int, text: str, job: Job, error: BaseException) -> None:
    masked, kind = mask_mobile(job.mobile), type(error).__name__
    facts = {
        "voice_call": job.call,
        "voice_mobile": masked,
        "voice_attempts": job.attempts,
        "voice_error": kind,
    }
    tell(logger, level, text, masked, kind, extra=facts)
