"""Guards keep the vendor's limits per number (codes 4080, 4081 and 4082 of section 2.5).

`RedisGuard` needs the extra `redis`; it is imported when it is asked for.
"""

from typing import TYPE_CHECKING

from ihuyi_voice.guards.contract import Guard, Lease, Unset, Wait, check_guard
from ihuyi_voice.guards.limits import Limits, Window
from ihuyi_voice.guards.memory import MemoryGuard, Statistics
from ihuyi_voice.guards.quiet_hours import QuietHours

if TYPE_CHECKING:
    from ihuyi_voice.guards.redis import RedisGuard

__all__ = [
    "Guard",
    "Lease",
    "Limits",
    "MemoryGuard",
    "QuietHours",
    "RedisGuard",
    "Statistics",
    "Unset",
    "Wait",
    "Window",
    "check_guard",
]


def __getattr__(name: str) -> object:
    if name != "RedisGuard":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ihuyi_voice.guards.redis import RedisGuard  # noqa: PLC0415 - an extra

    return RedisGuard
