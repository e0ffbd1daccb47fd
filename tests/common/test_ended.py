"""A task that somebody else's code has cancelled from within, and those who wait for its end."""

import asyncio

import pytest

from ihuyi_voice.common.tasks import ended
from ihuyi_voice.pushes.looking import Looking


def cancel_the_running_task() -> None:
    """Do what a hook or a log handler may do where it is called."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def test_who_waits_is_not_cancelled_by_it() -> None:
    """To close is no failure then."""

    async def work() -> None:
        cancel_the_running_task()
        await asyncio.sleep(0)

    await ended(asyncio.create_task(work()))


async def test_who_waits_and_is_cancelled_is() -> None:
    """And takes the task along."""
    working = asyncio.create_task(asyncio.Event().wait())
    waiting = asyncio.create_task(ended(working))  # type: ignore[arg-type]  # it gives no None
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert working.cancelled()


async def test_who_looks_no_more_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """Once, and is closed as ever."""

    async def look() -> None:
        cancel_the_running_task()

    async with Looking(look, 60.0, "look for news") as looker:
        looker.wake()
        for _ in range(10):
            await asyncio.sleep(0)
    assert caplog.messages == ["can look for news no more: the task was cancelled"]
