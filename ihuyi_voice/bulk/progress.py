"""Where a bulk run stands: counts, rate and the time that is left."""

import attrs

from ihuyi_voice.models import OutcomeStatus


@attrs.frozen
class Progress:
    """A look at a run.

    Attributes:
        counts: Finished messages by status.
        in_flight: Attempts being made.
        deferred: Messages held back until later.
        read: Messages read from the iterable so far.
        total: How many there are in all; None if the iterable doesn't tell.
        elapsed: Seconds since the run began.
        rate: Finished messages a second since then.
        eta: Seconds that are likely left, no less than the guard's longest known wait; None while
            nobody can tell.
    """

    counts: dict[OutcomeStatus, int]
    in_flight: int
    deferred: int
    read: int
    total: int | None
    elapsed: float
    rate: float
    eta: float | None

    @property
    def finished(self) -> int:
        """How many messages have their outcome."""
        return sum(self.counts.values())


@attrs.define(eq=False)
class Tally:
    """What a run counts as it goes.

    Attributes:
        total: The length of the input, if it has one.
        read: Messages read so far.
        counts: Finished messages by status, every status present.
    """

    total: int | None = None
    read: int = 0
    counts: dict[OutcomeStatus, int] = attrs.field(factory=lambda: dict.fromkeys(OutcomeStatus, 0))
    _started: float = 0.0

    def start(self, now: float) -> None:
        """Begin to count time."""
        self._started = now

    def progress(self, *, in_flight: int, deferred: int, now: float, last_ready: float) -> Progress:
        """Return where the run stands at `now`, whose last deferral ends at `last_ready`."""
        finished = sum(self.counts.values())
        elapsed = now - self._started
        rate = finished / elapsed if elapsed > 0 else 0.0
        eta = None
        if self.total is not None and rate > 0:
            # Deferred messages cost waiting, not work: the longer of the two decides.
            work = (self.total - finished - deferred) / rate
            eta = max(0.0, work, last_ready - now if deferred else 0.0)
        return Progress(
            dict(self.counts), in_flight, deferred, self.read, self.total, elapsed, rate, eta
        )
