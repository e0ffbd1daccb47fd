"""What the command prints, and how it tells of errors.

Everything that is printed comes through here: texts of the table, with what is filled in made
harmless; tables; and JSON, whose strings steer no terminal either.
"""

import json
import logging
import sys
import unicodedata
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.language import text
from ihuyi_voice.cli.streams import OutputClosed, console, errors, is_read, output
from ihuyi_voice.cli.verdicts import TOLD, advice, error_words, exit_code
from ihuyi_voice.common.redaction import UNSAFE, mask_numbers, shown
from ihuyi_voice.errors import VendorError, VoiceError

_PLAIN: Final[dict[str, Any]] = {
    "markup": False,
    "highlight": False,
    "emoji": False,
    "soft_wrap": True,
}
_TOLD_ANYWAY: Final = ("ihuyi_voice.outcomes.", "procrastinate.", "psycopg.")
"""Loggers of what is told in other words: how calls ended, and what a worker's queue has."""


def say(key: str, to: Console | None = None, style: str | None = None, **values: object) -> None:
    """Print a text of the table, on stdout if nothing else is said."""
    (to or console).print(text(key, **values), style=style, **_PLAIN)


def announce(key: str, told: Mapping[str, Any], *, as_json: bool, **values: Any) -> None:  # noqa: ANN401 - whatever it is
    """Tell what was done, and can't be seen by asking again: in words, or as JSON.

    What the output doesn't take comes on stderr, before the reason: whoever reads the reason alone
    would have it done once more.

    Args:
        key: A text of the table, which `values` are filled in.
        told: The same for programs.
        as_json: Whether they read it.
        values: What is filled in.

    Raises:
        OutputClosed: Nobody reads the output.
    """

    def tell(to: Console | None) -> None:
        if as_json:
            print_json(told, to)
        else:
            say(key, to, **values)

    try:
        tell(None)
    except (OutputClosed, KeyboardInterrupt):
        tell(errors)
        raise


def complain(key: str, style: str | None = None, **values: object) -> None:
    """Print a text of the table on stderr."""
    errors.print(text(key, **values), style=style, **_PLAIN)


@contextmanager
def reporting(*, as_json: bool, unsure: str = "next.OutcomeUnknown") -> Generator[None]:
    """Turn errors into words, or JSON, and an exit code.

    Args:
        as_json: Whether programs read it.
        unsure: What to do about what may have happened, a key.

    Raises:
        typer.Exit: Something went wrong, and was told.
    """
    try:
        with _warnings():
            yield
    except TOLD as error:
        report_error(error, as_json=as_json, unsure=unsure)
        raise typer.Exit(exit_code(error)) from error
    except KeyboardInterrupt as error:
        complain("interrupted")
        raise typer.Exit(Exit.INTERRUPTED) from error


def report_error(error: Exception, *, as_json: bool, unsure: str = "next.OutcomeUnknown") -> None:
    """Tell of an error: as JSON to a program, if that still reads, else in words."""
    if as_json and not isinstance(error, OutputClosed):
        code = error.code if isinstance(error, VendorError) else None
        with suppress(OutputClosed):
            print_json({"error": type(error).__name__, "code": code, "message": str(error)})
            return
    if isinstance(error, VoiceError):
        complain("error.voice", "red", **error_words(error))
        todo = advice(error, unsure)
        if todo:
            complain("next.line", words=todo)
    else:
        complain("error.system", "red", reason=str(error))


class _Warnings(logging.Handler):
    """Shows log lines on stderr as Python does by itself, but harmless and with masked numbers.

    Not how each call ended: that is what the command itself tells, in its user's language. Nor what
    the engine of a worker says of its queue: with tracebacks, again and again while it is away.
    And a log holds up no call and no push: what nobody reads is counted, and left out.
    """

    _missed = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message on one line, and a traceback below it."""
        if f"{record.name}.".startswith(_TOLD_ANYWAY):
            return
        if not is_read():
            self._missed += 1
            return
        if self._missed:
            complain("log.missed", count=self._missed)
            self._missed = 0
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
    """Print one JSON object on one line, which stays JSON whatever letters the output has.

    Raises:
        OutputClosed: Nobody reads it.
    """
    line = json.dumps(value, ensure_ascii=False)
    if not line.isprintable():
        line = "".join(_json_safe(char) for char in line)
    if not _fits(line):
        line = json.dumps(value)
    file = output if to is None else to.file
    file.write(f"{line}\n")
    file.flush()


@contextmanager
def printing() -> Generator[IO[str]]:
    """Yield the output, to be written to by others.

    Raises:
        OutputClosed: Nobody reads it.
    """
    yield output
    output.flush()


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
