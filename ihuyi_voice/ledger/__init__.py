"""The ledger: the idempotency key that the vendor lacks."""

from ihuyi_voice.errors import CallInFlight, LedgerClosed, LedgerUnavailable, RunInUse
from ihuyi_voice.ledger.entries import Entry, Status
from ihuyi_voice.ledger.ledger import Ledger
from ihuyi_voice.ledger.reconcile import Reconciled
from ihuyi_voice.ledger.report import CodeCount, Fate, RunReport, Slice
from ihuyi_voice.ledger.results import Kept
from ihuyi_voice.ledger.runs import RunInfo

__all__ = [
    "CallInFlight",
    "CodeCount",
    "Entry",
    "Fate",
    "Kept",
    "Ledger",
    "LedgerClosed",
    "LedgerUnavailable",
    "Reconciled",
    "RunInUse",
    "RunInfo",
    "RunReport",
    "Slice",
    "Status",
]
