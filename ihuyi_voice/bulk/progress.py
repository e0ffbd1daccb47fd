"""Where a bulk run stands: counts, causes, rate and the time that is left."""

from typing import Final

import attrs

from ihuyi_voice.common.redaction import mask_numbers
from ihuyi_voice.errors import RunStopped, VendorError, VoiceError
from ihuyi_voice.models import OutcomeStatus

_KINDS: Final = 1_000  # of causes that are told apart; the vendor could make up codes for ever


@attrs.frozen
class Progress:
    """A look at a run.

    Attributes:
        counts: Finished messages by status.
        in_flight: Attempts being made.
        deferred: Messages held back until later.
        read: Messages read from the iterable so far.
        total: How many there are in all; None if nobody told.
        elapsed: Seconds since the run began.
        rate: Messages finished by this run a second since then.
        eta: Seconds that are likely left, no less than the guard's longest known wait; None while
            nobody can tell.
        replayed: Finished messages that had been settled before; rate and `eta` leave them out.
        cause: The commonest reason why messages were not accepted, in words, or the last one why
            an attempt failed while no message has ended so; None if all went well.
        waiting: What those held back wait for, in a few words ("its minute", "quiet hours until
            08:00"), and how many do.
    """

    counts: dict[OutcomeStatus, int]
    in_flight: int
    deferred: int
    read: int
    total: int | None
    elapsed: float
    rate: float
    eta: float | None
    cause: str | None = None
    replayed: int = 0
    waiting: dict[str, int] = attrs.field(factory=dict[str, int])

    @property
    def finished(self) -> int:
        """How many messages have their outcome."""
        return sum(self.counts.values())

    @property
    def failed(self) -> int:
        """How many of them were not accepted."""
        return self.finished - self.counts[OutcomeStatus.ACCEPTED]


@attrs.define(eq=False)
class _Cause:
    """One reason, how often it came, and its words of the first time."""

    text: str
    count: int = 0


@attrs.define(eq=False)
class Tally:
    """What a run counts as it goes.

    Attributes:
        total: The length of the input, if it is known.
        read: Messages read so far.
        counts: Finished messages by status, every status present.
        replayed: How many of them had been settled before.
    """

    total: int | None = None
    read: int = 0
    counts: dict[OutcomeStatus, int] = attrs.field(factory=lambda: dict.fromkeys(OutcomeStatus, 0))
    replayed: int = 0
    _started: float = 0.0
    _causes: dict[tuple[type, int | None], _Cause] = attrs.field(
        factory=dict[tuple[type, int | None], _Cause]
    )
    _last: str | None = None

    def start(self, now: float) -> None:
        """Begin to count time."""
        self._started = now

    def again(self, status: OutcomeStatus, many: int = 1) -> None:
        """Count messages that had ended before this run."""
        self.counts[status] += many
        self.replayed += many

    def ended(self, status: OutcomeStatus, error: VoiceError | None) -> None:
        """Count a message that has ended."""
        self.counts[status] += 1
        # A run that stopped is what came of a cause, not a cause.
        if error is None or isinstance(error, RunStopped):
            return
        key = type(error), error.code if isinstance(error, VendorError) else None
        cause = self._causes.get(key)
        if cause is None:
            if len(self._causes) >= _KINDS:
                return
            cause = self._causes[key] = _Cause(mask_numbers(str(error)))
        cause.count += 1

    def troubled(self, error: VoiceError) -> None:
        """Note why an attempt failed that is going to be made again."""
        self._last = mask_numbers(str(error))

    def progress(
        self,
        *,
        in_flight: int,
        deferred: int,
        now: float,
        last_ready: float,
        waiting: dict[str, int] | None = None,
    ) -> Progress:
        """Return where the run stands at `now`, whose last deferral ends at `last_ready`."""
        finished = sum(self.counts.values())
        elapsed = now - self._started
        rate = (finished - self.replayed) / elapsed if elapsed > 0 else 0.0
        eta = None
        if self.total is not None and rate > 0:
            # Deferred messages cost waiting, not work: the longer of the two decides.
            work = (self.total - finished - deferred) / rate
            eta = max(0.0, work, last_ready - now if deferred else 0.0)
        return Progress(
            dict(self.counts), in_flight, deferred, self.read, self.total, elapsed, rate, eta,
            self._cause(), self.replayed, waiting or {},
        )  # fmt: skip

    def _cause(self) -> str | None:
        if self._causes:
            return max(self._causes.values(), key=lambda cause: cause.count).text
        return self._last
