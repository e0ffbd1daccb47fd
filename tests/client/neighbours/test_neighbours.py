"""Worlds in which everybody beside a client misbehaves, and every promise of it is kept."""

import gc
import multiprocessing
from typing import Final

import pytest

from tests.client.neighbours import mutants
from tests.client.neighbours.judging import all_broken, pass_by
from tests.support.long import LONG, few_or_many

SEEDS: Final = few_or_many(40, 3_000)
FOUND: Final[dict[int, str]] = {
    25: "a hook's own OutcomeUnknown made one of a request that was never sent",
    35: "a log handler that ends the program kept outcomes from the event hook",
    115: "one that does so at every line took with it what a run had read ahead",
    125: "a lease was lost that a guard gave as it was cancelled",
    140: "a request was sent by a deaf hook after its message had its outcome",
    208: "a log handler that ends the program kept a number locked",
    306: "a clock's own OutcomeUnknown made one of a request that was never signed",
    349: "a ledger that ends the program kept a number locked",
    6580: "a clock's StopAsyncIteration ended a body, which went out empty",
}
"""Seeds that found something, and what."""

SOONEST: Final[dict[mutants.Mutant, int]] = {
    mutants.an_answer_is_replaced: 24,
    mutants.an_unknown_is_sent_again: 53,
    mutants.a_guard_is_not_waited_for: 11,
    mutants.a_lease_is_lost_at_its_end: 125,
    mutants.a_ledger_that_ends_locks: 349,
    mutants.a_hook_is_believed: 175,
    mutants.an_ending_ends_all: 115,
    mutants.a_deaf_attempt_goes_out: 335,
    mutants.an_ended_call_has_no_event: 35,
    mutants.an_intent_is_not_taken_back: 12,
}
"""Where a short run begins to look for those that few worlds find out; a long one looks at all."""


@pytest.mark.timeout(900)
def test_every_promise_is_kept_whoever_misbehaves() -> None:
    """In each of many worlds; one that breaks a promise is named by its seed, and replays so."""
    processes = multiprocessing.cpu_count() if LONG else 1
    assert all_broken(range(SEEDS), processes=processes) == {}


@pytest.mark.parametrize("seed", FOUND)
def test_what_was_found_once_stays_mended(seed: int) -> None:
    """Worlds in which something was broken before."""
    assert pass_by(seed).broken == []


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::pytest.PytestWarning")
@pytest.mark.parametrize("mutant", mutants.ALL, ids=lambda mutant: mutant.__name__)
def test_a_client_that_breaks_a_promise_is_found_out(mutant: mutants.Mutant) -> None:
    """Within 400 worlds, mostly within fifty."""
    begin = few_or_many(SOONEST.get(mutant, 0), 0)
    with mutant():
        assert any(pass_by(seed).broken for seed in range(begin, 400))
    gc.collect()  # what it left behind complains here


def test_a_seed_replays_exactly() -> None:
    """The same steps at the same times."""
    seeds = range(5)
    once = [pass_by(seed).fate.digest for seed in seeds]
    assert once == [pass_by(seed).fate.digest for seed in seeds]
