"""Procrastinate, as it is used here: imported only by those who have it.

Its connections commit each statement by itself: a process that is stopped in the midst of one
leaves no transaction open, whose locks would stop the others. None is to a standby, where nothing
could be written, though the address leads to another server by now.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import procrastinate
import psycopg
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, ProcrastinateException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager
from procrastinate.worker import Worker

from ihuyi_voice.common.tasks import to_its_end
from ihuyi_voice.errors import LedgerUnavailable

TASK: Final = "ihuyi_voice.run_part"
Failures: Final = (ProcrastinateException, psycopg.Error, OSError)
"""What is raised when the queue's database goes away."""

_RAISED: Final = "P0001"
_WAIT: Final = 5.0  # seconds for a connection
_AGAIN: Final = 0.5
_BEAT: Final = 3.0
_POLL: Final = 1.0


class PatientManager(JobManager):
    """Says how a job ended until the database has heard it.

    Attributes:
        patient: Whether it is tried again; else the job is left to whoever sweeps.
    """

    patient = True

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:  # noqa: FBT001
        """Say how a job ended; one that was failed meanwhile, since this was thought dead, did."""
        while True:
            try:
                return await super().finish_job(job, status, delete_job)
            except ConnectorException as exc:
                if getattr(exc.__cause__, "sqlstate", None) == _RAISED:
                    return None
                if not self.patient:
                    raise
            await asyncio.sleep(_AGAIN)


def app_of(dsn: str, schema: str) -> procrastinate.App:
    """Return an app whose tables are in a schema; it is to be opened."""

    async def configure(connection: Any) -> None:  # noqa: ANN401 - psycopg's
        await connection.set_autocommit(True)
        await connection.execute(f"SET search_path TO {schema}")

    connector = procrastinate.PsycopgConnector(
        conninfo=dsn,
        kwargs={"prepare_threshold": None, "target_session_attrs": "read-write"},
        configure=configure,
        min_size=1,
        max_size=2,
        timeout=_WAIT,
        reconnect_timeout=_WAIT,
    )
    app = procrastinate.App(connector=connector)
    app.job_manager = PatientManager(connector)
    return app


def give_up(app: procrastinate.App) -> None:
    """Try no more than once from now on to say how a job ended."""
    if isinstance(app.job_manager, PatientManager):
        app.job_manager.patient = False


async def opened(app: procrastinate.App) -> None:
    """Open an app.

    Raises:
        LedgerUnavailable: The database can't be reached.
    """
    try:
        await app.open_async()
    except Failures as exc:
        raise LedgerUnavailable(f"the queue could not be opened ({type(exc).__name__})") from exc


async def closed(app: procrastinate.App) -> None:
    """Close an app, however often this is cancelled: its pool would leave connections open."""
    await to_its_end(asyncio.create_task(app.close_async()))


def register(app: procrastinate.App, job: Callable[[str, int], Awaitable[None]]) -> None:
    """Say what does a job, which is given the name of a run, and the number of a part."""
    app.task(name=TASK)(job)


def worker_of(
    app: procrastinate.App,
    queue: str,
    *,
    parts: int,
    stalled: float,
) -> Any:  # noqa: ANN401 - a Worker, which is not typed throughout
    """Return a worker that is to be run.

    Args:
        app: An open one.
        queue: Whose jobs it takes.
        parts: How many jobs it does at a time.
        stalled: The seconds without a beat after which a worker is dead.
    """
    return Worker(
        app,
        queues=[queue],
        concurrency=parts,
        fetch_job_polling_interval=_POLL,
        delete_jobs="successful",
        install_signal_handlers=False,
        update_heartbeat_interval=_BEAT,
        stalled_worker_timeout=stalled,
    )


async def defer(app: procrastinate.App, queue: str, wanted: dict[str, dict[str, Any]]) -> None:
    """Put jobs into a queue.

    Args:
        app: An open one.
        queue: Which.
        wanted: What the jobs are given, by their names, of which no two are in the queue; if one
            is, none of these comes into it.
    """
    jobs = [
        Job(id=None, queue=queue, lock=None, queueing_lock=name, task_name=TASK, task_kwargs=given)
        for name, given in wanted.items()
    ]
    try:
        await app.job_manager.batch_defer_jobs_async(jobs)
    except AlreadyEnqueued:  # by another worker, a moment ago; the rest comes in the next round
        return
