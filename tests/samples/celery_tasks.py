"""Celery as the engine of a run: a task a part, over a broker in Redis.

    celery -A tests.samples.celery_tasks worker

Celery gives a task out again when its worker is lost (`acks_late`), and, over Redis, when it takes
longer than the visibility timeout, also while the first one still works on it. Neither rings
anybody twice: the ledger lets one of them have the part, and tells the others, who try again later.

Settings come from the environment: IHUYI_ACCOUNT, IHUYI_API_KEY and IHUYI_BASE_URL; IHUYI_LEDGER
(PostgreSQL) and IHUYI_GUARD (Redis), which all workers share; and SHOP_BROKER.
"""

import asyncio
import os
from collections.abc import Iterable
from typing import Any

from celery import Celery  # type: ignore[import-untyped]  # it has no types

from ihuyi_voice import Message, NotSent, VoiceClient
from ihuyi_voice.guards import RedisGuard
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.workers import distribute, run_part

app: Any = Celery("shop", broker=os.environ.get("SHOP_BROKER"))
app.conf.update(
    task_acks_late=True,  # a task is done when its part is, not when somebody takes it
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    # Longer than a part usually takes, or it is given out twice for nothing.
    broker_transport_options={
        "visibility_timeout": float(os.environ.get("SHOP_VISIBILITY", "3600"))
    },
    broker_connection_retry_on_startup=True,
)


class Unfinished(NotSent):
    """Something of the part is left, for another time."""


# A part in use, a guard or ledger that can't be reached: all of them are NotSent.
@app.task(autoretry_for=(NotSent,), max_retries=None, default_retry_delay=2)  # type: ignore[untyped-decorator]  # as above
def ring(run: str, part: int) -> None:
    """Work on a part of a run to its end."""
    asyncio.run(_ring(run, part))


async def _ring(run: str, part: int) -> None:
    async with (
        RedisGuard(os.environ["IHUYI_GUARD"]) as guard,
        Ledger.open(os.environ["IHUYI_LEDGER"]) as ledger,
        VoiceClient.from_env(guard=guard) as client,
    ):
        end = await run_part(client, ledger, run, part, concurrency=10)
    if not end.done and end.stopped is None:
        raise Unfinished(f"part {part} is to be gone on with")


async def begin(run: str, messages: Iterable[Message], *, part_size: int = 1_000) -> None:
    """Load a list, and give its parts to whoever works; done again, it gives out what is left."""
    account = os.environ["IHUYI_ACCOUNT"]
    async with Ledger.open(os.environ["IHUYI_LEDGER"]) as ledger:
        await distribute(ledger, run, messages, part_size, account=account)
        for part in await ledger.parts.undone(account):
            if part.run == run:
                ring.delay(run, part.part)
