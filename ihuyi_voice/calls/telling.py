"""What a submission's steps tell of themselves: its waits, its attempts, its being cut off."""

import logging

from ihuyi_voice.calls.events import AttemptEnded, AttemptStarted, CutOff, Events, Submitted
from ihuyi_voice.calls.job import Job
from ihuyi_voice.common.logs import tell
from ihuyi_voice.common.redaction import mask_mobile
from ihuyi_voice.http import Sent
from ihuyi_voice.protocol import VoicePhp

logger = logging.getLogger("ihuyi_voice")


def announce(job: Job) -> None:
    """Tell that a call was asked for, once nothing is wrong with it."""
    events = job.tries.events
    if events is not None and events.hook is not None:
        events.tell(Submitted(job.call, job.mobile))


def let_go(events: Events, job: Job, voice: VoicePhp) -> None:
    """Count an attempt that begins now, and what it has waited for that."""
    now = job.now()
    job.tries.begin(now)
    waited = max(0.0, now - job.since)
    job.guard_wait += waited
    if events.hook is not None:
        events.waited(job.call, "guard", waited)
        events.tell(AttemptStarted(job.call, job.attempts, voice.method, voice.address))


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
    if events.hook is None:
        return
    events.waited(job.call, "connection", waited)
    status = None if sent.reply is None else sent.reply.status
    attempt = max(1, job.attempts)  # one that only waited for a connection counts as none
    events.tell(AttemptEnded(job.call, attempt, now - began, status, error))


def may_ring(job: Job, error: BaseException) -> None:
    """Log that an attempt was cut off after the vendor may have seen its request."""
    masked, kind = mask_mobile(job.mobile), type(error).__name__
    facts = {
        "voice_call": job.call,
        "voice_mobile": masked,
        "voice_attempts": job.attempts,
        "voice_error": kind,
    }
    text = "a call to %s was cut off in flight (%s): the phone may ring"
    tell(logger, logging.WARNING, text, masked, kind, extra=facts)


def cut_off(events: Events, job: Job, error: BaseException) -> None:
    """Tell that the caller was cancelled, or that something broke that is no outcome's."""
    if events.hook is not None:
        in_flight = job.tries.unknown is not None or job.answer is not None
        events.tell(CutOff(job.call, in_flight, error))
