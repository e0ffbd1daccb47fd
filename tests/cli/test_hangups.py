"""A terminal goes away, a log's disk is full, a reader has left: the calls are no worse for it."""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ihuyi_voice.cli.interrupts import Interrupts
from ihuyi_voice.simulator import Simulator
from tests.cli.test_once import ROWS, Sending, arrived, statuses, write
from tests.support.command import CONTENT, MOBILE, PROGRAM, program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has other signals")

FULL = Path("/dev/full")  # which refuses every byte as a full disk does
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


class AtTerminal(Sending):
    """The command as an ssh connection runs it: its terminal is its own, and may go."""

    def __init__(self, *args: object) -> None:
        ours, theirs = pty.openpty()
        self._terminal = ours
        self.running = subprocess.Popen(  # type: ignore[assignment]  # noqa: S603 - its output is no text
            [sys.executable, "-c", LEADER, *PROGRAM[1:], "send", *map(str, args)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def hang_up(self) -> None:
        """Break the connection."""
        os.close(self._terminal)


LEADER = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.mark.slow
def test_a_terminal_that_goes_away_loses_no_outcome(vendor: Simulator, tmp_path: Path) -> None:
    """As when ssh breaks: what is in flight is awaited, and the file tells of every row."""
    vendor.latency = 0.05
    out = tmp_path / "out.csv"
    sending = AtTerminal(write(tmp_path), "--out", out, "--concurrency", "20")
    arrived(vendor, 60, sending)
    sending.hang_up()
    assert sending.running.wait(60) in {130, 6}
    found = statuses(out)
    assert found == {"ACCEPTED": len(vendor.arrivals), "NOT_SENT": ROWS - len(vendor.arrivals)}


@pytest.mark.slow
def test_under_nohup_a_run_goes_on(vendor: Simulator, tmp_path: Path) -> None:
    """Whoever started it so wants it to."""
    out = tmp_path / "out.csv"
    vendor.latency = 0.02
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        sending = Sending(write(tmp_path), "--out", out)
    finally:
        signal.signal(signal.SIGHUP, before)
    arrived(vendor, 10, sending)
    sending.running.send_signal(signal.SIGHUP)
    code, said, _ = sending.end()
    assert (code, statuses(out)) == (0, {"ACCEPTED": ROWS})
    assert f"All {ROWS} were accepted" in said


async def test_a_hangup_counts_once() -> None:
    """The system tells of it, and then the shell does, too; that is no second Ctrl-C."""
    with Interrupts() as interrupts:
        for name in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
            os.kill(os.getpid(), name)
        await interrupts.reached(2)
        assert interrupts.count == 2


@needs_full
def test_a_log_on_a_full_disk_changes_nothing(vendor: Simulator, tmp_path: Path) -> None:
    """What goes to stderr is for people; the run goes on to its end, also where rows are told."""
    out = tmp_path / "out.csv"
    with FULL.open("w") as full:
        done = subprocess.run(  # noqa: S603 - our own program
            [*program(), "send", str(write(tmp_path, 3, "x,12,x\n")), "--out", str(out)],
            check=False,
            stdout=subprocess.PIPE,
            stderr=full,
        )
    assert (done.returncode, b"4 rows in" in done.stdout) == (1, True)
    assert statuses(out) == {"ACCEPTED": 3, "NOT_SENT": 1}


@needs_full
@pytest.mark.parametrize("more", [(), pytest.param(("--json",), marks=pytest.mark.long)], ids=str)
def test_an_output_on_a_full_disk_loses_no_summary(
    vendor: Simulator, tmp_path: Path, more: tuple[str, ...]
) -> None:
    """It comes on stderr; the exit code is 6, as for any output that could not be written."""
    out = tmp_path / "out.csv"
    with FULL.open("w") as full:
        done = subprocess.run(  # noqa: S603 - our own program
            [*program(), "send", str(write(tmp_path, 3)), "--out", str(out), *more],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert (done.returncode, b"Traceback" in done.stderr) == (6, False), done.stderr
    assert b"No space left on device" in done.stderr
    assert (b'"exit_code": 6' if more else b"3 rows in") in done.stderr
    assert statuses(out) == {"ACCEPTED": 3}


@pytest.fixture
def nobody() -> Iterator[int]:
    """A pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("balance",), 6),
        pytest.param(("balance", "--json"), 6, marks=pytest.mark.long),
        (("submit", MOBILE, "x", "--json"), 3),
        pytest.param(("submit", "1", CONTENT, "--json"), 2, marks=pytest.mark.long),
        pytest.param(("template", "check", "x【变量】", "xy"), 6, marks=pytest.mark.long),
        (("simulate", "--port", "0"), 6),
    ],
    ids=str,
)
def test_a_reader_who_has_left_costs_no_traceback(
    vendor: Simulator, nobody: int, args: tuple[str, ...], code: int
) -> None:
    """What went wrong is told on stderr, and by the exit code."""
    done = subprocess.run(  # noqa: S603 - our own program
        [*program(), *args], check=False, stdout=nobody, stderr=subprocess.PIPE
    )
    assert done.returncode == code
    assert done.stderr.startswith((b"ihuyi-voice: ", b"TemplateMismatch: ", b"InvalidRequest: "))
    assert b"Traceback" not in done.stderr


@needs_full
@pytest.mark.parametrize("more", [(), ("--json",)], ids=str)
@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("submit", MOBILE, CONTENT), rb'accepted, voice_id \d{20}|"voice_id": "\d{20}"'),
        (("template", "add", "快递到了【变量】"), rb'template_id \d+|"template_id": "\d+"'),
        (("template", "delete", "100001"), rb'deleted 100001|"deleted": "100001"'),
    ],
    ids=["submit", "add", "delete"],
)
def test_what_was_done_is_told_where_the_output_takes_nothing(
    vendor: Simulator, args: tuple[str, ...], told: bytes, more: tuple[str, ...]
) -> None:
    """Or whoever reads of a full disk alone does it once more, and the phone rings twice."""
    with FULL.open("w") as full:
        done = subprocess.run(  # noqa: S603 - our own program
            [*program(), *args, *more], check=False, stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 6
    first, last = done.stderr.splitlines()
    assert re.search(told, first), first
    assert b"No space left on device" in last
