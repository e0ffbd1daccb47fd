"""What workers do: passes over parts, looks at the queue, troubles."""

from typing import Literal

import attrs

from ihuyi_voice.common.redaction import mask_numbers, shown_error
from ihuyi_voice.models import OutcomeStatus


@attrs.frozen
class PartWorked:
    """A pass over a part of a run has ended.

    Attributes:
        run: The run's name.
        part: The part.
        end: `done`; `given back`, as the worker is to end or some of it is to be tried again;
            `stopped`, with the run; `failed`, by `error`.
        seconds: How long it took.
        counts: How many messages this process brought to which end.
        error: What was raised: RunInUse if another process has it; or None.
    """

    run: str = attrs.field(repr=mask_numbers)
    part: int
    end: Literal["done", "given back", "stopped", "failed"]
    seconds: float
    counts: dict[OutcomeStatus, int] = attrs.field(factory=dict[OutcomeStatus, int])
    error: BaseException | None = attrs.field(default=None, repr=shown_error)


@attrs.frozen
class QueueSeen:
    """A worker has looked at the parts of its account, as each does once a second.

    All workers of an account see the same; so don't add their figures up.

    Attributes:
        undone: Parts that are not done, but for those of stopped runs.
        held: How many of them a living process holds.
        stalled: How many of them a dead one held, which nobody has taken over yet.
        oldest: For how long the part that is held longest has been, in seconds; 0 if none is.
        deferred: Parts that have been given a job now: they had fallen between.
        failed: Jobs of dead workers that were failed now.
    """

    undone: int
    held: int
    stalled: int
    oldest: float
    deferred: int
    failed: int


@attrs.frozen
class WorkerTroubled:
    """A worker could not do something, and goes on trying.

    Attributes:
        work: What it was.
        error: What was raised.
    """

    work: str
    error: BaseException | None = attrs.field(default=None, repr=shown_error)
