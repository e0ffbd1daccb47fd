"""What a call holds while its end is written, as dozens do at a time."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from types import CoroutineType

import attrs
import pytest

from ihuyi_voice import OutcomeStatus, VoiceClient
from ihuyi_voice.calls import submission
from ihuyi_voice.http import Sent
from ihuyi_voice.simulator import Simulator
from tests.support.journals import Asked, FakeLedger
from tests.support.vendor import CONTENT, MOBILE

DONE_WITH = {"Answer", "Guarding._settle", "Endpoint.ask", "Errands.claimed"}


@attrs.define(eq=False)
class Looking(FakeLedger):
    """A ledger that looks what is left of requests when it is told how a call ended.

    Attributes:
        made: What requests were made of.
        left: What was left of it.
        looks: How often it has looked to the end.
    """

    made: list["weakref.ref[object]"] = attrs.field(factory=list["weakref.ref[object]"])
    left: list[object] = attrs.field(factory=list[object])
    looks: int = 0

    async def misbehave(self, method: Asked) -> bool:
        """Look, and again when the call waits."""
        if method == "settle":
            assert self.made
            self.left += [each() for each in self.made if each() is not None]
            await asyncio.sleep(0)
            self.left += {_name_of(each) for each in gc.get_objects()} & DONE_WITH
            self.looks += 1
        return await super().misbehave(method)


def _name_of(each: object) -> str:
    """Return the name of a coroutine's function, or of a thing's type."""
    return each.__qualname__ if isinstance(each, CoroutineType) else type(each).__name__


async def test_what_a_request_was_made_of_is_let_go_once_its_answer_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the collector, which all that many hold would wake again and again."""
    simulator, ledger = Simulator(), Looking()

    def making(now: Callable[[], float]) -> Sent:
        sent = Sent(now)  # body, stream and request lead to it
        ledger.made.append(weakref.ref(sent))
        return sent

    monkeypatch.setattr(submission, "Sent", making)
    async with simulator.serve() as url:
        options = simulator.account, simulator.api_key
        async with VoiceClient(*options, base_url=url, ledger=ledger) as client:
            await client.submit(MOBILE, CONTENT, key="k")
            async with client.submit_many([("13900000001", CONTENT)], run="r") as run:
                assert [outcome.status async for outcome in run] == [OutcomeStatus.ACCEPTED]
    assert len(ledger.made) == ledger.looks == 2  # whatever fails there is not raised
    assert not ledger.left
