"""A commit waits a moment for the ends of many calls in flight, and for nobody if they are few."""

# pyright: reportPrivateUsage=false

import asyncio
from typing import Any

import pytest

from ihuyi_voice.events import Event, LedgerCommitted
from tests.support.ledgers import World, accepted, draft


async def test_ends_of_many_are_written_together_and_those_of_few_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 16 in flight, until half have ended; of the 8 that are left, each by itself."""
    monkeypatch.setattr("ihuyi_voice.ledger.heart._LINGER", 3_600.0)
    events: list[Event] = []
    process = await world.process(on_event=events.append)
    journal, keys = process.calls(), [f"k{number}" for number in range(16)]
    await journal.look([draft(key) for key in keys])
    assert await asyncio.gather(*(journal.intend(draft(key)) for key in keys)) == [None] * 16
    ends, group = list[asyncio.Future[Any]](), process.desk.heart._group
    for key in keys[:8]:
        ends.append(asyncio.ensure_future(journal.settle(draft(key), accepted(key))))
        while group._enough is None and group._next.rows:  # noqa: ASYNC110 - turns of the loop
            await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await asyncio.gather(*ends)
        for key in keys[8:]:
            await journal.settle(draft(key), accepted(key))
    commits = [each.settled for each in events if isinstance(each, LedgerCommitted)]
    assert [settled for settled in commits if settled] == [8, *[1] * 8]
