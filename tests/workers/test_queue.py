"""The queue: its tables, and that nothing is left undone when jobs are lost."""

# pyright: reportPrivateUsage=false

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ihuyi_voice import InvalidRequest, Message, OutcomeStatus
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.ledger.schema import Timing
from ihuyi_voice.models import Draft, digest
from ihuyi_voice.simulator import ManualClock, Simulator
from ihuyi_voice.workers import distribute, work
from ihuyi_voice.workers.queue import Queue
from ihuyi_voice.workers.schema import _TURN, _wanted, prepare
from tests.support.databases import new_table
from tests.workers.support import ACCOUNT, client_of, execute, own_ledger, rung

MESSAGES = [Message(f"139{number:08d}", f"您的验证码是：{number}。") for number in range(30)]

LONG_AGO = "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '10 s'"
TO_COME = "UPDATE procrastinate_workers SET last_heartbeat = now() + interval '1 hour'"


async def queued(url: str, prefix: str, statement: str, *given: object) -> list[Any]:
    """Execute a statement on the tables of a queue."""
    return await execute(url, statement, *given, path=f"{prefix}_jobs")


async def jobs(url: str, prefix: str) -> list[str]:
    """Return the states of the jobs in the queue."""
    rows = await queued(url, prefix, "SELECT status FROM procrastinate_jobs ORDER BY id")
    return [row["status"] for row in rows]


async def test_many_make_its_tables_at_once(postgres: str) -> None:
    """One does, and the others use them; a schema of its own lies beside the ledger."""
    async with own_ledger(postgres, queue=False) as (ledger, prefix):
        queues = [Queue(ledger, ACCOUNT) for _ in range(6)]
        opened = await asyncio.gather(*(queue.__aenter__() for queue in queues))
        assert [await queue.defer_undone() for queue in opened] == [0] * 6
        for queue in queues:
            await queue.__aexit__(None, None, None)
        assert await jobs(postgres, prefix) == []


async def test_who_waited_for_its_turn_uses_what_was_made_meanwhile(postgres: str) -> None:
    """And doesn't make it again: jobs may be in it, and workers at work on them."""
    schema, (_, ours) = f"{new_table()}_jobs", _wanted()
    first = await asyncpg.connect(postgres)
    try:
        async with first.transaction():
            await first.execute(_TURN)
            second = asyncio.create_task(prepare(postgres, schema, 10.0))
            waits = "SELECT 1 FROM pg_locks WHERE $1 = ANY(pg_blocking_pids(pid))"
            while not await first.fetchval(waits, first.get_server_pid()):  # noqa: ASYNC110 - only the server knows
                await asyncio.sleep(0)
            await first.execute(f"CREATE SCHEMA {schema} CREATE TABLE of_the_first ()")
            await first.execute(f"COMMENT ON SCHEMA {schema} IS '{ours}'")
        await second
        assert await first.fetchval("SELECT to_regclass($1)::text", f"{schema}.of_the_first")
    finally:
        await first.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        await first.close()


async def test_tables_of_another_version_are_made_anew(postgres: str) -> None:
    """The ledger knows everything that is in them; but not while a worker of theirs lives."""
    async with own_ledger(postgres) as (ledger, prefix):
        await distribute(ledger, "r", MESSAGES, part_size=10, account=ACCOUNT)
        await queued(
            postgres, prefix, f"COMMENT ON SCHEMA {prefix}_jobs IS 'procrastinate 3.0.0 (abc)'"
        )
        await queued(postgres, prefix, "INSERT INTO procrastinate_workers DEFAULT VALUES")
        with pytest.raises(InvalidRequest, match=r"workers with procrastinate 3\.0\.0, and this"):
            await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        await queued(postgres, prefix, LONG_AGO)
        async with Queue(ledger, ACCOUNT) as queue:
            assert await jobs(postgres, prefix) == []
            assert await queue.defer_undone() == 3
        assert await jobs(postgres, prefix) == ["todo"] * 3


async def test_a_schema_of_somebody_elses_is_not_dropped(postgres: str) -> None:
    """It is refused by its name."""
    async with own_ledger(postgres, queue=False) as (ledger, prefix):
        await queued(postgres, prefix, f"CREATE SCHEMA {prefix}_jobs")
        await queued(postgres, prefix, "CREATE TABLE theirs (id INT)")
        with pytest.raises(InvalidRequest, match=f"schema {prefix}_jobs that is not"):
            await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        assert await queued(postgres, prefix, "SELECT * FROM theirs") == []


async def test_a_ledger_that_has_a_schema_beside_it_is_not_lent_to_another_test(
    postgres: str,
) -> None:
    """It would find one that is somebody else's."""
    async with own_ledger(postgres, queue=False) as (_, prefix):
        await queued(postgres, prefix, f"CREATE SCHEMA {prefix}_jobs")
    async with own_ledger(postgres, queue=False) as (_, other):
        assert other != prefix
    assert await queued(postgres, prefix, "SELECT to_regnamespace($1)", f"{prefix}_jobs") == [
        (None,)
    ]


async def test_what_died_between_the_list_and_its_jobs_goes_on(postgres: str) -> None:
    """Loaded, and never deferred: workers give it its jobs."""
    simulator = Simulator(limits=())
    async with own_ledger(postgres) as (ledger, _), client_of(simulator) as client:
        load = await ledger.parts.begin(ACCOUNT, "r", 10)
        drafts = [
            (row, Draft(digest(each.mobile, each.content), each.mobile, each.content, None))
            for row, each in enumerate(MESSAGES, 1)
        ]
        await ledger.parts.add(load, drafts)
        await ledger.parts.end(load, 30, 30)
        await work(client, ledger, until_done=True)
        assert (await ledger.summary("r"))[OutcomeStatus.ACCEPTED] == 30


@pytest.mark.slow
@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM procrastinate_jobs",
        "UPDATE procrastinate_jobs SET status = 'succeeded'",
        "UPDATE procrastinate_jobs SET status = 'failed'",
        "UPDATE procrastinate_jobs SET status = 'doing'",
        "UPDATE procrastinate_jobs SET status = 'doing', worker_id = 1",
    ],
    ids=["lost", "acknowledged", "failed", "of nobody", "of the dead"],
)
async def test_whatever_becomes_of_jobs_nothing_is_left_undone(postgres: str, harm: str) -> None:
    """The ledger says what is to be done, and each message rings once."""
    simulator = Simulator(limits=())
    async with own_ledger(postgres) as (ledger, prefix), client_of(simulator) as client:
        await distribute(ledger, "r", MESSAGES, part_size=10, account=ACCOUNT)
        await queued(postgres, prefix, "INSERT INTO procrastinate_workers DEFAULT VALUES")
        await queued(postgres, prefix, LONG_AGO)
        await queued(postgres, prefix, harm)
        await work(client, ledger, until_done=True)
        assert len(set(rung(simulator))) == len(rung(simulator)) == 30
        assert await jobs(postgres, prefix) in ([], ["succeeded"] * 3, ["failed"] * 3)


async def test_parts_of_the_dead_get_their_jobs_at_the_next_look(postgres: str) -> None:
    """Ten seconds after the last beat, by the test's clock, and not before."""
    clock, timing = ManualClock(), Timing(beat=1e9)
    async with (
        own_ledger(postgres, clock=clock, timing=timing) as (ledger, prefix),
        Queue(ledger, ACCOUNT) as queue,
        Ledger.open(postgres, prefix=prefix, clock=clock, timing=timing) as other,
    ):
        await distribute(ledger, "r", MESSAGES, part_size=10, account=ACCOUNT)
        await queued(postgres, prefix, "DELETE FROM procrastinate_jobs")
        async with other.parts.hold(ACCOUNT, "r", 1), other.parts.hold(ACCOUNT, "r", 2):
            assert (await queue.look()).deferred == 1
            clock.advance(10.0)
            assert (await queue.look()).deferred == 0
            clock.advance(0.01)
            assert (await queue.look()).deferred == 2
            assert await jobs(postgres, prefix) == ["todo"] * 3


async def test_a_beat_that_is_to_come_is_of_before_the_clock_was_set_back(postgres: str) -> None:
    """Whoever lives has beaten since; the jobs of the others fail, and nobody waits for them."""
    async with own_ledger(postgres) as (ledger, prefix):
        await distribute(ledger, "r", MESSAGES, part_size=10, account=ACCOUNT)
        await queued(postgres, prefix, "INSERT INTO procrastinate_workers DEFAULT VALUES")
        await queued(
            postgres, prefix, "UPDATE procrastinate_jobs SET status = 'doing', worker_id = 1"
        )
        async with Queue(ledger, ACCOUNT) as queue:
            assert await queue.sweep() == 0
            await queued(postgres, prefix, TO_COME)
            assert await queue.sweep() == 3
        await queued(
            postgres, prefix, f"COMMENT ON SCHEMA {prefix}_jobs IS 'procrastinate 3.0.0 (abc)'"
        )
        async with Queue(ledger, ACCOUNT):  # whose tables are made anew
            assert await jobs(postgres, prefix) == []


async def test_jobs_that_failed_long_ago_are_forgotten(postgres: str) -> None:
    """A guard that is away all night leaves no million of rows."""
    async with own_ledger(postgres) as (ledger, prefix), Queue(ledger, ACCOUNT) as queue:
        await queued(
            postgres,
            prefix,
            "INSERT INTO procrastinate_jobs (queue_name, task_name, status)"
            " SELECT $1, 't', 'failed' FROM generate_series(1, 1500)",
            queue.name,
        )
        await queue.sweep()
        assert len(await jobs(postgres, prefix)) == 1000


async def test_workers_need_postgresql(tmp_path: Path) -> None:
    """A ledger in SQLite is refused in words, before anything is written."""
    simulator = Simulator()
    async with Ledger.open(tmp_path / "calls.db") as ledger, client_of(simulator) as client:
        with pytest.raises(InvalidRequest, match="in PostgreSQL, and this one is in SQLite"):
            await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        with pytest.raises(InvalidRequest, match="in PostgreSQL, and this one is in SQLite"):
            await work(client, ledger)


async def test_a_missing_extra_is_named(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the words that install it."""
    async with own_ledger(postgres) as (ledger, _):
        monkeypatch.setattr("importlib.util.find_spec", dict[str, None]().get)
        with pytest.raises(ImportError, match=r"pip install 'ihuyi-voice\[workers\]'"):
            await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
