"""An evening of somebody who has a list from Excel: each line of the pages, at a real terminal."""

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter  # type: ignore[import-untyped]  # it has none

import ihuyi_voice
from ihuyi_voice.simulator import Simulator
from tests.support.command import PROGRAM, quick_program
from tests.support.terminal import at_terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no pseudo-terminals")

PAGES = Path(ihuyi_voice.__file__).parent / "docs"
COMMAND = re.compile(r"^ihuyi-voice (.*?) +# (\d)", re.MULTILINE)
PEOPLE = (
    ("姓名", "手机号", "订单"),
    ("张茜", 13900000000, 9633),
    ("李四", 13900000001, 9634),
    ("王五", 1390000, 9635),  # too short
    ("张茜", 13900000000, 9633),  # twice
    ("赵六", 13900000003, 9636),
)


def write(folder: Path) -> None:
    """Write the list, as Excel would."""
    with xlsxwriter.Workbook(str(folder / "名单.xlsx")) as book:
        sheet: Any = book.add_worksheet()  # pyright: ignore[reportUnknownMemberType] - it has no types
        for place, row in enumerate(PEOPLE):
            sheet.write_row(place, 0, row)


def statuses(path: Path) -> list[object]:
    """Return how the rows of a workbook of results ended, in its order."""
    book = openpyxl.load_workbook(path, read_only=True)
    header, *rows = book.worksheets[0].iter_rows(values_only=True)
    book.close()
    place = header.index("status")
    return [row[place] for row in rows]


def ended_well(vendor: Simulator, folder: Path) -> None:
    """Raise if anybody was called twice, or a row ended otherwise than it did."""
    assert vendor.rung().total() == 3
    assert max(vendor.rung().values()) == 1
    accepted, left = "ACCEPTED", "NOT_SENT"
    assert statuses(folder / "结果.xlsx") == [accepted, accepted, left, accepted, "REJECTED"]
    assert statuses(folder / "结果2.xlsx") == [*[accepted] * 2, left, *[accepted] * 2]


def evening(
    program: Sequence[str], vendor: Simulator, folder: Path, language: str, columns: int = 80
) -> list[str]:
    """Run each line of a page, after the last but one of which the account is recharged."""
    vendor.vendor.check_templates, vendor.vendor.balance = False, 2
    write(folder)
    lines = COMMAND.findall((PAGES / language / "command.md").read_text(encoding="utf-8"))
    assert len(lines) == 5
    screens = list[str]()
    environ = {"NO_COLOR": "1", "PYTHONPATH": str(Path.cwd())}
    for number, (line, expected) in enumerate(lines, 1):
        if number == len(lines):
            vendor.vendor.balance = 856
        command = [*program, *shlex.split(line)]
        code, screen = at_terminal(command, columns=columns, environ=environ, folder=folder)
        assert code == int(expected), screen
        screens.append(f"$ ihuyi-voice {line}\n{screen}")
    ended_well(vendor, folder)
    return screens


@pytest.mark.long
@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("en", ("no column '订单号'", "5 rows: 3 messages, 1 that can't be sent, 1 that say",
                "Stopped: 4051 ", "What to do: recharge the account",
                "--only not_sent,rejected --out NEW_FILE")),
        ("zh", ("'订单号'", "共 5 行：将发送 3 条，1 行无法发送，1 行与前面的行相同",
                "已停止：4051 ", "下一步：充值后再发送其余部分",
                "--only not_sent,rejected --out 新文件名")),
    ],
)  # fmt: skip
def test_a_list_with_everything_wrong_is_sent_to_its_end(
    vendor: Simulator, tmp_path: Path, language: str, shown: tuple[str, ...]
) -> None:
    """A missing column, a bad row, a duplicate, an empty account: nobody is called twice."""
    screens = evening(PROGRAM, vendor, tmp_path, language)
    told = "\n".join(screens).replace("\r\n", "\n")
    assert not [words for words in shown if words not in told]


SCREENS = Path(__file__).parent / "screens"
_BAR = re.compile(r"^.*(?:Sending|发送中).*\n?", re.MULTILINE)
# What stands below it, where it moved once more: on a busy machine.
_COUNTS = re.compile(
    r"^(?:accepted|已受理) .*\n(?:(?:mostly|主要原因).*\n)?(?=(?:accepted|已受理) )", re.MULTILINE
)
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
_TIMES = re.compile(r"\d+(?:\.\d+)?(?= ?(?:s\b|秒|a second|行$))", re.MULTILINE)


def still(screens: list[str]) -> str:
    """Return screens without what differs each time: the bar as it moves, and times."""
    shown = "\n".join(screens).replace("\r\n", "\n").replace("\r", "\n")
    shown = _ESCAPES.sub("", shown)
    shown = _COUNTS.sub("", _BAR.sub("", shown))
    lines = [line.rstrip() for line in _TIMES.sub("N", shown).splitlines()]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("language", "columns"),
    [
        pytest.param("en", 80, marks=pytest.mark.long),
        pytest.param("en", 48, marks=pytest.mark.long),
        pytest.param("zh", 80, marks=pytest.mark.long),
        ("zh", 48),
    ],
)
def test_the_screens_are_those_that_were_looked_at(
    vendor: Simulator, tmp_path: Path, language: str, columns: int
) -> None:
    """IHUYI_SCREENS=1 writes them anew, to be looked at again."""
    shown = still(evening(quick_program(), vendor, tmp_path, language, columns))
    kept = SCREENS / f"evening.{language}.{columns}.txt"
    if os.environ.get("IHUYI_SCREENS"):
        kept.write_text(shown, encoding="utf-8")
    assert shown == kept.read_text(encoding="utf-8")
