"""The columns that an earlier run has put beside those of a list: a results file fed back.

They stand side by side in the order in which they were written, whatever stands before or behind
them. A list that had such a name itself keeps its column, and ours got another name then.
"""

from collections.abc import Sequence
from typing import Final

OUTCOME: Final = ("status", "voice_id", "code", "error", "retry_at", "attempts")
"""How a row ended."""

OF_ONE_RUN: Final = (*OUTCOME, "line")
"""The columns of a run without a ledger, whose rows stand as they ended: and the row's place."""

OF_A_LEDGER: Final = (*OUTCOME, "key", "run")
"""The columns of a run in a ledger: and the row's name there."""

_MARK: Final = "result."


def beside(names: Sequence[str], ours: Sequence[str]) -> tuple[str, ...]:
    """Return what our columns are called beside others, which may have such names themselves."""
    return tuple(f"{_MARK}{name}" if name in names else name for name in ours)


def earlier(names: Sequence[str]) -> range:
    """Return the places of an earlier run's columns; an empty range if there are none."""
    bare = [name.removeprefix(_MARK) for name in names]
    for ours in (OF_A_LEDGER, OF_ONE_RUN):
        for start in range(len(bare) - len(ours), -1, -1):  # the last, if a list was joined twice
            if tuple(bare[start : start + len(ours)]) == ours:
                return range(start, start + len(ours))
    return range(0)
