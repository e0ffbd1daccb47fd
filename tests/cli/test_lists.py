"""The lists that `send` takes: piped, with any delimiter, by templates that name columns."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import openpyxl
import pytest

from ihuyi_voice.simulator import Simulator
from tests.support.command import CONTENT, MOBILE, quick_program, run

NAMED = "您的订单号是：{订单 号}。"


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_a_list_may_come_through_a_pipe(vendor: Simulator, name: str) -> None:
    """It is read twice, though a pipe can't be."""
    done = subprocess.run(  # noqa: S603 - our own program
        [*quick_program(), "send", name],
        input=f"mobile,content\n{MOBILE},{CONTENT}\n".encode(),
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert vendor.rung() == {(MOBILE, CONTENT): 1}


def test_a_list_whose_writer_dies_in_the_middle_of_a_row_calls_nobody(
    vendor: Simulator, tmp_path: Path
) -> None:
    """What came till then looks like a list."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = f"mobile,content\n{MOBILE},{CONTENT}\n{MOBILE},{CONTENT[:5]}".encode()
    writer = threading.Thread(target=pipe.write_bytes, args=(data,), daemon=True)
    writer.start()
    result = run("send", str(pipe))
    writer.join()
    assert (result.exit_code, "in the middle of a line" in result.stderr) == (2, True)
    assert not vendor.arrivals


def test_a_piped_list_under_a_ledger_needs_a_name(vendor: Simulator, tmp_path: Path) -> None:
    """Or tomorrow's list would go on with today's run."""
    done = subprocess.run(  # noqa: S603 - our own program
        [*quick_program(), "send", "-", "--ledger", str(tmp_path / "n.db")],
        input=f"mobile,content\n{MOBILE},{CONTENT}\n".encode(),
        check=False,
        capture_output=True,
    )
    assert (done.returncode, b"name its run with --run" in done.stderr) == (2, True)
    assert not vendor.arrivals


@pytest.mark.parametrize(("option", "mark"), [("|", "|"), ("tab", "\t"), (r"\t", "\t")])
def test_a_delimiter_can_be_told(vendor: Simulator, tmp_path: Path, option: str, mark: str) -> None:
    """One that would not be found, or a tab by its name."""
    file = tmp_path / "a.csv"
    file.write_text(f"mobile{mark}content\n{MOBILE}{mark}{CONTENT}\n", encoding="utf-8")
    assert run("send", str(file), "--delimiter", option).exit_code == 0
    assert vendor.rung() == {(MOBILE, CONTENT): 1}


@pytest.mark.parametrize("option", ["", "||", '"', "\n"])
def test_a_delimiter_that_is_none_is_told(vendor: Simulator, tmp_path: Path, option: str) -> None:
    """Exit code 2, in words."""
    file = tmp_path / "a.csv"
    file.write_text(f"mobile,content\n{MOBILE},{CONTENT}\n", encoding="utf-8")
    result = run("send", str(file), "--delimiter", option)
    assert (result.exit_code, "give one character, or tab" in result.stderr) == (2, True)
    assert not vendor.arrivals


def test_a_template_names_columns_of_a_workbook(vendor: Simulator, tmp_path: Path) -> None:
    """In whatever order they stand."""
    file = tmp_path / "a.xlsx"
    book = openpyxl.Workbook()
    for row in (("备注", "订单 号", "手机号"), ("x", 9633, int(MOBILE))):
        book.worksheets[0].append(row)
    book.save(file)
    result = run("send", str(file), "--template", NAMED)
    assert result.exit_code == 0, result.output
    assert vendor.rung() == {(MOBILE, CONTENT): 1}


def test_a_column_that_a_template_names_and_nobody_has_is_told(
    vendor: Simulator, tmp_path: Path
) -> None:
    """Before anything is sent."""
    file = tmp_path / "a.csv"
    file.write_text(f"mobile,x\n{MOBILE},1\n", encoding="utf-8")
    result = run("send", str(file), "--template", NAMED)
    assert (result.exit_code, "订单 号" in result.stderr) == (2, True)
    assert not vendor.arrivals


def test_a_workbook_without_its_extra_is_told_in_a_sentence(
    vendor: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what installs it, and no traceback."""
    file = tmp_path / "a.xlsx"
    openpyxl.Workbook().save(file)

    def missing(_: str) -> None:
        """Find nothing."""

    monkeypatch.setattr("importlib.util.find_spec", missing)
    monkeypatch.delitem(sys.modules, "openpyxl")
    result = run("send", str(file))
    assert (result.exit_code, "pip install 'ihuyi-voice[excel]'" in result.stderr) == (8, True)
    assert not vendor.arrivals
