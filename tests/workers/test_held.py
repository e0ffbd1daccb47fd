"""A part that is held: all of it is given out, whose it is can be asked, and when it is done."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from ihuyi_voice import Action, CallInFlight, Message, NotSent, RunInUse, RunStopped
from ihuyi_voice.ledger import HeldPart, Ledger, held
from ihuyi_voice.ledger.states import Ending
from ihuyi_voice.models import Draft
from ihuyi_voice.workers import distribute
from tests.support.ledgers import accepted, refused, unknown
from tests.support.ledgers import held as held_back
from tests.workers.support import ACCOUNT, execute, own_ledger

MESSAGES: Final = [
    Message(f"139{number % 5:08d}", f"您的验证码是：{number}。", f"m{number}")
    for number in range(6)
]
KEYS: Final = [f"m{number}" for number in range(6)]
TAKEN_OVER: Final = "^part 1 of the run was taken over by another process$"


@asynccontextmanager
async def loaded(url: str) -> AsyncGenerator[tuple[Ledger, str]]:
    """Yield a ledger with a run of one part, and the prefix of its tables."""
    async with own_ledger(url) as (ledger, prefix):
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        yield ledger, prefix


async def keys_of(part: HeldPart) -> list[str]:
    """Return what is to be sent."""
    return [draft.key async for draft in part.to_send()]


async def ended(part: HeldPart, end: Ending, *keys: str) -> None:
    """Have some messages of a part end so."""
    drafts = [draft async for draft in part.to_send() if draft.key in keys]
    assert len(drafts) == len(keys)
    for draft in drafts:
        assert await part.journal.intend(draft) is None
        await part.journal.settle(draft, end)


@pytest.mark.parametrize("page", [1, 2, 4, 6, 7])
async def test_all_of_a_part_is_given_out(
    postgres: str, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """In the order of the list, page by page, also while those before it are sent."""
    monkeypatch.setattr(held, "_PAGE", page)
    async with loaded(postgres) as (ledger, _), ledger.parts.hold(ACCOUNT, "r", 1) as part:
        given: list[Draft] = []
        async for draft in part.to_send():
            given.append(draft)
            assert await part.journal.intend(draft) is None
            await part.journal.settle(draft, accepted(mobile=draft.mobile))
        assert given == [
            Draft(str(each.reference), each.mobile, each.content, each.reference)
            for each in MESSAGES
        ]
        assert await keys_of(part) == []


async def test_what_may_be_sent_again_is_given_out_again(postgres: str) -> None:
    """And what the vendor refused for what it is only where that is asked for."""
    async with loaded(postgres) as (ledger, _):
        async with ledger.parts.hold(ACCOUNT, "r", 1) as part:
            ends: list[Ending] = [
                accepted(),
                unknown(),
                held_back(),
                NotSent("x"),
                refused(Action.FIX_REQUEST),
            ]
            for key, end in zip(KEYS, ends, strict=False):
                await ended(part, end, key)
            assert await keys_of(part) == ["m2", "m3", "m5"]
        async with ledger.parts.hold(ACCOUNT, "r", 1, retry_rejected=True) as part:
            assert await keys_of(part) == ["m2", "m3", "m4", "m5"]


async def test_whose_a_part_is_can_be_asked(postgres: str) -> None:
    """Before it is taken over and after, when the run is stopped, and when it has vanished."""
    async with loaded(postgres) as (ledger, prefix):
        async with ledger.parts.hold(ACCOUNT, "r", 1) as part:
            await part.check()
            async with ledger.parts.hold(ACCOUNT, "r", 1, takeover=True) as heir:
                await heir.check()
                with pytest.raises(RunInUse, match=TAKEN_OVER):
                    await part.check()
                await ledger.stop("r", "余额不足")
                with pytest.raises(RunStopped, match=r"^the run was stopped: 余额不足$"):
                    await heir.check()
                with pytest.raises(RunInUse, match=TAKEN_OVER):
                    await part.check()
                await ledger.resume("r")
                await heir.check()
                await execute(postgres, f"DELETE FROM {prefix}_parts")  # noqa: S608
                with pytest.raises(RunInUse, match=TAKEN_OVER):
                    await heir.check()


async def test_a_part_is_done_when_nothing_of_it_is_left_to_do(postgres: str) -> None:
    """What was held back or not sent is left to do, unless all of it got its chance."""
    async with loaded(postgres) as (ledger, _), ledger.parts.hold(ACCOUNT, "r", 1) as part:
        await ended(part, accepted(), *KEYS[:3])
        assert not await part.finish(tried=True)  # the rest is open
        await ended(part, unknown(), *KEYS[3:5])
        (last,) = [draft async for draft in part.to_send()]
        assert await part.journal.intend(last) is None
        assert not await part.finish(tried=True)  # it is in flight
        assert isinstance(await part.journal.intend(last), CallInFlight)
        await part.journal.settle(last, held_back())
        assert not await part.finish(tried=False)
        assert not await ledger.parts.is_done(ACCOUNT, "r", 1)
        assert await part.finish(tried=True)
        assert await ledger.parts.is_done(ACCOUNT, "r", 1)


async def test_a_refused_message_is_left_to_do_where_it_is_to_be_sent_again(postgres: str) -> None:
    """And not elsewhere."""
    async with loaded(postgres) as (ledger, _):
        async with ledger.parts.hold(ACCOUNT, "r", 1, retry_rejected=True) as part:
            await ended(part, refused(Action.FIX_REQUEST), *KEYS)
            assert not await part.finish(tried=False)
        async with ledger.parts.hold(ACCOUNT, "r", 1) as part:
            assert await part.finish(tried=False)


@pytest.mark.parametrize("all_done", [False, True])
async def test_who_was_taken_over_can_not_say_that_a_part_is_done(
    postgres: str, *, all_done: bool
) -> None:
    """Whether it is or not: its job fails, and the other's tells."""
    async with loaded(postgres) as (ledger, _), ledger.parts.hold(ACCOUNT, "r", 1) as part:
        if all_done:
            await ended(part, accepted(), *KEYS)
        async with ledger.parts.hold(ACCOUNT, "r", 1, takeover=True) as heir:
            with pytest.raises(RunInUse, match=TAKEN_OVER):
                await part.finish(tried=True)
            assert not await ledger.parts.is_done(ACCOUNT, "r", 1)
            assert await heir.finish(tried=True) is all_done


async def test_parts_are_looked_at_each_by_itself(postgres: str) -> None:
    """One is given out, and done, whatever is left of its neighbour."""
    async with own_ledger(postgres) as (ledger, _):
        run = await distribute(ledger, "r", MESSAGES, 3, account=ACCOUNT)
        assert run.parts == 2
        async with (
            ledger.parts.hold(ACCOUNT, "r", 1) as first,
            ledger.parts.hold(ACCOUNT, "r", 2) as second,
        ):
            mine, others = await asyncio.gather(keys_of(first), keys_of(second))
            assert all((mine, others))
            assert sorted(mine + others) == KEYS
            await ended(first, accepted(), *mine)
            assert await first.finish(tried=True)
            assert not await second.finish(tried=True)
            done = [await ledger.parts.is_done(ACCOUNT, "r", part) for part in (1, 2)]
            assert done == [True, False]
