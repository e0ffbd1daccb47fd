"""The quick way to start the command: what comes of it is what comes of the program itself."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.command import PROGRAM, quick_program

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="it is the program itself")


def ended(program: tuple[str, ...], folder: Path, *args: str) -> tuple[int, str, str]:
    """Run it to its end in a folder, with a pipe for each stream; return how it ended."""
    environ = {**os.environ, "IHUYI_LANG": "zh", "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(  # noqa: S603 - our own program
        [*program, *args],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environ,
        input="mobile,content\n12,x\n",
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "args",
    [("--help",), ("nonsense",), ("send", "-", "--dry-run"), ("send", "a.csv", "--dry-run")],
    ids=str,
)
def test_it_ends_as_the_program_does(tmp_path: Path, args: tuple[str, ...]) -> None:
    """Its folder, its environment, its streams and its exit code are those that it was given."""
    (tmp_path / "a.csv").write_text("mobile,content\n12,x\n")
    quick = ended(tuple(quick_program()), tmp_path, *args)
    assert quick == ended(PROGRAM, tmp_path, *args)


def serving() -> "subprocess.Popen[bytes]":
    """Start a command that runs until it is ended."""
    options = ("simulate", "--port", "0", "--account", "a", "--api-key", "k")
    return subprocess.Popen([*quick_program(), *options], stdout=subprocess.PIPE)  # noqa: S603 - ours


def test_it_takes_a_signal_once_it_runs() -> None:
    """As whoever started it sends it."""
    with serving() as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"listening at ")
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0


def test_killed_it_leaves_nothing_behind() -> None:
    """Its streams end, for the command is killed with what stands for it."""
    with serving() as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"listening at ")
        process.kill()
        process.stdout.read()
        assert process.wait() == -signal.SIGKILL
