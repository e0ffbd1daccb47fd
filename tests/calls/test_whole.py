"""An errand that is cancelled before its first step, or at its last one."""

import asyncio
import gc
from typing import Any

import pytest

from ihuyi_voice.calls import Errands


async def gives(times: int) -> int:
    """Cancel the running task so often, with nothing left to do."""
    task = asyncio.current_task()
    assert task is not None
    for _ in range(times):
        task.cancel()
    return times


@pytest.mark.parametrize("times", [0, 1, 2])
async def test_what_it_gives_at_its_end_is_kept(times: int) -> None:
    """However often it was cancelled there."""
    assert await Errands().begin(gives(times)) == times


async def test_who_swallows_a_cancellation_gives_what_it_has() -> None:
    """As any task does."""
    begun = asyncio.Event()

    async def deaf() -> int:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return 7
        return 0

    task = Errands().begin(deaf())
    await begun.wait()
    task.cancel()
    assert await task == 7


async def test_one_that_never_began_leaves_no_complaint() -> None:
    """A warning of a coroutine that was never awaited would be an error here."""
    task = Errands().begin(gives(0))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    gc.collect()


async def test_what_is_no_coroutine_is_refused_in_asyncios_words() -> None:
    """A guard's method may give anything."""
    wrong: Any = 5
    with pytest.raises(TypeError, match="coroutine was expected"):
        Errands().begin(wrong)
