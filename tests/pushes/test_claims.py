"""Which pushes are claimed, and when: new ones and those that are due again, one of each call."""

# Some facts can only be seen from inside.
# pyright: reportPrivateUsage=false

import asyncio
import random
from collections.abc import Sequence

import attrs
import pytest

from ihuyi_voice.pushes import Inbox, PushState
from ihuyi_voice.pushes.claims import Claim, Terms, Verdict
from ihuyi_voice.pushes.reading import meaning
from tests.pushes.handlers import HOUR, change, claim, judge, later, rows, store_of
from tests.pushes.support import Place, audit, report, states

TERMS = Terms(60.0, 10)


async def take(inbox: Inbox, terms: Terms = TERMS, **room: int) -> list[Claim]:
    """Claim so many of each kind."""
    return await store_of(inbox).turn([], room, terms)


def ids(claims: Sequence[Claim]) -> list[str]:
    """Return whose pushes were claimed."""
    values = [meaning(each.push) for each in claims]
    return [getattr(each, "voice_id", "") or getattr(each, "template_id", "") for each in values]


async def failed(inbox: Inbox, claims: Sequence[Claim], pause: float = 0.0) -> None:
    """Let all of them have failed."""
    await judge(inbox, *(Verdict(each, PushState.PENDING, pause, "no") for each in claims))


async def test_each_kind_has_room_of_its_own(place: Place) -> None:
    """What is of no kind that is asked for, or of one without room, is left alone."""
    async with place.inbox() as inbox:
        for number in range(5):
            await inbox.put(report(f"r{number}"))
            await inbox.put(audit(f"a{number}"))
        assert ids(await take(inbox, audit=2)) == ["a0", "a1"]
        assert ids(await take(inbox, report=3, audit=0)) == ["r0", "r1", "r2"]
        assert ids(await take(inbox, report=9, audit=1)) == ["r3", "r4", "a2"]
        assert await take(inbox) == []


async def test_what_is_new_and_what_is_due_again_share_the_room(place: Place) -> None:
    """Neither holds up the other, and what one doesn't need, the other has."""
    async with place.inbox() as inbox:
        for number in range(6):
            await inbox.put(report(f"old{number}"))
        await failed(inbox, await take(inbox, report=6))
        for number in range(6):
            await inbox.put(report(f"new{number}"))
        assert ids(await take(inbox, report=4)) == ["old0", "old1", "new0", "new1"]
        assert ids(await take(inbox, report=1)) == ["old2"]
        assert ids(await take(inbox, report=9)) == [
            *("old3", "old4", "old5"),
            *("new2", "new3", "new4", "new5"),
        ]


async def test_what_is_due_again_comes_the_longest_due_first(place: Place) -> None:
    """And nothing before it is due."""
    async with place.inbox() as inbox:
        for name in ("a", "b", "c"):
            await inbox.put(report(name))
        claims = await take(inbox, report=3)
        for each, pause in zip(claims, (3 * HOUR, HOUR, 2 * HOUR), strict=True):
            await failed(inbox, [each], pause)
        assert await take(inbox, report=3) == []
        await later(inbox, 2 * HOUR)
        assert ids(await take(inbox, report=3)) == ["b", "c"]


async def test_a_clock_that_was_set_back_holds_up_no_push_for_long(place: Place) -> None:
    """What is due later than any lease or pause lasts was put off by another clock."""
    async with place.inbox() as inbox:
        for name in ("claimed", "failed"):
            await inbox.put(report(name))
        _, again = await take(inbox, report=2)
        await failed(inbox, [again], pause=HOUR)
        assert await take(inbox, report=2) == []
        await later(inbox, -8_760 * HOUR)
        assert ids(await take(inbox, report=2)) == ["claimed", "failed"]
        assert await take(inbox, report=2) == []  # claimed as ever


async def test_a_pause_of_days_is_no_clock_that_was_set_back(place: Place) -> None:
    """It is known by the longest pause that the options allow."""
    patient = Terms(60.0, 10, 48 * HOUR)
    async with place.inbox() as inbox:
        await inbox.put(report("a"))
        await failed(inbox, await take(inbox, patient, report=1), 48 * HOUR)
        assert await take(inbox, patient, report=1) == []


async def test_a_renewed_claim_runs_out_later(place: Place) -> None:
    """One that was taken over can't be renewed, nor one that has ended."""
    async with place.inbox() as inbox:
        for name in ("a", "b", "c"):
            await inbox.put(report(name))
        first = await claim(inbox, lease=HOUR)
        await judge(inbox, Verdict(first[2], PushState.HANDLED))
        await later(inbox, HOUR)
        (again,) = await take(inbox, report=1)
        assert ids([again]) == ["a"]
        kept = await store_of(inbox).renew(first, 2 * HOUR)
        assert ids(kept) == ["b"]
        await later(inbox, HOUR)
        assert ids(await take(inbox, report=3)) == ["a"]
        await later(inbox, HOUR)
        assert sorted(ids(await take(inbox, report=3))) == ["a", "b"]
        assert await store_of(inbox).renew([], HOUR) == []


async def test_an_earlier_report_goes_before_one_that_no_handler_has_yet(place: Place) -> None:
    """In one commit or in several, in whatever order they come."""
    async with place.inbox() as inbox:
        await inbox.put(report("1", second=30))
        await asyncio.gather(*(inbox.put(report("1", second=each)) for each in (20, 10, 40)))
        for second in (10, 20, 30, 40):
            (each,) = await take(inbox, report=9)
            value = meaning(each.push)
            assert getattr(value, "report_time").second == second  # noqa: B009 - a report's
            await judge(inbox, Verdict(each, PushState.HANDLED))


@pytest.mark.long
async def test_one_push_of_a_call_is_due_at_most(place: Place) -> None:
    """Whatever happens: arrivals, claims, ends, failures, deaths and replays, in any order."""
    for seed in range(1, 9):
        async with place.inbox() as inbox:
            await _random_life(inbox, random.Random(seed), str(seed))


async def _random_life(inbox: Inbox, chance: random.Random, call: str) -> None:
    store, claims, told = store_of(inbox), list[Claim](), list[int]()
    seconds = chance.sample(range(60), 12)
    while seconds or claims or (await inbox.counts())[PushState.PENDING]:
        if seconds and chance.random() < 0.5:
            await inbox.put(report(call, second=seconds.pop()))
        claims += await store.turn([], {"report": 5}, TERMS)
        stored = await rows(inbox, call)
        assert sum(row.due is not None for row in stored) <= 1
        assert len(claims) <= 1
        pending = [row for row in stored if row.state == "pending"]
        assert not pending or any(row.due is not None for row in pending)
        if claims and chance.random() < 0.7:
            await _end(inbox, claims.pop(), chance, told)
        if chance.random() < 0.3:
            await inbox.replay()
    assert told == sorted(told)
    await change(inbox, "state = 'handled'")


async def _end(inbox: Inbox, ended: Claim, chance: random.Random, told: list[int]) -> None:
    value = meaning(ended.push)
    how = chance.choice([PushState.HANDLED, PushState.PENDING, PushState.DEAD])
    if how is PushState.HANDLED:
        told.append(getattr(value, "report_time").second)  # noqa: B009 - a report's
    counts = how is not PushState.PENDING or chance.random() < 0.5
    await judge(inbox, Verdict(ended, how, counts=counts))


async def test_many_dead_are_replayed_a_few_at_a_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, also if some die again meanwhile; the counts know."""
    monkeypatch.setattr("ihuyi_voice.pushes.claims._CHUNK", 10)
    async with place.inbox() as inbox:
        await asyncio.gather(*(inbox.put(report(str(number))) for number in range(1, 36)))
        dead = [Verdict(each, PushState.DEAD) for each in await take(inbox, report=99)]
        await judge(inbox, *dead)
        await states(inbox, dead=35)
        assert await inbox.replay() == 35
        await states(inbox, pending=35)
        assert len({each.push.seq for each in await take(inbox, report=99)}) == 35


async def test_verdicts_of_several_turns_end_together(place: Place) -> None:
    """Each claim by its own name; what is released by them may be claimed in the same turn."""
    async with place.inbox() as inbox:
        for second in (10, 20):
            for call in ("1", "2"):
                await inbox.put(report(call, second=second))
        claims = [*await take(inbox, report=1), *await take(inbox, report=1)]
        verdicts = [Verdict(each, PushState.HANDLED) for each in claims]
        stranger = attrs.evolve(claims[0], owner="stranger")
        verdicts.insert(0, Verdict(stranger, PushState.DEAD))
        more = await store_of(inbox).turn(verdicts, {"report": 9}, TERMS)
        assert ids(more) == ["1", "2"]
        await states(inbox, handled=2, pending=2)
