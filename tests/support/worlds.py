"""Simulated worlds by the thousand: which of them break a promise, by seed."""

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias, TypeVar

from tests.ledger.simulation.disk import Disk, on_disk
from tests.ledger.simulation.processes import WorldLoop, run_world

Judged: TypeAlias = Callable[[int], tuple[int, list[str]]]
"""Lets the world of a seed take its course; returns the seed, and what was broken in it."""


class World(Protocol):
    """One world, which takes its course on a loop of its own."""

    disk: Disk
    broken: list[str]

    async def pass_by(self) -> None:
        """Let it take its course."""
        ...


W = TypeVar("W", bound=World)


def passed(seed: int, made: Callable[[int, WorldLoop], W], judge: Callable[[W], list[str]]) -> W:
    """Let the world of a seed take its course, and judge it.

    Args:
        seed: Of everything random.
        made: Makes it.
        judge: Returns the promises that were broken, in words.
    """

    async def course(loop: WorldLoop) -> W:
        world = made(seed, loop)
        with on_disk(world.disk):
            try:
                await world.pass_by()
                world.broken = judge(world)
            except BaseException as exc:  # noqa: BLE001 - it belongs to the seed
                world.broken.append(f"{type(exc).__name__}: {exc}")
        world.disk.close()
        return world

    return run_world(seed, course)


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
