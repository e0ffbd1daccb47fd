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
    """Of 32 in flight, and of the 16 left, until half have ended; of the last 8, each by itself."""
    monkeypatch.setattr("ihuyi_voice.ledger.heart._LINGER", 3_600.0)
    events: list[Event] = []
    process = await world.process(on_event=events.append)
    journal, keys = process.calls(), [f"k{number}" for number in range(32)]
    await journal.look([draft(key) for key in keys])
    assert await asyncio.gather(*(journal.intend(draft(key)) for key in keys)) == [None] * 32
    group = process.desk.heart._group
    async with asyncio.timeout(30):
        for some in (keys[:16], keys[16:24]):
            ends = list[asyncio.Future[Any]]()
            for key in some:
                ends.append(asyncio.ensure_future(journal.settle(draft(key), accepted(key))))
                while group._enough is None and group._next.rows:  # noqa: ASYNC110 - turns of the loop
                    await asyncio.sleep(0)
            await asyncio.gather(*ends)
        for key in keys[24:]:
            await journal.settle(draft(key), accepted(key))
    commits = [each.settled for each in events if isinstance(each, LedgerCommitted)]
    assert [settled for settled in commits if settled] == [16, 8, *[1] * 8]
