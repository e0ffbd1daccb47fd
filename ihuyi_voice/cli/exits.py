"""The exit codes that scripts rely on: one table, the same for all commands."""

from enum import IntEnum

from ihuyi_voice.cli.language import text


class Exit(IntEnum):
    """How a command ended; its words are `exit.` and the number."""

    DONE = 0
    NOT_ALL = 1
    USAGE = 2
    REFUSED = 3
    NOT_REACHED = 4
    UNKNOWN = 5
    NOT_WRITTEN = 6
    SETTLED = 7
    EXTRA = 8
    INTERRUPTED = 130


def epilogue() -> str:
    """Return the table as it stands below the help of every command, a line a code."""
    lines = (text("exit.line", code=code.value, words=text(f"exit.{code.value}")) for code in Exit)
    return "\n\n".join((text("exit.title"), *lines))
