"""A worker's process, for tests: its arguments are those of `main`."""

import asyncio
import logging
import signal
import sys

from ihuyi_voice import VoiceClient
from ihuyi_voice.guards import RedisGuard
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.workers import work


async def main(base_url: str, ledger_url: str, prefix: str, redis: str, guard_prefix: str) -> None:
    """Work until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with (
        RedisGuard(redis, prefix=guard_prefix, lease=5.0) as guard,
        Ledger.open(ledger_url, prefix=prefix) as ledger,
        VoiceClient("VM00000000", "simulator-key", base_url=base_url, guard=guard) as client,
    ):
        await work(client, ledger, concurrency=20, parts=2, stop=stop)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(*sys.argv[1:]))
