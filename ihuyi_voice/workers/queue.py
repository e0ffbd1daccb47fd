"""The jobs of an account: what is to be put into the queue, and what is to be taken out of it."""

import importlib.util
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, LiteralString, Self

import attrs

from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.events import QueueSeen
from ihuyi_voice.ledger import Ledger, PartInfo
from ihuyi_voice.workers.schema import ALIVE, prepare

if TYPE_CHECKING:
    import procrastinate

ENGINE: Final = "procrastinate"
MISSING: Final = "workers need an extra: pip install 'ihuyi-voice[workers]'"
STALLED: Final = 9.0
"""The seconds without a beat after which a worker's jobs fail."""

_AT_ONCE: Final = 1_000
_MOST_NAMED: Final = 128  # of procrastinate's column
_JOBS: Final = (
    "SELECT queueing_lock FROM procrastinate_jobs"
    " WHERE queue_name = %(queue)s AND status IN ('todo', 'doing')"
)
_FAIL: Final = (
    "UPDATE procrastinate_jobs j SET status = 'failed', attempts = attempts + 1"  # noqa: S608 - constants
    " WHERE j.queue_name = %(queue)s AND j.status = 'doing' AND NOT EXISTS"
    " (SELECT 1 FROM procrastinate_workers w WHERE w.id = j.worker_id AND w."
    + ALIVE.format(stalled="%(stalled)s")
    + ") RETURNING j.id"
)
_FORGET: Final = (
    "DELETE FROM procrastinate_jobs WHERE queue_name = %(queue)s"
    " AND status IN ('failed', 'aborted', 'cancelled')"
    " AND id <= (SELECT max(id) FROM procrastinate_jobs) - 1000 RETURNING id"
)
_BEAT: Final = (
    "UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = %(worker)s RETURNING id"
)


@attrs.frozen
class Seen:
    """How the parts of an account stand.

    Attributes:
        undone: Those that are not done, but for those of stopped runs.
        deferred: How many have been given a job now.
    """

    undone: Sequence[PartInfo]
    deferred: int

    def event(self, failed: int) -> QueueSeen:
        """Return what is told of it, and of so many jobs that were failed."""
        held = [part for part in self.undone if part.alive]
        stalled = [part for part in self.undone if part.owner is not None and not part.alive]
        oldest = max((part.held or 0.0 for part in held), default=0.0)
        counts = len(self.undone), len(held), len(stalled)
        return QueueSeen(*counts, oldest, self.deferred, failed)


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
        if importlib.util.find_spec(ENGINE) is None:
            raise ImportError(MISSING)
        self._parts = ledger.parts
        if self._parts.address.dialect != "postgresql":
            text = "workers need a ledger in PostgreSQL, and this one is in SQLite"
            raise InvalidRequest(text, field="ledger")
        self.account = account
        self.name = f"ihuyi:{account}"[:_MOST_NAMED]
        self.schema = f"{self._parts.prefix}_jobs"
        self._closing = AsyncExitStack()
        self.app: procrastinate.App

    async def __aenter__(self) -> Self:
        """Connect, and make the tables if they are missing.

        Raises:
            LedgerUnavailable: The database can't be reached.
            InvalidRequest: It is behind a transaction pooler, or workers of another version live.
        """
        from ihuyi_voice.workers import engine  # noqa: PLC0415 - an extra

        dsn = self._parts.address.target
        await prepare(dsn, self.schema, STALLED)
        self.app = engine.app_of(dsn, self.schema)
        async with AsyncExitStack() as closing:
            closing.push_async_callback(engine.closed, self.app)
            await engine.opened(self.app)
            self._closing = closing.pop_all()
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
        """Do as `look` does; return how many parts of the account are not done.

        Raises:
            LedgerUnavailable, engine.Failures: As for `look`.
        """
        return len((await self.look()).undone)

    async def look(self) -> Seen:
        """Give a job to each part that is not done, that nobody alive holds, and that has none.

        Raises:
            LedgerUnavailable: The ledger could not be asked.
            engine.Failures: The queue could not.
        """
        from ihuyi_voice.workers import engine  # noqa: PLC0415 - an extra

        undone = await self._parts.undone(self.account)
        known = {row["queueing_lock"] for row in await self._all(_JOBS)}
        free = {
            f"ihuyi:{self.schema}:{part.run_id}:{part.part}": {"run": part.run, "part": part.part}
            for part in undone
            if not part.alive
        }
        missing = [(name, given) for name, given in free.items() if name not in known]
        for first in range(0, len(missing), _AT_ONCE):
            await engine.defer(self.app, self.name, dict(missing[first : first + _AT_ONCE]))
        return Seen(undone, len(missing))

    async def sweep(self) -> int:
        """Fail the jobs of workers that are dead, and forget what failed long ago.

        Returns:
            How many jobs were failed.

        Raises:
            engine.Failures: The queue could not be asked.
        """
        failed = await self._all(_FAIL, stalled=STALLED)
        await self._all(_FORGET)
        return len(failed)

    async def beat(self, worker: int) -> bool:
        """Beat for a worker; return whether it is still known.

        Raises:
            engine.Failures: The queue could not be asked.
        """
        return bool(await self._all(_BEAT, worker=worker))

    async def _all(self, query: LiteralString, **given: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - values
        return await self.app.connector.execute_query_all_async(query, queue=self.name, **given)
