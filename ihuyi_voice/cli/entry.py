"""The way into the command, which says so if its extra is missing."""

import io
import os
import sys

from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.language import choose, language_of, text


def main() -> None:
    """Run the command; without its extra, say which one is missing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that has no Chinese letters is no reason to lose what happened to calls.
            stream.reconfigure(errors="backslashreplace")
    try:
        from ihuyi_voice.cli.app import app  # noqa: PLC0415 - needs the extra
    except ImportError as exc:
        choose(language_of(sys.argv[1:], os.environ))
        print(text("extra.missing", reason=str(exc)), file=sys.stderr)
        sys.exit(Exit.EXTRA)
    app()
