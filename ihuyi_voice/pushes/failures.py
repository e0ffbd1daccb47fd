"""What the log is told of handlers that fail: enough to mend them, and no line for each try.

While a handler's database is away, each push fails at each of its tries. So an error is told once
with its traceback, then once a minute with how often it came; another error is told at once. That
it is over is told when a push is handled that had failed before, or any after a minute without a
failure: one push that fails among others that don't is no handler that works again. A push that is
given up has a line of its own kind. The table and the events have each of them.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from ihuyi_voice.common.logs import Troubles
from ihuyi_voice.pushes.claims import Claim

logger = logging.getLogger("ihuyi_voice.pushes")

_A_WHILE: Final = 60.0  # seconds

Trace = Callable[[], str]


class Failures:
    """Tells of the failures of handlers, by the kind of push.

    Args:
        clock: Seconds, from any beginning, that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed = defaultdict[str, Troubles](lambda: Troubles(logger, clock))
        self._dead = defaultdict[str, Troubles](lambda: Troubles(logger, clock, logging.ERROR))
        self._last: dict[str, float] = {}

    def failed(self, claim: Claim, pause: float, error: str, trace: Trace) -> None:
        """Tell that a push is tried again after so many seconds."""
        kind, seq = self._noted(claim), claim.push.seq
        told = "push %d: handler failed, next try in %.1f s: %s"
        self._failed[kind].of(error).note(told, seq, pause, error, trace=trace)

    def dead(self, claim: Claim, error: str, trace: Trace) -> None:
        """Tell that a push is given up."""
        kind, seq = self._noted(claim), claim.push.seq
        told = "push %d is dead after %d tries: %s"
        self._dead[kind].of(error).note(told, seq, claim.tries, error, trace=trace)

    def handled(self, claim: Claim) -> None:
        """Tell that handlers work again, if that is what it means."""
        kind = claim.push.kind
        last = self._last.get(kind)
        if last is not None and (claim.tries > 1 or self._clock() - last > _A_WHILE):
            del self._last[kind]
            self._failed[kind].over(f"pushes ({kind}) are handled again; tries that failed: %d")
            self._dead[kind].over(f"pushes ({kind}) are handled again; dead meanwhile: %d")

    def _noted(self, claim: Claim) -> str:
        self._last[claim.push.kind] = self._clock()
        return claim.push.kind
