"""What other people's code may do: raise anything, and write itself in ways of its own.

pytest's `fail`, gevent's `Timeout` and trio's `Cancelled` are a BaseException and no Exception.
Whatever a guard, a ledger, a hook or a log handler raises is its own trouble, but for the few that
are meant for others.
"""

from asyncio import CancelledError
from typing import Final

ENDING: Final = (KeyboardInterrupt, SystemExit)
"""What ends the program, whoever raises it. All else that plain functions raise is theirs."""

PASSING: Final = (*ENDING, CancelledError, GeneratorExit)
"""The same where something is awaited: there whoever waits may be cancelled, or be closed."""
