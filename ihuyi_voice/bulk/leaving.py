"""Leaving a run: those in flight end, in their time or cut short, and nobody waits for himself.

A run may be drained in a hook of httpx's, in a guard or a ledger of one of its own attempts. That
attempt is in flight, and goes on when the drain is done: its outcome comes out after that.
"""

import asyncio
import logging
from typing import Any, Final, TypeAlias

from ihuyi_voice.bulk.scheduler import Scheduler
from ihuyi_voice.calls import Patience, all_ended
from ihuyi_voice.common.closing import Closing
from ihuyi_voice.common.logs import tell

logger = logging.getLogger("ihuyi_voice.bulk")

_LAST_WORDS: Final = 1.0  # seconds for attempts that were cancelled to end
_SOURCE_WORDS: Final = 0.05  # the same for a source, which has had the grace before

Tasks: TypeAlias = set["asyncio.Future[Any]"]


def is_within(scheduler: Scheduler, one: Closing) -> bool:
    """Say whether a task of the run waits for whoever leaves it."""
    return not one.tasks.isdisjoint(scheduler.workers | scheduler.readers)


async def others_ended(scheduler: Scheduler, one: Closing, grace: float) -> Tasks:
    """Start nothing more, and wait for all in flight but those who wait for this one.

    Returns:
        Whom it has waited for, no longer than `grace`.
    """
    scheduler.leave()
    others = one.others(scheduler.workers | scheduler.readers)
    await all_ended(others, grace)
    return others


async def cut_short(scheduler: Scheduler, tasks: Tasks | None = None) -> None:
    """Cancel what is left, and collect its outcomes however often this task is cancelled.

    Args:
        scheduler: The run's.
        tasks: Which of them; None for all.
    """
    workers = {each for each in scheduler.workers if tasks is None or each in tasks}
    readers = {each for each in scheduler.readers if tasks is None or each in tasks}
    source = {reader for reader in readers if not reader.done()}
    for task in workers | source:
        task.cancel()
    cancelled = await _outlast(workers, _LAST_WORDS)
    cancelled = await _outlast(source, _SOURCE_WORDS) or cancelled
    scheduler.write_off(workers, readers=tasks is None)  # or they are at work yet
    if not all(task.done() for task in source):
        tell(logger, logging.WARNING, "the iterable of a run won't let go; its task is left behind")
    if cancelled is not None:
        raise cancelled


async def _outlast(
    tasks: "set[asyncio.Task[None]]", seconds: float
) -> asyncio.CancelledError | None:
    """Wait until the tasks have ended, but no longer; return the last cancellation meanwhile."""
    patience, cancelled = Patience(seconds), None
    while (pending := {task for task in tasks if not task.done()}) and patience.left:
        try:
            with patience.slice() as some:
                await asyncio.wait(pending, timeout=some)
        except asyncio.CancelledError as exc:
            cancelled = exc
    return cancelled
