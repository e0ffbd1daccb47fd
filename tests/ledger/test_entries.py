"""The entries of a run: counted, streamed, settled by a person."""

# ruff: noqa: S608 - the table is the test's own

import asyncio
import re
from collections import Counter
from datetime import UTC, datetime
from functools import partial

import asyncpg
import pytest

from ihuyi_voice import (
    Action,
    InvalidRequest,
    NotSent,
    Operation,
    OutcomeStatus,
    OutcomeUnknown,
    RateLimited,
    Submission,
    VendorError,
)
from ihuyi_voice.ledger import Entry, entries
from ihuyi_voice.ledger.entries import PAGE
from ihuyi_voice.ledger.journal import Journal
from ihuyi_voice.ledger.states import Ending, State
from ihuyi_voice.models import Draft
from tests.support.ledgers import (
    ACCOUNT,
    A,
    Process,
    World,
    accepted,
    draft,
    held,
    refused,
    status_of,
    unknown,
)
from tests.support.long import few_or_many
from tests.support.looking import comes_true

ENDS: dict[str, Ending] = {
    "accepted": accepted(),
    "held": held(),
    "refused": refused(Action.STOP, 4051),
    "rejected": refused(Action.FIX_REQUEST),
    "unknown": unknown(),
}


async def filled(journal: Journal) -> None:
    """Have an entry of each kind, one of them in flight."""
    for key, end in ENDS.items():
        assert await journal.intend(draft(key)) is None
        await journal.settle(draft(key), end)
    assert await journal.intend(Draft("in flight", A, "您好", "row 7")) is None


async def listed(process: Process, status: OutcomeStatus | None = None) -> list[Entry]:
    """Return the entries of the run."""
    return [entry async for entry in process.ledger.entries("run", status)]


async def test_a_run_is_counted_and_listed(world: World) -> None:
    """As a living process has it, and after its death."""
    process, other = await world.process(), await world.process()
    run = process.ledger.run(ACCOUNT, "run")
    await filled(await run.__aenter__())
    counts = {"ACCEPTED": 1, "REJECTED": 2, "HELD": 1, "NOT_SENT": 0, "UNKNOWN": 1, "OPEN": 1}
    assert await other.ledger.summary("run") == counts
    entries = {entry.key: entry for entry in await listed(other)}
    assert list(entries) == [*ENDS, "in flight"]
    assert (entries["in flight"].status, entries["in flight"].error) == ("OPEN", None)
    assert str(entries["unknown"].error) == str(ENDS["unknown"])
    assert entries["in flight"].message.reference == "row 7"
    assert entries["accepted"].voice_id == "V1"
    assert (entries["accepted"].error, entries["accepted"].attempts) == (None, 2)
    for key, kind in {"held": RateLimited, "rejected": VendorError}.items():
        assert type(entries[key].error) is kind
    assert getattr(entries["held"].error, "source", None) == "guard"
    await process.dies()
    world.now += 11.0
    counts |= {"OPEN": 0, "UNKNOWN": 2}
    assert await other.ledger.summary("run") == counts
    assert (await other.ledger.parts.progress("run")).counts == Counter(counts)
    report = await other.ledger.report("run")
    assert report.states == counts
    assert dict(report.reasons)["its process died while it was in flight"] == 1
    for status, count in counts.items():
        assert len(await listed(other, status)) == count  # type: ignore[arg-type]
    (entry,) = [each for each in await listed(other) if each.key == "in flight"]
    assert entry.status is OutcomeStatus.UNKNOWN
    assert isinstance(entry.error, OutcomeUnknown)


async def test_an_entry_tells_when_its_call_was_begun_and_when_it_ended(world: World) -> None:
    """Its last call; of one that was never begun, none; and who said what became of it."""
    process, began = await world.process(), world.now
    async with process.ledger.run(ACCOUNT, "run") as journal:
        await journal.settle(draft("never begun"), held())
        for key in ("ended", "settled"):
            assert await journal.intend(draft(key)) is None
        world.now += 5.0
        await journal.settle(draft("ended"), accepted("V1"))
        await journal.settle(draft("settled"), unknown())
        world.now += 5.0
        await process.ledger.settle("run", "settled", OutcomeStatus.ACCEPTED, voice_id="V7")
    entries = {entry.key: entry for entry in await listed(process)}
    seconds = {
        key: [None if at is None else at.timestamp() - began for at in times]
        for key, each in entries.items()
        for times in [(each.begun_at, each.at, each.settled_at)]
    }
    assert seconds == {
        "never begun": [None, 0.0, None],
        "ended": [0.0, 5.0, None],
        "settled": [0.0, 5.0, 10.0],
    }
    assert {each.at.tzinfo for each in entries.values()} == {UTC}
    assert all(each.also == () for each in entries.values())


async def test_entries_come_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once, in the order in which they came, however many there are."""
    page = few_or_many(50, PAGE)
    monkeypatch.setattr(entries, "PAGE", page)
    process = await world.process()
    keys = [str(number) for number in range(2 * page + 1)]
    async with process.ledger.run(ACCOUNT, "run") as journal:
        for key in keys[: page + 1]:
            await journal.settle(draft(key), held())
        async with process.ledger.run(ACCOUNT, "between") as other:
            await other.settle(draft("x"), held())
        for key in keys[page + 1 :]:
            await journal.settle(draft(key), held())
    assert [entry.key for entry in await listed(process)] == keys
    assert [entry.key for entry in await listed(process, OutcomeStatus.HELD)] == keys
    assert await listed(process, OutcomeStatus.UNKNOWN) == []


async def test_a_person_settles_what_is_unknown(world: World) -> None:
    """As accepted, with its voice_id, or as not sent, which opens it again."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, "run") as journal:
        for key in ("rang", "silent"):
            assert await journal.intend(draft(key)) is None
            await journal.settle(draft(key), unknown())
        await process.ledger.settle("run", "rang", OutcomeStatus.ACCEPTED, voice_id="V7")
        await process.ledger.settle("run", "silent", OutcomeStatus.NOT_SENT)
        ends = await journal.look([draft("rang"), draft("silent")])
    assert ends == [Submission("V7", A, "", 0), None]
    rang, silent = await listed(process)
    assert (rang.error, type(silent.error), str(silent.error)) == (
        None,
        NotSent,
        "settled by a person",
    )
    with pytest.raises(InvalidRequest, match="ACCEPTED"):
        await process.ledger.settle("run", "rang", OutcomeStatus.NOT_SENT)
    with pytest.raises(InvalidRequest, match="no entry"):
        await process.ledger.settle("run", "nobody", OutcomeStatus.NOT_SENT)
    with pytest.raises(InvalidRequest, match="ACCEPTED or NOT_SENT"):
        await process.ledger.settle("run", "rang", OutcomeStatus.HELD)


async def test_a_persons_word_waits_for_what_is_being_written(world: World) -> None:
    """It is not lost silently if the call ends just then: who said it hears how it ended."""
    process = await world.process()
    assert await process.calls().intend(draft()) is None
    await process.calls().settle(draft(), unknown())
    if not world.place.is_postgres:  # which has one writer at a time
        return
    other = await asyncpg.connect(world.place.url)
    async with other.transaction():
        table = f'"{world.place.table}_entries"'
        await other.execute(f"UPDATE {table} SET state = {State.ACCEPTED:d}, voice_id = 'V1'")
        said = asyncio.create_task(process.ledger.settle("", "k", OutcomeStatus.NOT_SENT))
        waiting = "SELECT 1 FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))"
        await comes_true(partial(other.fetchval, waiting, other.get_server_pid()))
    with pytest.raises(InvalidRequest, match="the entry is ACCEPTED"):
        await said
    await other.close()


async def test_what_is_in_flight_with_the_living_is_not_for_a_person(world: World) -> None:
    """Its process will tell; a dead one's is."""
    process, other = await world.process(), await world.process()
    await other.calls().look([draft()])
    assert await process.calls().intend(draft()) is None
    with pytest.raises(InvalidRequest, match="OPEN"):
        await other.ledger.settle("", "k", OutcomeStatus.NOT_SENT)
    world.now += 11.0
    await other.ledger.settle("", "k", OutcomeStatus.NOT_SENT)
    assert await other.calls().look([draft()]) == [None]


@pytest.mark.parametrize("end", [accepted(), refused(Action.FIX_REQUEST)])
@pytest.mark.parametrize("said", [OutcomeStatus.NOT_SENT, OutcomeStatus.ACCEPTED])
async def test_the_vendors_answer_wins_over_a_persons_word(
    world: World, said: OutcomeStatus, end: Ending
) -> None:
    """A process that was only asleep tells it late; a message of it is in no doubt any more."""
    sleeper, other = await world.process(), await world.process()
    assert await sleeper.calls().intend(draft()) is None
    world.now += 11.0
    await other.ledger.settle("", "k", said, voice_id="V7")
    (entry,) = await keyed(other)
    assert entry.settled_at is not None
    await sleeper.calls().settle(draft(), end)
    (entry,) = await keyed(other)
    assert (entry.status, entry.settled_at, entry.also) == (status_of(end), None, ())
    assert entry.voice_id == getattr(end, "voice_id", None)


@pytest.mark.parametrize("end", [unknown(), NotSent("no connection")])
async def test_what_is_no_answer_of_the_vendors_does_not(world: World, end: Ending) -> None:
    """A person may know more than a process that knows nothing."""
    sleeper, other = await world.process(), await world.process()
    assert await sleeper.calls().intend(draft()) is None
    world.now += 11.0
    await other.ledger.settle("", "k", OutcomeStatus.ACCEPTED, voice_id="V7")
    await sleeper.calls().settle(draft(), end)
    (entry,) = await keyed(other)
    assert (entry.status, entry.voice_id) == (OutcomeStatus.ACCEPTED, "V7")


LATER: dict[str, tuple[Ending | None, str]] = {
    "in flight": (None, "V1"),
    "accepted": (accepted("V2"), "V2"),
    "refused": (refused(Action.RETRY), "V1"),
    "unknown": (unknown(), "V1"),
    "not sent": (NotSent("no connection"), "V1"),
}


TOO_LATE = (
    "a call to 139****0000 was accepted that a person had settled as not sent, and its key {}; it"
    " is ACCEPTED now"
)


@pytest.mark.parametrize("name", LATER)
@pytest.mark.parametrize("ended_before", [True, False])
async def test_an_acceptance_that_comes_when_the_key_was_opened_again_is_not_silent(
    world: World, caplog: pytest.LogCaptureFixture, name: str, *, ended_before: bool
) -> None:
    """It is logged and kept beside the other's, and the key never rings again."""
    sleeper, other = await world.process(), await world.process()
    later, voice_id = LATER[name]
    await opened_again(sleeper, other)
    if later is not None and ended_before:
        await other.calls().settle(draft(), later)
    for _ in range(2):  # the second time as after a commit of which nobody knew
        await late(sleeper, accepted("V1"))
    if later is not None and not ended_before:
        await other.calls().settle(draft(), later)
    (entry,) = await keyed(other)
    assert (entry.status, entry.voice_id) == (OutcomeStatus.ACCEPTED, voice_id)
    assert entry.also == (("V1",) if voice_id == "V2" else ())
    sent = not ended_before or name not in {"refused", "not sent"}
    again = "was sent again and may have rung twice" if sent else "had been opened again"
    assert caplog.messages == [TOO_LATE.format(again)]
    assert isinstance(await (await world.process()).calls().intend(draft()), Submission)


async def test_only_the_acceptance_that_comes_too_late_is_warned_of(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """And not those in time that are written with it: their phones rang once."""
    sleeper, other = await world.process(), await world.process()
    await opened_again(sleeper, other)
    assert await sleeper.calls().intend(draft("in time")) is None
    calls, ends = sleeper.calls(), {"k": accepted("V1"), "in time": accepted("V2")}
    await asyncio.gather(*(calls.settle(draft(key), end) for key, end in ends.items()))
    assert caplog.text.count("was accepted that a person had settled") == 1
    found = {entry.key: (entry.voice_id, entry.also) for entry in await keyed(other)}
    assert found == {"k": ("V1", ()), "in time": ("V2", ())}


@pytest.mark.parametrize("end", [refused(Action.STOP), unknown()])
async def test_what_else_comes_when_the_key_was_opened_again_changes_nothing(
    world: World, caplog: pytest.LogCaptureFixture, end: Ending
) -> None:
    """No phone has rung, or nobody knows; the later attempt counts."""
    sleeper, other = await world.process(), await world.process()
    await opened_again(sleeper, other)
    await late(sleeper, end)
    (entry,) = await keyed(other)
    assert entry.status == "OPEN"
    await other.calls().settle(draft(), accepted("V2"))
    (entry,) = await keyed(other)
    assert (entry.voice_id, entry.also, caplog.text) == ("V2", (), "")


async def opened_again(sleeper: Process, other: Process) -> None:
    """Have a call settled as not sent, and made again."""
    assert await sleeper.calls().intend(draft()) is None
    world = sleeper.world
    world.now += 11.0
    await other.ledger.settle("", "k", OutcomeStatus.NOT_SENT)
    assert await other.calls().intend(draft()) is None


async def late(sleeper: Process, end: Ending) -> None:
    """Tell how the first attempt ended."""
    flights = sleeper.desk.heart.flights(ACCOUNT)
    flight = flights.get("k")
    await sleeper.calls().settle(draft(), end)
    if flight is not None:
        flights["k"] = flight


async def keyed(process: Process) -> list[Entry]:
    """Return the keyed calls."""
    return [entry async for entry in process.ledger.entries("")]


async def test_a_persons_word_leaves_the_time_of_the_call(world: World) -> None:
    """By which the guard counts; when it was said stands apart."""
    process = await world.process()
    assert await process.calls().intend(draft()) is None
    await process.calls().settle(draft(), unknown())
    called = world.now
    world.now += 3_600.0
    await process.ledger.settle("", "k", OutcomeStatus.ACCEPTED, voice_id="V7")
    (entry,) = await keyed(process)
    assert entry.at.timestamp() == pytest.approx(called)
    assert entry.settled_at is not None
    assert entry.settled_at.timestamp() == pytest.approx(world.now)
    assert (await process.calls().recall([A]))[A] == pytest.approx([3_600.0])


async def test_what_nobody_had_given_up_counts_from_when_it_was_told_of(world: World) -> None:
    """Its request may have arrived long after it was begun, and then its window began."""
    dead, heir = await world.process(), await world.process()
    assert await dead.calls().intend(draft()) is None
    await dead.dies()
    world.now += 60.0
    await heir.ledger.settle("", "k", OutcomeStatus.ACCEPTED, voice_id="V7")
    assert (await heir.calls().recall([A]))[A] == pytest.approx([0.0])


async def test_what_the_dead_had_in_flight_says_why_nobody_knows(world: World) -> None:
    """In the same words before somebody has buried them as after it."""
    dead, other = await world.process(), await world.process()
    assert await dead.calls().intend(draft()) is None
    await dead.dies()
    world.now += 11.0
    (before,) = await keyed(other)
    await other.calls().look([draft()])
    (after,) = await keyed(other)
    for entry in (before, after):
        assert type(entry.error) is OutcomeUnknown
        assert str(entry.error) == "its process died while it was in flight"
    assert before.error is not None
    assert before.error.attempts == 1


async def test_an_entry_says_until_when_its_number_is_closed_and_who_says_so(
    world: World,
) -> None:
    """The guard that held it back, or the vendor who refused it: it may be called again then."""
    process = await world.process()
    guards, vendors = held(), RateLimited(4082, "一天", Operation.SUBMIT, Action.WAIT)
    for key, error in (("guard", guards), ("vendor", vendors)):
        error.retry_at = datetime.fromtimestamp(world.now + 60.5, UTC)
        assert await process.calls().intend(draft(key)) is None
        await process.calls().settle(draft(key), error)
    errors = {entry.key: entry.error for entry in await keyed(process)}
    for key, code in (("guard", 4081), ("vendor", 4082)):
        said = errors[key]
        assert isinstance(said, RateLimited)
        assert (said.source, said.code, said.retry_at) == (key, code, guards.retry_at)


async def test_a_person_may_not_know_the_id(world: World) -> None:
    """The call is replayed as accepted nevertheless, and tells of none."""
    process = await world.process()
    assert await process.calls().intend(draft()) is None
    await process.calls().settle(draft(), unknown())
    await process.ledger.settle("", "k", OutcomeStatus.ACCEPTED)
    assert await process.calls().look([draft()]) == [Submission("", A, "", 0)]
    (entry,) = await keyed(process)
    assert (entry.status, entry.voice_id, entry.error) == (OutcomeStatus.ACCEPTED, None, None)


async def test_a_run_of_several_accounts_needs_one(world: World) -> None:
    """The error names them; a run that nobody has is refused, too."""
    process = await world.process()
    for account in (ACCOUNT, "other"):
        async with process.ledger.run(account, "run") as journal:
            await journal.settle(draft(), held())
    with pytest.raises(InvalidRequest, match=f"{ACCOUNT}, other"):
        await process.ledger.summary("run")
    assert (await process.ledger.summary("run", "other"))[OutcomeStatus.HELD] == 1
    with pytest.raises(InvalidRequest, match="no run"):
        await process.ledger.summary("another")
    with pytest.raises(InvalidRequest, match="no run 'run' of nobody"):
        await process.ledger.summary("run", "nobody")
    with pytest.raises(InvalidRequest, match="no status"):
        await listed(process, "NEVER")  # type: ignore[arg-type]


async def test_runs_are_listed(world: World) -> None:
    """The last used first, with whether somebody living works on them."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, "old"):
        pass
    world.now += 100.0
    await process.beat()
    async with process.ledger.run(ACCOUNT, "new"):
        runs = await process.ledger.runs()
        assert [(run.key, run.in_use) for run in runs] == [("new", True), ("old", False)]
        world.now += 11.0
        assert not (await process.ledger.runs())[0].in_use
    assert [run.in_use for run in await process.ledger.runs()] == [False, False]


async def test_no_number_is_shown(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in an entry's repr nor in what a journal says."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, "run") as journal:
        await filled(journal)
        shown = [repr(journal), repr(process.ledger)]
        shown += [repr(entry) for entry in await listed(process)]
        shown += [repr(await journal.intend(draft("accepted"))), caplog.text]
    assert not re.search(r"(?<!\d)1[3-9]\d{9}(?!\d)", " ".join(shown))
