"""A PostgreSQL that is away is waited for: `work` may be started before it is.

What waiting doesn't mend, such as a wrong name or password, is left to whoever opens the database
after that, and says it in words.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Final

from ihuyi_voice.cli.output import complain
from ihuyi_voice.storage import Address, reason_of

_CONNECT: Final = 10.0  # seconds that one try takes at most
_SHORTEST: Final = 0.5  # seconds between two tries
_LONGEST: Final = 30.0  # the same

_AWAY: Final = frozenset({"08", "53", "57"})
"""Classes of SQLSTATE: no connection, too many of them, a server that starts or stops."""

_WRONG: Final = (ssl.SSLError, FileNotFoundError, PermissionError)


async def until_there(
    url: str, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Return once a database answers, or says what waiting doesn't mend; SQLite is always there.

    That it is waited for is said once, on stderr.

    Args:
        url: Where it is.
        sleep: How the time between two tries passes.

    Raises:
        InvalidRequest: It is no address of a database.
        ImportError: It needs an extra.
    """
    address = Address.parse(url)
    if address.dialect != "postgresql":
        return
    from tenacity import (  # noqa: PLC0415 - only here
        AsyncRetrying,
        RetryCallState,
        retry_if_exception,
        wait_random_exponential,
    )

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if state.attempt_number == 1 and isinstance(error, Exception):
            complain("work.away", reason=reason_of(error))

    wait = wait_random_exponential(min=_SHORTEST, max=_LONGEST)
    tries = AsyncRetrying(
        sleep=sleep, wait=wait, retry=retry_if_exception(is_away), before_sleep=tell
    )
    try:
        await tries(_answer, address.target)
    except Exception:  # noqa: BLE001 - what it is, is told when the database is opened
        return


async def _answer(dsn: str) -> None:
    import asyncpg  # noqa: PLC0415 - an extra

    link = await asyncpg.connect(dsn, timeout=_CONNECT, statement_cache_size=0)
    await link.close(timeout=_CONNECT)


def is_away(error: BaseException) -> bool:
    """Say whether a database that could not be connected to may be there later by itself."""
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return state[:2] in _AWAY
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN  # no such host is a wrong name
    return isinstance(error, OSError) and not isinstance(error, _WRONG)
