"""The journal of an account's keyed calls: what it asks of its database, and what it doesn't."""

from typing import Any

import pytest

from ihuyi_voice.ledger.heart import Heart
from tests.support.ledgers import World, draft


async def test_keyed_calls_are_looked_up_from_the_first_on(world: World) -> None:
    """Others may make some at any time: there is always something to look up."""
    process = await world.process()
    assert process.calls().is_new is False


async def test_looking_at_keyed_calls_writes_nothing_once_their_run_is_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made by the first call, for all journals of the account."""
    process = await world.process()
    assert await process.calls().look([draft()]) == [None]
    written: list[object] = []

    async def fail(_: Heart, make: object, **__: Any) -> None:
        written.append(make)
        raise AssertionError

    monkeypatch.setattr(Heart, "write", fail)
    assert await process.calls().look([draft()]) == [None]
    assert not written
