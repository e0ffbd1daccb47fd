"""A program at a terminal of its own: a pseudo-terminal of a size, and what it shows there."""

import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

if sys.platform != "win32":
    import fcntl
    import pty
    import struct
    import termios


def at_terminal(
    command: Sequence[str],
    *,
    columns: int,
    environ: dict[str, str] | None = None,
    folder: Path | None = None,
) -> tuple[int, str]:
    """Run a program at a terminal so wide, in a folder, to its end.

    Returns:
        Its exit code, and all that it wrote to the terminal.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    environment = clean | {"TERM": "xterm-256color"} | (environ or {})
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=folder
    ) as process:
        os.close(theirs)
        shown = _all(ours)
    os.close(ours)
    return process.returncode, shown.decode()


def _all(terminal: int) -> bytes:
    """Read until the program has closed its end."""
    shown = bytearray()
    while True:
        select.select([terminal], [], [])
        try:
            data = os.read(terminal, 65_536)
        except OSError:  # Linux says so that nobody has the other end any more
            return bytes(shown)
        if not data:
            return bytes(shown)
        shown += data
