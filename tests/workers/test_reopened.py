"""A worker that slept tells of its calls when another has its part: none of them is forgotten."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import attrs
import pytest

from ihuyi_voice import Message, NotSent, OutcomeUnknown, VendorError, VoiceError
from ihuyi_voice.ledger import HeldPart, Ledger
from ihuyi_voice.models import Action, Draft, Operation, Submission
from ihuyi_voice.simulator import Simulator
from ihuyi_voice.workers import distribute, run_part
from tests.workers.support import ACCOUNT, client_of, own_ledger, rung

MESSAGES: Final = [Message("13900000001", "您的验证码是：1。", "m1")]


def refused(code: int, action: Action) -> VendorError:
    """Return a refusal."""
    return VendorError(code, "…", Operation.SUBMIT, action)


@attrs.frozen
class Taken:
    """A part with one message, whose first holder fell asleep with it in flight.

    Attributes:
        ledger: The sleeper's.
        sleeper: The part as that one holds it.
        heir: The part as the other one holds it, which has taken it over.
        draft: The message.
    """

    ledger: Ledger
    sleeper: HeldPart
    heir: HeldPart
    draft: Draft


@asynccontextmanager
async def taken_over(url: str) -> AsyncGenerator[Taken]:
    """Yield such a part."""
    async with own_ledger(url) as (ledger, prefix):
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        async with ledger.parts.hold(ACCOUNT, "r", 1) as sleeper:
            (draft,) = [draft async for draft in sleeper.to_send()]
            assert await sleeper.journal.intend(draft) is None
            async with (
                Ledger.open(url, prefix=prefix) as other,
                other.parts.hold(ACCOUNT, "r", 1, takeover=True) as heir,
            ):
                assert [draft async for draft in heir.to_send()] == []
                yield Taken(ledger, sleeper, heir, draft)


NOTHING_RANG = pytest.mark.parametrize(
    "end",
    [
        NotSent("it was ready too late"),
        refused(4081, Action.WAIT),
        refused(0, Action.RETRY),
        refused(4051, Action.STOP),
    ],
    ids=["not sent", "4081", "0", "4051"],
)


@NOTHING_RANG
@pytest.mark.parametrize("done", [True, False])
async def test_what_came_to_nothing_is_open_again(
    postgres: str, end: VoiceError, *, done: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether its part was said to be done by then or not, and the log warns of it."""
    async with taken_over(postgres) as part:
        if done:
            assert await part.heir.finish(tried=True)
        await part.sleeper.journal.settle(part.draft, end)
        assert not await part.heir.finish(tried=True)
        progress = await part.ledger.parts.progress("r")
        assert (progress.counts, progress.done) == ({"OPEN": 1}, 0)
        assert [draft async for draft in part.heir.to_send()] == [part.draft]
    (warning,) = [record for record in caplog.records if "is open again" in record.getMessage()]
    assert warning.getMessage() == (
        f"a call to 139****0001 came to nothing ({type(end).__name__}), which is told after part 1"
        " of its run was taken over; it is open again, and may ring after a later one to that"
        " number"
    )


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (Submission("1", "13900000001", "ok", 1), "ACCEPTED"),
        (refused(405, Action.FIX_REQUEST), "REJECTED"),
        (OutcomeUnknown("timeout"), "UNKNOWN"),
    ],
    ids=["accepted", "rejected", "unknown"],
)
async def test_what_may_not_ring_again_is_not_opened(
    postgres: str, end: Submission | VoiceError, told: str
) -> None:
    """Its part stays done."""
    async with taken_over(postgres) as part:
        assert await part.heir.finish(tried=True)
        await part.sleeper.journal.settle(part.draft, end)
        progress = await part.ledger.parts.progress("r")
        assert (progress.counts, progress.done) == ({told: 1}, 1)


@NOTHING_RANG
async def test_what_others_settled_meanwhile_is_not_opened(postgres: str, end: VoiceError) -> None:
    """The other one has called again by then, as a person had said that it was not sent."""
    async with taken_over(postgres) as part:
        await part.ledger.settle("r", "m1", NotSent.status)
        assert await part.heir.journal.intend(part.draft) is None
        await part.sleeper.journal.settle(part.draft, end)
        await part.heir.journal.settle(part.draft, Submission("2", "13900000001", "ok", 1))
        assert await part.heir.finish(tried=True)
        progress = await part.ledger.parts.progress("r")
        assert (progress.counts, progress.done) == ({"ACCEPTED": 1}, 1)


async def test_all_parts_that_were_taken_over_are_open_again(postgres: str) -> None:
    """Also where the ends of calls of several come in one commit."""
    people = [Message(f"1390000000{place}", "您的验证码是：1。", f"m{place}") for place in range(8)]
    async with own_ledger(postgres) as (ledger, prefix), AsyncExitStack() as holding:
        loaded = await distribute(ledger, "r", people, account=ACCOUNT, part_size=3)
        parts = range(1, loaded.parts + 1)
        begun: list[tuple[HeldPart, Draft]] = []
        for part in parts:
            sleeper = await holding.enter_async_context(ledger.parts.hold(ACCOUNT, "r", part))
            begun += [(sleeper, draft) async for draft in sleeper.to_send()]
        intents = (each.journal.intend(draft) for each, draft in begun)
        assert await asyncio.gather(*intents) == [None] * 8
        other = await holding.enter_async_context(Ledger.open(postgres, prefix=prefix))
        for part in parts:
            heir = other.parts.hold(ACCOUNT, "r", part, takeover=True)
            assert await (await holding.enter_async_context(heir)).finish(tried=True)
        away = NotSent("no connection")
        await asyncio.gather(*(each.journal.settle(draft, away) for each, draft in begun))
        progress = await other.parts.progress("r")
        assert (progress.counts, progress.done) == ({"OPEN": 8}, 0)
        assert len(progress.by_part) == len(parts) > 1


async def test_a_part_without_heirs_ends_as_it_ended(postgres: str) -> None:
    """Its holder has tried everything, so what came to nothing is told, and left."""
    async with own_ledger(postgres) as (ledger, _):
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        async with ledger.parts.hold(ACCOUNT, "r", 1) as held:
            (draft,) = [draft async for draft in held.to_send()]
            assert await held.journal.intend(draft) is None
            await held.journal.settle(draft, NotSent("no connection"))
            assert await held.finish(tried=True)
        progress = await ledger.parts.progress("r")
        assert (progress.counts, progress.done) == ({"NOT_SENT": 1}, 1)


async def test_a_part_that_is_open_again_is_worked_on(postgres: str) -> None:
    """By whoever is given it next: the phone rings, once."""
    simulator = Simulator(limits=())
    async with taken_over(postgres) as part, client_of(simulator) as client:
        assert await part.heir.finish(tried=True)
        await part.sleeper.journal.settle(part.draft, NotSent("it was ready too late"))
        end = await run_part(client, part.ledger, "r", 1, takeover=True)
        assert (end.done, len(rung(simulator))) == (True, 1)
