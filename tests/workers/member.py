"""A worker as chaos runs it, `python -m tests.workers.member OPTIONS`: the environment, and JSON.

It is what `ihuyi-voice work` is, with the limits and the lease of its guard as options.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from typing import Final

import attrs

from ihuyi_voice import Limits, VoiceClient
from ihuyi_voice.guards import RedisGuard
from ihuyi_voice.guards.limits import Window
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.workers import work

PATIENCE: Final = 600.0


@attrs.frozen
class Options:
    """What a worker is told.

    Attributes:
        minute: How long the window of three calls is, in seconds.
        lease: The guard's.
        concurrency: The most submissions in flight.
        parts: The most parts at a time.
    """

    minute: float = 60.0
    lease: float = 10.0
    concurrency: int = 16
    parts: int = 4

    @property
    def limits(self) -> Limits:
        """The guard's limits: the vendor's, but for the minute."""
        return Limits(per_minute=None, extra=(Window(3, self.minute),))

    @property
    def vendors(self) -> list[tuple[int, float, int]]:
        """The same, as the simulator takes them."""
        return [(1, 1.0, 4080), (3, self.minute, 4081), (10, 86_400.0, 4082)]


async def main(options: Options) -> None:
    """Work until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    redis = os.environ["IHUYI_GUARD"]
    async with (
        RedisGuard(redis, options.limits, lease=options.lease) as guard,
        Ledger.open(os.environ["IHUYI_LEDGER"]) as ledger,
        VoiceClient.from_env(guard=guard) as client,
    ):
        await work(
            client,
            ledger,
            concurrency=options.concurrency,
            parts=options.parts,
            stop=stop,
            max_wait=PATIENCE,
        )


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(Options(**json.loads(sys.argv[1]))))
