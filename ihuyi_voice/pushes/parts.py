"""What an open inbox consists of: the store, and those who look into it."""

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from types import TracebackType
from typing import Self

import attrs

from ihuyi_voice.events import Stream
from ihuyi_voice.protocol import PushKind
from ihuyi_voice.pushes.calling import Handler
from ihuyi_voice.pushes.handling import Dispatcher
from ihuyi_voice.pushes.options import Handling
from ihuyi_voice.pushes.retention import Retention
from ihuyi_voice.pushes.store import Store
from ihuyi_voice.pushes.tail import Tail
from ihuyi_voice.storage import Address


@attrs.frozen
class Options:
    """How an inbox is opened; see `Inbox.open`."""

    address: Address
    table: str = "ihuyi_pushes"
    handling: Handling = attrs.field(factory=Handling)
    poll: float = 1.0
    clock: Callable[[], float] = time.time
    tries_within: float = 3600.0
    keep: timedelta | None = None
    create: bool = True
    events: Stream = attrs.field(factory=Stream)

    @property
    def kept(self) -> timedelta | None:
        """How long pushes are kept: at least as long as another try of them may come."""
        least = timedelta(seconds=self.tries_within)
        return None if self.keep is None else max(self.keep, least)


class Parts:
    """The parts of an open inbox; entered, they are open, and closed in the opposite order.

    Attributes:
        made: The number by which a table that was made anew is known; None if it has none.

    Args:
        options: How they are opened.
        handlers: By kind; may grow meanwhile.
    """

    def __init__(self, options: Options, handlers: dict[PushKind, Handler]) -> None:
        poll = options.poll
        self.store = Store(
            options.address,
            options.table,
            tries_within=options.tries_within,
            create=options.create,
        )
        self.tail = Tail(self.store, poll)
        self.retention = Retention(self.store.purge, options.kept, options.clock, poll)
        self.dispatcher = Dispatcher(self.store, handlers, options.handling, poll, options.events)
        self.made: int | None = None
        self._closing: AsyncExitStack

    async def __aenter__(self) -> Self:
        """Open them, or none of them."""
        async with AsyncExitStack() as closing:
            await closing.enter_async_context(self.store)
            self.made = await self.store.made()
            for part in (self.tail, self.retention, self.dispatcher):
                await closing.enter_async_context(part)
            closing.push_async_callback(self.store.flush)
            self._closing = closing.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write what has been put, let handlers end, wake whoever waits, and disconnect."""
        await self._closing.__aexit__(exc_type, exc, traceback)
