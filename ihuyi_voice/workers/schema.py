"""The tables of the queue: procrastinate's own, in a schema beside the ledger's tables.

There is nothing in the queue that the ledger doesn't know: jobs are made anew for whatever is not
done. So there are no migrations. Tables that were made for another procrastinate are dropped, and
made again, when no worker of the other one is alive any more.

Procrastinate needs a session of its own (search_path, LISTEN), so a pooler that hands sessions
around is refused.
"""

import hashlib
import secrets
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

from ihuyi_voice.errors import InvalidRequest, LedgerUnavailable

if TYPE_CHECKING:
    import asyncpg

_CONNECT: Final = 10.0
_TURN: Final = "SELECT pg_advisory_xact_lock(hashtextextended('ihuyi_schema', 0))"
# Of the table, not of the name alone: a name that was not there a moment ago is remembered by the
# session as missing, until it locks a table and so hears what others have made.
_MADE_FOR: Final = (
    "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace"
    " WHERE oid = to_regnamespace($1)"
)
ALIVE: Final = (  # a beat that is long to come is of before the clock was set back
    "last_heartbeat BETWEEN now() - make_interval(secs => {stalled})"
    " AND now() + make_interval(secs => {stalled})"
)
"""The condition that a row of `procrastinate_workers` is of one who lives."""

_LIVING: Final = f"SELECT count(*) FROM {{schema}}.procrastinate_workers WHERE {ALIVE}"  # noqa: S608 - constants
_POOLED: Final = (
    "workers need a direct connection to PostgreSQL, and this one goes through a pooler that hands"
    " sessions around (transaction pooling): give them the server's own address"
)
_FOREIGN: Final = "the database has a schema {schema} that is not the workers' queue"
_OTHER: Final = (
    "the queue is used by workers with {theirs}, and this is {ours}: end them first, or install"
    " the same version everywhere"
)


async def prepare(dsn: str, schema: str, stalled: float) -> None:
    """Make the tables if they are missing, or another version's; one process at a time does.

    Args:
        dsn: Where the database is.
        schema: The name of the schema.
        stalled: The seconds without a beat after which a worker is dead.

    Raises:
        LedgerUnavailable: The database can't be reached, or says no.
        InvalidRequest: It is behind a transaction pooler, or workers of another version live.
    """
    import asyncpg  # noqa: PLC0415 - an extra

    try:
        async with AsyncExitStack() as closing:
            links: list[asyncpg.Connection] = []
            for _ in range(3):
                link = await asyncpg.connect(dsn, timeout=_CONNECT, statement_cache_size=0)
                closing.push_async_callback(link.close)
                links.append(link)
            await _check_direct(links[0], links[1:])
            await _make(links[0], schema, stalled)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
        raise LedgerUnavailable(f"the queue could not be opened ({type(exc).__name__})") from exc


async def _check_direct(one: "asyncpg.Connection", others: "list[asyncpg.Connection]") -> None:
    """Refuse a session that is shared: a setting of one is seen by another, or doesn't stick."""
    said = secrets.token_hex(4)
    await one.execute(f"SET ihuyi.session = '{said}'")
    async with AsyncExitStack() as open_ones:
        for other in others:
            await open_ones.enter_async_context(other.transaction())
            if await _session(other) == said:
                await other.execute("RESET ihuyi.session")
                raise InvalidRequest(_POOLED)
        if await _session(one) != said:
            raise InvalidRequest(_POOLED)
    await one.execute("RESET ihuyi.session")


async def _session(link: "asyncpg.Connection") -> Any:  # noqa: ANN401 - a text, or None
    return await link.fetchval("SELECT current_setting('ihuyi.session', true)")


async def _make(link: "asyncpg.Connection", schema: str, stalled: float) -> None:
    tables, ours = _wanted()
    if await link.fetchval(_MADE_FOR, schema) == ours:
        return
    async with link.transaction():
        await link.execute(_TURN)
        theirs = await link.fetchval(_MADE_FOR, schema)
        if theirs == ours:
            return
        if theirs is not None:
            await _check_unused(link, schema, stalled, theirs, ours)
        await link.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        await link.execute(f"CREATE SCHEMA {schema}")
        await link.execute(f"SET LOCAL search_path TO {schema}")
        await link.execute(tables)
        await link.execute(f"COMMENT ON SCHEMA {schema} IS '{ours}'")


async def _check_unused(
    link: "asyncpg.Connection", schema: str, stalled: float, theirs: str, ours: str
) -> None:
    """Refuse to drop what is not ours to drop."""
    if not theirs.startswith("procrastinate "):
        raise InvalidRequest(_FOREIGN.format(schema=schema))
    if await link.fetchval(_LIVING.format(schema=schema, stalled="$1"), stalled):
        raise InvalidRequest(_OTHER.format(theirs=_short(theirs), ours=_short(ours)))


def _wanted() -> tuple[str, str]:
    """Return the statements that make the tables, and the words by which they are known."""
    from importlib.metadata import version  # noqa: PLC0415 - only to open a queue

    from procrastinate.schema import SchemaManager  # noqa: PLC0415 - an extra

    tables: str = SchemaManager.get_schema()
    digest = hashlib.sha256(tables.encode()).hexdigest()[:12]
    return tables, f"procrastinate {version('procrastinate')} ({digest})"


def _short(words: str) -> str:
    return words.partition(" (")[0]
