"""How a client tells of its calls and runs: in its stream of events, and in the log.

The same facts stand in log lines as `extra` fields, named `voice_…`, under the logger
`ihuyi_voice.outcomes`.
"""

import logging
from itertools import count
from typing import Final, Literal

import attrs

from ihuyi_voice.common.logs import tell
from ihuyi_voice.common.redaction import mask_mobile, mask_numbers
from ihuyi_voice.errors import VendorError, VoiceError
from ihuyi_voice.events import Event, RunStopped, Settled, Stream, Waited
from ihuyi_voice.models import OutcomeStatus, Submission, Timing

logger = logging.getLogger("ihuyi_voice.outcomes")

_ACCEPTED: Final = 2  # the vendor's code
_NOTICED: Final = 0.001  # seconds of waiting that are worth an event
_LEVELS: Final = {
    OutcomeStatus.ACCEPTED: logging.DEBUG,
    OutcomeStatus.HELD: logging.INFO,
    OutcomeStatus.NOT_SENT: logging.INFO,
    OutcomeStatus.REJECTED: logging.WARNING,
    OutcomeStatus.UNKNOWN: logging.WARNING,
}
next_number: Final = count(1).__next__
"""Returns a number that no other call or run of this process has."""


@attrs.define(eq=False)
class Events(Stream):
    """The stream of a client, and its log.

    Guard and ledger are told of a call before what its hook ends the program by goes on.
    """

    def tell(self, event: Event) -> None:
        """Tell one.

        Raises:
            KeyboardInterrupt, SystemExit: The hook did.
        """
        self.tell_at_once(event)

    def waited(self, call: int, cause: Literal["guard", "ledger", "connection"], s: float) -> None:
        """Tell of a wait that was one."""
        if s >= _NOTICED and Waited in self.kinds:
            self.tell(Waited(call, cause, s))

    def accepted(self, call: int, mobile: str, end: Submission, *, replayed: bool = False) -> None:
        """Tell that a submission was accepted."""
        status = OutcomeStatus.ACCEPTED
        if self.hears_of(status):
            told = call, status, mobile, None, end.voice_id, end.attempts, end.timing
            self.settled(*told, replayed=replayed)

    def ended(self, call: int, mobile: str, error: VoiceError, *, replayed: bool = False) -> None:
        """Tell that a submission ended in an error."""
        told = call, error.status, mobile, error, None, error.attempts, error.timing
        self.settled(*told, replayed=replayed)

    def hears_of(self, status: OutcomeStatus) -> bool:
        """Say whether anybody is told of submissions that end so, in the log or by an event."""
        return Settled in self.kinds or logger.isEnabledFor(_LEVELS[status])

    def settled(
        self,
        call: int | None,
        status: OutcomeStatus,
        mobile: str,
        error: VoiceError | None,
        voice_id: str | None,
        attempts: int,
        timing: Timing | None,
        *,
        replayed: bool = False,
    ) -> None:
        """Tell how a submission ended, in the log as well.

        What was settled earlier is told like any other: the process that left it in doubt may have
        died without a word.
        """
        level = _LEVELS[status]
        is_logged = logger.isEnabledFor(level)
        is_heard = Settled in self.kinds
        if not (is_logged or is_heard):
            return
        told = voice_id, attempts, error, timing, replayed
        event = Settled(status, _text(mobile), call, _code(status, error), *told)
        try:
            if is_logged:
                _log(level, event)
        finally:  # a log handler may end the program
            if is_heard:
                self.tell(event)

    def stopped(self, run: RunStopped, *, by_choice: bool) -> None:
        """Tell that a run has ended, in the log as well.

        Args:
            run: The event.
            by_choice: Whether it is whole, or whoever had it left it.
        """
        level = logging.INFO if by_choice else logging.WARNING
        text = "a run ended after %.1f s: %s%s"
        counts = ", ".join(f"{count} {status}" for status, count in run.counts.items() if count)
        why = "" if run.reason is None else f"; {run.reason}"
        said = mask_numbers(why if run.cause is None else f"{why}: {_said(run.cause)}")
        try:
            tell(logger, level, text, run.seconds, counts or "nothing", said, extra=run.facts())
        finally:  # as above
            if RunStopped in self.kinds:
                self.tell(run)


def _text(mobile: object) -> str:
    """Return a number as text; what is none may be anything, which the message's outcome says."""
    try:
        return str(mobile)
    except Exception:  # noqa: BLE001 - an int of 5,000 digits, a class of the caller's
        return f"<{type(mobile).__name__}>"


def _said(cause: BaseException) -> str:
    """Return an error's words, whatever its own do."""
    try:
        return str(cause)
    except Exception:  # noqa: BLE001 - it may be the caller's
        return type(cause).__name__


def _code(status: OutcomeStatus, error: VoiceError | None) -> int | None:
    if status is OutcomeStatus.ACCEPTED:
        return _ACCEPTED
    if status is OutcomeStatus.REJECTED and isinstance(error, VendorError):
        return error.code
    return None


def _log(level: int, event: Settled) -> None:
    said = mask_numbers(str(event.voice_id if event.error is None else event.error))
    earlier = ", as was known" if event.replayed else ""
    text, masked = "a call to %s ended %s%s: %s", mask_mobile(event.mobile)
    tell(logger, level, text, masked, event.status.value, earlier, said, extra=event.facts())
