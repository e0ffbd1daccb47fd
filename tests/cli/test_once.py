"""`send` without a ledger, in a process of its own: whatever ends it, everybody knows how."""

import csv
import json
import os
import resource
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from ihuyi_voice.cli.growing import GrowingFile
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.command import CONTENT, MOBILE, PROGRAM, program, quick_program, run, seen

ROWS = 300


def write(folder: Path, rows: int = ROWS, more: str = "") -> Path:
    """Write a list of so many people."""
    file = folder / "名单.csv"
    lines = (f"张{place},139{place:08d},{CONTENT}\n" for place in range(rows))
    file.write_text("姓名,手机号,content\n" + "".join(lines) + more, encoding="utf-8")
    return file


def results(path: Path) -> list[dict[str, str]]:
    """Return the rows of a results file, each whole."""
    data = path.read_bytes()
    assert data.endswith(b"\r\n")
    rows = list(csv.DictReader(data.decode("utf-8-sig").splitlines(keepends=True)))
    assert all(None not in row and None not in row.values() for row in rows)
    return rows


def statuses(path: Path) -> Counter[str]:
    """Return how many rows ended in which way."""
    return Counter(row["status"] for row in results(path))


class Sending:
    """The command in a process of its own."""

    def __init__(self, *args: object, most: int | None = None, **environ: str) -> None:
        def small_disk() -> None:
            if most is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

        itself = PROGRAM if most or environ else quick_program()  # they act as it starts
        self.running = subprocess.Popen(  # noqa: S603 - our own program
            [*itself, "send", *map(str, args), "--concurrency", "20"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            preexec_fn=small_disk,  # noqa: PLW1509 - the tests' process has no other threads that matter
            env={**os.environ, **environ},
        )

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; return its exit code and what it said."""
        said, complained = self.running.communicate(timeout=60)
        return self.running.returncode, said, complained

    def wait_for(self, text: str) -> str:
        """Wait until a line of stderr has this text; return it."""
        assert self.running.stderr is not None
        while text not in (line := self.running.stderr.readline()):
            assert line, self.running.poll()
        return line


def arrived(vendor: Simulator, count: int, sending: Sending) -> None:
    """Wait until the vendor has seen so many requests."""
    seen(vendor, count, sending.running)


@pytest.mark.parametrize(
    "name", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_a_signal_awaits_what_is_in_flight_and_leaves_a_whole_file(
    vendor: Simulator, tmp_path: Path, name: signal.Signals
) -> None:
    """Every row is in it: those that were called, and those whose turn never came."""
    vendor.latency = 0.05
    out = tmp_path / "out.csv"
    sending = Sending(write(tmp_path), "--out", out)
    arrived(vendor, 60, sending)
    sending.running.send_signal(name)
    code, said, complained = sending.end()
    assert code == 130
    assert "in flight; Ctrl-C again writes them down as UNKNOWN" in complained
    found = statuses(out)
    assert found == {"ACCEPTED": len(vendor.arrivals), "NOT_SENT": ROWS - len(vendor.arrivals)}
    assert f"{ROWS} rows in" in said
    assert {row["error"] for row in results(out) if row["status"] == "NOT_SENT"} == {
        "not begun; nothing was sent"
    }


def test_a_second_signal_writes_down_what_is_in_flight(vendor: Simulator, tmp_path: Path) -> None:
    """As UNKNOWN, row by row, and not a header alone."""
    vendor.add_fault(Fault("silence"))
    out = tmp_path / "out.csv"
    sending = Sending(write(tmp_path), "--out", out)
    arrived(vendor, 1, sending)
    sending.running.send_signal(signal.SIGINT)
    sending.wait_for("Waiting for 1 in flight")
    sending.running.send_signal(signal.SIGINT)
    code, said, complained = sending.end()
    assert (code, "written down as UNKNOWN" in complained) == (130, True)
    assert statuses(out) == {"UNKNOWN": 1, "NOT_SENT": ROWS - 1}
    assert "UNKNOWN" in said


@pytest.mark.slow
def test_a_full_disk_stops_the_run_and_loses_no_outcome(vendor: Simulator, tmp_path: Path) -> None:
    """The file ends at a whole row, the rest is told, nothing more is sent; the code is its own."""
    vendor.latency = 0.02
    out = tmp_path / "out.csv"
    sending = Sending(write(tmp_path), "--out", out, most=8192)
    code, said, complained = sending.end()
    assert code == 6
    assert "File too large" in complained
    assert "nothing more is sent" in complained
    written = {row["姓名"] for row in results(out)}
    told = {line.split()[4] for line in complained.splitlines() if "known nowhere else" in line}
    assert len(written) + len(told) == len(vendor.arrivals) < ROWS
    assert {f"张{int(line.strip(':')) - 2}" for line in told}.isdisjoint(written)
    assert f"{len(vendor.arrivals)} rows in" in said


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk")
def test_a_real_full_disk_does_the_same(vendor: Simulator, tmp_path: Path) -> None:
    """One of 16 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount") or "/bin/mount"
    command = [mount, "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)]
    if subprocess.run(command, check=False, capture_output=True).returncode:  # noqa: S603
        pytest.skip("no disk can be mounted here")
    try:
        code, said, complained = Sending(write(tmp_path), "--out", disk / "out.csv").end()
        count = len(results(disk / "out.csv"))
    finally:
        subprocess.run([shutil.which("umount") or "/bin/umount", str(disk)], check=True)  # noqa: S603
    assert (code, "No space left on device" in complained, "rows in" in said) == (6, True, True)
    assert count + complained.count("known nowhere else") == len(vendor.arrivals) < ROWS


@pytest.mark.slow
def test_a_file_that_vanishes_is_told_row_by_row(vendor: Simulator, tmp_path: Path) -> None:
    """As when the stick is pulled out: what went nowhere stands on stderr."""
    vendor.latency = 0.05
    disk = tmp_path / "stick"
    disk.mkdir()
    sending = Sending(write(tmp_path), "--out", disk / "out.csv")
    arrived(vendor, 10, sending)
    shutil.rmtree(disk)
    code, said, complained = sending.end()
    assert (code, "rows in" in said) == (6, True)
    lines = [line for line in complained.splitlines() if "known nowhere else" in line]
    assert sum(",ACCEPTED," in line or ": ACCEPTED" in line for line in lines) == len(
        vendor.arrivals
    )


def test_a_closed_output_loses_the_summary_from_there_alone(
    vendor: Simulator, tmp_path: Path
) -> None:
    """It is told on stderr in its place; everything is in the file, and the exit code is 6."""
    reading, writing = os.pipe()
    os.close(reading)
    out = tmp_path / "out.csv"
    done = subprocess.run(  # noqa: S603 - our own program
        [*program(), "send", str(write(tmp_path, 3)), "--out", str(out)],
        check=False,
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    assert (done.returncode, b"Traceback" in done.stderr) == (6, False)
    assert b"3 rows in" in done.stderr
    assert statuses(out) == {"ACCEPTED": 3}


@pytest.mark.slow
def test_an_output_of_windows_letters_loses_no_summary(vendor: Simulator, tmp_path: Path) -> None:
    """What cp1252 lacks is spelled out."""
    sending = Sending(write(tmp_path, 3), PYTHONIOENCODING="cp1252:strict")
    code, said, _ = sending.end()
    assert (code, "3 rows in" in said) == (0, True)


def test_an_older_file_stays_unless_forced(vendor: Simulator, tmp_path: Path) -> None:
    """It says whose phone rang; nothing is sent before another name is given."""
    out = tmp_path / "out.csv"
    out.write_text("older")
    file = str(write(tmp_path, 1))
    result = run("send", file, "--out", str(out))
    assert (result.exit_code, "--force" in result.stderr, out.read_text()) == (2, True, "older")
    assert not vendor.arrivals
    assert run("send", file, "--out", str(out), "--force").exit_code == 0
    assert statuses(out) == {"ACCEPTED": 1}


@pytest.mark.parametrize(
    "args", [("--max-rate", "0"), ("--column", "oops"), ("--account", ""), ("--template", "{x}y")]
)
def test_no_file_is_made_before_input_and_options_are_good(
    vendor: Simulator, tmp_path: Path, args: Sequence[str]
) -> None:
    """Or the next try would find one that is there already."""
    out = tmp_path / "out.csv"
    result = run("send", str(write(tmp_path, 1)), "--out", str(out), *args)
    assert (result.exit_code, out.exists()) == (2, False)
    assert not vendor.arrivals


@pytest.mark.slow
def test_identical_rows_are_sent_once_and_carry_the_same_result(
    vendor: Simulator, tmp_path: Path
) -> None:
    """By number and rendered content, whatever else stands in them; asked for, each is sent."""
    out = tmp_path / "out.csv"
    row = f"x,{MOBILE},{CONTENT}\n"
    file = str(write(tmp_path, 1, row + row))
    result = run("send", file, "--out", str(out))
    assert (result.exit_code, len(vendor.arrivals)) == (0, 1)
    assert "2 rows say the same to the same number as a row before" in result.stdout
    rows = results(out)
    assert [row["status"] for row in rows] == ["ACCEPTED"] * 3
    assert len({row["voice_id"] for row in rows}) == 1
    assert [row["error"] for row in rows] == ["", *["the same as line 2: one message"] * 2]
    each = tmp_path / "each.csv"
    args = ("--duplicates", "send", "--max-wait", "10", "--out", str(each))
    assert run("send", file, *args).exit_code == 0
    assert len(vendor.arrivals) == 4
    assert len({row["voice_id"] for row in results(each)}) == 3


def test_a_list_keeps_its_columns_also_those_that_are_called_like_ours(
    vendor: Simulator, tmp_path: Path
) -> None:
    """Sent once more, the results of the first time are gone, and the list's own are not."""
    file = tmp_path / "a.csv"
    file.write_text(f"status,手机号,content,line\nVIP,{MOBILE},{CONTENT},7\n", encoding="utf-8")
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    assert run("send", str(file), "--out", str(first)).exit_code == 0
    (row,) = results(first)
    assert list(row) == [
        *("status", "手机号", "content", "line"),
        *("result.status", "voice_id", "code", "error", "retry_at", "attempts", "result.line"),
    ]
    assert (row["status"], row["result.status"], row["line"], row["result.line"]) == (
        *("VIP", "ACCEPTED", "7", "2"),
    )
    ledger = [*("--ledger", str(tmp_path / "n.db"), "--run", "x"), "--ring-again"]
    ledger += ["--only", "accepted"]
    assert run("send", str(first), "--out", str(second), *ledger).exit_code == 0
    (again,) = results(second)
    assert list(again)[:5] == ["status", "手机号", "content", "line", "result.status"]
    assert (again["status"], again["line"], again["run"]) == ("VIP", "7", "x")


def test_half_a_row_is_cut_off_again(tmp_path: Path) -> None:
    """Where the system takes some of it and then no more."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    file = GrowingFile(tmp_path / "a.csv", ("a", "b"), force=False)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        file.add((1, 2))
        with pytest.raises(OSError, match="too large"):
            file.add(("x" * 100, 3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        file.settle()
        file.close()
    assert (tmp_path / "a.csv").read_bytes() == b"\xef\xbb\xbfa,b\r\n1,2\r\n"


def test_a_file_that_was_replaced_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows went into one that nobody can find; all of them are known as lost."""
    path = tmp_path / "a.csv"
    file = GrowingFile(path, ("a",), force=False)
    file.add(("1",))
    path.unlink()
    path.write_text("other")
    now = time.monotonic()
    monkeypatch.setattr("ihuyi_voice.cli.growing.monotonic", lambda: now + 2)
    with pytest.raises(FileNotFoundError):
        file.add(("2",))
    assert list(file.lost()) == ["a", "1"]
    file.close()


def test_json_ends_with_what_it_came_to(vendor: Simulator, tmp_path: Path) -> None:
    """Interrupted or not, and with the exit code."""
    result = run("send", str(write(tmp_path, 2)), "--json")
    told = json.loads(result.stdout.splitlines()[-1])
    assert (told["exit_code"], told["interrupted"], told["duplicates"]) == (0, False, 0)


def test_refusals_are_told_together_and_not_one_by_one(vendor: Simulator, tmp_path: Path) -> None:
    """The log has a line for each, which would flood the screen."""
    vendor.add_fault(Fault("code", code=4030, times=None))
    _, _, complained = Sending(write(tmp_path, 30)).end()
    assert "30 × REJECTED: Submit 4030" in complained
    assert complained.count("REJECTED") == 1


def test_a_code_that_stops_is_the_cause_on_the_last_row_too(
    vendor: Simulator, tmp_path: Path
) -> None:
    """Nothing is left to be stopped, and the account is empty all the same."""
    vendor.add_fault(Fault("code", code=4051))
    code, said, _ = Sending(write(tmp_path, 1)).end()
    assert (code, said.startswith("Stopped: 4051 ")) == (3, True)
