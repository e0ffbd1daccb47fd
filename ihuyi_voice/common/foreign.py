"""What other people's code may do: raise anything, and write itself in ways of its own.

pytest's `fail`, gevent's `Timeout` and trio's `Cancelled` are a BaseException and no Exception.
Whatever a guard, a ledger, a hook or a log handler raises is its own trouble, but for the few that
are meant for others.
"""

from asyncio import CancelledError
from types import TracebackType
from typing import Final

from ihuyi_voice.common.redaction import mask_numbers

ENDING: Final = (KeyboardInterrupt, SystemExit)
"""What ends the program, whoever raises it. All else that plain functions raise is theirs."""

PASSING: Final = (*ENDING, CancelledError, GeneratorExit)
"""The same where something is awaited: there whoever waits may be cancelled, or be closed."""


class Endings:
    """Holds back what ends the program until something has been done whole: `with` it, each step.

    A hook or a log handler may raise it at every step, and each step is somebody's outcome.
    """

    def __init__(self) -> None:
        self._first: BaseException | None = None

    def __enter__(self) -> None:
        """Begin a step."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Keep what ended it."""
        if not isinstance(exc, ENDING):
            return False
        self._first = self._first or exc
        return True

    def let_go(self) -> None:
        """Raise the first one, if there was any."""
        if self._first is not None:
            raise self._first


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
    """Return what foreign code gave, as it writes itself, up to 80 characters, numbers masked."""
    try:
        return mask_numbers(repr(given))[:80]
    except ENDING:
        raise
    except BaseException:  # noqa: BLE001 - it is somebody else's, and this is only for showing
        return f"<{type(given).__name__}>"
