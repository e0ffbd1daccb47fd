"""Lets worlds take their course, and judges them.

python -m tests.pushes.simulation.judging FROM TO: tells of each seed that breaks a promise.
"""

import multiprocessing
import sys
import time
from collections.abc import Iterable

from tests.ledger.simulation.disk import on_disk
from tests.ledger.simulation.processes import WorldLoop, run_world
from tests.pushes.simulation.promises import Judge
from tests.pushes.simulation.world import World


def pass_by(seed: int) -> World:
    """Let a world take its course, and judge it."""

    async def main(loop: WorldLoop) -> World:
        world = World(seed, loop)
        with on_disk(world.disk):
            try:
                await world.pass_by()
                world.broken = Judge(world).broken()
            except BaseException as exc:  # noqa: BLE001 - it belongs to the seed
                world.broken.append(f"{type(exc).__name__}: {exc}")
        world.disk.close()
        return world

    return run_world(seed, main)


def broken(seed: int) -> tuple[int, list[str]]:
    """Return a seed, and what was broken in its world."""
    return seed, pass_by(seed).broken


def all_broken(seeds: Iterable[int], *, processes: int = 1) -> dict[int, list[str]]:
    """Return what was broken, by seed."""
    if processes == 1:
        return {seed: found for seed, found in map(broken, seeds) if found}
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        several = pool.imap_unordered(broken, seeds, chunksize=20)
        return {seed: found for seed, found in several if found}


if __name__ == "__main__":
    begin, end = int(sys.argv[1]), int(sys.argv[2])
    started = time.perf_counter()
    for place, told in all_broken(range(begin, end), processes=multiprocessing.cpu_count()).items():
        print(place, told)  # noqa: T201 - a command
    print(f"{(end - begin) / (time.perf_counter() - started):.0f} seeds/s")  # noqa: T201 - likewise
