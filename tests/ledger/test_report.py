"""What a whole run came to, as the database counts it: people, words, and time in slices."""

from datetime import UTC, datetime

import pytest

from ihuyi_voice import Action, NotSent, Operation, OutcomeStatus, RateLimited, VendorError
from ihuyi_voice.ledger import CodeCount, Fate, Slice
from ihuyi_voice.ledger.journal import Journal
from ihuyi_voice.ledger.owners import DIED
from ihuyi_voice.ledger.report import span_of
from ihuyi_voice.ledger.states import Ending
from tests.ledger.inboxes import FakeInbox
from tests.support.ledgers import ACCOUNT, World, accepted, draft, held, refused, unknown


def mobile(place: int) -> str:
    """Return a number."""
    return f"139{place:08d}"


async def called(world: World, journal: Journal, place: int, end: Ending, took: float = 0.0) -> str:
    """Make a call that ends so, after so many seconds; return its key."""
    key = f"k{place}"
    given = draft(key, mobile(place))
    assert await journal.intend(given) is None
    world.now += took
    await journal.settle(given, end)
    return key


async def test_each_person_counts_once_by_the_best_that_they_got(world: World) -> None:
    """Of several messages the best one; of this run alone, with what is in flight."""
    process, inbox = await world.process(), FakeInbox()
    async with process.ledger.run(ACCOUNT, "run") as run, process.ledger.run(ACCOUNT, "x") as other:
        ends: list[tuple[str, int, Ending]] = [
            *(("a1", 1, accepted("V1", mobile(1))), ("a2", 1, unknown())),
            *(("b1", 2, accepted("V2", mobile(2))), ("b2", 2, unknown())),
            *(("c1", 3, accepted("V3", mobile(3))), ("c2", 3, unknown())),
            *(("d1", 4, unknown()), ("d2", 4, refused(Action.STOP, 4051))),
            *(("e1", 5, refused(Action.STOP, 4051)), ("e2", 5, held())),
            *(("f1", 6, refused(Action.FIX_REQUEST)), ("f2", 6, NotSent("away"))),
            *(("g1", 7, held()), ("h1", 8, NotSent("away"))),
        ]
        for key, place, end in ends:
            given = draft(key, mobile(place))
            assert await run.intend(given) is None
            await run.settle(given, end)
        for key in ("i1", "e3"):  # in flight, one of them of somebody who was refused
            assert await run.intend(draft(key, mobile(9 if key == "i1" else 5))) is None
        await called(world, other, 20, accepted("V20"))
        inbox.tell("V1", world.now, mobile(1), code=2)
        inbox.tell("V2", world.now, mobile(2), code=-6)
        await process.ledger.reconcile(inbox)
        report = await process.ledger.report("run")
    assert (report.account, report.run) == (ACCOUNT, "run")
    assert report.people == {
        Fate.ANSWERED: 1, Fate.NOT_REACHED: 1, Fate.AWAITED: 1, Fate.UNCERTAIN: 3,
        Fate.REFUSED: 1, Fate.NOT_CALLED: 2,
    }  # fmt: skip
    assert report.states == {
        "ACCEPTED": 3, "UNKNOWN": 4, "REJECTED": 3, "HELD": 2, "NOT_SENT": 2, "OPEN": 2,
    }  # fmt: skip
    assert report.ends == [CodeCount(-6, 1, "成功"), CodeCount(2, 1, "成功")]


async def test_the_commonest_words_come_first(world: World) -> None:
    """The vendor's by their codes, the reasons by themselves: a guard's word is no answer."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, "run") as journal:
        ends: list[Ending] = [
            *[refused(Action.FIX_REQUEST, 406)] * 2, *[accepted()] * 3,
            refused(Action.STOP, 4051), refused(Action.STOP, 4030),
            VendorError(406, "1", Operation.SUBMIT, Action.FIX_REQUEST),
            *[held()] * 2, unknown(), NotSent("away"),
        ]  # fmt: skip
        for place, end in enumerate(ends):
            await called(world, journal, place, end)
        assert await journal.intend(draft("in flight")) is None
        report = await process.ledger.report("run")
    text = "手机格式不正确"
    assert report.codes == [
        CodeCount(2, 3, "提交成功"), CodeCount(406, 3, text),
        CodeCount(4030, 1, text), CodeCount(4051, 1, text),
    ]  # fmt: skip
    assert report.reasons == [
        ("此号码的提交频率已达上限", 2), ("away", 1), ("no reply within 30 s", 1),
    ]  # fmt: skip


async def test_a_code_without_a_word_has_none(world: World) -> None:
    """And it is no reason."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, "run") as journal:
        await called(world, journal, 1, VendorError(7, "", Operation.SUBMIT, Action.FIX_REQUEST))
        report = await process.ledger.report("run")
    assert (report.codes, report.reasons) == ([CodeCount(7, 1, "")], [])


async def test_forty_codes_and_ten_reasons_are_told(world: World) -> None:
    """The commonest; a page has room for no more."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, "run") as journal:
        for code in range(1, 43):
            end = VendorError(9000 + code, "新", Operation.SUBMIT, Action.FIX_REQUEST)
            await called(world, journal, code, end)
        for reason in range(100, 112):
            await called(world, journal, reason, NotSent(f"no {reason}"))
        report = await process.ledger.report("run")
    assert [each.code for each in report.codes] == list(range(9001, 9041))
    assert report.reasons == [(f"no {reason}", 1) for reason in range(100, 110)]


async def test_all_that_died_in_flight_are_counted_among_the_reasons(world: World) -> None:
    """With each process that died, before anybody has buried it."""
    heir = await world.process()
    for keys in ("ab", "c"):
        dead = await world.process()
        for key in keys:
            assert await dead.calls().intend(draft(key)) is None
        await dead.dies()
    world.now += 11.0
    assert (await heir.ledger.report("", ACCOUNT)).reasons == [(DIED, 3)]


async def test_time_is_cut_into_slices_without_gaps(world: World) -> None:
    """Each with what ended in it; what was never begun is in none, and what is in flight in none.

    The slices begin at a whole one, and the last has the end in it.
    """
    process = await world.process()
    begun = world.now = 1_800_000_003.5
    async with process.ledger.run(ACCOUNT, "run") as journal:
        await journal.settle(draft("never begun", mobile(50)), held())
        await called(world, journal, 1, accepted("V1"))
        await called(world, journal, 2, refused(Action.STOP, 4051), 1.0)  # in the same slice
        world.now = begun + 60.0
        await called(world, journal, 3, accepted("V3"))
        await called(world, journal, 4, accepted("V4"), 0.25)  # in the same slice, after longer
        assert await journal.intend(draft("in flight", mobile(51))) is None
        report = await process.ledger.report("run")
    assert (report.begun, report.ended, report.span) == (begun, begun + 60.25, 2.0)
    assert [each.at for each in report.slices] == [1_800_000_002.0 + 2.0 * n for n in range(31)]
    ended = {each.at: dict(each.ended) for each in report.slices if each.ended}
    assert ended == {
        1_800_000_002.0: {"ACCEPTED": 1},
        1_800_000_004.0: {"REJECTED": 1},
        1_800_000_062.0: {"ACCEPTED": 2},
    }


async def test_what_calls_took_is_told_to_two_digits(world: World) -> None:
    """Rising; only of answers of the vendor's, and of those that came by themselves."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, "run") as journal:
        # Times that a float has exactly beside a clock's: else the last digit is chance.
        for place, took in enumerate((11.5, 0.046875, 0.40625, 3.28125, 0.40625)):
            await called(world, journal, place, accepted(f"V{place}"), took)
            world.now = 1_800_000_000.0
        for place, end in ((10, refused(Action.STOP, 4051)), (11, refused(Action.FIX_REQUEST))):
            await called(world, journal, place, end, 0.25)
            world.now = 1_800_000_000.0
        for place, other in enumerate((unknown(), held(), NotSent("away")), 20):
            await called(world, journal, place, other, 0.125)
            world.now = 1_800_000_000.0
        key = await called(world, journal, 30, unknown(), 0.125)
        await process.ledger.settle("run", key, OutcomeStatus.ACCEPTED, voice_id="V30")
        await called(world, journal, 31, accepted("V31"), -5.0)  # the clock was set back meanwhile
        report = await process.ledger.report("run")
    waits = [each for slice_ in report.slices for each in slice_.waits]
    assert waits == [(0.046, 1), (0.25, 2), (0.4, 2), (3.2, 1), (11.0, 1)]
    assert {each.code: each.count for each in report.codes}[2] == 7  # a person's word, too


async def test_a_run_in_which_nothing_was_sent_has_no_time(world: World) -> None:
    """Nobody was called."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, "run") as journal:
        await journal.settle(draft(), held())
        report = await process.ledger.report("run")
    assert (report.begun, report.ended, report.span, list(report.slices)) == (None, None, 0.0, [])
    assert report.people == {Fate.NOT_CALLED: 1}


async def test_as_many_uncertain_ones_are_listed_as_are_asked_for(world: World) -> None:
    """The first; all are counted."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, "run") as journal:
        for place in range(3):
            await called(world, journal, place, unknown())
        for listed in (0, 2, 3, 4):
            report = await process.ledger.report("run", listed=listed)
            assert [entry.key for entry in report.uncertain] == ["k0", "k1", "k2"][:listed]
            assert report.states[OutcomeStatus.UNKNOWN] == 3


async def test_a_report_of_keyed_calls_is_of_one_account(world: World) -> None:
    """They are the run without a name."""
    process = await world.process()
    for account, calls in ((ACCOUNT, 1), ("VM2", 2)):
        for place in range(calls):
            await called(world, process.ledger.calls(account), place, accepted())
    for account, calls in ((ACCOUNT, 1), ("VM2", 2)):
        report = await process.ledger.report("", account)
        assert (report.account, report.run) == (account, "")
        assert report.states[OutcomeStatus.ACCEPTED] == calls


@pytest.mark.parametrize(
    ("share", "seconds"), [(0.0, 0.1), (0.1, 0.1), (0.2, 0.2), (0.5, 0.2), (0.6, 3.0), (1.0, 3.0)]
)
def test_a_quantile_is_the_time_within_which_so_many_had_their_answer(
    share: float, seconds: float
) -> None:
    """The shortest that is long enough."""
    assert Slice(0.0, {}, [(0.1, 1), (0.2, 4), (3.0, 5)]).quantile(share) == seconds


def test_a_slice_without_answers_has_no_quantile() -> None:
    """Nothing was measured."""
    assert Slice(0.0, {"UNKNOWN": 3}).quantile(0.5) is None


@pytest.mark.parametrize(
    ("seconds", "span"),
    [
        (0.0, 1.0), (39.0, 1.0), (40.0, 2.0), (79.0, 2.0), (80.0, 5.0), (1_199.0, 30.0),
        (1_200.0, 60.0), (1_727_999.0, 43_200.0), (1_728_000.0, 86_400.0),
        (3_456_000.0, 86_400.0), (3_456_001.0, 172_800.0), (6_912_001.0, 259_200.0),
    ],
)  # fmt: skip
def test_a_slice_is_so_long_that_some_forty_make_up_the_whole(seconds: float, span: float) -> None:
    """In lengths that people count in; days, if it lasted for weeks."""
    assert span_of(seconds) == span


async def test_a_limit_of_the_vendors_is_its_answer(world: World) -> None:
    """The same code of our own guard is a reason."""
    process = await world.process()
    theirs = RateLimited(4081, "一分钟", Operation.SUBMIT, Action.WAIT)
    theirs.retry_at = datetime(2027, 1, 15, tzinfo=UTC)
    async with process.ledger.run(ACCOUNT, "run") as journal:
        await called(world, journal, 1, theirs, 0.5)
        await called(world, journal, 2, held(), 0.5)
        report = await process.ledger.report("run")
    assert report.codes == [CodeCount(4081, 1, "一分钟")]
    assert report.reasons == [("此号码的提交频率已达上限", 1)]
    assert [each for slice_ in report.slices for each in slice_.waits] == [(0.5, 1)]
