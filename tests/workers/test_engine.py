"""What is told to procrastinate when a job has ended, and its database is away just then."""

from typing import Any

import pytest
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status

from ihuyi_voice.workers import engine
from ihuyi_voice.workers.queue import Queue
from tests.workers.support import ACCOUNT, own_ledger

JOB = Job(id=7, queue="q", lock=None, queueing_lock=None, task_name=engine.TASK)


class Flaky:
    """A connector that fails a few times."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.asked = 0

    async def execute_query_async(self, **_given: object) -> None:
        """Fail, or not."""
        self.asked += 1
        if self.asked <= self.failures:
            raise ConnectorException("gone")


def manager_of(flaky: Flaky, monkeypatch: pytest.MonkeyPatch) -> engine.PatientManager:
    """Return a manager that doesn't wait between its tries."""
    monkeypatch.setattr(engine, "_AGAIN", 0.0)
    connector: Any = flaky
    return engine.PatientManager(connector)


async def test_a_jobs_end_is_said_until_it_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would look like one that is being done, as long as its worker lives."""
    flaky = Flaky(3)
    manager = manager_of(flaky, monkeypatch)
    await manager.finish_job(JOB, Status.FAILED, delete_job=False)
    assert flaky.asked == 4


async def test_a_worker_that_ends_says_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others fail the job then, for its worker is gone."""
    flaky = Flaky(1)
    manager = manager_of(flaky, monkeypatch)
    manager.patient = False
    with pytest.raises(ConnectorException):
        await manager.finish_job(JOB, Status.FAILED, delete_job=False)
    assert flaky.asked == 1


async def test_a_job_that_others_have_failed_meanwhile_has_ended(postgres: str) -> None:
    """Its worker was thought dead; that is no error of its own."""
    async with own_ledger(postgres) as (ledger, _), Queue(ledger, ACCOUNT) as queue:
        await queue.app.job_manager.finish_job(JOB, Status.SUCCEEDED, delete_job=True)


async def test_of_jobs_that_another_worker_has_deferred_none_comes_twice(postgres: str) -> None:
    """The rest comes in the next round."""
    async with own_ledger(postgres) as (ledger, _), Queue(ledger, ACCOUNT) as queue:
        given = {"run": "r", "part": 1}
        await engine.defer(queue.app, queue.name, {"a": given})
        await engine.defer(queue.app, queue.name, {"a": given, "b": given})
        rows = await queue.app.connector.execute_query_all_async(
            "SELECT queueing_lock FROM procrastinate_jobs"
        )
        assert [row["queueing_lock"] for row in rows] == ["a"]
