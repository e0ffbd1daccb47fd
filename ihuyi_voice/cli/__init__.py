"""The command `ihuyi-voice`."""

import sys

_EXTRA = "the command needs an extra: pip install 'ihuyi-voice[cli]'"


def main() -> None:
    """Run the command; without its extra, say which one is missing."""
    try:
        from ihuyi_voice.cli.app import app  # noqa: PLC0415 - needs the extra
    except ImportError as exc:
        sys.exit(f"ihuyi-voice: {_EXTRA} ({exc})")
    app()
