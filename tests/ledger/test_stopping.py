"""Whoever stops a run, or lets it go on, hears of it in time whether that was written."""

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from ihuyi_voice.ledger import Ledger, LedgerUnavailable, heart
from ihuyi_voice.ledger.schema import Timing
from ihuyi_voice.storage import Database
from tests.support.ledgers import ACCOUNT
from tests.support.ready import ready_ledger


@pytest.mark.parametrize("looks", [1, 3])
async def test_a_run_that_somebody_has_locked_is_looked_at_for_as_long_as_the_dead_get(
    postgres: str, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    """Look by look, and then patiently once; not so often again at each look."""
    monkeypatch.setattr("ihuyi_voice.ledger.runs._WHILE", 0.01)
    write, written = Database.write, 0

    async def counted(database: Database, make: Callable[[], Any], **options: Any) -> Any:
        nonlocal written
        written += bool(options.get("durable", True))  # a beat is not
        return await write(database, make, **options)

    async with (
        ready_ledger(postgres) as lent,
        Ledger.open(lent.url, prefix=lent.prefix, timing=Timing(1e9, 2.0 * looks, 2.0)) as ledger,
    ):
        async with ledger.run(ACCOUNT, "run"):
            pass
        admin = await asyncpg.connect(lent.url)
        async with admin.transaction():
            await admin.execute(f'SELECT 1 FROM "{lent.prefix}_runs" FOR UPDATE')  # noqa: S608 - the test's own
            monkeypatch.setattr(Database, "write", counted)
            with pytest.raises(LedgerUnavailable, match="another program holds locks"):
                await ledger.stop("run", "enough")
        await admin.close()
        assert written == looks + heart._TRIES  # pyright: ignore[reportPrivateUsage]
        await ledger.stop("run", "enough")
        assert [run.cause for run in await ledger.runs()] == ["enough"]
