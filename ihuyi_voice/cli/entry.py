"""The way into the command, which says so if its extra is missing, or what else ends it early."""

import io
import os
import sys
from contextlib import suppress
from typing import IO

from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.language import choose, language_first, language_of, text


def main() -> None:
    """Run the command; without its extra, say which one is missing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that has no Chinese letters is no reason to lose what happened to calls.
            stream.reconfigure(errors="backslashreplace")
    if not os.environ.get("COLUMNS", "1").strip("0"):  # nothing is shown in no columns
        del os.environ["COLUMNS"]
    try:
        _run()
    except KeyboardInterrupt:  # before a command was there to tell of it
        _complain("interrupted")
        sys.exit(Exit.INTERRUPTED)
    except OSError as exc:  # of a help, or an error of usage: commands tell of theirs themselves
        _complain("error.system", reason=text("output.lost", reason=str(exc)))
        _mute(sys.stdout)
        _mute(sys.stderr)
        sys.exit(getattr(exc.__context__, "exit_code", Exit.NOT_WRITTEN))


def _run() -> None:
    try:
        from ihuyi_voice.cli.app import app  # noqa: PLC0415 - needs the extra
    except ImportError as exc:
        _complain("extra.missing", reason=str(exc))
        sys.exit(Exit.EXTRA)
    app()


def _complain(key: str, **values: object) -> None:
    choose(language_of(language_first(sys.argv[1:]), os.environ))
    with suppress(OSError):
        print(text(key, **values), file=sys.stderr, flush=True)


def _mute(stream: IO[str] | None) -> None:
    """Keep the interpreter's last flush from failing once more."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
