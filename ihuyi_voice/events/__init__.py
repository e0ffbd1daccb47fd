"""What clients, ledgers, inboxes and workers tell while they work: one typed stream of events.

Theory of operation. Whoever is given an `on_event=` (a client, and so its runs and workers; a
ledger; an inbox) tells it events: plain values, in the order in which things happen, within the
task that makes them happen, by a plain call. The same hook may be given to all of them. It is
foreign code: what it raises is dropped after one warning, and whatever it does changes no outcome;
while it blocks, the event loop does. One that raises KeyboardInterrupt or SystemExit ends the
program, once what was told of is written down.

A hook that has an attribute `kinds`, a frozenset of these classes, hears of no others, and nobody
makes them: it is read anew when a call begins, and before each event that is no call's.
"""

from ihuyi_voice.events.calls import (
    AttemptEnded,
    AttemptStarted,
    CutOff,
    RetryEvent,
    RunStarted,
    RunStopped,
    Settled,
    Standing,
    Submitted,
    Waited,
)
from ihuyi_voice.events.every import Event
from ihuyi_voice.events.ledger import (
    LedgerCommitted,
    LedgerFailed,
    OwnerLost,
    PartLeft,
    PartOpened,
    ReportsTaken,
)
from ihuyi_voice.events.pushes import PushHandled, PushQuarantined, PushRefused, PushStored
from ihuyi_voice.events.stream import Hook, Stream, call_hook, checked_hook
from ihuyi_voice.events.workers import PartWorked, QueueSeen, WorkerTroubled

__all__ = [
    "AttemptEnded",
    "AttemptStarted",
    "CutOff",
    "Event",
    "Hook",
    "LedgerCommitted",
    "LedgerFailed",
    "OwnerLost",
    "PartLeft",
    "PartOpened",
    "PartWorked",
    "PushHandled",
    "PushQuarantined",
    "PushRefused",
    "PushStored",
    "QueueSeen",
    "ReportsTaken",
    "RetryEvent",
    "RunStarted",
    "RunStopped",
    "Settled",
    "Standing",
    "Stream",
    "Submitted",
    "Waited",
    "WorkerTroubled",
    "call_hook",
    "checked_hook",
]
