"""What the command prints, and the exit codes of its errors.

Everything that is printed comes through here: texts of the table, with what is filled in made
harmless; tables; and JSON, whose strings steer no terminal either.
"""

import errno
import json
import logging
import os
import sys
import unicodedata
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from socket import gaierror
from typing import Any, Final, TextIO

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ihuyi_voice.cli.advice import advice
from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.language import text
from ihuyi_voice.common.redaction import UNSAFE, mask_numbers, shown
from ihuyi_voice.errors import (
    InboxUnavailable,
    InvalidRequest,
    LedgerUnavailable,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    StorageUnavailable,
    VendorError,
    VoiceError,
)

FAMILIES: Final = (
    # the first family that fits counts
    (InvalidRequest, Exit.USAGE),
    (RateLimited, Exit.NOT_REACHED),
    (VendorError, Exit.REFUSED),
    (LedgerUnavailable, Exit.NOT_WRITTEN),
    (NotSent, Exit.NOT_REACHED),
    (OutcomeUnknown, Exit.UNKNOWN),
    (StorageUnavailable, Exit.NOT_WRITTEN),
    (InboxUnavailable, Exit.NOT_WRITTEN),
)
_OF_THE_DISK: Final = frozenset({errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EROFS, errno.EDQUOT})
_PLAIN: Final[dict[str, Any]] = {
    "markup": False,
    "highlight": False,
    "emoji": False,
    "soft_wrap": True,
}


_TOLD_ANYWAY: Final = "ihuyi_voice.outcomes"


class OutputClosed(BrokenPipeError):
    """Nobody reads our output any more."""

    def __str__(self) -> str:
        return text("output.closed")


class _Console(Console):
    """One that raises if nobody reads it any more; rich's own ends the program, event loop and all.

    If it is stderr, there is nobody left to tell, and work goes on.
    """

    def on_broken_pipe(self) -> None:
        """Let nothing more be written, so that the interpreter's last flush doesn't fail either."""
        _mute(sys.stderr if self.stderr else sys.stdout)
        if not self.stderr:
            raise OutputClosed


def _mute(stream: TextIO) -> None:
    with suppress(OSError, ValueError):  # it is no file, or closed altogether
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


console = _Console()
errors = _Console(stderr=True)


def say(key: str, to: Console | None = None, style: str | None = None, **values: object) -> None:
    """Print a text of the table, on stdout if nothing else is said."""
    (to or console).print(text(key, **values), style=style, **_PLAIN)


def complain(key: str, style: str | None = None, **values: object) -> None:
    """Print a text of the table on stderr."""
    errors.print(text(key, **values), style=style, **_PLAIN)


def exit_code(error: VoiceError) -> Exit:
    """Return the exit code for an error."""
    return _family(error)[1]


def _family(error: VoiceError) -> tuple[type[VoiceError], Exit]:
    found = (family for family in FAMILIES if isinstance(error, family[0]))
    return next(found, (VoiceError, Exit.NOT_ALL))


@contextmanager
def reporting(*, as_json: bool) -> Generator[None]:
    """Turn an error inside into a message and an exit code, and show warnings harmlessly."""
    try:
        with _warnings():
            yield
    except VoiceError as error:
        report_error(error, as_json=as_json)
        raise typer.Exit(exit_code(error)) from error
    except OutputClosed as error:
        complain("error.system", "red", reason=str(error))
        raise typer.Exit(Exit.NOT_WRITTEN) from error
    except (OSError, ImportError) as error:
        complain("error.system", "red", reason=str(error))
        raise typer.Exit(_system_code(error)) from error
    except KeyboardInterrupt as error:
        complain("interrupted")
        raise typer.Exit(Exit.INTERRUPTED) from error


def _system_code(error: OSError | ImportError) -> Exit:
    """Return USAGE for a file or a host that was named wrongly, NOT_WRITTEN for a port or a disk.

    What the disk itself says (full, broken, read-only) is no wrong name.
    """
    if isinstance(error, ImportError):
        return Exit.EXTRA
    named = isinstance(error, gaierror) or error.filename is not None
    return Exit.USAGE if named and error.errno not in _OF_THE_DISK else Exit.NOT_WRITTEN


def report_error(error: VoiceError, *, as_json: bool) -> None:
    """Print an error for a person, or as JSON for a program."""
    if as_json:
        code = error.code if isinstance(error, VendorError) else None
        print_json({"error": type(error).__name__, "code": code, "message": str(error)})
    else:
        complain("error.voice", "red", **error_words(error))
        todo = advice(error)
        if todo:
            complain("next.line", words=todo)


def error_words(error: VoiceError) -> dict[str, str]:
    """Return what `error.voice` says of an error: its name, its family in words, its reason."""
    family = text(f"family.{_family(error)[0].__name__}")
    return {"name": type(error).__name__, "family": family, "reason": str(error)}


class _Warnings(logging.Handler):
    """Shows log lines on stderr as Python does by itself, but harmless and with masked numbers.

    Not how each call ended: that is what the command itself tells, in its user's language.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message on one line, and a traceback below it."""
        if record.name == _TOLD_ANYWAY:
            return
        message = record.getMessage()
        traceback = self.format(record).removeprefix(message)
        for line in (message, *traceback.split("\n")[1:]):
            complain("log.line", line=mask_numbers(line))


@contextmanager
def _warnings() -> Generator[None]:
    """Take the place of Python's last resort for log lines that nobody else handles."""
    before, logging.lastResort = logging.lastResort, _Warnings(logging.WARNING)
    try:
        yield
    finally:
        logging.lastResort = before


@contextmanager
def hearing(name: str) -> Generator[None]:
    """Show what a logger says, its news included, not its warnings alone."""
    logger, handler = logging.getLogger(name), _Warnings(logging.INFO)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def print_json(value: Mapping[str, Any], to: Console | None = None) -> None:
    """Print one JSON object on one line, which stays JSON whatever letters the output has."""
    line = json.dumps(value, ensure_ascii=False)
    if not line.isprintable():
        line = "".join(_json_safe(char) for char in line)
    if not _fits(line):
        line = json.dumps(value)
    stream = sys.stdout if to is None else to.file
    try:
        print(line, file=stream, flush=True)
    except BrokenPipeError as exc:
        _mute(sys.stdout)
        raise OutputClosed from exc


@contextmanager
def printing() -> Generator[TextIO]:
    """Yield the output, to be written to by others."""
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError as exc:
        _mute(sys.stdout)
        raise OutputClosed from exc


def _fits(line: str) -> bool:
    try:
        line.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _json_safe(char: str) -> str:
    """Return a character as a terminal and JSON may have it; JSON's own escapes it the same."""
    return json.dumps(char)[1:-1] if unicodedata.category(char) in UNSAFE else char


def table(title: str, *headings: str) -> Table:
    """Return an empty table; title and headings are keys."""
    return Table(*map(text, headings), title=text(title))


def add_row(to: Table, cells: Iterable[str]) -> None:
    """Add a row of cells to a table, as they are but harmless."""
    to.add_row(*(Text(shown(cell)) for cell in cells))
