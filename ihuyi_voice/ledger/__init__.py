"""The ledger: the idempotency key that the vendor lacks."""

from ihuyi_voice.errors import CallInFlight, LedgerClosed, LedgerUnavailable, RunInUse
from ihuyi_voice.ledger.ledger import Ledger

__all__ = ["CallInFlight", "Ledger", "LedgerClosed", "LedgerUnavailable", "RunInUse"]
