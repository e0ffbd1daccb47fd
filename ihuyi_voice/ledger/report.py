"""What a whole run came to, counted by the database: for a page that tells it to people.

Nothing here grows with the run: a million entries are counted where they lie, by whole scans
that each return a few hundred rows.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import attrs


class Fate(StrEnum):
    """What a person has got of a run; of several, the first in this order counts.

    Attributes:
        ANSWERED: A call was answered.
        NOT_REACHED: A call was made and nobody answered it.
        AWAITED: A call was accepted, and its delivery report has not come.
        UNCERTAIN: Nobody knows whether a call was made.
        REFUSED: The vendor refused it.
        NOT_CALLED: Nothing has reached the vendor: held back, not sent, or not begun.
    """

    ANSWERED = "answered"
    NOT_REACHED = "not_reached"
    AWAITED = "awaited"
    UNCERTAIN = "uncertain"
    REFUSED = "refused"
    NOT_CALLED = "not_called"


@attrs.frozen
class CodeCount:
    """How often one code came.

    Attributes:
        code: The vendor's code.
        count: Messages.
        text: What the vendor wrote, as one of them has it.
    """

    code: int
    count: int
    text: str = ""


@attrs.frozen
class Slice:
    """A stretch of a run's time.

    Attributes:
        at: When it begins, in Unix seconds.
        ended: Messages that ended in it, by state.
        waits: How long their calls took, in seconds: pairs of a rounded time and how many took it,
            rising.
    """

    at: float
    ended: Mapping[str, int]
    waits: Sequence[tuple[float, int]] = ()

    def quantile(self, share: float) -> float | None:
        """Return the time within which this share of the calls had their answer, in seconds."""
        left = share * sum(count for _, count in self.waits)
        for seconds, count in self.waits:
            left -= count
            if left <= 0:
                return seconds
        return None


@attrs.frozen
class Uncertain:
    """A message of which nobody knows whether its call was made.

    Attributes:
        key: Its name within the run.
        mobile: The number; the repr masks it.
        reference: The caller's own name for it, if any.
        at: When it was about to be sent, in Unix seconds.
        text: Why nobody knows.
        candidates: The voice_ids of reports that may tell of it.
    """

    key: str
    mobile: str = attrs.field(repr=False)
    reference: str | None
    at: float
    text: str = ""
    candidates: Sequence[str] = ()


@attrs.frozen
class RunReport:
    """What a run came to.

    Attributes:
        account: Whose calls they are.
        run: Its name.
        states: Messages by state: an OutcomeStatus, OPEN or INTENT.
        people: Numbers by their fate.
        begun: When the first message was sent, in Unix seconds; None if none was.
        ended: When the last one got its outcome.
        codes: The vendor's answers, by code.
        reasons: Why messages have no answer of the vendor's, and how many; the commonest.
        ends: How calls ended, by the code of their delivery report.
        slices: The run's time, cut into stretches of the same length, without gaps.
        span: How long each is, in seconds.
        uncertain: The first of those whose end nobody knows.
    """

    account: str
    run: str
    states: Mapping[str, int]
    people: Mapping[Fate, int]
    begun: float | None = None
    ended: float | None = None
    codes: Sequence[CodeCount] = ()
    reasons: Sequence[tuple[str, int]] = ()
    ends: Sequence[CodeCount] = ()
    slices: Sequence[Slice] = ()
    span: float = 0.0
    uncertain: Sequence[Uncertain] = ()
