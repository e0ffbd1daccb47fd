"""The command `ihuyi-voice`."""

from ihuyi_voice.cli.entry import main

__all__ = ["main"]
