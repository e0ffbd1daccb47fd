"""Worlds in which receivers of pushes die and their neighbours misbehave: no report is lost."""

import gc
import multiprocessing
from typing import Final

import pytest

from tests.pushes.simulation import mutants
from tests.pushes.simulation.judging import broken, pass_by
from tests.support.long import LONG, few_or_many
from tests.support.worlds import all_broken

SEEDS: Final = few_or_many(30, 500)
FOUND: Final[dict[int, str]] = {
    40: "whoever closed an inbox was told that they were cancelled, by its dispatcher's end",
}
"""Seeds that found something, and what."""

SOONEST: Final[dict[mutants.Mutant, int]] = {
    mutants.success_comes_first: 11,
    mutants.nobody_takes_over: 8,
    mutants.a_cancelled_dispatcher_is_silent: 40,
}
"""Where to begin to look for those that few worlds find out."""


@pytest.mark.timeout(900)
def test_every_promise_is_kept_whoever_dies_or_misbehaves() -> None:
    """In each of many worlds; one that breaks a promise is named by its seed, and replays so."""
    processes = multiprocessing.cpu_count() if LONG else 1
    assert all_broken(broken, range(SEEDS), processes=processes) == {}


@pytest.mark.parametrize("seed", FOUND)
def test_what_was_found_once_stays_mended(seed: int) -> None:
    """Worlds in which something was broken before."""
    assert pass_by(seed).broken == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::pytest.PytestWarning")
@pytest.mark.parametrize("mutant", mutants.ALL, ids=lambda mutant: mutant.__name__)
def test_an_inbox_that_breaks_a_promise_is_found_out(mutant: mutants.Mutant) -> None:
    """Within a few worlds from where it was found out first."""
    begin = SOONEST.get(mutant, 0)
    with mutant():
        assert any(pass_by(seed).broken for seed in range(begin, begin + 10))
    gc.collect()  # what it left behind complains here


@pytest.mark.slow
def test_a_seed_replays_exactly() -> None:
    """The same steps at the same times."""
    once = [pass_by(seed).fate.digest for seed in range(5)]
    assert once == [pass_by(seed).fate.digest for seed in range(5)]
