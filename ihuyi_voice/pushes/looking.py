"""Looks for what is new: at once, whenever it is told to, and every so often, until it is closed.

All that this room does in the background is such looking: for pushes that somebody waits for, for
what can be handled, for what is too old. A database that fails is bridged: the log says so once,
and when it is over.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

from ihuyi_voice.common.foreign import PASSING
from ihuyi_voice.common.logs import Trouble, tell
from ihuyi_voice.common.signal import Rounds, Signal
from ihuyi_voice.common.tasks import ended, told_of
from ihuyi_voice.errors import InboxClosed, InboxUnavailable

logger = logging.getLogger("ihuyi_voice.pushes")

_RETRY: Final = 1.0  # seconds between two looks while the database fails, at most


class Outage:
    """What the log is told of a database that fails: once when it begins, once when it ends.

    Args:
        told: What can't be done meanwhile.
    """

    def __init__(self, told: str) -> None:
        self.lasts = False
        self._told = told

    @contextmanager
    def bridged(self) -> Generator[None]:
        """Let nothing out that the database says; whoever looks tries again later."""
        try:
            yield
        except InboxClosed:
            return  # and whoever looks ends
        except InboxUnavailable as exc:
            if not self.lasts:
                tell(logger, logging.WARNING, "can't %s: %s", self._told, exc)
            self.lasts = True
        else:
            if self.lasts:
                tell(logger, logging.WARNING, "can %s again", self._told)
            self.lasts = False

    def rounds(self, signal: Signal, every: float) -> Rounds:
        """Iterate, to look; while the outage lasts, at least once a second."""
        return signal.rounds(every=lambda: min(every, _RETRY) if self.lasts else every)


class Looking:
    """A task that looks; entered, it begins, and left, it ends.

    Args:
        look: Looks once.
        every: Seconds between two looks.
        told: What it does, for the log.
    """

    def __init__(self, look: Callable[[], Awaitable[object]], every: float, told: str) -> None:
        self.closed = False
        self._look = look
        self._every = every
        self._told = told
        self._outage = Outage(told)
        self._trouble = Trouble(logger)
        self._signal = Signal()
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        """Begin."""
        self._task = asyncio.create_task(self._run())
        text = f"can {self._told} no more: %s"
        self._task.add_done_callback(told_of(logger, text, lambda: self.closed))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let it end the look that it is at."""
        self.closed = True
        self.wake()
        await ended(self._task, at_once=exc_type is not None)

    def wake(self) -> None:
        """Let it look at once."""
        self._signal.notify()

    async def _run(self) -> None:
        async for _ in self._outage.rounds(self._signal, self._every):
            if self.closed:
                break
            await self._look_once()

    async def _look_once(self) -> None:
        try:
            with self._outage.bridged():
                await self._look()
            self._trouble.over("can %s again", self._told)
        except PASSING:
            raise
        except BaseException as exc:  # noqa: BLE001 - nobody would tell that it looks no more
            self._trouble.note("can't %s: %s", self._told, type(exc).__name__)
