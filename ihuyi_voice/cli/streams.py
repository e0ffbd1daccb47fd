"""stdout and stderr as the command writes to them, also when nothing can be written there any more.

Who read a pipe has gone, the disk behind `> log` is full, or a terminal was hung up with the ssh
around it. On stdout that is told to whoever writes. On stderr nobody is left to be told, and the
work, which calls people, goes on.
"""

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, Final, TypeVar, cast

from rich.console import Console

from ihuyi_voice.cli.language import text

T = TypeVar("T")

_GONE: Final = frozenset({errno.EPIPE, errno.EIO, errno.EBADF})  # EIO: of a terminal


class OutputClosed(OSError):
    """Nobody reads our output any more, or it can't be written."""

    def __str__(self) -> str:
        cause = self.__cause__
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
        return self._trying(lambda: self._real().write(words), 0)

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
