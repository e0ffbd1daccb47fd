"""An inbox that only remembers, and receivers before it."""

from typing import Any, cast

from ihuyi_voice.events import Stream
from ihuyi_voice.protocol import Push, RawPush
from ihuyi_voice.pushes import PushReceiver
from tests.pushes.requests import TOKEN


class MemoryInbox:
    """What a receiver asks of an inbox, without a database.

    Attributes:
        stored: The pushes that it was given, in order.
        kept: What could not be read, likewise.
        is_open: Whether it takes any.
        error: What it raises instead of taking one.
        events: What it tells nobody by.
    """

    def __init__(self) -> None:
        self.stored: list[Push] = []
        self.kept: list[RawPush] = []
        self.is_open = True
        self.error: BaseException | None = None
        self.events = Stream()

    def handle(self, **_: object) -> None:
        """Take no handlers."""

    async def put(self, push: Push) -> None:
        """Remember a push."""
        self._fail()
        self.stored.append(push)

    async def quarantine(self, raw: RawPush) -> None:
        """Remember what can't be read."""
        self._fail()
        self.kept.append(raw)

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


def before(inbox: MemoryInbox, token: str = TOKEN, **options: Any) -> PushReceiver:
    """Return a receiver before this inbox."""
    return PushReceiver(cast("Any", inbox), token=token, **options)
