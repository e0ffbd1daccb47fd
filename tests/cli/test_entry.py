"""Before a command is there, and beside it: no traceback, whatever ends the program."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ihuyi_voice.cli import entry
from ihuyi_voice.cli.language import Language, choose
from ihuyi_voice.simulator import Simulator
from tests.cli.test_hangups import needs_full
from tests.cli.test_once import write
from tests.support.command import PROGRAM

WHILE_IT_LOADS = """
import os, signal, sys
module = sys.argv[1]
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.argv = ["ihuyi-voice", *sys.argv[2:]]
from ihuyi_voice.cli import main
main()
"""


@pytest.mark.parametrize(
    "module", ["typer", "ihuyi_voice.cli.app", "ihuyi_voice.cli.send", "ihuyi_voice.bulk"]
)
@pytest.mark.parametrize(("lang", "told"), [("en", "Interrupted."), ("zh", "已中断。")])
def test_ctrl_c_while_it_loads_is_no_traceback(module: str, lang: str, told: str) -> None:
    """That takes a second or two on a small machine; the words and the code are as later on."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", WHILE_IT_LOADS, module, "--lang", lang, "send", "nothing.csv"],
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stderr.strip(), done.stdout) == (130, told, "")


@pytest.mark.slow
@needs_full
@pytest.mark.parametrize("args", [("--help",), ("--version",), ("send", "--help")], ids=str)
def test_a_help_that_can_not_be_written_is_told_in_a_line(args: tuple[str, ...]) -> None:
    """It comes from the framework, and not from a command."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(  # noqa: S603 - our own program
            [*PROGRAM, *args], check=False, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 6
    assert done.stderr.startswith("ihuyi-voice: the output could not be written: ")
    assert len(done.stderr.splitlines()) == 1


@needs_full
def test_an_error_of_usage_that_can_not_be_written_keeps_its_code() -> None:
    """Nobody is left to be told, and scripts look at the code."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(  # noqa: S603 - our own program
            [*PROGRAM, "send", "--nope"], check=False, stdout=subprocess.PIPE, stderr=full
        )
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.slow
def test_a_list_from_a_closed_stdin_is_refused_in_words(vendor: Simulator) -> None:
    """As under a service manager that opens none."""
    done = subprocess.run(  # noqa: S603 - our own program
        ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *PROGRAM, "send", "-"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (
        2,
        "InvalidRequest: stdin is closed, so there is no list to be read from it\n",
    )
    assert not vendor.arrivals


@pytest.mark.slow
def test_a_terminal_without_a_width_shows_everything(vendor: Simulator, tmp_path: Path) -> None:
    """As a container's may say of itself: `COLUMNS=0`."""
    done = subprocess.run(  # noqa: S603 - our own program
        [*PROGRAM, "send", str(write(tmp_path, 3))],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "0"},
    )
    assert (done.returncode, "All 3 were accepted" in done.stdout) == (0, True)


def test_what_no_command_has_told_of_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A signal that comes between two commands' care, in the language of the line."""
    choose(Language.EN)
    monkeypatch.setattr(sys, "argv", ["ihuyi-voice", "--lang", "zh", "--version"])

    def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("ihuyi_voice.cli.app.version_of", interrupted)
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert (ended.value.code, capsys.readouterr().err.strip()) == (130, "已中断。")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_list_from_a_pipe_leaves_no_copy_behind(
    vendor: Simulator, tmp_path: Path, name: str
) -> None:
    """It has names and numbers; whoever is told to end while it reads, ends in words."""
    running = subprocess.Popen(  # noqa: S603 - our own program
        [*PROGRAM, "send", "-"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    while not [*tmp_path.glob("*/*")]:
        assert running.poll() is None
    running.send_signal(getattr(signal, name))
    _, complained = running.communicate(timeout=60)
    assert (running.returncode, complained) == (130, "Interrupted.\n")
    assert not [*tmp_path.iterdir()]
