"""Tasks that run beside whoever began them, and end before them."""

import asyncio


async def ended(task: "asyncio.Task[None]", *, at_once: bool = False) -> None:
    """Wait for a task that was told to end. If this is cancelled, so is the task, and waited for.

    Args:
        task: The task.
        at_once: Cancel it now, because something else went wrong, which matters more than how the
            task ends.

    Raises:
        Exception: What the task raised, unless it was to end at once.
    """
    if at_once:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    else:
        await task
