"""A process of its own that sends messages under a guard in Redis, as a worker of many does.

    python -m tests.guards.redis_worker URL REDIS PREFIX NUMBERS TIMES SEED

Prints how many messages came out how.
"""

import asyncio
import json
import random
import sys

from ihuyi_voice import VoiceClient
from ihuyi_voice.guards import RedisGuard
from ihuyi_voice.simulator import Simulator
from tests.support.vendor import CONTENT


async def main(url: str, redis_url: str, prefix: str, numbers: int, times: int, seed: int) -> None:
    """Send to so many numbers, each so many times, in random order."""
    drawn = [f"139{number:08d}" for number in range(numbers)] * times
    random.Random(seed).shuffle(drawn)
    vendor = Simulator()
    async with (
        RedisGuard(redis_url, prefix=prefix, lease=5.0) as guard,
        VoiceClient(vendor.account, vendor.api_key, base_url=url, guard=guard) as client,
        client.submit_many([(mobile, CONTENT) for mobile in drawn], max_wait=200.0) as run,
    ):
        async for _ in run:
            pass
    print(json.dumps({status.value: count for status, count in run.summary.items()}))  # noqa: T201 - its answer


if __name__ == "__main__":
    url, redis_url, prefix, *counts = sys.argv[1:]
    asyncio.run(main(url, redis_url, prefix, *map(int, counts)))
