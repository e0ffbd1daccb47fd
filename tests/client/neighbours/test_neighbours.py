"""Worlds in which everybody beside a client misbehaves, and every promise of it is kept."""

import gc
import multiprocessing
from typing import Final

import pytest

from tests.client.neighbours import mutants
from tests.client.neighbours.judging import broken, pass_by
from tests.support.long import LONG, few_or_many
from tests.support.worlds import all_broken

SEEDS: Final = few_or_many(40, 1_000)
FOUND: Final[dict[int, str]] = {
    0: "a log handler that ends the program kept outcomes from the event hook",
    12: "a lease was lost that a guard gave as it was cancelled",
    59: "a way's own OutcomeUnknown made one of a request that was never sent",
    219: "a ledger that ends the program kept a number locked",
    836: "a request hook's own OutcomeUnknown did the same as that of a way",
    1659: "so did a clock's, of a request that was never signed",
    2924: "a run that was drained while it was being opened began all the same, and was never left",
    4376: "an event hook that ends the program each time took with it what a run had read ahead",
    5305: "what a run had taken was lost as in 2924, by a guard",
    5743: "and as in 4376, beside a ledger that does so, too",
    23: "a call was sent after its time, since a hook had blocked the loop when it was over",
    1004273: "one was sent, and never ended, after a hook had swallowed the end of its time",
    7007404: "a lease was lost: giving it back was cancelled before it had begun, in closing",
}
"""Seeds that found something, and what."""

SOONEST: Final[dict[mutants.Mutant, int]] = {
    mutants.an_answer_is_replaced: 24,
    mutants.a_guard_is_not_waited_for: 251,
    mutants.a_lease_is_lost_at_its_end: 12,
    mutants.a_ledger_that_ends_locks: 219,
    mutants.a_hook_is_believed: 175,
    mutants.an_ending_ends_all: 3480,
    mutants.what_was_read_is_lost: 26,
    mutants.a_deaf_attempt_goes_out: 1661,
    mutants.an_intent_is_not_taken_back: 134,
    mutants.what_nobody_wants_goes_out: 23,
}
"""Where to begin to look for those that few worlds find out."""


@pytest.mark.timeout(900)
def test_every_promise_is_kept_whoever_misbehaves() -> None:
    """In each of many worlds; one that breaks a promise is named by its seed, and replays so."""
    processes = multiprocessing.cpu_count() if LONG else 1
    assert all_broken(broken, range(SEEDS), processes=processes) == {}


@pytest.mark.parametrize("seed", FOUND)
def test_what_was_found_once_stays_mended(seed: int) -> None:
    """Worlds in which something was broken before."""
    assert pass_by(seed).broken == []


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::pytest.PytestWarning")
@pytest.mark.parametrize("mutant", mutants.ALL, ids=lambda mutant: mutant.__name__)
def test_a_client_that_breaks_a_promise_is_found_out(mutant: mutants.Mutant) -> None:
    """Within a few worlds from where it was found out first."""
    begin = SOONEST.get(mutant, 0)
    with mutant():
        assert any(pass_by(seed).broken for seed in range(begin, begin + 20))
    gc.collect()  # what it left behind complains here


def test_a_seed_replays_exactly() -> None:
    """The same steps at the same times."""
    seeds = range(5)
    once = [pass_by(seed).fate.digest for seed in seeds]
    assert once == [pass_by(seed).fate.digest for seed in seeds]
