"""Lets worlds take their course, one after another or many at a time, and judges them.

python -m tests.ledger.simulation.judging FROM TO: tells of each seed that breaks a promise.
"""

from collections.abc import Iterable

from tests.ledger.simulation.disk import on_disk
from tests.ledger.simulation.processes import WorldLoop, run_world
from tests.ledger.simulation.promises import Judge, entries_of
from tests.ledger.simulation.watched import WatchedJournal
from tests.ledger.simulation.world import World
from tests.support.worlds import main


def pass_by(
    seed: int, journals: type[WatchedJournal] = WatchedJournal, *, talks: bool = True
) -> World:
    """Let a world take its course, and judge it.

    Args:
        seed: Of everything random.
        journals: A mutant's class.
        talks: Whether there are delivery reports in it, and people who settle entries.
    """

    async def course(loop: WorldLoop) -> World:
        world = World(seed, loop, journals=journals, talks=talks)
        with on_disk(world.disk), journals.altered():
            try:
                await world.pass_by()
                world.broken = Judge(world, await entries_of(world)).broken()
            except Exception as exc:  # noqa: BLE001 - it belongs to the seed
                world.broken.append(f"{type(exc).__name__}: {exc}")
        world.disk.close()
        return world

    return run_world(seed, course)


def broken(seed: int) -> tuple[int, list[str]]:
    """Return a seed, and what was broken in its world; in every third nobody but programs talks."""
    return seed, pass_by(seed, talks=seed % 3 != 0).broken


def first_broken(seeds: Iterable[int], journals: type[WatchedJournal]) -> int | None:
    """Return the first seed in whose world a mutant is found out."""
    return next((seed for seed in seeds if pass_by(seed, journals).broken), None)


if __name__ == "__main__":
    main(broken)
