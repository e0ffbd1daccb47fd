"""A submission between its steps: what it has been through, and what it waits for."""

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import attrs

from ihuyi_voice.calls.lines import Place
from ihuyi_voice.calls.retries import Tries
from ihuyi_voice.common.tasks import cancelled_since
from ihuyi_voice.errors import VoiceError
from ihuyi_voice.http import Sent
from ihuyi_voice.models import Submission, Timing

if TYPE_CHECKING:
    from ihuyi_voice.calls.entry import Entry

ON_GUARD: Final = "the guard did not answer"
ON_LEDGER: Final = "the ledger did not answer"
ON_CONNECTION: Final = "it waited for one of our own connections, or for the vendor to take one"


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


@attrs.frozen
class Delay:
    """The job isn't done; step it again later.

    Attributes:
        seconds: How long to wait.
        error: What went wrong, if an attempt was made; None if it is only held back.
        turn: Done when it is the job's turn at its number: then it may be stepped at once. None
            if nothing but time will help.
        elsewhere: Whether a call of the same key is in flight, here or in another process.
        whole_account: Whether no other job may start sooner, whatever its number.
        waits_for: What it waits for, in a few words.
    """

    seconds: float
    error: VoiceError | None = None
    turn: "asyncio.Future[None] | None" = None
    elsewhere: bool = False
    whole_account: bool = False
    waits_for: str = "its next try"


@attrs.define(eq=False)
class Job(Place):
    """The state of one submission between its steps, and its place in the number's line.

    Attributes:
        mobile: The number, normalised.
        content: What the voice says, checked.
        deadline: No wait for the limits may end later than this, by `now`.
        tries: What its attempts came to.
        call: Its number in events.
        asked: When it was asked for, by the event loop's clock.
        since: Since when it waits to be let go.
        now: Returns the time by which `deadline` goes.
        until: Nothing may be sent after that, by the event loop's clock.
        entry: Its entry in a journal; None if it is in none.
        delay: What it waits for between two steps; None while it is in one.
        waits_for: Whom it waits for within this step, as the words of a timeout.
        sent: How far its last attempt got, and what reply came.
        answer: The vendor's acceptance, known before guard and journal are told of it.
        on_answer: Told of that, if anybody is.
        replayed: Whether its end is an earlier one, which the journal knows.
        guard_wait: Seconds that it has waited to be let go.
        ledger_wait: Seconds that it has waited for the journal.
        pool_wait: Seconds that it has waited for connections.
        backoff: Seconds that it has waited between attempts.
    """

    mobile: str
    content: str
    deadline: float
    tries: Tries
    call: int = 0
    asked: float = 0.0
    since: float = 0.0
    now: Callable[[], float] = _loop_time
    until: float = math.inf
    entry: "Entry | None" = None
    delay: Delay | None = None
    waits_for: str = ON_GUARD
    sent: Sent | None = None
    answer: Submission | None = None
    on_answer: "Callable[[Job], None] | None" = None
    replayed: bool = False
    guard_wait: float = 0.0
    ledger_wait: float = 0.0
    pool_wait: float = 0.0
    backoff: float = 0.0

    def unwanted(self) -> Callable[[], bool]:
        """Return what says of an attempt that begins now whether nobody wants it any more.

        That is, whether its caller was cancelled meanwhile, also if something swallowed that, or
        its time is over, also if the program stood still when it was.
        """
        cancelled, until = cancelled_since(), self.until
        if until == math.inf:
            return cancelled
        time = asyncio.get_running_loop().time  # a transport may ask from a thread of its own
        return lambda: cancelled() or time() > until

    @property
    def attempts(self) -> int:
        """Requests begun so far."""
        return self.tries.attempts

    def verdict(self, error: VoiceError) -> VoiceError:
        """Return what the caller is told if the job ends with `error` now."""
        if self.replayed:
            return error
        final = self.tries.verdict(error)
        final.timing = self.timing()
        return final

    def timing(self) -> Timing:
        """Return where its time went, up to now."""
        total = self.now() - self.asked
        waits = self.guard_wait, self.ledger_wait, self.pool_wait, self.backoff
        return Timing(self.call, total, *waits)

    @property
    def patience(self) -> float:
        """Until when the limits are waited for: an alarm's next try is not bound by `max_wait`."""
        policy = self.tries.policy
        if self.tries.unknown is not None and policy.resend_unknown:
            return max(self.deadline, self.tries.started + policy.total_time)
        return self.deadline
