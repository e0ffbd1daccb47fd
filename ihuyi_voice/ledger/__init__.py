"""The ledger: the idempotency key that the vendor lacks."""

from ihuyi_voice.errors import CallInFlight, LedgerClosed, LedgerUnavailable, RunInUse
from ihuyi_voice.ledger.ledger import Ledger
from ihuyi_voice.ledger.report import CodeCount, Fate, RunReport, Slice, Uncertain
from ihuyi_voice.ledger.results import Kept

__all__ = [
    "CallInFlight",
    "CodeCount",
    "Fate",
    "Kept",
    "Ledger",
    "LedgerClosed",
    "LedgerUnavailable",
    "RunInUse",
    "RunReport",
    "Slice",
    "Uncertain",
]
