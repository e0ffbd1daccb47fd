"""A PostgreSQL that is away is waited for: `work` may be started before it is.

It may go away between any two steps of the beginning, too, so each is begun anew until it is done.
What waiting doesn't mend, such as a wrong name or password, is left as it is said.
"""

import asyncio
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from ihuyi_voice.cli.output import complain
from ihuyi_voice.errors import LedgerUnavailable
from ihuyi_voice.storage import Address, reason_of, root_of

T = TypeVar("T")

_SHORTEST: Final = 0.5  # seconds between two tries
_LONGEST: Final = 30.0  # the same

_AWAY: Final = frozenset({"08", "53", "57"})
"""Classes of SQLSTATE: no connection, too many of them, a server that starts or stops."""

_WRONG: Final = (ssl.SSLError, FileNotFoundError, PermissionError)


async def patiently(
    url: str,
    begin: Callable[[], Awaitable[T]],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Begin what needs a database, again and again while that is away; SQLite never is.

    That it is waited for is said once, on stderr.

    Args:
        url: Where the database is.
        begin: Opens it, or something on it; what is half open is closed when it fails.
        sleep: How the time between two tries passes.

    Raises:
        InvalidRequest: It is no address of a database.
        ImportError: It needs an extra.
        LedgerUnavailable: It can't be opened, and waiting doesn't mend that.
    """
    if Address.parse(url).dialect != "postgresql":
        return await begin()
    from tenacity import (  # noqa: PLC0415 - only here
        AsyncRetrying,
        RetryCallState,
        retry_if_exception,
        wait_random_exponential,
    )

    async def begun() -> T:
        return await begin()

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if state.attempt_number == 1 and error is not None:
            complain("work.away", reason=reason_of(root_of(error)))

    wait = wait_random_exponential(min=_SHORTEST, max=_LONGEST)
    tries = AsyncRetrying(
        sleep=sleep, wait=wait, retry=retry_if_exception(_will_pass), before_sleep=tell
    )
    return await tries(begun)


def _will_pass(error: BaseException) -> bool:
    return isinstance(error, LedgerUnavailable) and is_away(root_of(error))


def is_away(error: BaseException) -> bool:
    """Say whether a database that could not be connected to may be there later by itself."""
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return state[:2] in _AWAY
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN  # no such host is a wrong name
    if isinstance(error, OSError):
        return not isinstance(error, _WRONG)
    return _is_lost(error)


def _is_lost(error: BaseException) -> bool:
    """Say whether it is what a driver raises, without an SQLSTATE, on a connection that is lost."""
    asyncpg, psycopg = sys.modules.get("asyncpg"), sys.modules.get("psycopg")
    if asyncpg is not None and type(error) is asyncpg.InterfaceError:  # others are wrong options
        return True
    return psycopg is not None and isinstance(error, psycopg.OperationalError)
