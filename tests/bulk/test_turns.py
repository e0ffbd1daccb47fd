"""When a task that never waits lets others have a turn."""

import asyncio

import pytest

from ihuyi_voice.bulk.turns import FEW, Turns
from tests.support.virtual_time import VirtualLoop, run_virtual


@pytest.mark.parametrize(("seconds", "pauses"), [(0.0, 2), (0.002, 16)])
def test_quick_steps_are_interrupted_less_often_than_slow_ones(seconds: float, pauses: int) -> None:
    """By the clock, and never later than after 512 of them."""

    async def main() -> int:
        turns, had = Turns(), 0

        def has_a_turn() -> None:
            nonlocal had
            had += 1
            loop.call_soon(has_a_turn)

        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        turns.begin()
        loop.call_soon(has_a_turn)
        for _ in range(1_024 // FEW):
            loop.jumping.now += seconds
            await turns.after(FEW)
        return had

    assert run_virtual(main()) == pauses


@pytest.mark.parametrize(
    ("seconds", "few"),
    [(0.0, {128}), (0.000_001, {128}), (0.000_02, {49, 50}), (0.000_9, {1}), (1.0, {1})],
)
def test_so_many_steps_are_made_at_once_as_have_room(seconds: float, few: set[int]) -> None:
    """A source that is slow, or blocks, holds others up for one step too many at the most."""

    async def main() -> list[int]:
        turns, made = Turns(), list[int]()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        turns.begin()
        for _ in range(3):
            made.append(turns.few)
            loop.jumping.now += seconds * turns.few
            await turns.after(turns.few)
        return made

    first, *then = run_virtual(main())
    assert first == FEW
    assert {*then} <= few
