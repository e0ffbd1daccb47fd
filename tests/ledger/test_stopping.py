"""Whoever stops or opens a run that somebody has locked hears of it in time."""

# pyright: reportPrivateUsage=false

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from ihuyi_voice.ledger import Ledger, LedgerUnavailable, RunInUse, heart
from ihuyi_voice.ledger.schema import Timing
from ihuyi_voice.storage import Database
from tests.support.ledgers import ACCOUNT
from tests.support.ready import ready_ledger


@asynccontextmanager
async def locked(
    url: str, looks: int, table: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[tuple[Ledger, list[object]]]:
    """Yield a ledger whose run somebody has locked, and what is written into it."""
    monkeypatch.setattr("ihuyi_voice.ledger.runs._WHILE", 0.01)
    monkeypatch.setattr("ihuyi_voice.ledger.runs._MOMENT", 0.01)
    write, written = Database.write, list[object]()

    async def counted(database: Database, make: Callable[[], Any], **options: Any) -> Any:
        written.extend([make] if options.get("durable", True) else [])  # no beats
        return await write(database, make, **options)

    timing = Timing(1e9, 2.0 * looks, 2.0, sleep=lambda _: asyncio.sleep(0))
    async with (
        ready_ledger(url) as lent,
        Ledger.open(lent.url, prefix=lent.prefix, timing=timing) as ledger,
    ):
        async with ledger.run(ACCOUNT, "run"):
            pass
        admin = await asyncpg.connect(lent.url)
        async with admin.transaction():
            await admin.execute(f'SELECT 1 FROM "{lent.prefix}_{table}" FOR UPDATE')  # noqa: S608 - the test's own
            monkeypatch.setattr(Database, "write", counted)
            yield ledger, written
        await admin.close()


@pytest.mark.parametrize("looks", [1, 3])
async def test_a_run_that_is_locked_is_stopped_after_as_many_looks_as_the_dead_get_or_not_at_all(
    postgres: str, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    """Look by look, and then patiently once; not so often again at each look."""
    async with locked(postgres, looks, "runs", monkeypatch) as (ledger, written):
        with pytest.raises(LedgerUnavailable, match="another program holds locks"):
            await ledger.stop("run", "enough")
        assert len(written) == looks + heart._TRIES


@pytest.mark.parametrize("looks", [1, 3])
async def test_a_run_that_is_locked_is_opened_after_as_many_looks_as_the_dead_get_or_not_at_all(
    postgres: str, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    """Once a look, and once before: whoever has locked it may let go meanwhile."""
    async with locked(postgres, looks, "parts", monkeypatch) as (ledger, written):
        with pytest.raises(RunInUse, match="'run' is being opened or marked"):
            await ledger.run(ACCOUNT, "run").__aenter__()
        assert len(written) == looks + 1
