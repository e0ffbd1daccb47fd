"""What a call holds while its end is written, as dozens do at a time."""

import weakref
from collections.abc import Callable

import attrs
import pytest

from ihuyi_voice import OutcomeStatus, VoiceClient
from ihuyi_voice.calls import submission
from ihuyi_voice.http import Sent
from ihuyi_voice.simulator import Simulator
from tests.support.journals import Asked, FakeLedger
from tests.support.vendor import CONTENT, MOBILE


@attrs.define(eq=False)
class Looking(FakeLedger):
    """A ledger that looks what is left of requests when it is told how a call ended.

    Attributes:
        made: What requests were made of.
        left: What was left of it.
    """

    made: list["weakref.ref[object]"] = attrs.field(factory=list["weakref.ref[object]"])
    left: list[object] = attrs.field(factory=list[object])

    async def misbehave(self, method: Asked) -> bool:
        """Look."""
        if method == "settle":
            assert self.made
            self.left += [each() for each in self.made if each() is not None]
        return await super().misbehave(method)


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
    assert len(ledger.made) == 2
    assert not ledger.left
