"""Messages to one number ring in their order, also when the guard goes away meanwhile."""

from contextlib import suppress

import pytest

from ihuyi_voice import GuardUnavailable, Limits, Message
from ihuyi_voice.guards import Lease, Wait
from ihuyi_voice.guards.memory import MemoryGuard
from ihuyi_voice.simulator import Simulator
from ihuyi_voice.workers import distribute, run_part
from tests.support.vendor import in_process
from tests.workers.support import ACCOUNT, own_ledger, rung

MESSAGES = [
    Message(f"139{number % 5:08d}", f"您的验证码是：{number}。", f"m{number}")
    for number in range(20)
]


class Flickering(MemoryGuard):
    """Can't be asked each third time."""

    asked = 0

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        """Reserve, if it is there."""
        self.asked += 1
        if self.asked % 3 == 0:
            raise GuardUnavailable("it flickers")
        return await super().reserve(account, mobile)


@pytest.mark.slow
async def test_nothing_overtakes_a_message_that_the_guard_kept_from_being_sent(
    postgres: str,
) -> None:
    """The pass ends there, and the next one begins with that message."""
    simulator = Simulator(limits=())
    guard = Flickering(Limits(per_second=None, per_minute=None, per_day=None))
    async with (
        own_ledger(postgres) as (ledger, _),
        in_process(simulator, guard=guard) as client,
    ):
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        for _ in MESSAGES:
            with suppress(GuardUnavailable):
                if (await run_part(client, ledger, "r", 1)).done:
                    break
    calls = rung(simulator)
    assert len(calls) == len(MESSAGES)
    for mobile in {message.mobile for message in MESSAGES}:
        wanted = [message.content for message in MESSAGES if message.mobile == mobile]
        assert [content for called, content in calls if called == mobile] == wanted
