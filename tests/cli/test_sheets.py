"""Workbooks in and out: read from another library's hand, written whole, with a CSV beside them."""

import errno
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter  # type: ignore[import-untyped]  # it has none

from ihuyi_voice.cli.sheets import replacing, writing
from ihuyi_voice.inputs.earlier import OF_A_LEDGER, OF_ONE_RUN
from ihuyi_voice.simulator import Simulator
from tests.cli.test_once import Sending, arrived, statuses
from tests.support.command import CONTENT, run

LIST = ("姓名", "手机号", "订单", "日期")


def write(folder: Path, rows: int = 3) -> Path:
    """Write a list as another library does: numbers as numbers."""
    file = folder / "名单.xlsx"
    with xlsxwriter.Workbook(str(file)) as book:
        sheet: Any = book.add_worksheet()  # pyright: ignore[reportUnknownMemberType] - it has no types
        sheet.write_row(0, 0, LIST)
        for place in range(rows):
            sheet.write_row(place + 1, 0, (f"张{place}", 13900000000 + place, 9633 + place))
    return file


def table(path: Path) -> list[tuple[object, ...]]:
    """Return the rows of a workbook."""
    book = openpyxl.load_workbook(path, read_only=True)
    rows: list[tuple[object, ...]] = [
        tuple(row) for row in book.worksheets[0].iter_rows(values_only=True)
    ]
    book.close()
    return rows


TEMPLATE = ("--template", "您的订单号是：{订单}。")


def test_results_are_a_workbook_in_the_order_of_the_list(vendor: Simulator, tmp_path: Path) -> None:
    """With text in every cell, and nothing left beside it."""
    out = tmp_path / "结果.xlsx"
    assert run("send", str(write(tmp_path)), *TEMPLATE, "--out", str(out)).exit_code == 0
    header, *rows = table(out)
    assert header == (*LIST, *OF_ONE_RUN)
    assert [row[:3] for row in rows] == [
        (f"张{place}", f"139{place:08d}", str(9633 + place)) for place in range(3)
    ]
    assert [(row[4], row[-1]) for row in rows] == [("ACCEPTED", str(line)) for line in (2, 3, 4)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["名单.xlsx", "结果.xlsx"]


def test_a_workbook_of_results_is_sent_again(vendor: Simulator, tmp_path: Path) -> None:
    """Without a word about its columns, and into a CSV if that is wanted."""
    first, second = tmp_path / "1.xlsx", tmp_path / "2.csv"
    file = str(write(tmp_path))
    assert run("send", file, *TEMPLATE, "--out", str(first)).exit_code == 0
    args = ("--only", "held,not_sent", "--out", str(second))
    assert run("send", str(first), *TEMPLATE, *args).exit_code == 0
    assert statuses(second) == {"ACCEPTED": 3}
    assert len(vendor.arrivals) == 3


def test_with_a_ledger_the_workbook_is_replaced_by_the_same_run(
    vendor: Simulator, tmp_path: Path
) -> None:
    """And somebody else's isn't."""
    out = tmp_path / "结果.xlsx"
    args = (str(write(tmp_path)), *TEMPLATE, "--ledger", str(tmp_path / "n.db"))
    assert run("send", *args, "--out", str(out)).exit_code == 0
    assert table(out)[0] == (*LIST, *OF_A_LEDGER)
    assert run("send", *args, "--out", str(out)).exit_code == 7
    other = run("send", *args, "--out", str(out), "--run", "another")
    assert (other.exit_code, "--force" in other.stderr) == (2, True)
    assert len(vendor.arrivals) == 3


@pytest.mark.slow
def test_until_the_end_a_csv_stands_beside_it(vendor: Simulator, tmp_path: Path) -> None:
    """Killed in the middle, it has what ended until then; and stays in the next one's way."""
    vendor.latency = 0.05
    out, beside = tmp_path / "结果.xlsx", tmp_path / "结果.xlsx.csv"
    file = write(tmp_path, 300)
    sending = Sending(file, *TEMPLATE, "--out", out)
    arrived(vendor, 60, sending)
    sending.running.send_signal(signal.SIGKILL)
    sending.end()
    assert not out.exists()
    found = statuses(beside)
    assert set(found) == {"ACCEPTED"}
    assert 20 <= found.total() <= len(vendor.arrivals)
    again = run("send", str(file), *TEMPLATE, "--out", str(out))
    assert (again.exit_code, "结果.xlsx.csv is there already" in again.stderr) == (2, True)


def test_a_workbook_that_cannot_be_written_leaves_the_csv(
    vendor: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says where it is; the exit code is that of a disk."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "结果.xlsx"
    monkeypatch.setattr("openpyxl.Workbook.save", full)
    result = run("send", str(write(tmp_path)), *TEMPLATE, "--out", str(out))
    assert (result.exit_code, out.exists()) == (6, False)
    assert "the results are in" in result.stderr
    assert f"what stands neither in {out}.csv nor above was not sent" in result.stdout
    assert statuses(tmp_path / "结果.xlsx.csv") == {"ACCEPTED": 3}
    assert not list(tmp_path.glob(".*"))


def test_a_disk_that_is_full_below_a_workbook_is_the_systems_error(tmp_path: Path) -> None:
    """Wherever it is noticed: a row is written by a library of XML, which has errors of its own."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with (
            pytest.raises(OSError) as caught,  # noqa: PT011 - which one is looked at below
            writing(tmp_path / "a.xlsx", workbook=True) as write_row,
        ):
            for place in range(1000):
                write_row((f"张{place}", 13900000000 + place))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno in {errno.EFBIG, errno.EIO}  # which is all that an older lxml knows


def test_what_cannot_take_the_place_of_a_file_is_told_by_that_files_name(tmp_path: Path) -> None:
    """A disk that is full names no file, and nobody has asked for the one that is made beside."""
    out = tmp_path / "a.csv"
    out.write_text("old", "utf-8")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught, replacing(out) as part:
            part.write_text("x" * 20_000, "utf-8")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(out))
    with pytest.raises(PermissionError) as refused, replacing(out) as part:
        raise PermissionError(errno.EACCES, "Permission denied", str(part))
    assert refused.value.filename == str(out)
    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]
    assert out.read_text("utf-8") == "old"


@pytest.mark.parametrize("error", [OSError(errno.EIO, "b"), OSError(errno.ENOSPC, "b", "list.csv")])
def test_what_another_file_did_is_not_told_of_this_one(tmp_path: Path, error: OSError) -> None:
    """A list that can't be read, for one, while results are written."""
    name = error.filename
    with pytest.raises(OSError, match="b") as caught, replacing(tmp_path / "a.csv"):
        raise error
    assert caught.value.filename == name


@pytest.mark.parametrize("suffix", [".xls", ".ods", ".JSON"])
def test_other_kinds_are_named_before_anything_is_sent(
    vendor: Simulator, tmp_path: Path, suffix: str
) -> None:
    """A CSV under a name that Excel can't believe helps nobody."""
    result = run("send", str(write(tmp_path)), *TEMPLATE, "--out", str(tmp_path / f"a{suffix}"))
    assert (result.exit_code, "as .csv or .xlsx" in result.stderr) == (2, True)
    assert not vendor.arrivals


def test_without_the_extra_no_workbook_is_begun(
    vendor: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, with an exit code of its own."""
    file = tmp_path / "a.csv"
    file.write_text(f"mobile,content\n13900000000,{CONTENT}\n", encoding="utf-8")

    def missing(_: str) -> None:
        """Find nothing."""

    monkeypatch.setattr("importlib.util.find_spec", missing)
    monkeypatch.delitem(sys.modules, "openpyxl", raising=False)
    result = run("send", str(file), "--out", str(tmp_path / "a.xlsx"))
    assert (result.exit_code, "ihuyi-voice[excel]" in result.stderr) == (8, True)
    assert not vendor.arrivals


def test_cells_are_text_whatever_they_look_like(tmp_path: Path) -> None:
    """No formula, no broken workbook, and line breaks stay."""
    path = tmp_path / "a.xlsx"
    with writing(path, workbook=True) as write_row:
        write_row(("=1+1", "007", "a\nb", "\x1b[2J", None, 13900000000))
    assert table(path) == [("=1+1", "007", "a\nb", r"\x1b[2J", None, "13900000000")]
    book = openpyxl.load_workbook(path)
    assert {cell.data_type for cell in next(book.worksheets[0].iter_rows())} <= {
        "s",
        "n",
        "inlineStr",
    }


@pytest.mark.parametrize("options", [("--dry-run",), ()], ids=["dry", "sent"])
def test_what_a_person_does_not_see_of_a_workbook_is_told(
    vendor: Simulator, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Before anything is sent, and in a dry run: rows behind a filter would ring as well."""
    file = tmp_path / "list.xlsx"
    with xlsxwriter.Workbook(str(file)) as book:
        sheet: Any = book.add_worksheet("now")  # pyright: ignore[reportUnknownMemberType] - it has no types
        sheet.write_row(0, 0, ("mobile", "content"))
        for row in (1, 2, 3):
            sheet.write_row(row, 0, (f"1390000000{row}", CONTENT))
        sheet.set_row(2, None, None, {"hidden": True})
        book.add_worksheet("later")  # pyright: ignore[reportUnknownMemberType]
    result = run("send", str(file), *options)
    assert result.exit_code == 0, result.output
    first, second, *_ = result.stderr.splitlines()
    assert first.startswith("1 rows are hidden, by a filter for example, and are sent like")
    assert second == "only the sheet now is read, not: later"
    assert len(vendor.arrivals) == (0 if options else 3)
