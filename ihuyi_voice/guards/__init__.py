"""Guards keep the vendor's limits per number (codes 4080, 4081 and 4082 of section 2.5)."""

from ihuyi_voice.guards.contract import Guard, Lease, Wait, check_guard
from ihuyi_voice.guards.limits import Limits, Window
from ihuyi_voice.guards.memory import MemoryGuard, Statistics

__all__ = ["Guard", "Lease", "Limits", "MemoryGuard", "Statistics", "Wait", "Window", "check_guard"]
