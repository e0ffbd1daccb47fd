"""What was opened in one event loop and is used in another: told, and neither hangs nor breaks."""

# pyright: reportPrivateUsage=false

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from ihuyi_voice import LedgerUnavailable, Submission
from ihuyi_voice.pushes import InboxUnavailable
from tests.pushes.support import Place as PushPlace
from tests.pushes.support import report
from tests.support.databases import Place
from tests.support.ledgers import ACCOUNT, World, accepted, draft

pytestmark = pytest.mark.timeout(30)


async def elsewhere(operation: Coroutine[Any, Any, Any]) -> Any:
    """Run something in an event loop of its own, in another thread, for 5 s at most."""

    async def bounded() -> Any:
        async with asyncio.timeout(5):
            return await operation

    return await asyncio.to_thread(asyncio.run, bounded())


async def test_a_journal_says_that_its_ledger_is_of_another_loop(world: World) -> None:
    """Whatever it is asked; and it goes on where it belongs."""
    process = await world.process()
    journal = process.calls()
    assert await journal.intend(draft()) is None

    async def settled() -> object:
        return await journal.settle(draft(), accepted())

    async def intended() -> object:
        return await journal.intend(draft("other"))

    for asked in (settled(), intended(), journal.look([draft()])):
        with pytest.raises(LedgerUnavailable, match="another event loop"):
            await elsewhere(asked)
    await process.desk.heart._beat_once()
    (end,) = await journal.look([draft()])
    assert isinstance(end, Submission)  # what could not be put there is owed here


async def test_what_was_begun_here_is_not_gone_on_with_elsewhere(world: World) -> None:
    """Entries, and a run that is entered there."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, "r"):
        pass
    entries, run = process.ledger.entries("r"), process.ledger.run(ACCOUNT, "r")

    async def entered() -> None:
        async with run:
            pass

    for asked in (anext(entries), entered()):
        with pytest.raises(LedgerUnavailable, match="another event loop"):
            await elsewhere(_awaited(asked))
    async with process.ledger.run(ACCOUNT, "r"):
        pass


async def _awaited(asked: Any) -> Any:
    return await asked


async def test_reports_are_not_read_on_elsewhere(place: Place) -> None:
    """Those that are followed neither, which go on through outages."""
    async with PushPlace(place.url, place.table, place.is_postgres).inbox() as inbox:
        await inbox.put(report("1"))
        for follow in (True, False):
            reports = inbox.reports(0, follow=follow)
            with pytest.raises(InboxUnavailable, match="another event loop"):
                await elsewhere(_awaited(anext(reports)))
        assert (await anext(inbox.reports(0))).voice_id == "1"
