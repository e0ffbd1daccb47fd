"""A Celery task that makes one call, with a guard that all tasks of the process share.

    celery -A tests.samples.programs.tasks worker

Each task runs an event loop of its own, and a client belongs to one loop. What has to outlive the
task is the guard's memory of who was called when: so the guard stands at the module, and the client
in the task. For several worker processes, let a `RedisGuard` take its place, made in the task.
"""

import asyncio
import os
from typing import Any

from celery import Celery  # type: ignore[import-untyped]  # it has no types

from ihuyi_voice import MemoryGuard, NotSent, RateLimited, VoiceClient

app: Any = Celery("reminders", broker=os.environ.get("REMINDERS_BROKER", "memory://"))
guard = MemoryGuard()


# What was not sent may be sent again; an UNKNOWN call may ring, and must not be.
@app.task(autoretry_for=(NotSent, RateLimited), retry_backoff=True, max_retries=5)  # type: ignore[untyped-decorator]  # as above
def remind(mobile: str, day: str) -> str:
    """Call somebody, and return the id of the call."""
    return asyncio.run(_remind(mobile, day))


async def _remind(mobile: str, day: str) -> str:
    async with VoiceClient.from_env(guard=guard) as client:
        submission = await client.submit(mobile, f"您预约的日期是：{day}。", max_wait=2.0)
    return submission.voice_id
