"""The command `ihuyi-voice`."""

import os
import sys

from ihuyi_voice.cli.language import choose, language_of, text


def main() -> None:
    """Run the command; without its extra, say which one is missing."""
    try:
        from ihuyi_voice.cli.app import app  # noqa: PLC0415 - needs the extra
    except ImportError as exc:
        choose(language_of(sys.argv[1:], os.environ))
        sys.exit(text("extra.missing", reason=str(exc)))
    app()
