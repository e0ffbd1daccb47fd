"""What an open ledger tells of itself: events, which nobody makes where nobody listens."""

from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import Final, Literal

import attrs

from ihuyi_voice.errors import RunStopped
from ihuyi_voice.events import (
    LedgerCommitted,
    LedgerFailed,
    OwnerLost,
    PartLeft,
    PartOpened,
    ReportsTaken,
    Stream,
)
from ihuyi_voice.ledger.commits import Answer, Committed
from ihuyi_voice.ledger.matching import Matched
from ihuyi_voice.ledger.rows import Outcome, Put
from ihuyi_voice.ledger.runs import Opened

_numbers: Final = count(1)


@attrs.frozen(eq=False)
class Telling:
    """Tells what one ledger does.

    Attributes:
        stream: Where to.
        ledger: Its number in this process.
    """

    stream: Stream = attrs.field(factory=Stream)
    ledger: int = attrs.field(init=False, factory=lambda: next(_numbers))

    def committed(self, rows: Sequence[Put], paid: int, done: Committed, seconds: float) -> None:
        """Tell of a commit, the first rows of which were owed."""
        if self.stream.wants(LedgerCommitted):
            steps = Counter(map(_step, rows, done.answers))
            told = {step: steps[step] for step in ("granted", "refused", "fenced", "settled")}
            late = len(done.warnings)
            self.stream.tell(LedgerCommitted(self.ledger, seconds, **told, paid=paid, late=late))

    def failed(
        self,
        work: Literal["commit", "beat", "leave", "reports"],
        error: BaseException,
        owed: int = 0,
    ) -> None:
        """Tell of something that the database did not do."""
        if self.stream.wants(LedgerFailed):
            self.stream.tell(LedgerFailed(self.ledger, work, owed, error))

    def owner_is(self, before: int, now: int) -> None:
        """Tell if this process was thought dead, and is another owner now."""
        if before not in {0, now} and self.stream.wants(OwnerLost):
            self.stream.tell(OwnerLost(self.ledger))

    def opened(self, run: str, part: int, opened: Opened, seconds: float) -> None:
        """Tell that a part of a run is ours."""
        if self.stream.wants(PartOpened):
            place = self.ledger, run, part
            self.stream.tell(PartOpened(*place, seconds, opened.taken_over, opened.unknown))

    def left(self, run: str, part: int, seconds: float) -> None:
        """Tell that it is so no more."""
        if self.stream.wants(PartLeft):
            self.stream.tell(PartLeft(self.ledger, run, part, seconds))

    def reports(self, stored: int, found: Matched) -> None:
        """Tell of reports that were taken in, or looked at again."""
        something = stored or found.settled or found.refused
        if something and self.stream.wants(ReportsTaken):
            told = stored, len(found.settled), len(found.waiting), found.refused
            self.stream.tell(ReportsTaken(self.ledger, *told))


def _step(row: Put, answer: Answer) -> str:
    """Return what became of a row, in a word."""
    if isinstance(row, Outcome):
        return "settled"
    if isinstance(answer, int):
        return "granted"
    if answer is None:
        return "withdrawn"
    return "fenced" if isinstance(answer, RunStopped) else "refused"
