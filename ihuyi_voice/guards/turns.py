"""When the account's next calls are due, as far as this process knows.

All machines share one rate. Who has to wait for it holds no number meanwhile; and as long as no
turn can be free, nobody asks the server: those who wait are told times one after another, so that
they come back one by one.
"""

import random
from collections.abc import Callable
from typing import Final

from ihuyi_voice.guards.contract import Wait

_FURTHEST: Final = 2.0
"""Nobody is sent away for longer, in seconds: others may give up, or come from elsewhere."""
_SPREAD: Final = 0.003
"""Nobody is always the first; so much lateness, in seconds, the server makes up for."""


class Turns:
    """The turns of one account.

    Args:
        gap: Seconds between two calls.
        chance: Returns a random number from 0 to 1.
    """

    def __init__(self, gap: float, chance: Callable[[], float] = random.random) -> None:
        self._gap = gap
        self._chance = chance
        self._free_at = 0.0
        self._last_told = 0.0

    def wait(self, now: float) -> Wait | None:
        """Return how long to wait if no turn can be free yet, by a monotonic clock."""
        return self._told(now) if now < self._free_at else None

    def refused(self, now: float, seconds: float) -> Wait:
        """Note when the server says that the next turn is; return how long to wait."""
        self._free_at = max(self._free_at, now + seconds)
        return self._told(now)

    def _told(self, now: float) -> Wait:
        due = max(self._last_told + self._gap, self._free_at)
        if due > now + _FURTHEST:
            seconds = _FURTHEST * (1 + self._chance()) / 2
            return Wait(max(seconds, self._free_at - now), whole_account=True)
        self._last_told = due
        spread = min(self._gap / 4, _SPREAD) * self._chance()
        return Wait(due - now + spread, whole_account=True)
