"""Lets worlds take their course, and judges them.

python -m tests.client.neighbours.judging FROM TO: tells of each seed that breaks a promise.
"""

from tests.client.neighbours.promises import Judge
from tests.client.neighbours.world import World
from tests.support.worlds import main, passed


def pass_by(seed: int) -> World:
    """Let a world take its course, and judge it."""
    return passed(seed, World, lambda world: Judge(world).broken())


def broken(seed: int) -> tuple[int, list[str]]:
    """Return a seed, and what was broken in its world."""
    return seed, pass_by(seed).broken


if __name__ == "__main__":
    main(broken)
