"""Every kind of event there is."""

from typing import Final, TypeAlias, get_args

from ihuyi_voice.events.calls import (
    AttemptEnded,
    AttemptStarted,
    CutOff,
    RetryEvent,
    RunStarted,
    RunStopped,
    Settled,
    Submitted,
    Waited,
)
from ihuyi_voice.events.ledger import (
    LedgerCommitted,
    LedgerFailed,
    OwnerLost,
    PartLeft,
    PartOpened,
    ReportsTaken,
)
from ihuyi_voice.events.pushes import PushHandled, PushQuarantined, PushRefused, PushStored
from ihuyi_voice.events.workers import PartWorked, QueueSeen, WorkerTroubled

Event: TypeAlias = (
    Submitted
    | Waited
    | AttemptStarted
    | AttemptEnded
    | RetryEvent
    | Settled
    | CutOff
    | RunStarted
    | RunStopped
    | LedgerCommitted
    | LedgerFailed
    | PartOpened
    | PartLeft
    | OwnerLost
    | ReportsTaken
    | PushStored
    | PushQuarantined
    | PushRefused
    | PushHandled
    | PartWorked
    | QueueSeen
    | WorkerTroubled
)

EVERY: Final[frozenset[type[Event]]] = frozenset(get_args(Event))
"""Their classes."""
