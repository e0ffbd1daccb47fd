"""What every ledger's journals do, run over each database."""

import asyncio
import logging
import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest

from ihuyi_voice import (
    Action,
    CallInFlight,
    GuardUnavailable,
    InvalidRequest,
    NotSent,
    Operation,
    OutcomeStatus,
    OutcomeUnknown,
    RateLimited,
    RunInUse,
    RunStopped,
    Submission,
    SubmissionFailed,
    TemplateMismatch,
    UnreadableReply,
    VendorError,
    VoiceError,
)
from ihuyi_voice.ledger.heart import Heart
from ihuyi_voice.ledger.journal import Journal
from ihuyi_voice.ledger.states import Ending
from ihuyi_voice.models import Draft
from ihuyi_voice.storage import Work
from tests.support.ledgers import (
    ACCOUNT,
    A,
    B,
    World,
    accepted,
    draft,
    held,
    refused,
    unknown,
)
from tests.support.looking import comes_true


async def granted(journal: Journal, given: Draft) -> None:
    """Intend what must be granted."""
    assert await journal.intend(given) is None


async def ended(journal: Journal, end: Ending, given: Draft | None = None) -> None:
    """Make a call that ends so."""
    given = given or draft()
    await granted(journal, given)
    await journal.settle(given, end)


async def looked(journal: Journal, given: Draft | None = None) -> Ending | None:
    """Look for one."""
    (end,) = await journal.look([given or draft()])
    return end


def told(end: Ending | None) -> tuple[object, ...]:
    """Return what must be the same in a replay."""
    if not isinstance(end, VoiceError):
        return (end,)
    parts = (getattr(end, name, None) for name in ("code", "msg", "action", "retry_at", "source"))
    return (type(end), str(end), end.status, end.attempts, *parts)


# --- what opens again, and what never does


def template_mismatch() -> VendorError:
    """Return a refusal of a class of its own."""
    error = TemplateMismatch(4072, "不匹配", Operation.SUBMIT, Action.FIX_REQUEST)
    error.attempts = 3
    return error


@pytest.mark.parametrize(
    "end",
    [
        accepted(),
        template_mismatch(),
        refused(Action.FIX_REQUEST, 999_999),
        unknown(),
        UnreadableReply("an error page"),
    ],
    ids=lambda end: type(end).__name__,
)
async def test_what_was_sent_is_replayed(world: World, end: Ending) -> None:
    """By look and by intend, to this process and to any other, equal in all that is told."""
    process, other = await world.process(), await world.process()
    await ended(process.calls(), end)
    for journal in (process.calls(), other.calls()):
        assert told(await looked(journal)) == told(end)
        assert told(await journal.intend(draft())) == told(end)


def rate_limited() -> RateLimited:
    """Return what the vendor says of its limits."""
    error = RateLimited(4081, "一分钟", Operation.SUBMIT, Action.WAIT)
    error.retry_at = datetime(2026, 11, 25, 21, 30, tzinfo=UTC)
    return error


@pytest.mark.parametrize(
    "end",
    [
        held(),
        NotSent("no connection"),
        GuardUnavailable("away"),
        RunStopped("the run ended"),
        InvalidRequest("no number"),
        rate_limited(),
        SubmissionFailed(0, "提交失败", Operation.SUBMIT, Action.RETRY),
        refused(Action.STOP, 4051),
    ],
    ids=lambda end: type(end).__name__ + end.status,
)
async def test_what_may_pass_later_opens_again(world: World, end: VoiceError) -> None:
    """HELD, NOT_SENT, and what was refused by WAIT, RETRY or STOP."""
    journal = (await world.process()).calls()
    for _ in range(2):
        await ended(journal, end)
        assert await looked(journal) is None
    await ended(journal, accepted())
    assert await looked(journal) == accepted()


@pytest.mark.parametrize("end", [held(), InvalidRequest("no number")], ids=lambda end: end.status)
async def test_another_message_of_a_key_in_flight_ends_beside_it(
    world: World, end: VoiceError
) -> None:
    """What it comes to is not written on the attempt: that one would ring again after a crash."""
    process, other = await world.process(), await world.process()
    async with process.ledger.run(ACCOUNT, "nightly") as run:
        for journal, name in ((process.calls(), ""), (run, "nightly")):
            await granted(journal, draft())
            await journal.settle(draft(mobile=B), end)
            assert (await other.ledger.summary(name))["OPEN"] == 1
            await journal.settle(draft(), accepted())
            assert await looked(journal) == accepted()


async def test_a_refusal_of_the_request_opens_again_only_if_asked(world: World) -> None:
    """By `retry_rejected`, and then it is what it comes to now."""
    process = await world.process()
    await ended(process.calls(), refused(Action.FIX_REQUEST))
    again = process.calls(retry_rejected=True)
    assert await looked(again) is None
    await ended(again, accepted())
    assert await looked(process.calls()) == accepted()


@pytest.mark.parametrize("of_run", [False, True])
async def test_a_refused_text_may_be_put_right(world: World, *, of_run: bool) -> None:
    """Under the same key and number, by `retry_rejected`; then it is the key's text."""
    process, right = await world.process(), draft(content="改好了")
    async with AsyncExitStack() as leaving:

        async def journal(*, retry: bool) -> Journal:
            if not of_run:
                return process.calls(retry_rejected=retry)
            await leaving.aclose()
            run = process.ledger.run(ACCOUNT, "run", retry_rejected=retry)
            return await leaving.enter_async_context(run)

        await ended(await journal(retry=False), refused(Action.FIX_REQUEST))
        for as_before in (looked, intended):
            error = await as_before(await journal(retry=False), right)
            assert "retry_rejected=True" in str(error)
        again = await journal(retry=True)
        assert isinstance(await again.intend(draft(mobile=B, content="改好了")), InvalidRequest)
        assert await looked(again, right) is None
        await granted(again, right)
        await again.settle(right, accepted())
        assert await looked(again, right) == accepted()
        assert isinstance(await looked(again), InvalidRequest)  # the text that was refused


async def intended(journal: Journal, message: Draft) -> Ending | None:
    """Return what intending says."""
    return await journal.intend(message)


async def test_unknown_never_opens_by_itself(world: World) -> None:
    """Not even if what was rejected shall be tried again."""
    process = await world.process()
    await ended(process.calls(), unknown())
    assert isinstance(await process.calls(retry_rejected=True).intend(draft()), OutcomeUnknown)


@pytest.mark.parametrize("other", [draft(mobile=B), draft(content="再见")])
async def test_a_used_key_takes_no_other_message(world: World, other: Draft) -> None:
    """Neither another number nor another content, whether it ended, is in flight, or is open."""
    journal = (await world.process()).calls()
    for end in (NotSent("no connection"), accepted()):
        await granted(journal, draft())
        assert isinstance(await looked(journal, other), InvalidRequest)
        await journal.settle(draft(), end)
        assert isinstance(await looked(journal, other), InvalidRequest)
        assert isinstance(await journal.intend(other), InvalidRequest)


async def test_an_entry_that_was_never_intended_takes_another_message(world: World) -> None:
    """Its number was wrong, say, and has been put right under the same key."""
    journal = (await world.process()).calls()
    await journal.settle(draft(mobile="no number"), InvalidRequest("not a number"))
    assert await looked(journal) is None
    await ended(journal, accepted())
    assert await looked(journal) == accepted()


async def test_accounts_and_runs_are_apart(world: World) -> None:
    """The same key is another one in another run, and of another account."""
    process = await world.process()
    await ended(process.calls(), accepted())
    await granted(process.ledger.calls("other"), draft())
    async with process.ledger.run(ACCOUNT, "run") as journal:
        await granted(journal, draft())
    async with process.ledger.run("other", "run") as journal:
        await granted(journal, draft())


async def test_accounts_are_apart_in_flight(world: World) -> None:
    """The same key of two accounts, both in flight at once, each with its own end."""
    process = await world.process()
    ours, theirs = process.calls(), process.ledger.calls("other")
    for journal in (ours, theirs):
        await granted(journal, draft())
    await ours.settle(draft(), accepted("V1"))
    await theirs.settle(draft(), accepted("V2"))
    assert [await looked(journal) for journal in (ours, theirs)] == [accepted("V1"), accepted("V2")]


@pytest.mark.parametrize("end", [accepted(), unknown(), refused(Action.FIX_REQUEST)])
async def test_what_was_never_intended_displaces_nothing_that_was_sent(
    world: World, end: Ending
) -> None:
    """Neither an end nor a call in flight."""
    process, other = await world.process(), await world.process()
    await granted(process.calls(), draft())
    await other.calls().settle(draft(), held())
    assert isinstance(await looked(other.calls()), CallInFlight)
    await process.calls().settle(draft(), end)
    await other.calls().settle(draft(), held())
    assert told(await looked(other.calls())) == told(end)


@pytest.mark.parametrize(
    "given",
    [Draft("k\0", A, "x"), Draft("k", A, "\ud800"), Draft(7, A, "x")],  # type: ignore[arg-type]
)
async def test_what_no_database_takes_is_refused_alone(world: World, given: Draft) -> None:
    """And not with all others of its commit."""
    journal = (await world.process()).calls()
    answers = await asyncio.gather(journal.intend(given), journal.intend(draft("other")))
    assert isinstance(answers[0], InvalidRequest)
    assert answers[1] is None
    first, second = await journal.look([given, draft("new")])
    assert (type(first), second) == (InvalidRequest, None)
    assert [type(end) for end in await journal.look([given] * 2)] == [InvalidRequest] * 2
    await journal.settle(given, NotSent("it is wrong"))


async def test_texts_of_the_vendor_and_of_callers_may_be_anything(world: World) -> None:
    """They are kept without what no database takes."""
    journal = (await world.process()).calls()
    odd = Draft("k", A, "x", 7)  # type: ignore[arg-type]
    await ended(journal, refused(Action.FIX_REQUEST, 10**30), odd)
    end = await looked(journal, odd)
    assert isinstance(end, VendorError)
    assert end.code == 2**63 - 1
    odder = Draft("l", A, "x", Unspeakable())  # type: ignore[arg-type]
    await ended(journal, VendorError(1, "a\0\ud800", Operation.SUBMIT, Action.FIX_REQUEST), odder)
    end = await looked(journal, odder)
    assert isinstance(end, VendorError)
    assert end.msg == "a?"


class Unspeakable:
    """A name that can't be said."""

    def __str__(self) -> str:
        raise ValueError("no")


# --- in flight


async def test_a_key_is_granted_once(world: World) -> None:
    """However many ask at once, in one process and in others."""
    processes = [await world.process() for _ in range(3)]
    asked = [p.calls().intend(draft(str(key))) for key in range(20) for p in processes * 2]
    answers = await asyncio.gather(*asked)
    assert sum(answer is None for answer in answers) == 20
    assert all(answer is None or isinstance(answer, CallInFlight) for answer in answers)


async def test_intents_of_one_commit_have_each_their_own_answer(world: World) -> None:
    """Those that may be sent and those that may not, of several runs; and each has its own end."""
    process = await world.process()
    calls = process.calls()
    await ended(calls, accepted("V0"), draft("done"))
    async with process.ledger.run(ACCOUNT, "one") as one, process.ledger.run(ACCOUNT, "two") as two:
        await ended(two, refused(Action.FIX_REQUEST), draft("refused"))
        asked = [(calls, "done"), (two, "a"), (calls, "b"), (calls, "b"), (one, "c"), (calls, "d"),
                 (two, "refused"), (two, "e")]  # fmt: skip
        intents = [journal.intend(draft(key)) for journal, key in asked]
        answers = await asyncio.gather(*intents)
        kinds = [Submission, None, None, CallInFlight, None, None, VendorError, None]
        assert [None if each is None else type(each) for each in answers] == kinds
        granted_ = [each for each, answer in zip(asked, answers, strict=True) if answer is None]
        await asyncio.gather(
            *(journal.settle(draft(key), accepted(key)) for journal, key in granted_)
        )
        for journal, key in granted_:
            assert await looked(journal, draft(key)) == accepted(key)


@pytest.mark.parametrize("keyed_first", [False, True])
async def test_a_fence_refuses_its_own_run_alone(world: World, *, keyed_first: bool) -> None:
    """What else is in the commit is granted; and each who is refused has an error of its own."""
    process, other = await world.process(), await world.process()
    if keyed_first:
        await looked(process.calls())
    async with process.ledger.run(ACCOUNT, "run") as run:
        await looked(process.calls())
        async with other.ledger.run(ACCOUNT, "run", takeover=True):
            asked = [(process.calls(), "a"), (run, "b"), (run, "c"), (process.calls(), "d")]
            intents = [journal.intend(draft(key)) for journal, key in asked]
            first, *fenced, last = await asyncio.gather(*intents)
        assert (first, last) == (None, None)
        words = [(type(each), str(each)) for each in fenced]
        assert words == [(RunStopped, "another process has taken the run over")] * 2
        assert fenced[0] is not fenced[1]
        for key in "ad":
            await process.calls().settle(draft(key), accepted(key))
            assert await looked(process.calls(), draft(key)) == accepted(key)


@pytest.mark.parametrize(
    ("cause", "words"), [("", "the run was stopped"), ("x", "the run was stopped: x")]
)
async def test_why_a_run_was_stopped_is_said_where_somebody_said_it(
    world: World, cause: str, words: str
) -> None:
    """At the fence, and to whoever opens it."""
    process, other = await world.process(), await world.process()
    async with process.ledger.run(ACCOUNT, "run") as run:
        await other.ledger.stop("run", cause)
        end = await run.intend(draft())
        assert (type(end), str(end)) == (RunStopped, words)
    with pytest.raises(RunStopped, match=f"^{words}$"):
        await other.ledger.run(ACCOUNT, "run").__aenter__()


async def test_a_run_tells_when_it_was_used_last(world: World) -> None:
    """To the minute, by the calls that it makes."""
    process, began = await world.process(), world.now
    async with process.ledger.run(ACCOUNT, "run") as run:
        await granted(run, draft("a"))
        (info,) = await process.ledger.runs()
        assert (info.created_at.timestamp(), info.used_at.timestamp()) == (began, began)
        assert (info.account, info.key) == (ACCOUNT, "run")
        assert {info.created_at.tzinfo, info.used_at.tzinfo} == {UTC}
        world.now += 30.0
        await granted(run, draft("b"))  # in the same minute, as far as a program can tell
        (info,) = await process.ledger.runs()
        assert info.used_at.timestamp() == began
    world.now += 70.0
    async with process.ledger.run(ACCOUNT, "run"):
        pass
    (info,) = await process.ledger.runs()
    assert (info.created_at.timestamp(), info.used_at.timestamp()) == (began, world.now)


async def test_a_key_that_this_process_has_in_flight_is_not_granted_again(world: World) -> None:
    """Nobody has to be asked for that, and it is said whose call it is."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, "run") as run:
        for journal, again in ((run, run), (process.calls(), process.calls())):
            await granted(journal, draft())
            end = await again.intend(draft())
            assert (type(end), str(end)) == (
                CallInFlight,
                "this process has a call with this key in flight",
            )
            await journal.settle(draft(), held())
            await granted(again, draft())


async def test_a_dead_ones_calls_are_unknown(world: World) -> None:
    """They were in flight when their process died; the living one's stay in flight."""
    dead, living, asking = [await world.process() for _ in range(3)]
    await granted(dead.calls(), draft("of the dead"))
    await granted(living.calls(), draft("of the living"))
    await dead.dies()
    assert isinstance(await looked(asking.calls(), draft("of the dead")), CallInFlight)
    world.now += 11.0
    await living.beat()
    ends = await asking.calls().look([draft("of the dead"), draft("of the living"), draft("new")])
    assert [type(end) for end in ends] == [OutcomeUnknown, CallInFlight, type(None)]
    assert isinstance(await asking.calls().intend(draft("of the dead")), OutcomeUnknown)


async def test_all_that_the_dead_had_in_flight_is_unknown_and_nothing_else(world: World) -> None:
    """Whatever numbers its entries and its owner have in the tables."""
    living, dead, asking = [await world.process() for _ in range(3)]
    for key in "abc":
        await ended(living.calls(), accepted(), draft(key))
    await granted(living.calls(), draft("of the living"))
    for key in "xy":
        await granted(dead.calls(), draft(key))
    await dead.dies()
    world.now += 11.0
    await living.beat()
    ends = await asking.calls().look([draft("x"), draft("of the living"), draft("y")])
    assert [type(end) for end in ends] == [OutcomeUnknown, CallInFlight, OutcomeUnknown]
    counts = await asking.ledger.summary("")
    assert [counts[each] for each in (OutcomeStatus.UNKNOWN, OutcomeStatus.ACCEPTED)] == [2, 3]
    assert counts["OPEN"] == 1


async def test_a_process_does_not_bury_itself(world: World) -> None:
    """Its beats are late, for its machine was asleep, say: its call is in flight nevertheless."""
    process, dead = await world.process(), await world.process()
    await granted(process.calls(), draft())
    await granted(dead.calls(), draft("of the dead"))
    await dead.dies()
    world.now += 11.0
    assert isinstance(await looked(process.calls()), CallInFlight)
    ends = await process.calls().look([draft("of the dead"), draft()])
    assert [type(end) for end in ends] == [OutcomeUnknown, CallInFlight]
    await process.calls().settle(draft(), accepted())
    assert await looked(process.calls()) == accepted()


async def test_intending_finds_the_dead_too(world: World) -> None:
    """Without having looked before."""
    dead, asking = await world.process(), await world.process()
    await granted(dead.calls(), draft())
    await dead.dies()
    world.now += 11.0
    await asking.calls().settle(draft("x"), held())
    await asking.beat()
    assert isinstance(await asking.calls().intend(draft()), OutcomeUnknown)


@pytest.mark.parametrize("end", [accepted(), refused(Action.FIX_REQUEST)])
async def test_a_late_answer_counts(world: World, end: Ending) -> None:
    """A process that was only asleep, and buried, tells what its call came to."""
    sleeper, asking = await world.process(), await world.process()
    await granted(sleeper.calls(), draft())
    world.now += 11.0
    assert isinstance(await looked(asking.calls()), OutcomeUnknown)
    await sleeper.calls().settle(draft(), end)
    assert told(await looked(asking.calls())) == told(end)


async def test_a_late_answer_of_an_earlier_attempt_takes_nothing_back(world: World) -> None:
    """A person had decided meanwhile, and the key was called again: it is not called a third time.

    What the later attempt comes to counts.
    """
    sleeper, other = await world.process(), await world.process()
    await granted(sleeper.calls(), draft())
    world.now += 11.0
    assert isinstance(await looked(other.calls()), OutcomeUnknown)
    await other.ledger.settle("", "k", NotSent.status)
    await granted(other.calls(), draft())
    await sleeper.calls().settle(draft(), accepted("of the first"))
    assert await looked(other.calls()) == accepted("of the first")
    await other.calls().settle(draft(), accepted("of the second"))
    assert await looked(sleeper.calls()) == accepted("of the second")


async def test_who_was_buried_alive_goes_on_under_a_new_name(world: World) -> None:
    """And its new calls are in flight like anybody's."""
    sleeper, other = await world.process(), await world.process()
    await granted(sleeper.calls(), draft())
    world.now += 11.0
    assert isinstance(await looked(other.calls()), OutcomeUnknown)
    first = sleeper.desk.heart.owner
    await granted(sleeper.calls(), draft("next"))
    assert sleeper.desk.heart.owner != first
    assert isinstance(await looked(other.calls(), draft("next")), CallInFlight)


async def test_a_beat_after_the_burial_gives_a_new_name_too(world: World) -> None:
    """And the runs that it holds go with it."""
    sleeper, other = await world.process(), await world.process()
    async with sleeper.ledger.run(ACCOUNT, "run") as journal:
        await granted(sleeper.calls(), draft())
        world.now += 11.0
        assert isinstance(await looked(other.calls()), OutcomeUnknown)
        for _ in range(3):  # under one new name, which goes on beating
            await sleeper.beat()
            world.now += 6.0
        world.slept = None
        await granted(journal, draft())
        (run,) = [info for info in await other.ledger.runs() if info.key == "run"]
        assert run.in_use


async def test_an_intent_after_the_burial_takes_the_runs_along(world: World) -> None:
    """They are in use under the new name: nobody takes them from a process that lives."""
    sleeper, other = await world.process(), await world.process()
    async with sleeper.ledger.run(ACCOUNT, "run") as journal:
        await granted(sleeper.calls(), draft())
        world.now += 11.0
        assert isinstance(await looked(other.calls()), OutcomeUnknown)
        await granted(sleeper.calls(), draft("next"))
        (run,) = [info for info in await other.ledger.runs() if info.key == "run"]
        assert run.in_use
        await granted(journal, draft())


async def test_a_cancelled_intent_is_taken_back(world: World) -> None:
    """Nobody was told to send."""
    process = await world.process()
    await looked(process.calls())

    async def is_taken_back() -> bool:
        return await looked(process.calls()) is None

    async def is_granted() -> bool:
        return await process.calls().intend(draft()) is None

    for wait in range(4):
        task = asyncio.ensure_future(process.calls().intend(draft()))
        for _ in range(wait):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        await comes_true(is_taken_back)  # its commit goes on, and then it is taken back
    await comes_true(is_granted)  # one was still under way when it was looked up


@pytest.mark.parametrize("closed", [False, True])
async def test_an_intent_that_is_cancelled_when_it_is_granted_already_is_taken_back(
    world: World, monkeypatch: pytest.MonkeyPatch, *, closed: bool
) -> None:
    """It is written, nobody has been told, and nobody waits for it any more, but who closes."""
    process, other = await world.process(), await world.process()
    await looked(process.calls())
    waiting: list[asyncio.Future[Any]] = []
    write = Heart._write  # pyright: ignore[reportPrivateUsage]  # the end of a transaction

    async def written(
        heart: Heart, make: Callable[[], Work[Any]], *, patient: bool = True
    ) -> object:
        result = await write(heart, make, patient=patient)
        if waiting:
            waiting.pop().cancel()
        return result

    monkeypatch.setattr(Heart, "_write", written)
    waiting.append(asyncio.ensure_future(process.calls().intend(draft())))
    (task,) = waiting
    await asyncio.wait({task})
    await (process.ledger.__aexit__(None, None, None) if closed else process.rests())
    assert task.cancelled()
    assert await looked(other.calls()) is None
    await granted(other.calls(), draft())


# --- runs


async def test_opening_makes_what_was_in_flight_unknown(world: World) -> None:
    """And nothing else."""
    dead, heir = await world.process(), await world.process()
    run = dead.ledger.run(ACCOUNT, "run")
    journal = await run.__aenter__()
    assert journal.is_new
    await granted(journal, draft("in flight"))
    await ended(journal, accepted(), draft("accepted"))
    await dead.dies()
    world.now += 11.0
    async with heir.ledger.run(ACCOUNT, "run") as journal:
        assert not journal.is_new
        ends = await journal.look([draft("in flight"), draft("accepted"), draft("new")])
        assert isinstance(ends[0], OutcomeUnknown)
        assert ends[1:] == [accepted(), None]


async def test_who_was_taken_over_sends_nothing_more(world: World) -> None:
    """Its intents are refused by the fence; what it had in flight is told late, and counts."""
    first, second = await world.process(), await world.process()
    async with first.ledger.run(ACCOUNT, "run") as old:
        await granted(old, draft("in flight"))
        async with second.ledger.run(ACCOUNT, "run", takeover=True) as new:
            assert isinstance(await old.intend(draft("next")), RunStopped)
            assert isinstance(await looked(new, draft("in flight")), OutcomeUnknown)
            await old.settle(draft("in flight"), accepted())
            assert await looked(new, draft("in flight")) == accepted()
            await granted(new, draft("next"))


async def test_a_run_in_use_is_refused(world: World) -> None:
    """As soon as the other's beat is seen to move, by a word with its name, age and last beat."""
    first, second = await world.process(), await world.process()
    world.slept = first.beat  # to its end: else a slow one may come after the last look
    async with first.ledger.run(ACCOUNT, "run") as journal:
        with pytest.raises(RunInUse, match=r"'run', begun \d+ s ago.*last beat was \d+\.\d s ago"):
            async with second.ledger.run(ACCOUNT, "run"):
                pass
        await granted(journal, draft())


WORKED_ON = (
    r"the run 'run', begun 0 s ago, is worked on by process \d+ on \S+, whose last beat was 0\.0 s"
    " ago"
)


async def test_a_run_of_one_who_died_a_moment_ago_is_taken_over(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """After ten seconds without a beat, and the log says so."""
    caplog.set_level(logging.INFO, "ihuyi_voice.ledger")
    dead, heir = await world.process(), await world.process()
    run = dead.ledger.run(ACCOUNT, "run")
    await run.__aenter__()
    await dead.dies()
    began = world.now
    async with heir.ledger.run(ACCOUNT, "run"):
        assert world.now - began == 10.0
    waits, taken = [each for each in caplog.messages if each.startswith("the run")]
    text = waits.removesuffix("; waiting to see whether it lives")
    assert waits != text
    assert re.fullmatch(WORKED_ON, text)
    assert taken == f"{text}: nothing was heard of it since, and the run goes on here"


async def test_a_beat_that_does_not_move_is_dead_whatever_the_clocks_say(world: World) -> None:
    """It may be far in the future, where a clock was put back."""
    dead, heir = await world.process(), await world.process()
    run = dead.ledger.run(ACCOUNT, "run")
    await run.__aenter__()
    await dead.dies()
    world.now -= 3_600.0
    async with heir.ledger.run(ACCOUNT, "run") as journal:
        await granted(journal, draft())


async def test_a_run_that_is_left_is_free(world: World) -> None:
    """Also by an exception and by a cancellation."""
    first, second = await world.process(), await world.process()
    opened = asyncio.Event()

    async def work() -> None:
        async with first.ledger.run(ACCOUNT, "run"):
            opened.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await opened.wait()
    task.cancel()
    await asyncio.wait({task})
    async with second.ledger.run(ACCOUNT, "run"):
        pass
    with pytest.raises(ZeroDivisionError):
        async with first.ledger.run(ACCOUNT, "run"):
            raise ZeroDivisionError
    async with second.ledger.run(ACCOUNT, "run"):
        pass


async def test_a_stopped_run_sends_nothing_until_it_is_resumed(world: World) -> None:
    """Whoever has it open is refused at the fence, with the cause."""
    process, other = await world.process(), await world.process()
    async with process.ledger.run(ACCOUNT, "run") as journal:
        await granted(journal, draft("in flight"))
        await other.ledger.stop("run", "Submit 4051: 剩余条数不足 [stop]")
        end = await journal.intend(draft())
        assert isinstance(end, RunStopped)
        assert "剩余条数不足" in str(end)
        await journal.settle(draft("in flight"), accepted())
    with pytest.raises(RunStopped, match="剩余条数不足"):
        async with other.ledger.run(ACCOUNT, "run"):
            pass
    (run,) = await other.ledger.runs()
    assert (run.stopped, run.cause) == (True, "Submit 4051: 剩余条数不足 [stop]")
    await other.ledger.resume("run")
    async with other.ledger.run(ACCOUNT, "run") as journal:
        await granted(journal, draft())
        assert await looked(journal, draft("in flight")) == accepted()


async def test_keyed_calls_are_no_run_that_could_be_stopped(world: World) -> None:
    """It says so, for nothing would stand between them and the vendor."""
    process = await world.process()
    await ended(process.calls(), accepted())
    for mark in (process.ledger.stop, process.ledger.resume):
        with pytest.raises(InvalidRequest, match="keyed calls can't be stopped"):
            await mark("")
    (run,) = await process.ledger.runs()
    assert not run.stopped


@pytest.mark.parametrize("name", ["", "a\0", None])
async def test_a_run_needs_a_name(world: World, name: str) -> None:
    """The name "" is the keyed calls'."""
    process = await world.process()
    with pytest.raises(InvalidRequest):
        async with process.ledger.run(ACCOUNT, name):
            pass


# --- the guard's memory


async def test_calls_of_a_day_are_recalled(world: World) -> None:
    """In any run of the account: those accepted, those unknown, and those in flight, as of now."""
    process = await world.process()
    await ended(process.calls(), accepted(), draft("old"))
    world.now += 86_401.0
    await ended(
        process.ledger.calls("other"), accepted(), draft("theirs")
    )  # before ours, and after
    ends: list[Ending] = [accepted(), unknown(), held(), refused(Action.WAIT)]
    for key, end in zip("auhr", ends, strict=True):
        await ended(process.calls(), end, draft(key))
        world.now += 10.0
    async with process.ledger.run(ACCOUNT, "run") as journal:
        await granted(journal, draft("f", B))
        await ended(process.ledger.calls("other"), accepted(), draft())
        world.now += 1.0
        ages = await journal.recall([A, B, "13900000009"])
    assert {mobile: sorted(each) for mobile, each in ages.items()} == {
        A: [pytest.approx(31.0), pytest.approx(41.0)],
        B: [0.0],
    }


async def test_a_new_ledger_recalls_nothing(world: World) -> None:
    """And one that was used within a day may."""
    process = await world.process()
    assert not process.calls().has_recent
    async with process.ledger.run(ACCOUNT, "run") as journal:
        assert not journal.has_recent
        await ended(journal, accepted())
    assert process.calls().has_recent  # there may be another client, whose guard knows nothing
    other = await world.process()
    assert other.calls().has_recent
    assert not other.ledger.calls("other").has_recent
    async with other.ledger.run(ACCOUNT, "next") as journal:
        assert journal.has_recent
    world.now += 2 * 86_400.0
    assert not (await world.process()).calls().has_recent
