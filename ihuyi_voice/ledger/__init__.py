"""The ledger: the idempotency key that the vendor lacks."""

from ihuyi_voice.errors import CallInFlight, LedgerClosed, LedgerUnavailable, RunInUse
from ihuyi_voice.ledger.entries import Entry
from ihuyi_voice.ledger.ledger import Ledger
from ihuyi_voice.ledger.reconcile import Reconciled
from ihuyi_voice.ledger.runs import RunInfo

__all__ = [
    "CallInFlight",
    "Entry",
    "Ledger",
    "LedgerClosed",
    "LedgerUnavailable",
    "Reconciled",
    "RunInUse",
    "RunInfo",
]
