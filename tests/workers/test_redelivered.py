"""An engine that gives parts out by chance: twice at a time, after the end, cut off, or none."""

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import pytest

from ihuyi_voice import InvalidRequest, Message, OutcomeStatus, VoiceClient
from ihuyi_voice.ledger import Ledger, RunInUse
from ihuyi_voice.ledger.schema import Timing
from ihuyi_voice.simulator import Simulator
from ihuyi_voice.workers import distribute, run_part
from tests.support.cancelling import EACH, cancelled_at
from tests.support.long import LONG
from tests.workers.support import ACCOUNT, client_of, own_ledger, rung

SEEDS = range(40 if LONG else 4)
PARTS = 3
MESSAGES = [Message(f"139{n % 7:08d}", f"您的验证码是：{n}。", f"m{n}") for n in range(20)]
QUICK = Timing(beat=0.05, look=0.1)


class Engine:
    """Gives parts out, to two processes, by chance.

    Args:
        seed: What chance goes by.
        processes: Each with its client.
    """

    def __init__(self, seed: int, processes: list[tuple[Ledger, VoiceClient]]) -> None:
        self._chance = random.Random(seed)
        self._processes = processes
        self.ends = Counter[str]()

    async def work(self, deliveries: int) -> None:
        """Give out so many parts, a few at a time."""
        while deliveries > 0:
            several = self._chance.randint(1, 4)
            await asyncio.gather(*(self._delivered() for _ in range(several)))
            deliveries -= several

    async def _delivered(self) -> None:
        ledger, client = self._chance.choice(self._processes)
        part = self._chance.randint(0, PARTS + 1)
        stop, at = asyncio.Event(), self._chance.randint(1, 12)
        job = run_part(client, ledger, "r", part, stop=stop, grace=0.2)
        how = self._chance.choice(["whole", "cut off", "told to stop"])
        if how == "told to stop":
            asyncio.get_running_loop().call_later(self._chance.random() / 5, stop.set)
        self.ends[await self._end_of(job, at if how == "cut off" else 10**9)] += 1

    async def _end_of(self, job: Coroutine[Any, Any, Any], at: int) -> str:
        try:
            end = await cancelled_at(at, self._chance.choice(EACH), job)
        except (RunInUse, InvalidRequest) as error:
            return type(error).__name__
        return "cut off" if end.task.cancelled() else "returned"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_an_engine_gives_out_nobody_is_rung_twice(postgres: str, seed: int) -> None:
    """Nor is an outcome lost, nor a part held by nobody: it is worked to its end afterwards."""
    simulator = Simulator(limits=())
    async with (
        own_ledger(postgres, timing=QUICK) as (ledger, prefix),
        Ledger.open(postgres, prefix=prefix, timing=QUICK) as other,
        client_of(simulator) as client,
        client_of(simulator) as second,
    ):
        await distribute(ledger, "r", MESSAGES, part_size=7, account=ACCOUNT)
        engine = Engine(seed, [(ledger, client), (other, second)])
        await engine.work(12)
        for part in range(1, PARTS + 1):
            assert (await run_part(client, ledger, "r", part)).done
        counts = (await ledger.parts.progress("r")).counts
        calls = rung(simulator)
        assert len(set(calls)) == len(calls)
        assert counts[OutcomeStatus.ACCEPTED] <= len(calls)
        assert counts[OutcomeStatus.ACCEPTED] + counts[OutcomeStatus.UNKNOWN] == len(MESSAGES), (
            counts
        )
