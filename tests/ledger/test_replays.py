"""A run that goes on tells each message's earlier end as its entry has it, and calls the rest."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from ihuyi_voice import (
    Action,
    InvalidRequest,
    Message,
    NotSent,
    Operation,
    Outcome,
    OutcomeStatus,
    OutcomeUnknown,
    Submission,
    TemplateMismatch,
    VendorError,
)
from ihuyi_voice.bulk.lookup import AHEAD
from ihuyi_voice.events import Event, Settled, Submitted
from ihuyi_voice.ledger import Entry
from ihuyi_voice.ledger.states import Ending
from ihuyi_voice.models import Draft
from tests.support.ledgers import World, held
from tests.support.vendor import CONTENT, in_process, vendor

RUN = "nightly"
ODD = 40  # one in so many has another end than an acceptance
MANY = 3 * AHEAD  # more than go into one look-up


def message(place: int) -> Message:
    """Return a message of its own number."""
    return Message(f"139{place:08d}", CONTENT, f"m{place}")


def ends(place: int) -> Ending:
    """Return how an earlier process's call ended: accepted, as a rule."""
    if place % ODD:
        return Submission(f"v{place}", f"139{place:08d}", "提交成功", 1 + place % 3)
    kinds: list[Ending] = [
        OutcomeUnknown("no reply"),
        VendorError(4030, "号码黑名单", Operation.SUBMIT, Action.FIX_REQUEST),
        TemplateMismatch(4072, "不匹配", Operation.SUBMIT, Action.FIX_REQUEST),
        VendorError(4051, "余额不足", Operation.SUBMIT, Action.STOP),
        NotSent("no connection"),
        held(),
    ]
    return kinds[place // ODD % len(kinds)]


async def filled(world: World, account: str) -> Any:
    """Have a process call everybody, and end; return its heir, and the entries."""
    process = await world.process()

    async def call(journal: Any, place: int) -> None:
        each = message(place)
        draft = Draft(str(each.reference), each.mobile, each.content, each.reference)
        assert await journal.intend(draft) is None
        await journal.settle(draft, ends(place))

    async with process.ledger.run(account, RUN) as journal:
        await asyncio.gather(*(call(journal, place) for place in range(MANY)))
    return process, {entry.key: entry async for entry in process.ledger.entries(RUN)}


def told(end: Outcome | Entry) -> tuple[object, ...]:
    """Return what a replay has in common with its entry."""
    error = end.error
    parts = (getattr(error, name, None) for name in ("code", "msg", "action", "attempts"))
    return end.message, end.status, end.voice_id, end.attempts, type(error), str(error), *parts


@pytest.mark.parametrize("heard", [False, True])
async def test_a_mixture_of_all_states_is_told_as_the_entries_have_it(
    world: World, *, heard: bool
) -> None:
    """One outcome each; what opens again is called; what is wrong with a message is told."""
    simulator = vendor()
    process, entries = await filled(world, simulator.account)
    wrong = Message("12", CONTENT, "a number that is none")
    other = Message(message(1).mobile, CONTENT + "！", "m1")
    given = [*map(message, range(MANY)), wrong, other, message(MANY)]
    events: list[Event] = []
    hook = events.append if heard else None
    client = in_process(simulator, ledger=process.ledger, guard=None, on_event=hook)
    async with client, client.submit_many(iter(given), run=RUN) as run:
        outcomes = {outcome.message: outcome async for outcome in run}
        progress = run.progress
    assert set(outcomes) == set(given)
    again = {key for key, each in entries.items() if _is_final(each)}
    for each, outcome in outcomes.items():
        if each in {wrong, other}:
            assert isinstance(outcome.error, InvalidRequest)
            assert not outcome.replayed
        elif each.reference in again:
            assert told(outcome) == told(entries[str(each.reference)])
            assert outcome.replayed
        else:
            assert (outcome.status, outcome.replayed) == (OutcomeStatus.ACCEPTED, False)
    assert (progress.replayed, progress.finished, progress.read) == (
        len(again), len(given), len(given),
    )  # fmt: skip
    assert Counter(mobile for mobile, _ in simulator.rung().elements()) == Counter(
        each.mobile for each in map(message, range(MANY + 1)) if each.reference not in again
    )
    if heard:
        _check_told(events, outcomes)


def _is_final(entry: Entry) -> bool:
    """Say whether an entry's end never opens again by itself."""
    if isinstance(entry.error, VendorError) and entry.status is OutcomeStatus.REJECTED:
        return entry.error.action is Action.FIX_REQUEST
    return entry.status in {OutcomeStatus.ACCEPTED, OutcomeStatus.UNKNOWN}


def _check_told(events: list[Event], outcomes: dict[Message, Outcome]) -> None:
    """See that each call was told of twice under one number: asked for, and ended."""
    begun = {each.call: each.mobile for each in events if isinstance(each, Submitted)}
    ended = [each for each in events if isinstance(each, Settled)]
    assert len(ended) == len(outcomes)
    assert len(begun) == len(outcomes) - 1  # a number that is none makes no call
    assert {each.call: each.mobile for each in ended if each.call is not None} == begun
    assert Counter(each.replayed for each in ended) == Counter(
        outcome.replayed for outcome in outcomes.values()
    )
