"""Worlds by the thousand in which programs die, and every promise of the ledger is kept."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.ledger.simulation import mutants
from tests.ledger.simulation.judging import broken, first_broken, pass_by
from tests.ledger.simulation.watched import WatchedJournal
from tests.support.long import LONG, few_or_many
from tests.support.worlds import all_broken

SEEDS: Final = few_or_many(200, 2_000)
FOUND: Final = (13, 80, 448, 910, 1068, 1416, 2006, 2868, 3254, 3454)
"""Seeds that found something while this was built: in a ledger, in a run, or in their judge."""

SOONEST: Final[dict[type[WatchedJournal], int]] = {
    mutants.NoFence: 38,
    mutants.EverybodyDead: 35,
    mutants.NothingRecalled: 41,
    mutants.ReportsGuessed: 69,
    mutants.LateAcceptancesDropped: 49,
}
"""Where to begin to look for those that few worlds find out."""

_DIGEST = """
from tests.ledger.simulation.judging import pass_by
print(*(pass_by(seed).fate.digest for seed in range(10)))
"""


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_promise_is_kept_whatever_dies() -> None:
    """In each of many worlds; one that breaks a promise is named by its seed, and replays so."""
    processes = multiprocessing.cpu_count() if LONG else 1
    assert all_broken(broken, range(SEEDS), processes=processes) == {}


@pytest.mark.parametrize("seed", FOUND)
def test_what_was_found_once_stays_mended(seed: int) -> None:
    """Worlds in which something was broken before."""
    assert pass_by(seed).broken == []


@pytest.mark.parametrize("mutant", mutants.ALL, ids=lambda mutant: mutant.__name__)
def test_a_ledger_that_breaks_a_promise_is_found_out(mutant: type[WatchedJournal]) -> None:
    """Within a hundred and fifty worlds, mostly within ten."""
    assert first_broken(range(SOONEST.get(mutant, 0), 150), mutant) is not None


@pytest.mark.long
def test_a_seed_replays_exactly() -> None:
    """Twice here, and in another process with other hashes: the same steps at the same times."""
    here = [pass_by(seed).fate.digest for seed in range(10)]
    assert here == [pass_by(seed).fate.digest for seed in range(10)]
    elsewhere = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _DIGEST],
        check=True, capture_output=True, text=True, cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONHASHSEED": "17"},
    )  # fmt: skip
    assert elsewhere.stdout.split() == here
