"""What other people's code may do: raise anything, and write itself in ways of its own.

pytest's `fail`, gevent's `Timeout` and trio's `Cancelled` are a BaseException and no Exception.
Whatever a guard, a ledger, a hook or a log handler raises is its own trouble, but for the few that
are meant for others.

An `Enum` that is a `str` writes itself as `Texts.SHIPPED`, a `Markup` escapes what is put into it:
a text of such a class is taken for the characters that it has.
"""

from asyncio import CancelledError
from typing import Final

ENDING: Final = (KeyboardInterrupt, SystemExit)
"""What ends the program, whoever raises it. All else that plain functions raise is theirs."""

PASSING: Final = (*ENDING, CancelledError, GeneratorExit)
"""The same where something is awaited: there whoever waits may be cancelled, or be closed."""


def plain(text: str) -> str:
    """Return a text of the class `str` itself, with the same characters."""
    return str.__str__(text)
