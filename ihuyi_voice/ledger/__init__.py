"""The ledger: the idempotency key that the vendor lacks. A key is never rung twice, whatever dies.

Theory of operation. An *entry* is one key of a run, of one account. The keyed calls of an account
are its run "". A *journal* is what calls ask of a run's entries: look, intend, settle (the contract
stands in `calls.journal`).

States: OPEN → INTENT → ACCEPTED, REJECTED, REFUSED, HELD, NOT_SENT or UNKNOWN.
- OPEN, HELD, NOT_SENT and REFUSED (the vendor's STOP, WAIT or RETRY) may become INTENT at any time,
  REJECTED (FIX_REQUEST) only where `retry_rejected` is asked for, the others never.
- INTENT becomes UNKNOWN when its process is found dead: by whoever opens its part (a run), looks at
  its key (a keyed call), or reconciles.
- UNKNOWN becomes what the very attempt came to, if its process was only asleep and tells it late
  (owner, epoch and ticket name one attempt); ACCEPTED by a report that can be of no other call; or
  what a person says.

What is durable when: INTENT is committed before its grant is told, the end before `settle` returns.
All of a process's ledger goes through one group commit, earlier ends before new intents. A commit
that fails, or of which nobody knows, is made good by the next one: ends are written again, intents
are taken back as NOT_SENT, for nobody was told to send. What is never written is UNKNOWN once its
process has ended.

The fence: an intent is written only if its part still has the epoch under which it was opened, and
its run is not stopped; a keyed one only if its owner has not been buried. The rows that say so are
locked until the commit (PostgreSQL: FOR SHARE; SQLite has one writer). So a process that slept
through its own funeral sends nothing that it was not granted before.

Parts: a local run has one, part 0. A run that was loaded to be worked on by many has parts from 1
on, by a hash of the number, so that messages to one number stay in order in one part. Each is
opened, fenced, taken over and left like a run, and is *done* when nothing of it is OPEN or in
flight any more. See `loading` for how they come to be.

The living: each process and open ledger that calls has an *owner* row, which beats by the
database's clock (SQLite: this machine's) every 2 s, and is dead after 10. A part is taken from a
dead owner at once. From one whose beat is younger it is taken when that beat has not moved for as
long; as soon as it is seen to move, the run is in use. There are no locks of a session, so poolers
do no harm.

Cancellation: an intent that is cancelled is taken back; a settlement that is cancelled is written
nevertheless; a run whose block is left in any way is free again; closing writes what was put,
however often it is cancelled.

SQLite must not lie on a network file system: its locks, and its log, are not safe there.
"""

from ihuyi_voice.errors import CallInFlight, LedgerClosed, LedgerUnavailable, RunInUse
from ihuyi_voice.ledger.entries import Entry, Status
from ihuyi_voice.ledger.held import HeldPart
from ihuyi_voice.ledger.ledger import Ledger
from ihuyi_voice.ledger.parts import Loaded, Parts
from ihuyi_voice.ledger.progress import PartInfo, RunProgress
from ihuyi_voice.ledger.reconcile import Reconciled
from ihuyi_voice.ledger.report import CodeCount, Fate, RunReport, Slice
from ihuyi_voice.ledger.results import Kept
from ihuyi_voice.ledger.runs import RunInfo

__all__ = [
    "CallInFlight",
    "CodeCount",
    "Entry",
    "Fate",
    "HeldPart",
    "Kept",
    "Ledger",
    "LedgerClosed",
    "LedgerUnavailable",
    "Loaded",
    "PartInfo",
    "Parts",
    "Reconciled",
    "RunInUse",
    "RunInfo",
    "RunProgress",
    "RunReport",
    "Slice",
    "Status",
]
