"""What an open ledger does: commits, failures, parts that change hands, reports taken in."""

from typing import Literal

import attrs

from ihuyi_voice.common.redaction import mask_numbers, shown_error


@attrs.frozen
class LedgerCommitted:
    """A group of intents and ends was written durably, in one transaction.

    Attributes:
        ledger: What tells this open ledger apart from others of this process.
        seconds: How long it took.
        granted: Intents that were granted: so many calls were let go.
        refused: Intents that were not: their keys were used, or are in flight.
        fenced: Intents that were not, as the run was stopped, or is another process's by now.
        settled: Ends that were written.
        paid: How many of them, and of what was taken back, an earlier commit had failed to write.
        late: Acceptances that came after a person had settled them otherwise; the log has each.
    """

    ledger: int
    seconds: float
    granted: int = 0
    refused: int = 0
    fenced: int = 0
    settled: int = 0
    paid: int = 0
    late: int = 0


@attrs.frozen
class LedgerFailed:
    """The database said no, or nothing, to something that a ledger had to write or read.

    Attributes:
        ledger: Which ledger.
        work: What: a `commit`, a `beat`, to `leave` a run, to take in `reports`.
        owed: How many ends are owed now, to be written by the next commit that succeeds.
        error: What was raised.
    """

    ledger: int
    work: Literal["commit", "beat", "leave", "reports"]
    owed: int = 0
    error: BaseException | None = attrs.field(default=None, repr=shown_error)


@attrs.frozen
class PartOpened:
    """A run, or a part of one, is this ledger's to work on, until it is left.

    Attributes:
        ledger: Which ledger.
        run: The run's name.
        part: The part; 0 for a run that has no parts.
        seconds: How long that took, to watch whether another process lives included.
        taken_over: Whether another process had it, dead by now, or insisted against.
        unknown: How many calls were in flight then, and are UNKNOWN now.
    """

    ledger: int
    run: str = attrs.field(repr=mask_numbers)
    part: int
    seconds: float = 0.0
    taken_over: bool = False
    unknown: int = 0


@attrs.frozen
class PartLeft:
    """It is this ledger's no more.

    Attributes:
        ledger: Which ledger.
        run: The run's name.
        part: The part; 0 for a run that has no parts.
        seconds: How long it was held.
    """

    ledger: int
    run: str = attrs.field(repr=mask_numbers)
    part: int
    seconds: float = 0.0


@attrs.frozen
class OwnerLost:
    """Others thought this process dead: it was fenced off, and goes on as a new owner.

    It slept, hung, or could not reach the database for longer than the living may.

    Attributes:
        ledger: Which ledger.
    """

    ledger: int


@attrs.frozen
class ReportsTaken:
    """Delivery reports were taken in, or looked at again.

    Attributes:
        ledger: Which ledger.
        stored: How many were new to it.
        settled: How many UNKNOWN calls are ACCEPTED now.
        waiting: How many numbers have a report that may be of a call in flight.
        refused: How many were left out, because the database can't take them.
    """

    ledger: int
    stored: int = 0
    settled: int = 0
    waiting: int = 0
    refused: int = 0
