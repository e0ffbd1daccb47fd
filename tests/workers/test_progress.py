"""Where the parts of runs stand, as whoever watches them sees it."""

# pyright: reportPrivateUsage=false

import os
import platform

import attrs
import pytest

from ihuyi_voice import (
    Action,
    Message,
    NotSent,
    Operation,
    OutcomeStatus,
    Submission,
    VendorError,
)
from ihuyi_voice.ledger import Ledger, PartInfo
from ihuyi_voice.ledger.schema import Timing
from ihuyi_voice.simulator import ManualClock
from ihuyi_voice.workers import distribute
from tests.workers.support import ACCOUNT, own_ledger

MESSAGES = [Message(f"1390000{n:04d}", f"您的验证码是：{n}。", f"m{n}") for n in range(40)]


def pages(infos: list[PartInfo]) -> list[tuple[str, int]]:
    """Return which parts of which runs these are."""
    return [(info.run, info.part) for info in infos]


async def test_who_holds_a_part_is_told_with_the_age_of_its_beat(postgres: str) -> None:
    """Alive up to ten seconds after it, whichever way a clock was set; and nobody once it is left.

    The clock is the test's, for all processes.
    """
    clock, timing = ManualClock(), Timing(beat=1e9)
    born = clock.now
    async with own_ledger(postgres, clock=clock, timing=timing) as (ledger, prefix):
        await distribute(ledger, "r", MESSAGES, part_size=20, account=ACCOUNT)
        desk = ledger._desk
        assert desk is not None
        run_id = await desk.found("r", ACCOUNT)
        free = PartInfo("r", run_id, 2, done=False, epoch=0, owner=None, beat=None, alive=False)
        async with Ledger.open(postgres, prefix=prefix, clock=clock, timing=timing) as other:
            async with other.parts.hold(ACCOUNT, "r", 1):
                pass
            clock.advance(3.0)
            async with other.parts.hold(ACCOUNT, "r", 1):
                clock.advance(10.0)
                began = clock.now
                beat = began - born
                for back, alive in ((0.0, False), (3.0, True), (23.0, True), (23.5, False)):
                    clock.now = began - back
                    first = attrs.evolve(
                        free, part=1, epoch=2, owner=f"{platform.node()}:{os.getpid()}",
                        beat=beat - back, alive=alive, held=10.0 - back,
                    )  # fmt: skip
                    assert list((await ledger.parts.progress("r")).parts) == [first, free]
                    assert await ledger.parts.undone(ACCOUNT) == [first, free]
        left = attrs.evolve(free, part=1, epoch=2)
        assert list((await ledger.parts.progress("r", ACCOUNT)).parts) == [left, free]


async def test_a_part_of_somebody_buried_is_nobodys(postgres: str) -> None:
    """Its owner is not among the living any more, and left without a word."""
    clock, timing = ManualClock(), Timing(beat=1e9)
    async with own_ledger(postgres, clock=clock, timing=timing) as (ledger, prefix):
        await distribute(ledger, "r", MESSAGES, part_size=40, account=ACCOUNT)
        async with (
            Ledger.open(postgres, prefix=prefix, clock=clock, timing=timing) as other,
            other.parts.hold(ACCOUNT, "r", 1),
        ):
            clock.now += 11.0
            desk = ledger._desk
            assert desk is not None
            await desk.heart.write(desk.owners.bury_all)
            (info,) = await ledger.parts.undone(ACCOUNT)
            assert (info.owner, info.beat, info.alive, info.held) == (None, None, False, None)


async def test_messages_are_counted_by_part_and_over_all(postgres: str) -> None:
    """With what is done, and why the run was stopped."""
    async with own_ledger(postgres) as (ledger, _):
        await distribute(ledger, "r", MESSAGES, part_size=20, account=ACCOUNT)
        await distribute(ledger, "other", MESSAGES[:3], part_size=20, account=ACCOUNT)
        async with ledger.parts.hold(ACCOUNT, "r", 1) as held:
            drafts = [draft async for draft in held.to_send()]
            for draft in drafts:
                assert await held.journal.intend(draft) is None
                await held.journal.settle(draft, Submission("V", draft.mobile, "ok"))
            assert await held.finish(tried=True)
        first, second = len(drafts), 40 - len(drafts)
        progress = await ledger.parts.progress("r")
        assert progress.by_part == {1: {"ACCEPTED": first}, 2: {"OPEN": second}}
        assert progress.counts == {"ACCEPTED": first, "OPEN": second}
        assert (progress.done, progress.stopped, progress.cause) == (1, False, None)
        assert [info.done for info in progress.parts] == [True, False]
        await ledger.stop("r", "enough")
        progress = await ledger.parts.progress("r")
        assert (progress.stopped, progress.cause) == (True, "enough")


async def test_states_of_one_status_are_counted_together(postgres: str) -> None:
    """What may be sent again and what may not is REJECTED; what is in flight is OPEN, too."""
    stop, fix = (
        VendorError(code, "x", Operation.SUBMIT, action)
        for code, action in ((4051, Action.STOP), (406, Action.FIX_REQUEST))
    )
    async with own_ledger(postgres) as (ledger, _):
        await distribute(ledger, "r", MESSAGES[:6], part_size=40, account=ACCOUNT)
        async with ledger.parts.hold(ACCOUNT, "r", 1) as held:
            drafts = [draft async for draft in held.to_send()]
            for draft, end in zip(drafts, [stop, stop, fix, None], strict=False):
                assert await held.journal.intend(draft) is None
                if end is not None:
                    await held.journal.settle(draft, end)
            progress = await ledger.parts.progress("r")
    assert progress.by_part == {1: {"REJECTED": 3, "OPEN": 3}}
    assert progress.counts == {"REJECTED": 3, "OPEN": 3}


async def test_parts_that_are_not_done_are_told_in_their_order(postgres: str) -> None:
    """Of an account's runs that go on; the local ones have none."""
    async with own_ledger(postgres) as (ledger, _):
        for account, run, size in ((ACCOUNT, "b", 20), (ACCOUNT, "a", 20), ("VM2", "c", 40)):
            await distribute(ledger, run, MESSAGES, part_size=size, account=account)
        async with ledger.run(ACCOUNT, "local"), ledger.parts.hold(ACCOUNT, "b", 1):
            everything = [("b", 1), ("b", 2), ("a", 1), ("a", 2)]
            assert pages(await ledger.parts.undone(ACCOUNT)) == everything
        assert pages(await ledger.parts.undone("VM2")) == [("c", 1)]
        await ledger.stop("b")
        assert pages(await ledger.parts.undone(ACCOUNT)) == [("a", 1), ("a", 2)]


@pytest.mark.parametrize("opens", [True, False], ids=["not sent", "accepted"])
async def test_resuming_reopens_the_parts_with_something_left(
    postgres: str, *, opens: bool
) -> None:
    """A part that was given up as done is worked on again where something may be sent again."""
    async with own_ledger(postgres) as (ledger, _):
        await distribute(ledger, "r", MESSAGES[:4], part_size=40, account=ACCOUNT)
        async with ledger.parts.hold(ACCOUNT, "r", 1) as held:
            for draft in [draft async for draft in held.to_send()]:
                assert await held.journal.intend(draft) is None
                end = NotSent("away") if opens else Submission("V", draft.mobile, "ok")
                await held.journal.settle(draft, end)
            assert await held.finish(tried=True)
        assert await ledger.parts.is_done(ACCOUNT, "r", 1)
        await ledger.stop("r")
        await ledger.resume("r")
        assert await ledger.parts.is_done(ACCOUNT, "r", 1) is not opens
        counts = (await ledger.parts.progress("r")).counts
        assert counts == {OutcomeStatus.NOT_SENT if opens else OutcomeStatus.ACCEPTED: 4}
