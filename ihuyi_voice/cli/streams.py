"""stdout and stderr as the command writes to them, also when nothing can be written there any more.

Who read a pipe has gone, the disk behind `> log` is full, or a terminal was hung up with the ssh
around it. On stdout that is told to whoever writes. On stderr nobody is left to be told, and the
work, which calls people, goes on.

A pipe that nobody reads, or a terminal that was stopped, is waited for: whoever reads slowly is to
have everything. But it never keeps a signal from being heard. Whoever asks for an end, before that
or meanwhile, gets it after a few seconds, and at once if he asks again. Where an event loop has
more to do than to print, such as to beat for a run or to take pushes, it waits with `room` first.
"""

import asyncio
import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from select import select
from time import monotonic
from typing import IO, Any, Final, TypeVar, cast

import attrs
from rich.console import Console

from ihuyi_voice.cli.language import text

T = TypeVar("T")

_GONE: Final = frozenset({errno.EPIPE, errno.EIO, errno.EBADF})  # EIO: of a terminal
_PIECE: Final = 1_000  # characters, of at most four bytes: so much fits where anything does
_LOOK: Final = 0.1  # seconds between two looks at whether an end was asked for
_PATIENCE: Final = 5.0  # seconds that a reader has once it was


@attrs.define
class Haste:
    """What is known of signals that ask for an end, where they are counted.

    Attributes:
        is_counted: Whether they are; elsewhere each ends the program by itself.
        is_asked: Whether an end has been asked for since they are counted.
        is_waiting: Whether something waits to be written.
        count: How many have come, of late or during that wait.
    """

    is_counted: bool = False
    is_asked: bool = False
    is_waiting: bool = False
    count: int = 0

    def note(self) -> bool:
        """Note a signal; return whether it is news for the run, or only for who waits."""
        self.count += 1
        self.is_asked = True
        return not self.is_waiting or self.count == 1


haste: Final = Haste()


class OutputClosed(OSError):
    """Nobody reads our output any more, or it can't be written."""

    def __str__(self) -> str:
        cause = self.__cause__
        if isinstance(cause, TimeoutError):
            return text("output.unread")
        if not isinstance(cause, OSError) or cause.errno in _GONE:
            return text("output.closed")
        return text("output.lost", reason=str(cause))


class _Stream:
    """One of Python's two streams, whichever stands there now: tests and others replace them."""

    def __init__(self, name: str, *, told: bool) -> None:
        self._name = name
        self._told = told
        self._lost: tuple[object, OSError] | None = None  # the stream, and why

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever it has
        return getattr(self._real(), name)

    def _real(self) -> Any:  # noqa: ANN401 - theirs
        stream = getattr(sys, self._name)
        return getattr(stream, "rich_proxied_file", stream)  # a bar stands before it

    def write(self, words: str) -> int:
        """Write, if anything can be written."""
        return self._trying(lambda: _written(self._real(), words), 0)

    def flush(self) -> None:
        """Have it written."""
        self._trying(lambda: self._real().flush(), None)

    def _trying(self, work: Callable[[], T], nothing: T) -> T:
        real = self._real()
        if real is None:  # `>&-`: nobody wants it
            return nothing
        if self._lost is None or self._lost[0] is not real:
            try:
                return work()
            except OSError as exc:
                _mute(real)
                self._lost = real, exc
        if self._told:
            raise OutputClosed from self._lost[1]
        return nothing


def _written(stream: Any, words: str) -> int:  # noqa: ANN401 - theirs
    if not haste.is_counted:
        return int(stream.write(words))
    for start in range(0, len(words), _PIECE):
        _await_room(stream)
        stream.write(words[start : start + _PIECE])
        stream.flush()
    return len(words)


def _await_room(stream: Any) -> None:  # noqa: ANN401 - theirs
    """Wait until something can be written, or an end was asked for and nobody reads.

    Raises:
        TimeoutError: Nobody does.
    """
    haste.count, haste.is_waiting = int(haste.is_asked), True
    try:
        until = None
        while not _has_room(stream, _LOOK):
            if haste.count and until is None:
                until = monotonic() + _PATIENCE
            if haste.count > 1 or (until is not None and monotonic() >= until):
                raise TimeoutError
    finally:
        haste.is_waiting = False


def _has_room(stream: Any, within: float) -> bool:  # noqa: ANN401 - theirs
    """Say whether something can be written, or need not be waited for."""
    if sys.platform == "win32":  # which can only wait for sockets
        return True
    try:
        handle = stream.fileno()
    except (AttributeError, OSError, ValueError):  # it is no file
        return True
    return bool(select([], [handle], [], within)[1])


async def room() -> None:
    """Wait until the output takes something, and let the event loop go on meanwhile."""
    while not _has_room(sys.stdout, 0.0):  # noqa: ASYNC110 - of a terminal or a file no loop tells
        await asyncio.sleep(_LOOK)


def is_read() -> bool:
    """Say whether a line on stderr is taken at once."""
    return _has_room(sys.stderr, 0.0)


def _mute(stream: IO[str]) -> None:
    """Let nothing more be written, so that the interpreter's last flush doesn't fail either."""
    with suppress(OSError, ValueError):  # it is no file, or closed altogether
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


output: Final = cast("IO[str]", _Stream("stdout", told=True))
complaints: Final = cast("IO[str]", _Stream("stderr", told=False))
console: Final = Console(file=output)
errors: Final = Console(file=complaints, stderr=True)
