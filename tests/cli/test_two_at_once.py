"""Two runs at once that are told to write their results into one file: no outcome is lost."""

import signal
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from ihuyi_voice.cli.growing import GrowingFile
from ihuyi_voice.cli.results import Headings, ResultsFile
from ihuyi_voice.cli.verdicts import advice
from ihuyi_voice.errors import InvalidRequest, NotSent, RunInUse
from ihuyi_voice.inputs.earlier import OF_A_LEDGER
from ihuyi_voice.simulator import Simulator
from tests.cli import test_resuming
from tests.cli.test_once import ROWS, Sending, arrived, results, statuses, write
from tests.support.command import CONTENT, run


def other(folder: Path) -> Path:
    """Write a list of one person who stands in no other."""
    file = folder / "other.csv"
    file.write_text(f"姓名,手机号,content\n李,13800000000,{CONTENT}\n", encoding="utf-8")
    return file


def part_files(folder: Path) -> list[Path]:
    """Return what is left of files that took nobody's place."""
    return list(folder.glob(".*.part"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out.csv", "out.xlsx"])
def test_a_file_in_which_a_run_writes_is_not_forced_from_it(
    vendor: Simulator, tmp_path: Path, name: str
) -> None:
    """Both would write over each other's rows, and say that all went well."""
    vendor.latency = 0.05
    out = tmp_path / name
    sending = Sending(write(tmp_path), "--out", out, "--force")
    arrived(vendor, 10, sending)
    result = run("send", str(other(tmp_path)), "--out", str(out), "--force")
    assert (result.exit_code, "another run writes" in result.stderr) == (2, True), result.stderr
    sending.running.send_signal(signal.SIGINT)
    assert sending.end()[0] == 130
    assert "13800000000" not in {mobile for mobile, _ in vendor.rung()}
    if name == "out.csv":
        assert statuses(out) == {
            "ACCEPTED": len(vendor.arrivals),
            "NOT_SENT": ROWS - len(vendor.arrivals),
        }


def test_a_file_is_free_again_when_its_run_has_let_go(tmp_path: Path) -> None:
    """Forced, it is begun anew, and nothing of the older one is left behind its end."""
    path = tmp_path / "a.csv"
    first = GrowingFile(path, ("a", "b"), force=False)
    first.add(("1", "2"))
    with pytest.raises(InvalidRequest, match="another run writes"):
        GrowingFile(path, ("c",), force=True)
    assert path.read_bytes() == b"\xef\xbb\xbfa,b\r\n1,2\r\n"
    first.close()
    second = GrowingFile(path, ("c",), force=True)
    second.close()
    assert path.read_bytes() == b"\xef\xbb\xbfc\r\n"


async def test_results_that_came_meanwhile_are_another_runs_still(tmp_path: Path) -> None:
    """Looked for before the calls alone, they would be gone without a word after them."""
    path = tmp_path / "a.csv"
    mine = ResultsFile(path, Headings.of(("mobile",), OF_A_LEDGER), "mine", force=False)
    theirs = ResultsFile(path, Headings.of(("mobile",), OF_A_LEDGER), "theirs", force=False)
    mine.check()
    theirs.check()

    async def rows(name: str) -> AsyncGenerator[list[str]]:
        yield ["1", *("",) * (len(OF_A_LEDGER) - 1), name]

    await theirs.write(rows("theirs"))
    written = path.read_bytes()
    with pytest.raises(InvalidRequest, match="something else than this run's results"):
        await mine.write(rows("mine"))
    assert path.read_bytes() == written
    await theirs.write(rows("theirs"))
    assert not part_files(tmp_path)


@pytest.mark.slow
def test_rows_that_another_program_took_the_place_of_are_not_made_into_a_workbook(
    vendor: Simulator, tmp_path: Path
) -> None:
    """What it wrote stays where it is, and what the run knows is told line by line."""
    vendor.latency = 0.02
    out, rows = tmp_path / "out.xlsx", tmp_path / "out.xlsx.csv"
    sending = Sending(write(tmp_path), "--out", out)
    arrived(vendor, 10, sending)
    rows.unlink()
    rows.write_text("another's", encoding="utf-8")
    code, said, complained = sending.end()
    assert (code, "Traceback" in complained, "rows in" in said) == (6, False, True)
    assert (out.exists(), rows.read_text(encoding="utf-8")) == (False, "another's")
    lines = [line for line in complained.splitlines() if "known nowhere else" in line]
    told = sum(",ACCEPTED," in line or ": ACCEPTED" in line for line in lines)
    assert told == len(vendor.arrivals)


@pytest.mark.slow
def test_a_run_whose_file_another_has_taken_says_that_it_is_not_written(
    vendor: Simulator, tmp_path: Path
) -> None:
    """By exit code 6, and with the way to have it all the same; the other's file stays."""
    vendor.latency = 0.02
    sending = test_resuming.Sending(tmp_path, test_resuming.write(tmp_path))
    seen_by = Counter[str]()
    while len(vendor.arrivals) < 10:
        assert sending.running.poll() is None
    ledger = ("--ledger", str(tmp_path / "other.db"))
    assert run("send", str(other(tmp_path)), "--out", str(sending.out), *ledger).exit_code == 0
    code, _, complained = sending.end()
    seen_by.update(row["run"] for row in results(sending.out))
    assert (code, seen_by) == (6, {"other.csv": 1})
    assert "ihuyi-voice ledger csv" in complained


def test_a_run_that_another_works_on_is_no_matter_of_the_network() -> None:
    """What to do, `--takeover`, is said where it is known; a look at the proxy helps nobody."""
    assert advice(RunInUse("the run is worked on by another process")) == ""
    assert advice(NotSent("no connection")) != ""
