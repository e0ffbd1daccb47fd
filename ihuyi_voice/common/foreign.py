"""What other people's code may do: raise anything, and write itself in ways of its own.

pytest's `fail`, gevent's `Timeout` and trio's `Cancelled` are a BaseException and no Exception.
Whatever a guard, a ledger, a hook or a log handler raises is its own trouble, but for the few that
are meant for others.
"""

from asyncio import CancelledError
from typing import Final

from ihuyi_voice.common.redaction import mask_numbers

ENDING: Final = (KeyboardInterrupt, SystemExit)
"""What ends the program, whoever raises it. All else that plain functions raise is theirs."""

PASSING: Final = (*ENDING, CancelledError, GeneratorExit)
"""The same where something is awaited: there whoever waits may be cancelled, or be closed."""


def words(exc: BaseException) -> str:
    """Return what an exception of foreign code says, with its numbers masked, whatever it does."""
    kind = type(exc).__name__
    try:
        return mask_numbers(f"{kind}: {exc}".rstrip(": "))
    except ENDING:
        raise
    except BaseException:  # noqa: BLE001 - its own words fail
        return kind


def shown(given: object) -> str:
    """Return what foreign code gave, as it writes itself, up to 80 characters."""
    try:
        return f"{given!r:.80}"
    except ENDING:
        raise
    except BaseException:  # noqa: BLE001 - it is somebody else's, and this is only for showing
        return f"<{type(given).__name__}>"
