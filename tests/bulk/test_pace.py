"""How many may start now, as pure functions: times are told, nothing waits."""

import random
import sys

import pytest

from ihuyi_voice import InvalidRequest, NotSent, OutcomeUnknown, VoiceError
from ihuyi_voice.bulk.pace import Pace, Rate, Start, is_answer
from ihuyi_voice.errors import GuardUnavailable, RateLimited, UnreadableReply
from ihuyi_voice.models import Action, Operation
from tests.bulk.support import refusal


def pace(
    concurrency: int = 10,
    max_rate: float | None = None,
    max_failures: int | None = 20,
    max_rejections: int | None = 200,
) -> Pace:
    """Return one with the defaults of a run."""
    return Pace(concurrency, max_rate, max_failures, max_rejections)


def held() -> RateLimited:
    """Return what the guard says."""
    error = RateLimited(4080, "held", Operation.SUBMIT, Action.WAIT)
    error.source = "guard"
    return error


def places(of: Pace) -> int:
    """Return how many may be in flight."""
    return next(count for count in range(1_000) if not of.has_room(count, 0))


def test_a_run_begins_with_one_and_doubles_with_each_round_up_to_concurrency() -> None:
    """Each usable answer makes room for one more."""
    one = pace(concurrency=10)
    seen = [places(one)]
    for _ in range(5):
        for _ in range(places(one)):
            one.answered()
        seen.append(places(one))
    assert seen == [1, 2, 4, 8, 10, 10]


def test_before_the_first_answer_three_may_wait_for_a_connection_side_by_side() -> None:
    """And try again side by side; without such trouble it is one at a time."""
    one = pace()
    assert [one.has_room(0, waiting) for waiting in range(5)] == [True, True, True, False, False]
    assert [one.has_room(1, waiting) for waiting in range(4)] == [False, True, False, False]
    assert not pace(concurrency=2).has_room(0, 2)


def test_who_waits_for_a_connection_keeps_its_place() -> None:
    """Places in use are those in flight and those that wait so."""
    one = pace()
    one.answered()
    assert one.has_room(0, 1)
    assert not one.has_room(1, 1)


@pytest.mark.parametrize(
    ("error", "usable"),
    [
        (None, True),
        (refusal(0), True),
        (refusal(4081), True),
        (refusal(4030), True),
        (held(), False),
        (UnreadableReply("?"), False),
        (OutcomeUnknown("?"), False),
        (NotSent("?"), False),
    ],
)
def test_any_reply_with_a_code_is_usable(error: VoiceError | None, usable: bool) -> None:  # noqa: FBT001
    """And nothing else is."""
    assert is_answer(error) is usable


def test_three_failures_before_the_first_usable_answer_are_too_many() -> None:
    """Of either kind; the guard that can't be reached counts too."""
    one = pace()
    assert one.ended(NotSent("no connection")) is None
    assert one.ended(OutcomeUnknown("no answer")) is None
    assert one.ended(GuardUnavailable("no guard")) == (
        "3 messages in a row came out UNKNOWN or NOT_SENT"
    )


@pytest.mark.parametrize(("most", "first"), [(20, 3), (2, 2), (1, 1)])
def test_the_number_of_failures_can_be_set(most: int, first: int) -> None:
    """Before the first usable answer it is the smaller of that and 3."""
    before, after = pace(max_failures=most), pace(max_failures=most)
    after.answered()
    for one, limit in ((before, first), (after, most)):
        reasons = [one.ended(NotSent("no")) for _ in range(limit)]
        assert reasons[:-1] == [None] * (limit - 1)
        assert reasons[-1]


def test_a_usable_end_begins_the_count_of_failures_anew() -> None:
    """An acceptance, or a rejection."""
    one = pace(max_failures=2)
    one.answered()
    ends = [NotSent("no"), None, NotSent("no"), refusal(4072), NotSent("no")]
    assert [one.ended(end) for end in ends] == [None] * 5
    assert one.ended(NotSent("no"))


def test_rejections_in_a_row_with_one_code_are_too_many() -> None:
    """Another code or an acceptance begins anew."""
    one = pace(max_rejections=3)
    codes = [4072, 4072, 407, 4072, 4072]
    assert [one.ended(refusal(code)) for code in codes] == [None] * 5
    assert one.ended(None) is None
    assert [one.ended(refusal(4072)) for _ in range(2)] == [None, None]
    assert one.ended(refusal(4072)) == "3 messages in a row were rejected with code 4072"


@pytest.mark.parametrize("most", [1, 2, 3, 5, 50, 200, 1_000])
@pytest.mark.parametrize("concurrency", [1, 100, 500])
def test_a_cause_that_all_share_costs_the_breakers_number_of_requests(
    most: int, concurrency: int
) -> None:
    """From the start of a run: none is in flight besides when the last of them is rejected."""
    one = pace(concurrency, max_rejections=most)
    begun = ended = 0
    reason = None
    while reason is None:
        while one.has_room(begun - ended, 0):
            begun += 1
        one.answered()
        ended += 1
        reason = one.ended(refusal(4072))
    assert begun == ended == most


def test_who_is_to_try_again_keeps_its_place_if_that_is_everybodys_trouble() -> None:
    """Without a connection at once; with code 0 once many in a row have had it."""
    one = pace(max_rejections=6)
    retried = refusal(0)
    assert one.slows_all(NotSent("no connection"))
    assert [one.slows_all(retried) for _ in range(4)] == [False, False, True, True]
    one.ended(None)
    assert not one.slows_all(retried)
    assert not any(one.slows_all(each) for each in (None, held(), refusal(4081)) * 9)
    assert not any(pace(max_rejections=None).slows_all(retried) for _ in range(9))


def test_an_acceptance_gives_all_the_room_back() -> None:
    """Half-way to the end of the run no more are in flight than would end it."""
    for bad, most in ((refusal(4072), 10), (NotSent("no"), 8)):
        one = pace(30, max_failures=8, max_rejections=10)
        for _ in range(30):
            one.answered()
        for _ in range(most // 2 - 1):
            one.ended(bad)
        assert places(one) == 30
        one.ended(bad)
        assert places(one) == most // 2
        one.ended(None)
        assert places(one) == 30


@pytest.mark.parametrize(
    "error",
    [InvalidRequest("number"), held(), refusal(4030), refusal(406), refusal(4080), refusal(4082)],
)
def test_what_concerns_one_message_alone_neither_counts_nor_resets(error: VoiceError) -> None:
    """Neither among failures nor among rejections."""
    one = pace(max_failures=2, max_rejections=2)
    one.answered()
    assert [one.ended(error) for _ in range(50)] == [None] * 50
    assert one.ended(NotSent("no")) is None
    assert one.ended(error) is None
    assert one.ended(NotSent("no"))
    other = pace(max_rejections=2)
    assert other.ended(refusal(4072)) is None
    assert other.ended(error) is None
    assert other.ended(refusal(4072))


def test_none_turns_the_breaker_off() -> None:
    """Each of the two."""
    one = pace(max_failures=None, max_rejections=None)
    assert not any(one.ended(NotSent("no")) for _ in range(1_000))
    assert not any(one.ended(refusal(4072)) for _ in range(1_000))


def test_without_a_cap_there_is_nothing_to_wait_for() -> None:
    """And nothing to settle."""
    one = pace()
    one.settle(one.take(5.0), begun=True)
    assert one.next_time is None


def test_a_submission_uses_up_its_share_of_the_rate() -> None:
    """The next may begin a fifth of a second later, less what a late timer may make up for."""
    rate = Rate(5.0)
    rate.settle(rate.take(100.0), begun=True)
    assert rate.next_time == pytest.approx(100.2, abs=0.011)


def test_what_began_no_request_gives_its_share_back() -> None:
    """A guard's check costs nothing, however many there are."""
    rate = Rate(5.0)
    rate.settle(rate.take(100.0), begun=True)
    free_at = rate.next_time
    for _ in range(50):
        rate.settle(rate.take(free_at), begun=False)
    assert rate.next_time == free_at


def test_a_share_given_back_late_makes_no_burst() -> None:
    """Those that began meanwhile count from when they began."""
    rate = Rate(5.0)
    slow = rate.take(100.0)
    for place in range(1, 8):
        rate.settle(rate.take(100.0 + place * 0.2), begun=True)
    rate.settle(slow, begun=False)
    assert rate.next_time == pytest.approx(101.6, abs=0.011)


def test_what_a_guard_holds_back_costs_no_more_while_others_are_undecided_for_long() -> None:
    """Only what was let go after it is looked at again, and that is mostly nothing."""
    rate = Rate(1_000.0)
    rate.take(100.0)  # hangs
    for _ in range(1_000):
        rate.settle(rate.take(max(100.0, rate.next_time)), begun=True)
    free_at, calls = rate.next_time, 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    for _ in range(100):
        rate.settle(rate.take(free_at), begun=False)
    sys.setprofile(None)
    assert rate.next_time == free_at
    assert calls < 10_000


def test_the_rate_is_never_exceeded_whatever_is_given_back() -> None:
    """In no stretch of time do more begin than the rate allows, the first one aside."""
    chance = random.Random(7)
    for _ in range(50):
        per_second = chance.choice((0.5, 5.0, 200.0))
        rate, now = Rate(per_second), 100.0
        begun, pending = list[float](), list[tuple[Start, float]]()
        for _ in range(100):
            now = max(now + chance.choice((0.0, 0.001, 0.3)), rate.next_time)
            pending.append((rate.take(now), now))
            while pending and chance.random() < 0.6:
                start, at = pending.pop(chance.randrange(len(pending)))
                really = chance.random() < 0.5
                rate.settle(start, begun=really)
                begun += [at] * really
        begun.sort()
        for first, at in enumerate(begun):
            for last in range(first, len(begun)):
                assert last - first <= per_second * (begun[last] - at + 0.01) + 1e-6


@pytest.mark.parametrize("max_rate", [None, 5.0])
def test_nothing_starts_before_the_accounts_turn(max_rate: float | None) -> None:
    """Others use the account too; after that, the run's own rate goes on."""
    one = pace(max_rate=max_rate)
    one.close(100.5)
    assert one.next_time == 100.5
    start = one.take(101.0)
    one.settle(start, begun=True)
    assert one.next_time == (100.5 if max_rate is None else pytest.approx(101.2, abs=0.011))
