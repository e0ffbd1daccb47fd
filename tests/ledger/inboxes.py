"""An inbox as a ledger sees it, and reports for it."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import attrs

from ihuyi_voice import DeliveryReport
from ihuyi_voice.common.signal import Signal
from tests.support.ledgers import A


@attrs.define(eq=False)
class FakeInbox:
    """Reports in the order in which they were stored.

    Attributes:
        stored: They.
        fails: What reading raises, once each.
        asked: Since where was read.
        talk_time: How long they say that the calls were.
    """

    talk_time: int | None = 7

    stored: list[DeliveryReport] = attrs.field(factory=list[DeliveryReport])
    fails: list[BaseException] = attrs.field(factory=list[BaseException])
    asked: list[int | None] = attrs.field(factory=list[int | None])
    news: Signal = attrs.field(factory=Signal)

    def tell(self, voice_id: str, at: float, mobile: str = A, code: int = 2) -> None:
        """Store a report of a call that ended then (Unix seconds)."""
        told_at = datetime.fromtimestamp(at, UTC)
        seq = len(self.stored) + 1
        told = DeliveryReport(voice_id, code, mobile, self.talk_time, told_at, "成功", seq=seq)
        self.stored.append(told)
        self.news.notify()

    async def reports(
        self, since: int | None = None, *, follow: bool = True
    ) -> AsyncGenerator[DeliveryReport]:
        """Iterate."""
        self.asked.append(since)
        place = since or 0
        async for _ in self.news.rounds():
            while place < len(self.stored):
                if self.fails:
                    raise self.fails.pop()
                yield self.stored[place]
                place += 1
            if not follow:
                return
