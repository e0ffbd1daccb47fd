"""Workbooks as Excel and its like write them: numbers as text, dates as they look."""

import importlib.util
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import openpyxl
import pytest
import xlsxwriter  # type: ignore[import-untyped]  # it has no types

from ihuyi_voice import InvalidRequest, Template
from ihuyi_voice.inputs import BadRow, Recipient, RecipientsFile, sheets, workbook
from ihuyi_voice.inputs.sheets import unvalued_cells


def book(
    path: Path, rows: Sequence[Sequence[Any]], number_format: str = "", *, sheets: int = 1
) -> Path:
    """Write a workbook by another library than the one that reads it."""
    file = path / "list.xlsx"
    workbook: Any = xlsxwriter.Workbook(file)
    style = workbook.add_format({"num_format": number_format} if number_format else {})
    for _ in range(sheets):
        sheet = workbook.add_worksheet()
        for place, row in enumerate(rows):
            for column, value in enumerate(row):
                if isinstance(value, datetime | date | time):
                    sheet.write_datetime(place, column, value, style)
                else:
                    sheet.write(place, column, value, style)
    workbook.close()
    return file


def test_a_workbook_is_read_like_a_table(tmp_path: Path) -> None:
    """Numbers are phones and ids, so they are text; rows have Excel's numbers; blank ones go."""
    rows: list[list[Any]] = [
        [], ["手机号", "姓名", "天数"], [13900000000, "张茜", 2], [],
        ["+86 13900000001", "赵鑫", "3"], ["", "", ""], [2151000029, "钱", 1],
    ]  # fmt: skip
    template = Template("您的客户【变量】将于【变量】天后过生日")
    first, second, bad = RecipientsFile(book(tmp_path, rows), template)
    assert first == Recipient("13900000000", "您的客户张茜将于2天后过生日", line=3)
    assert second == Recipient("13900000001", "您的客户赵鑫将于3天后过生日", line=5)
    assert isinstance(bad, BadRow)
    assert (bad.line, "lost its leading 0" in bad.reason) == (7, True)


@pytest.mark.parametrize(
    ("number_format", "value", "shown"),
    [
        ("yyyy-mm-dd", date(2026, 3, 4), "2026-03-04"),
        ('yyyy"年"m"月"d"日"', date(2026, 3, 4), "2026年3月4日"),
        ("m/d/yy", date(2026, 3, 4), "3/4/26"),
        (
            "yyyy/m/d h:mm",
            datetime(2026, 3, 4, 9, 5, tzinfo=UTC).replace(tzinfo=None),
            "2026/3/4 9:05",
        ),
        ("hh:mm:ss", time(9, 5, 7), "09:05:07"),
        ("h:mm AM/PM", time(21, 5), "9:05 PM"),
        ("[$-804]yyyy/mm/dd;@", date(2026, 3, 4), "2026/03/04"),
    ],
)
def test_dates_come_as_they_look(
    tmp_path: Path, number_format: str, value: object, shown: str
) -> None:
    """By the format of their cell."""
    rows: list[list[object]] = [["mobile", "content"], ["13900000000", value]]
    (row,) = RecipientsFile(book(tmp_path, rows, number_format))
    assert isinstance(row, Recipient)
    assert row.content == shown


def test_other_values_are_what_a_person_reads(tmp_path: Path) -> None:
    """Decimals, yes and no; an empty cell is an empty text."""
    rows: list[list[Any]] = [
        ["mobile", "content", "a", "b"],
        [13900000000.0, "ok", 1.5, True],
        ["13900000001", "ok"],
    ]
    first, second = RecipientsFile(book(tmp_path, rows))
    assert first.cells == ("13900000000", "ok", "1.5", "TRUE")
    assert second.cells == ("13900000001", "ok", "", "")


def test_the_first_visible_sheet_is_read(tmp_path: Path) -> None:
    """Others are of no concern."""
    rows = [["mobile", "content"], ["13900000000", "ok"]]
    assert RecipientsFile(book(tmp_path, rows, sheets=3)).count() == 1


def with_hidden(path: Path, hidden: Sequence[int], sheets: Sequence[str] = ()) -> RecipientsFile:
    """Write a list of eight people, one below a blank row, with rows hidden, and further sheets."""
    file = path / "hidden.xlsx"
    with xlsxwriter.Workbook(str(file)) as made:
        sheet: Any = made.add_worksheet("list")  # pyright: ignore[reportUnknownMemberType] - it has no types
        sheet.write_row(1, 0, ("mobile", "content"))
        for place in (*range(2, 9), 20):
            sheet.write_row(place, 0, (f"139000000{place:02d}", "a < b > c"))
        for place in hidden:
            sheet.set_row(place, None, None, {"hidden": True})
        for name in sheets:
            made.add_worksheet(name)  # pyright: ignore[reportUnknownMemberType]
    return RecipientsFile(file)


@pytest.mark.parametrize(
    ("hidden", "count"),
    [((), 0), ((2, 3), 2), ((20,), 1), ((0, 1, 15), 0), (range(30), 8)],
    ids=["none", "two", "the last", "blank ones and the header", "all"],
)
def test_hidden_rows_are_counted(tmp_path: Path, hidden: Sequence[int], count: int) -> None:
    """They are read like the others: who filters a sheet may think that the rest is away."""
    file = with_hidden(tmp_path, hidden)
    unseen = file.unseen()
    assert unseen is not None
    assert (unseen.hidden, unseen.others, file.count()) == (count, (), 8)


def test_sheets_that_are_not_read_are_named(tmp_path: Path) -> None:
    """A table of text has none."""
    unseen = with_hidden(tmp_path, (), ("More", "二")).unseen()
    assert unseen is not None
    assert (unseen.sheet, unseen.others) == ("list", ("More", "二"))
    table = tmp_path / "list.csv"
    table.write_text("mobile,content\n", encoding="utf-8")
    assert RecipientsFile(table).unseen() is None


class Elsewhere:
    """A sheet of another version of openpyxl."""

    def __init__(self, sheet: Any) -> None:
        self._sheet = sheet

    def __getattr__(self, name: str) -> Any:
        if name == "_worksheet_path":
            raise AttributeError(name)
        return getattr(self._sheet, name)


def test_a_sheet_that_lies_elsewhere_one_day_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told of hidden rows then, and the list is read."""
    visible = workbook._visible  # pyright: ignore[reportPrivateUsage]

    def elsewhere(book: Any, path: Path) -> list[Elsewhere]:
        return [Elsewhere(each) for each in visible(book, path)]

    monkeypatch.setattr(workbook, "_visible", elsewhere)
    file = with_hidden(tmp_path, (2, 8), ("More",))
    unseen = file.unseen()
    assert unseen is not None
    assert (unseen.hidden, unseen.others, file.count()) == (0, ("More",), 8)


def test_hidden_rows_are_found_wherever_the_file_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read in pieces, and a row may begin at the end of one."""
    monkeypatch.setattr(sheets, "_CHUNK", 7)
    unseen = with_hidden(tmp_path, (2, 8)).unseen()
    assert unseen is not None
    assert unseen.hidden == 2


def test_a_workbook_that_is_broken_says_what_to_do(tmp_path: Path) -> None:
    """Whatever the parser makes of it."""
    file = tmp_path / "list.xlsx"
    with ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.xml", "<nonsense/>")
    with pytest.raises(InvalidRequest, match=r"list\.xlsx is no workbook that can be read"):
        RecipientsFile(file).count()


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("word/document.xml", "a document of Word"),
        ("content.xml", "a sheet of OpenDocument"),
        ("xl/workbook.bin", "a binary workbook"),
        ("a.csv", "a .zip archive"),
    ],
)
def test_other_archives_are_named(tmp_path: Path, name: str, what: str) -> None:
    """And what to save them as."""
    file = tmp_path / "list.xlsx"
    with ZipFile(file, "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(InvalidRequest, match=f"list.xlsx is {what}"):
        RecipientsFile(file).count()


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CSV file needs none."""
    file = book(tmp_path, [["mobile", "content"]])
    find = importlib.util.find_spec

    def without(name: str) -> ModuleSpec | None:
        return None if name == "openpyxl" else find(name)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    with pytest.raises(ImportError, match=r"ihuyi-voice\[excel\]"):
        RecipientsFile(file).count()


@pytest.mark.long
def test_a_big_workbook_is_read_in_bounded_memory(tmp_path: Path) -> None:
    """Row by row: of 20,000 rows no more than a few are there at once."""
    rows: list[list[object]] = [
        ["mobile", "content"],
        *([13900000000 + n, "您好"] for n in range(20_000)),
    ]
    file = RecipientsFile(book(tmp_path, rows))
    good = sum(isinstance(row, Recipient) for row in file)
    assert good == 20_000


def formulas(path: Path, rows: Sequence[Sequence[Any]]) -> Path:
    """Write a workbook whose formulas have no values, as programs do that can't calculate."""
    written = openpyxl.Workbook()
    sheet = written.active
    assert sheet is not None
    for row in rows:
        sheet.append(list(row))
    written.save(path / "list.xlsx")
    return path / "list.xlsx"


LACKING = (
    "the cell below {!r} has a formula, and the workbook lacks its value: open it in Excel or WPS,"
    " and save it"
)


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (["13900000000", '="您好"&C2', "张", "r", ""], "content"),
        (['="1390000"&"0000"', "您好", "张", "r", ""], "mobile"),
        (["13900000000", "您好", "张", "=D1", ""], "reference"),
        (["13900000000", "您好{姓名}", "=D1", "r", ""], "姓名"),
        (["=A1", "=B1", "=C1", "=D1", "=E1"], "mobile"),
    ],
)
def test_a_formula_without_a_value_is_told(tmp_path: Path, row: list[str], column: str) -> None:
    """It looks empty to a program, and full to whoever opens the workbook."""
    header = ["mobile", "content", "姓名", "reference", "备注"]
    (bad,) = RecipientsFile(formulas(tmp_path, [header, row]))
    assert isinstance(bad, BadRow)
    assert bad.reason == LACKING.format(column)
    (bad,) = RecipientsFile(
        formulas(tmp_path, [["mobile", "姓名"], ["13900000000", "=B1"]]), Template("您【变量】")
    )
    assert isinstance(bad, BadRow)
    assert bad.reason == LACKING.format("姓名")


def test_a_formula_that_nobody_needs_is_nobodys_trouble(tmp_path: Path) -> None:
    """Nor is one with a value."""
    rows = [["mobile", "content", "备注"], ["13900000000", "您好", "=B1"]]
    assert list(RecipientsFile(formulas(tmp_path, rows))) == [
        Recipient("13900000000", "您好", line=2)
    ]
    path = tmp_path / "values.xlsx"
    with xlsxwriter.Workbook(path) as written:
        sheet: Any = written.add_worksheet()  # pyright: ignore[reportUnknownMemberType]
        sheet.write_row(0, 0, ["mobile", "content", "姓名"])
        sheet.write_formula(1, 0, '="1390000"&"0000"', None, "13900000000")
        sheet.write_formula(1, 1, '="您好{姓"&"名}"', None, "您好{姓名}")
        sheet.write_formula(1, 2, '="张"', None, "张")
    assert list(RecipientsFile(path)) == [Recipient("13900000000", "您好张", line=2)]


def test_a_sheet_that_breaks_off_is_told_as_a_workbook_that_does(tmp_path: Path) -> None:
    """A parser's own error says nothing to whoever has the file."""
    whole = book(tmp_path, [["mobile", "content"], ["13900000000", "您好"]])
    path = tmp_path / "cut.xlsx"
    with ZipFile(whole) as source, ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content[: len(content) // 2 if "sheet1" in name else None])
    with pytest.raises(InvalidRequest, match=r"cut\.xlsx is no workbook that can be read"):
        list(RecipientsFile(path))


class Pieces(io.BytesIO):
    """An archive with one file, which is read in small pieces."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__(content)
        self.size = size

    def open(self, _: str) -> "Pieces":
        """Open that file."""
        return Pieces(self.getvalue(), self.size)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read a piece of it."""
        return super().read(self.size)


def test_formulas_are_found_as_any_program_writes_them() -> None:
    """With prefixes, attributes in any order, empty cells before them, in pieces of any size."""
    xml = (
        b'<x:row r="2"><x:c r="A2" s="1"/><x:c t="n" r="AB2"><x:f>A1</x:f></x:c>'
        b'<c r="C2"><f t="shared" si="0"/><v/></c><c r="D2" t="str"><f>""</f><v></v></c>'
        b"<c r=\"E2\"><v>1</v></c><c r='F2'><f/><v> </v></c><c><f>A1</f></c></x:row>"
        b'<row r="11"><c r="A11" t="str"><f>A1</f></c></row>'
    )
    for size in (1, 7, 1_000):
        sheet = SimpleNamespace(
            _worksheet_path="x", parent=SimpleNamespace(_archive=Pieces(xml, size))
        )
        assert unvalued_cells(sheet) == {2: {27, 2}, 11: {0}}
    assert unvalued_cells(SimpleNamespace()) == {}
