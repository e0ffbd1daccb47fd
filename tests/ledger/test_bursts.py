"""A commit takes a burst of ends together, and waits for nobody who has not ended."""

import asyncio
from typing import Any

from ihuyi_voice.events import Event, LedgerCommitted
from tests.support.ledgers import World, accepted, draft


async def test_ends_that_come_turn_by_turn_are_written_together(world: World) -> None:
    """Of 24 in flight 16 end in as many turns of the event loop; the others one after another."""
    events: list[Event] = []
    process = await world.process(on_event=events.append)
    journal, keys = process.calls(), [f"k{number}" for number in range(24)]
    await journal.look([draft(key) for key in keys])
    assert await asyncio.gather(*(journal.intend(draft(key)) for key in keys)) == [None] * 24
    ends = list[asyncio.Future[Any]]()
    for key in keys[:16]:
        ends.append(asyncio.ensure_future(journal.settle(draft(key), accepted(key))))
        await asyncio.sleep(0)
    await asyncio.gather(*ends)
    for key in keys[16:]:
        await journal.settle(draft(key), accepted(key))
    commits = [each.settled for each in events if isinstance(each, LedgerCommitted)]
    assert [settled for settled in commits if settled] == [16, *[1] * 8]
