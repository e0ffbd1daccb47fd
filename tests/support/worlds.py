"""Simulated worlds by the thousand: which of them break a promise, by seed."""

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable
from typing import TypeAlias

Judged: TypeAlias = Callable[[int], tuple[int, list[str]]]
"""Lets the world of a seed take its course; returns the seed, and what was broken in it."""


def all_broken(judged: Judged, seeds: Iterable[int], *, processes: int = 1) -> dict[int, list[str]]:
    """Return what was broken, by seed.

    Args:
        judged: A function of a module, which other processes can find.
        seeds: Of which worlds.
        processes: How many worlds pass at a time.
    """
    if processes == 1:
        return {seed: found for seed, found in map(judged, seeds) if found}
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        several = pool.imap_unordered(judged, seeds, chunksize=20)
        return {seed: found for seed, found in several if found}


def main(judged: Judged) -> None:
    """Tell of each seed from one to another, as the command line says, that breaks a promise."""
    begin, end = int(sys.argv[1]), int(sys.argv[2])
    started = time.perf_counter()
    seeds, processes = range(begin, end), multiprocessing.cpu_count()
    for seed, found in all_broken(judged, seeds, processes=processes).items():
        print(seed, found)  # noqa: T201 - a command
    print(f"{(end - begin) / (time.perf_counter() - started):.0f} seeds/s")  # noqa: T201 - likewise
