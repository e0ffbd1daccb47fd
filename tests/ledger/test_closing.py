"""Closing a ledger, cancelled at each of its waits, and again in its clean-up."""

# pyright: reportPrivateUsage=false

import asyncio
from itertools import count

import pytest

from ihuyi_voice import Submission
from tests.support.cancelling import EACH, Again, cancelled_at, gone
from tests.support.ledgers import ACCOUNT, Process, World, accepted, draft

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("again", EACH)
async def test_what_was_put_is_written_whenever_closing_is_cancelled(
    world: World, again: Again
) -> None:
    """While a commit runs and another waits; nothing of it is UNKNOWN afterwards."""
    reader = await world.process()
    for at in count(1):
        ledger = world.ledger()
        process = Process(world, await ledger.__aenter__())
        drafts = [draft(f"{name}{at}", f"139{place:08d}") for place, name in enumerate("ab")]
        for each in drafts:
            assert await process.calls().intend(each) is None
        ends = [process.calls().settle(drafts[0], accepted("V0"))]
        while process.desk.heart._group._next.rows:  # noqa: ASYNC110 - a turn of the loop
            await asyncio.sleep(0)
        ends.append(process.calls().settle(drafts[1], accepted("V1")))
        end = await cancelled_at(at, again, ledger.__aexit__(None, None, None))
        found = await reader.calls().look(drafts)
        assert [type(each) for each in found] == [Submission, Submission]
        if not end.waited:
            break


@pytest.mark.parametrize("again", EACH)
async def test_no_task_is_left_whenever_closing_is_cancelled(world: World, again: Again) -> None:
    """Also while a run is left that was opened when nobody waited for it any more."""
    before = asyncio.all_tasks()

    async def used() -> None:
        async with world.ledger() as ledger, ledger.run(ACCOUNT, "run") as journal:
            await journal.intend(draft())

    for at in count(1):
        end = await cancelled_at(at, again, used())
        await gone(before)
        if not end.waited:
            break
