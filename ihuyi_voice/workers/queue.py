"""The jobs of an account, in procrastinate: its schema, its connection, what is to be deferred.

Procrastinate needs a session of its own (search_path, LISTEN), so a pooler that hands sessions
around is refused. Its tables are in a schema beside the ledger's, made here.
"""

import importlib.util
import secrets
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from ihuyi_voice.errors import InvalidRequest, LedgerUnavailable
from ihuyi_voice.ledger import Ledger, PartInfo

if TYPE_CHECKING:
    import asyncpg
    import procrastinate
    from procrastinate.jobs import Job

TASK: Final = "ihuyi_voice.run_part"
STALLED: Final = 9.0  # seconds without a beat after which a worker's jobs fail

_AT_ONCE: Final = 1_000
_MOST_NAMED: Final = 128  # of procrastinate's column
_CONNECT: Final = 10.0
_JOBS: Final = (
    "SELECT queueing_lock FROM procrastinate_jobs"
    " WHERE queue_name = %(queue)s AND status IN ('todo', 'doing')"
)
_FAIL: Final = (
    "UPDATE procrastinate_jobs j SET status = 'failed', attempts = attempts + 1"
    " WHERE j.queue_name = %(queue)s AND j.status = 'doing' AND NOT EXISTS"
    " (SELECT 1 FROM procrastinate_workers w WHERE w.id = j.worker_id"
    " AND w.last_heartbeat > now() - make_interval(secs => %(stalled)s)) RETURNING j.id"
)
_BEAT: Final = (
    "UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = %(worker)s RETURNING id"
)
_TURN: Final = "SELECT pg_advisory_xact_lock(hashtextextended('ihuyi_schema', 0))"
_POOLED: Final = (
    "workers need a direct connection to PostgreSQL, and this one goes through a pooler that hands"
    " sessions around (transaction pooling): give them the server's own address"
)


class Queue:
    """The queue of an account, beside a ledger in PostgreSQL; `async with` it.

    Args:
        ledger: An open one.
        account: Whose parts they are.

    Raises:
        InvalidRequest: The ledger is not in PostgreSQL.
        ImportError: The extra `workers` is not installed.
    """

    def __init__(self, ledger: Ledger, account: str) -> None:
        if importlib.util.find_spec("procrastinate") is None:
            raise ImportError("workers need an extra: pip install 'ihuyi-voice[workers]'")
        self._parts = ledger.parts
        if self._parts.address.dialect != "postgresql":
            raise InvalidRequest("workers need a ledger in PostgreSQL")
        self.account = account
        self.name = f"ihuyi:{account}"[:_MOST_NAMED]
        self.schema = f"{self._parts.prefix}_jobs"
        self._closing = AsyncExitStack()
        self.app: procrastinate.App

    async def __aenter__(self) -> Self:
        """Connect, and make the schema if it is missing.

        Raises:
            LedgerUnavailable: The database can't be reached.
            InvalidRequest: It is behind a transaction pooler.
        """
        import procrastinate  # noqa: PLC0415 - an extra

        dsn = self._parts.address.target
        await _prepared(dsn, self.schema)
        connector = procrastinate.PsycopgConnector(
            conninfo=dsn,
            kwargs={"options": f"-c search_path={self.schema}", "prepare_threshold": None},
            min_size=1,
            max_size=4,
        )
        self.app = procrastinate.App(connector=connector)
        await self._closing.enter_async_context(self.app.open_async())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Disconnect."""
        await self._closing.aclose()

    async def defer_undone(self) -> int:
        """Give a job to each part that is not done, that nobody alive holds, and that has none.

        Returns:
            How many parts of the account are not done, but for those of stopped runs.

        Raises:
            LedgerUnavailable: The ledger could not be asked.
            procrastinate.exceptions.ConnectorException: The queue could not.
        """
        from procrastinate.exceptions import AlreadyEnqueued  # noqa: PLC0415 - an extra

        undone = await self._parts.undone(self.account)
        rows = await self.app.connector.execute_query_all_async(_JOBS, queue=self.name)
        known = {row["queueing_lock"] for row in rows}
        jobs = [self._job(part) for part in undone if not part.alive]
        missing = [job for job in jobs if job.queueing_lock not in known]
        for first in range(0, len(missing), _AT_ONCE):
            try:
                some = missing[first : first + _AT_ONCE]
                await self.app.job_manager.batch_defer_jobs_async(some)
            except AlreadyEnqueued:  # by another worker, a moment ago; the rest in the next round
                break
        return len(undone)

    async def sweep(self) -> None:
        """Fail the jobs of workers that are dead.

        Raises:
            procrastinate.exceptions.ConnectorException: The queue could not be asked.
        """
        execute = self.app.connector.execute_query_all_async
        await execute(_FAIL, queue=self.name, stalled=STALLED)

    async def beat(self, worker: int) -> bool:
        """Beat for a worker; return whether it is still known.

        Raises:
            procrastinate.exceptions.ConnectorException: The queue could not be asked.
        """
        return bool(await self.app.connector.execute_query_all_async(_BEAT, worker=worker))

    def _job(self, part: PartInfo) -> "Job":
        from procrastinate.jobs import Job  # noqa: PLC0415 - an extra

        return Job(
            id=None,
            queue=self.name,
            lock=None,
            queueing_lock=f"ihuyi:{self.schema}:{part.run_id}:{part.part}",
            task_name=TASK,
            task_kwargs={"run": part.run, "part": part.part},
        )


async def _prepared(dsn: str, schema: str) -> None:
    import asyncpg  # noqa: PLC0415 - an extra

    try:
        async with AsyncExitStack() as closing:
            links: list[asyncpg.Connection] = []
            for _ in range(3):
                link = await asyncpg.connect(dsn, timeout=_CONNECT, statement_cache_size=0)
                closing.push_async_callback(link.close)
                links.append(link)
            await _check_direct(links[0], links[1:])
            await _make(links[0], schema)
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


async def _make(link: "asyncpg.Connection", schema: str) -> None:
    from procrastinate.schema import SchemaManager  # noqa: PLC0415 - an extra

    async with link.transaction():
        await link.execute(_TURN)
        if await link.fetchval("SELECT to_regclass($1)", f"{schema}.procrastinate_jobs") is None:
            await link.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            await link.execute(f"SET LOCAL search_path TO {schema}")
            await link.execute(SchemaManager.get_schema())
