"""Ledgers of earlier versions are brought to this one when they are opened, with all they hold."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import pytest

from ihuyi_voice import OutcomeStatus
from ihuyi_voice.ledger import Ledger, LedgerUnavailable
from ihuyi_voice.ledger.schema import Spelling
from ihuyi_voice.storage import Query, Work
from ihuyi_voice.storage.statements import DIALECTS
from tests.support.databases import own_database
from tests.support.ledgers import ACCOUNT, Process, World, accepted, draft, unknown

if TYPE_CHECKING:
    from ihuyi_voice.ledger.states import Ending

SINCE_2: Final = ("settled_at", "also")
WAITS: Final = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"


async def made_older(process: Process) -> None:
    """Make a ledger one of version 1."""
    table = process.world.place.table

    def work() -> Work[None]:
        for column in SINCE_2:
            yield Query(f'ALTER TABLE "{table}_entries" DROP COLUMN {column}')
        update = "UPDATE ihuyi_schema SET version = 1 WHERE name = :name"
        yield Query(update, {"name": f"{table}_ledger"})

    await process.desk.heart.write(work)


async def test_a_ledger_of_version_1_is_migrated(world: World) -> None:
    """Its entries are what they were, and can be settled."""
    process = await world.process()
    ends: dict[str, Ending] = {"done": accepted(), "unsure": unknown()}
    for key, end in ends.items():
        assert await process.calls().intend(draft(key)) is None
        await process.calls().settle(draft(key), end)
    await made_older(process)
    later = await world.process()
    assert await later.calls().look([draft("done")]) == [accepted()]
    await later.ledger.settle("", "unsure", OutcomeStatus.NOT_SENT)
    found: dict[str, Any] = {
        each.key: each async for each in later.ledger.entries("", account=ACCOUNT)
    }
    assert found["done"].settled_at is None
    assert found["unsure"].settled_at is not None
    assert found["unsure"].also == ()


async def test_a_migration_waits_for_whoever_reads(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long report, say: longer than a commit would wait for a lock."""
    monkeypatch.setattr("ihuyi_voice.ledger.ledger.LOCK_TIMEOUT", 0.02)
    async with own_database(postgres) as url:
        async with Ledger.open(url):
            pass
        reader, admin = await asyncpg.connect(url), await asyncpg.connect(url)
        for column in SINCE_2:
            await admin.execute(f"ALTER TABLE ihuyi_entries DROP COLUMN {column}")
        await admin.execute("UPDATE ihuyi_schema SET version = 1")
        async with reader.transaction():
            await reader.fetch("SELECT count(*) FROM ihuyi_entries")
            ledger = Ledger.open(url)
            opening = asyncio.create_task(ledger.__aenter__())
            while not await admin.fetchval(WAITS):
                assert not opening.done(), opening
            await admin.execute("SELECT pg_sleep(0.1)")  # several times as long as a commit waits
            assert not opening.done()
        await opening
        await ledger.__aexit__(None, None, None)
        await reader.close()
        await admin.close()


async def test_a_ledger_that_is_not_to_be_written_is_not_migrated(world: World) -> None:
    """The error says what to do."""
    await made_older(await world.process())
    ledger: Ledger = world.ledger(create=False)
    with pytest.raises(LedgerUnavailable, match="version 1, not 2: open it once for writing"):
        await ledger.__aenter__()


def test_a_migration_may_take_hours() -> None:
    """Each step of it: what rewrites a long table isn't given up as a commit would be."""
    say = Spelling(DIALECTS["postgresql"], "ihuyi", own_clock=False)
    steps = list(say.schema("ihuyi").migrations[2](say.dialect))
    assert len(steps) == len(SINCE_2)
    assert all(isinstance(each, Query) and each.patient for each in steps)
