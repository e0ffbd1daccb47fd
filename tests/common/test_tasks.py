"""Waiting for a task that was told to end."""

import asyncio

import pytest

from ihuyi_voice.common.tasks import ended, to_its_end


async def test_a_task_that_ends_by_itself_is_waited_for() -> None:
    """What it raises is raised."""
    go = asyncio.Event()

    async def work() -> None:
        await go.wait()
        raise ZeroDivisionError

    waiting = asyncio.create_task(ended(asyncio.create_task(work())))
    await asyncio.sleep(0)
    assert not waiting.done()
    go.set()
    with pytest.raises(ZeroDivisionError):
        await waiting


@pytest.mark.parametrize("at_once", [True, False])
async def test_whoever_is_cancelled_while_waiting_takes_the_task_along(at_once: bool) -> None:  # noqa: FBT001 - a parameter
    """And returns only when it has ended, its cleanup included."""
    cleaning, go, steps = asyncio.Event(), asyncio.Event(), list[str]()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            try:
                await go.wait()
            finally:
                steps.append("cleaned")

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(ended(task, at_once=at_once))
    await asyncio.sleep(0)
    if not at_once:
        waiting.cancel()
    await cleaning.wait()
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert steps == ["cleaned"]
    assert task.done()


async def test_how_a_task_ends_that_was_cut_off_does_not_matter() -> None:
    """Something else went wrong, which is what is to be told."""

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    await ended(task, at_once=True)
    assert isinstance(task.exception(), ZeroDivisionError)


async def test_a_task_that_must_not_be_cut_short_is_waited_for_to_its_end() -> None:
    """However often the wait is cancelled; that counts afterwards."""
    go_on = asyncio.Event()

    async def work() -> int:
        await go_on.wait()
        return 7

    waiting = asyncio.create_task(to_its_end(asyncio.create_task(work())))
    for _ in range(3):
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    go_on.set()
    await asyncio.wait({waiting})
    assert waiting.cancelled()


async def test_how_it_ends_is_told() -> None:
    """What it returns, or what it raises."""

    async def work(*, fails: bool) -> int:
        if fails:
            raise ZeroDivisionError
        return 7

    assert await to_its_end(asyncio.create_task(work(fails=False))) == 7
    with pytest.raises(ZeroDivisionError):
        await to_its_end(asyncio.create_task(work(fails=True)))
