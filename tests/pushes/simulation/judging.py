"""Lets worlds take their course, and judges them.

python -m tests.pushes.simulation.judging FROM TO: tells of each seed that breaks a promise.
"""

from tests.ledger.simulation.disk import on_disk
from tests.ledger.simulation.processes import WorldLoop, run_world
from tests.pushes.simulation.promises import Judge
from tests.pushes.simulation.world import World
from tests.support.worlds import main


def pass_by(seed: int) -> World:
    """Let a world take its course, and judge it."""

    async def course(loop: WorldLoop) -> World:
        world = World(seed, loop)
        with on_disk(world.disk):
            try:
                await world.pass_by()
                world.broken = Judge(world).broken()
            except BaseException as exc:  # noqa: BLE001 - it belongs to the seed
                world.broken.append(f"{type(exc).__name__}: {exc}")
        world.disk.close()
        return world

    return run_world(seed, course)


def broken(seed: int) -> tuple[int, list[str]]:
    """Return a seed, and what was broken in its world."""
    return seed, pass_by(seed).broken


if __name__ == "__main__":
    main(broken)
