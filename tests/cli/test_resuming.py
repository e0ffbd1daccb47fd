"""`send --ledger`: interrupted, killed, run again: nobody is called twice, the file is whole."""

import asyncio
import csv
import json
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ihuyi_voice.cli.listing import Keyed, keyed
from ihuyi_voice.cli.results import Headings, joined, write_rows
from ihuyi_voice.inputs import BadRow, Recipient
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.command import CONTENT, MOBILE, quick_program, run, seen

ROWS = 400
UNTIL = 60


def write(folder: Path, rows: int = ROWS) -> Path:
    """Write a list of so many people."""
    file = folder / "名单.csv"
    lines = (f"张{place},139{place:08d},{CONTENT}\n" for place in range(rows))
    file.write_text("姓名,手机号,content\n" + "".join(lines), encoding="utf-8")
    return file


def results(path: Path) -> list[dict[str, str]]:
    """Return the rows of a results file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def statuses(path: Path) -> Counter[str]:
    """Return how many rows ended in which way."""
    return Counter(row["status"] for row in results(path))


class Sending:
    """The command in a process of its own."""

    def __init__(self, folder: Path, file: Path) -> None:
        self.out = folder / "out.csv"
        self.args = ("send", str(file), "--ledger", str(folder / "n.db"), "--out", str(self.out))
        self.running = subprocess.Popen(  # noqa: S603 - our own program
            [*quick_program(), *self.args, "--json", "--concurrency", "20"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; return its exit code and what it said."""
        said, complained = self.running.communicate(timeout=60)
        return self.running.returncode, said, complained


def rung_twice(vendor: Simulator) -> list[str]:
    """Return the numbers that were called more than once."""
    return [mobile for (mobile, _), times in vendor.rung().items() if times > 1]


def arrived(vendor: Simulator, count: int, sending: Sending) -> None:
    """Wait until the vendor has seen so many requests."""
    seen(vendor, count, sending.running)


@pytest.mark.long
@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_good_order_and_run_again_it_goes_on(
    vendor: Simulator, tmp_path: Path, name: signal.Signals
) -> None:
    """What was in flight is awaited, the file is whole, the summary comes; then only the rest."""
    vendor.latency = 0.05
    file = write(tmp_path)
    sending = Sending(tmp_path, file)
    arrived(vendor, UNTIL, sending)
    sending.running.send_signal(name)
    code, said, complained = sending.end()
    assert code == 130
    assert "in flight; Ctrl-C again writes them down as UNKNOWN" in complained
    told = json.loads(said.splitlines()[-1])
    assert (told["interrupted"], told["exit_code"]) == (True, 130)
    found = statuses(sending.out)
    assert found.total() == ROWS
    assert set(found) == {"ACCEPTED", "NOT_SENT"}
    assert found["ACCEPTED"] == told["outcomes"]["ACCEPTED"] == len(vendor.arrivals)
    code, said, _ = Sending(tmp_path, file).end()
    assert code == 0
    assert json.loads(said.splitlines()[-1])["replayed"] == found["ACCEPTED"]
    assert statuses(sending.out) == {"ACCEPTED": ROWS}
    assert len(vendor.arrivals) == ROWS
    assert not rung_twice(vendor)


@pytest.mark.long
def test_a_second_signal_writes_down_what_is_in_flight(vendor: Simulator, tmp_path: Path) -> None:
    """As UNKNOWN, in the file and in the ledger; run again, it is not sent a second time."""
    vendor.latency = 30.0
    file = write(tmp_path)
    sending = Sending(tmp_path, file)
    arrived(vendor, 1, sending)
    sending.running.send_signal(signal.SIGINT)
    assert sending.running.stderr is not None
    assert "Waiting for 1 in flight" in sending.running.stderr.readline()
    sending.running.send_signal(signal.SIGINT)
    code, said, complained = sending.end()
    assert code == 130
    assert "written down as UNKNOWN" in complained
    assert json.loads(said.splitlines()[-1])["outcomes"]["UNKNOWN"] == 1
    assert statuses(sending.out) == {"UNKNOWN": 1, "NOT_SENT": ROWS - 1}
    vendor.latency = 0.0
    assert Sending(tmp_path, file).end()[0] == 1
    assert statuses(sending.out) == {"UNKNOWN": 1, "ACCEPTED": ROWS - 1}
    assert not rung_twice(vendor)


@pytest.mark.long
def test_killed_in_the_middle_and_run_again_nobody_is_called_twice(
    vendor: Simulator, tmp_path: Path
) -> None:
    """After the ten seconds in which it might be alive; each row has its result."""
    vendor.latency = 0.05
    file = write(tmp_path)
    sending = Sending(tmp_path, file)
    arrived(vendor, UNTIL, sending)
    sending.running.kill()
    assert sending.end()[0] == -signal.SIGKILL
    assert not sending.out.exists()
    again = Sending(tmp_path, file)
    code, said, complained = again.end()
    assert code in {0, 1}
    assert "waiting to see whether it lives" in complained
    told = json.loads(said.splitlines()[-1])
    found = statuses(sending.out)
    assert found.total() == ROWS
    assert set(found) <= {"ACCEPTED", "UNKNOWN"}
    assert found["UNKNOWN"] == told["outcomes"]["UNKNOWN"] <= 20
    assert not rung_twice(vendor)


def sent(folder: Path, *args: str) -> "tuple[int, str]":
    """Run the command on a list here; return its exit code and what it said."""
    file = folder / "名单.csv"
    result = run("send", str(file), "--ledger", str(folder / "n.db"), *args)
    return result.exit_code, result.output


def test_a_settled_run_says_so_and_sends_nothing(vendor: Simulator, tmp_path: Path) -> None:
    """With an exit code of its own, and the option by which the list is sent once more."""
    write(tmp_path, 3)
    assert sent(tmp_path)[0] == 0
    code, said = sent(tmp_path)
    assert code == 7
    assert "Everything in the run 名单.csv was settled before: nothing was sent." in said
    assert "--run NAME" in said
    assert len(vendor.arrivals) == 3
    assert sent(tmp_path, "--run", "again")[0] == 0
    assert len(vendor.arrivals) == 6


@pytest.mark.slow
def test_the_list_keeps_its_columns_in_the_results(vendor: Simulator, tmp_path: Path) -> None:
    """Beside what became of each row; a results file that is sent has them once only."""
    write(tmp_path, 2)
    out = tmp_path / "out.csv"
    assert sent(tmp_path, "--out", str(out))[0] == 0
    (row, _) = results(out)
    assert list(row)[:4] == ["姓名", "手机号", "content", "status"]
    assert (row["姓名"], row["手机号"], row["status"], row["code"]) == (
        *("张0", MOBILE, "ACCEPTED", "2"),
    )
    assert (row["attempts"], row["run"]) == ("1", "名单.csv")
    again = tmp_path / "again.csv"
    ledger = str(tmp_path / "n.db")
    wanted = ("--only", "accepted", "--ring-again")
    result = run("send", str(out), "--ledger", ledger, "--run", "二", "--out", str(again), *wanted)
    assert result.exit_code == 0, result.output
    assert list(results(again)[0]) == list(row)


@pytest.mark.long
def test_identical_rows_are_sent_once_unless_asked(vendor: Simulator, tmp_path: Path) -> None:
    """And told so; asked for, each is a message of its own, also when it is run again."""
    row = f"{MOBILE},{CONTENT}\n"
    (tmp_path / "名单.csv").write_text(f"mobile,content\n{row}{row}", encoding="utf-8")
    out = tmp_path / "out.csv"
    code, said = sent(tmp_path, "--out", str(out))
    assert (code, len(vendor.arrivals)) == (0, 1)
    assert "1 rows say the same to the same number as a row before, and were sent once" in said
    assert [row["error"] for row in results(out)] == ["", "the same as line 2: one message"]
    for expected in (0, 7):
        code, _ = sent(tmp_path, "--run", "each", "--duplicates", "send", "--max-wait", "10")
        assert (code, len(vendor.arrivals)) == (expected, 3)


def test_keys_are_references_or_digests_and_never_rows() -> None:
    """In whatever order a list comes, and whatever was taken out of it."""
    rows: list[Recipient | BadRow] = [
        Recipient(MOBILE, "a", "r1", line=2),
        Recipient(MOBILE, "b", line=3),
        Recipient(MOBILE, "b", line=4),
        Recipient(MOBILE, "c", "r1", line=5),
        BadRow(6, "bad", ""),
    ]
    forward = list(keyed(rows, again=False))
    keys = [each.key for each in forward]
    assert keys[0] == "r1"
    assert keys[1] == keys[2]
    assert [each.same_as for each in forward] == [0, 0, 3, 0, 0]
    assert isinstance(forward[3].row, BadRow)  # its reference has another content
    assert "r1 stands in line 2" in forward[3].row.reason
    assert {each.key for each in keyed(rows[1:2], again=False)} == {keys[1]}
    assert [each.key for each in keyed(rows[1:3], again=True)] == [keys[1], f"{keys[1]}#2"]


@pytest.mark.parametrize("option", ["--takeover", "--retry-rejected"])
def test_what_needs_a_ledger_says_so(vendor: Simulator, tmp_path: Path, option: str) -> None:
    """Exit code 2, and nothing is sent."""
    result = run("send", str(write(tmp_path, 1)), option)
    assert (result.exit_code, "need --ledger" in result.output) == (2, True)
    assert not vendor.arrivals


def test_a_file_of_something_else_is_not_replaced(vendor: Simulator, tmp_path: Path) -> None:
    """Unless that is asked for; this run's own file is."""
    write(tmp_path, 1)
    out = tmp_path / "out.csv"
    out.write_text("older", encoding="utf-8")
    code, said = sent(tmp_path, "--out", str(out))
    assert (code, "--force" in said, out.read_text()) == (2, True, "older")
    assert not vendor.arrivals
    assert sent(tmp_path, "--out", str(out), "--force")[0] == 0
    assert sent(tmp_path, "--out", str(out))[0] == 7
    assert statuses(out) == {"ACCEPTED": 1}


def test_results_that_cannot_be_written_stop_it_before_it_begins(
    vendor: Simulator, tmp_path: Path
) -> None:
    """Nobody is called then."""
    write(tmp_path, 1)
    assert sent(tmp_path, "--out", str(tmp_path / "none" / "out.csv"))[0] == 2
    assert not vendor.arrivals


def test_results_that_cannot_be_written_at_the_end_are_not_lost(
    vendor: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 6, the summary comes, the older file stays, and the ledger has everything."""
    write(tmp_path, 2)
    out = tmp_path / "out.csv"
    assert sent(tmp_path, "--out", str(out))[0] == 0
    before = out.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("ihuyi_voice.cli.sheets.os.fsync", full)
        write(tmp_path, 3)
        code, said = sent(tmp_path, "--out", str(out))
    assert code == 6
    assert "No space left on device" in said
    assert "3 rows in" in said
    assert (out.read_bytes(), sorted(tmp_path.glob(".*.part"))) == (before, [])
    assert sent(tmp_path, "--out", str(out))[0] == 7
    assert statuses(out) == {"ACCEPTED": 3}


def stopping(vendor: Simulator) -> None:
    """Let the account be empty."""
    vendor.add_fault(Fault("code", code=4051))


def unreachable(vendor: Simulator) -> None:
    """Let every request be lost on its way back."""
    vendor.add_fault(Fault("disconnect_after", times=None))


@pytest.mark.parametrize(
    ("trouble", "code", "cause"), [(stopping, 3, "Stopped: 4051 "), (unreachable, 1, "")]
)
def test_the_end_names_the_cause_once(
    vendor: Simulator,
    tmp_path: Path,
    trouble: Callable[[Simulator], None],
    code: int,
    cause: str,
) -> None:
    """Not a row after another: what stopped it, and that it goes on by being run again."""
    trouble(vendor)
    write(tmp_path, 50)
    found, said = sent(tmp_path, "--concurrency", "1")
    assert found == code
    assert f"{cause}" in said
    assert "goes on when the same command is run again" in said
    assert said.count("before this message's turn") <= 1


def test_a_list_is_closed_when_its_results_cannot_be_written() -> None:
    """At once: a copy of a pipe is removed then, and not everywhere while it is open."""
    closed = list[str]()

    class Empty:
        async def results(self, *_: object) -> Mapping[str, Any]:
            return {}

    def rows() -> Iterator[Keyed]:
        try:
            for line in range(1_000):
                yield Keyed(Recipient("13900000000", CONTENT, line=line), "k")
        finally:
            closed.append("list")

    def write(row: Sequence[object]) -> None:
        if row[0] != "status":
            raise OSError("no space left")

    async def main() -> None:
        ledger: Any = Empty()
        with pytest.raises(OSError, match="no space left"):
            await write_rows(write, ["status"], joined(ledger, "r", None, rows(), Headings.of(())))
        assert closed == ["list"]

    asyncio.run(main())
