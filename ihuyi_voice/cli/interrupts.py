"""Signals that ask for an end, counted: the first for one in good order, the second for one now.

Ctrl-C, SIGTERM, and SIGHUP, which comes when the terminal goes: an ssh connection that breaks must
not lose what is in flight. It comes from the system and from the shell as well, and counts once.
Under `nohup` it is ignored, and stays so.
"""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType, TracebackType
from typing import Any, Final, Self

from ihuyi_voice.cli.streams import haste

_HANGUP: Final = getattr(signal, "SIGHUP", None)  # Windows has none
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def heeded() -> tuple[signal.Signals, ...]:
    """Return the signals that ask this process for its end."""
    if _HANGUP is None or signal.getsignal(_HANGUP) is signal.SIG_IGN:
        return _SIGNALS
    return (*_SIGNALS, _HANGUP)


@contextmanager
def heeding(handler: Callable[[int, FrameType | None], object]) -> Generator[None]:
    """Have these signals handled so while inside."""
    before = {name: signal.signal(name, handler) for name in heeded()}
    try:
        yield
    finally:
        for name, earlier in before.items():
            signal.signal(name, earlier)


def all_like_ctrl_c() -> AbstractContextManager[None]:
    """Let each of these signals end what goes on inside as Ctrl-C does, so that it tidies up.

    By itself the system would end the program where it stands, and copies of a list, with its
    names and numbers, would be left in a folder for temporary files.
    """
    return heeding(signal.default_int_handler)


class Interrupts:
    """Counts the signals that come while inside.

    Attributes:
        count: How many have come.
        cancels: The task that a signal cancels, where there is nothing to bring to an end.
    """

    def __init__(self) -> None:
        self.count = 0
        self.cancels: asyncio.Task[Any] | None = None
        self._came = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._before: dict[signal.Signals, Any] = {}
        self._hung_up = False

    def __enter__(self) -> Self:
        haste.is_counted, haste.is_asked = True, False
        self._before = {name: signal.signal(name, self._note) for name in heeded()}
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)
        haste.is_counted = haste.is_asked = False

    def _note(self, number: int, _: FrameType | None) -> None:
        hung_up = number == _HANGUP
        if hung_up and self._hung_up:
            return
        self._hung_up |= hung_up
        # What is printed stands between a signal and the loop: the second then is for that alone.
        if haste.note():
            self._loop.call_soon_threadsafe(self._arrived)

    def _arrived(self) -> None:
        self.count += 1
        self._came.set()
        if self.cancels is not None:
            self.cancels.cancel()

    async def ended(self, work: Coroutine[Any, Any, None], *, before: int) -> bool:
        """Do some work, which is cancelled once so many signals have come.

        What the work raises is raised.

        Returns:
            Whether it came to its end by itself.
        """
        task = asyncio.create_task(work)
        coming = asyncio.create_task(self.reached(before))
        try:
            await asyncio.wait({task, coming}, return_when=asyncio.FIRST_COMPLETED)
            whole = task.done()
        finally:
            coming.cancel()
            task.cancel()
            await asyncio.gather(task, coming, return_exceptions=True)
        if whole:
            task.result()
        return whole

    async def reached(self, count: int) -> None:
        """Return once so many signals have come."""
        while self.count < count:
            self._came.clear()
            await self._came.wait()
