"""An errand that is cancelled before its first step, or at its last one."""

# pyright: reportPrivateUsage=false

import asyncio
import gc
from typing import Any

import pytest

from ihuyi_voice.calls import Errands, errands


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


@pytest.mark.parametrize("times", [1, 2])
async def test_one_that_is_cancelled_before_it_began_takes_its_first_step(times: int) -> None:
    """What a guard does without a wait is done, and what it gives is there."""
    task = Errands().begin(gives(3))
    for _ in range(times):
        task.cancel("why")
    assert await task == 3
    assert task.cancelling() == times + 3


@pytest.mark.parametrize("swallowed", [0, 1])
async def test_one_that_waits_in_its_first_step_is_cancelled_there(swallowed: int) -> None:
    """With the words of who cancelled it, and as often as it was; what it waits for is, too."""
    heard, inner = list[tuple[Any, ...]](), asyncio.get_running_loop().create_future()

    async def waiting() -> str:
        for _ in range(swallowed):
            try:
                await inner
            except asyncio.CancelledError as exc:
                heard.append(exc.args)
                return "swallowed"
        await inner
        return "never"

    task = Errands().begin(waiting())
    task.cancel("why")
    (end,) = await asyncio.gather(task, return_exceptions=True)
    assert inner.cancelled()
    assert task.cancelling() == 1
    assert heard == [("why",)] * swallowed
    assert end == "swallowed" if swallowed else isinstance(end, asyncio.CancelledError)


async def test_one_that_never_began_leaves_no_complaint() -> None:
    """A warning of a coroutine that was never awaited would be an error here."""
    task = Errands().begin(asyncio.sleep(1e9))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    gc.collect()


async def test_one_that_is_closed_before_it_began_does_nothing() -> None:
    """As any coroutine: that is no cancellation."""
    begun = list[int]()

    async def call() -> None:
        begun.append(1)

    whole = errands._whole(call())
    with pytest.raises(KeyError):
        whole.throw(KeyError("k"))
    whole.close()
    assert not begun


async def test_what_is_no_coroutine_is_refused_in_asyncios_words() -> None:
    """A guard's method may give anything."""
    wrong: Any = 5
    with pytest.raises(TypeError, match="coroutine was expected"):
        Errands().begin(wrong)
