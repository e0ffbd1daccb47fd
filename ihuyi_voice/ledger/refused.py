"""What a database refuses, however well it is, doesn't hold up what comes with it.

A value that it can't take, a row that can't be understood: such work fails whenever it is tried.
So what fails together is tried in halves, and what fails alone, although the database does other
work before and after, is left out. A database that is away, full or locked refuses nothing: then
all is tried again later.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from ihuyi_voice.errors import LedgerClosed, LedgerUnavailable
from ihuyi_voice.storage import causes_of

_AWAY: Final = (OSError, EOFError, MemoryError, sqlite3.OperationalError, LedgerClosed)
_REFUSED: Final = frozenset({"22", "23", "54"})  # PostgreSQL's: data, integrity, program limits
_DRIVER: Final = "asyncpg"

Item = TypeVar("Item")
Result = TypeVar("Result")


def is_refused(error: BaseException) -> bool:
    """Say whether work failed by what it is, as far as its error tells."""
    return not any(map(_tells_of_away, causes_of(error)))


async def in_parts(
    items: Sequence[Item],
    do: Callable[[Sequence[Item]], Awaitable[Result]],
    check: Callable[[], Awaitable[object]],
    left_out: Callable[[Item, LedgerUnavailable], None],
) -> list[Result]:
    """Do something with all items at once, or with parts of them if that is refused.

    Args:
        items: One at least.
        do: Does it with some.
        check: Does other work, to see whether the database is there.
        left_out: Told of each that is refused alone, twice.

    Returns:
        What came of each part that was done.

    Raises:
        LedgerUnavailable: The database is away; some parts may have been done.
    """
    try:
        return [await do(items)]
    except LedgerUnavailable as error:
        if not is_refused(error):
            raise
    await check()
    if len(items) > 1:
        half = len(items) // 2
        some = await in_parts(items[:half], do, check, left_out)
        return some + await in_parts(items[half:], do, check, left_out)
    try:
        return [await do(items)]
    except LedgerUnavailable as error:
        if not is_refused(error):
            raise
        left_out(items[0], error)
    return []


def _tells_of_away(exc: BaseException) -> bool:
    state = getattr(exc, "sqlstate", None)
    if isinstance(state, str):
        return state[:2] not in _REFUSED
    kind = type(exc)  # a broken file is sqlite3's DatabaseError itself
    is_drivers = kind.__module__.partition(".")[0] == _DRIVER  # it lost its connection
    return isinstance(exc, _AWAY) or kind is sqlite3.DatabaseError or is_drivers
