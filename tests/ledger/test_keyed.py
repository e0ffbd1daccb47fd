"""The journal of an account's keyed calls: what it asks of its database, and what it doesn't."""

from typing import Any

import pytest

from ihuyi_voice import Action, CallInFlight, OutcomeUnknown, VendorError
from ihuyi_voice.ledger.heart import Heart
from tests.support.ledgers import ACCOUNT, A, World, accepted, draft, refused


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


@pytest.mark.parametrize("of_run", [False, True])
async def test_what_the_vendor_refused_is_not_sent_again_unless_that_is_said(
    world: World, *, of_run: bool
) -> None:
    """Neither of the keyed calls nor of a run: the same request would be refused again."""
    ledger = (await world.process()).ledger
    async with ledger.run(ACCOUNT, "run") as run:
        journal = run if of_run else ledger.calls(ACCOUNT)
        assert await journal.intend(draft()) is None
        await journal.settle(draft(), refused(Action.FIX_REQUEST))
        assert isinstance(await journal.intend(draft()), VendorError)


async def test_an_account_has_recent_calls_for_a_whole_day_after_the_last(world: World) -> None:
    """Also after one that was not noted, since another had been within its minute."""
    process = await world.process()
    for key in "ab":
        assert await process.calls().intend(draft(key)) is None
        await process.calls().settle(draft(key), accepted())
        world.now += 59.0
    world.now += 86_400.0 - 59.0
    heir = await world.process()
    assert heir.calls().has_recent
    assert await heir.calls().recall([A]) == {A: [86_400.0]}


async def test_who_was_asleep_buries_the_dead_and_nothing_of_its_own(world: World) -> None:
    """Its beat is as old as theirs, but it is here."""
    sleeper, dead = await world.process(), await world.process()
    assert await sleeper.calls().intend(draft("own")) is None
    assert await dead.calls().intend(draft("of the dead")) is None
    await dead.dies()
    world.now += 11.0
    for keys in (("own",), ("own", "of the dead")):
        end, *others = await sleeper.calls().look(list(map(draft, keys)))
        assert isinstance(end, CallInFlight)
        assert all(isinstance(each, OutcomeUnknown) for each in others)
    await sleeper.calls().settle(draft("own"), accepted())
    assert await sleeper.calls().look([draft("own")]) == [accepted()]


async def test_a_ledger_that_is_in_use_has_calls_that_a_new_client_knows_nothing_of(
    world: World,
) -> None:
    """One over the same ledger, whose guard has not seen them; also when they have ended."""
    process = await world.process()
    assert not process.calls().has_recent
    assert await process.calls().intend(draft()) is None
    assert process.calls().has_recent
    await process.calls().settle(draft(), accepted())
    assert process.calls().has_recent


async def test_when_a_run_was_last_used_is_not_written_with_each_call(world: World) -> None:
    """Once a minute is enough: all its calls would wait for one row each time."""
    ledger, began = (await world.process()).ledger, world.now
    async with ledger.run(ACCOUNT, "run") as journal:
        for key in "ab":
            assert await journal.intend(draft(key)) is None
            world.now += 60.0
        (run,) = await ledger.runs()
    assert run.used_at.timestamp() == began
