"""Records of CSV files as people and programs write them: whole, or refused as one."""

from contextlib import nullcontext
from io import BytesIO
from pathlib import Path

import pytest

from ihuyi_voice import InvalidRequest, Template
from ihuyi_voice.inputs import BadRow, Recipient, RecipientsFile
from ihuyi_voice.inputs.columns import named_values
from ihuyi_voice.inputs.tables import readable_twice

TEMPLATE = Template("您的客户【变量】将于【变量】天后过生日")


def rows_of(folder: Path, text: str | bytes, **options: object) -> list[Recipient | BadRow]:
    """Return what a file of this text holds."""
    file = folder / "recipients.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(RecipientsFile(file, **options))  # type: ignore[arg-type]  # the test's own


def told(rows: list[Recipient | BadRow]) -> list[tuple[int, str]]:
    """Return the line of each row, and its content or why it has none."""
    return [
        (row.line, row.content if isinstance(row, Recipient) else f"bad: {row.reason}")
        for row in rows
    ]


def test_a_cell_may_hold_line_breaks_commas_and_quotes(tmp_path: Path) -> None:
    """It is one cell; the rows behind it have the numbers of their lines."""
    text = (
        'mobile,content\r\n13900000000,"您好,\r\n""请""注意"\r\n'
        '13900000001,"a\n\nb"\r\n1390000002,x'
    )
    rows = rows_of(tmp_path, text)
    assert told(rows[:2]) == [(2, '您好,\n"请"注意'), (4, "a\n\nb")]
    assert isinstance(rows[2], BadRow)
    assert rows[2].line == 7


def test_a_quote_that_closes_wrongly_spoils_all_lines_up_to_there(tmp_path: Path) -> None:
    """Nobody knows what its writer meant; none of these lines is sent as a row of its own."""
    text = (
        'mobile,content\n13900000000,"one\n13900000001,two\n13900000002,"three"\n13900000003,four\n'
    )
    bad, good = rows_of(tmp_path, text)
    assert isinstance(bad, BadRow)
    assert (bad.line, bad.text.count("\n")) == (2, 2)
    assert told([good]) == [(5, "four")]


def test_a_quote_that_is_closed_nowhere_near_was_a_slip(tmp_path: Path) -> None:
    """It spoils its own line; thousands behind it are sent."""
    lines = [f"139{number:08d},text" for number in range(1000)]
    text = "\n".join(["mobile,content", '13900000000,"one', *lines, '13911111111,"two"'])
    bad, *good = rows_of(tmp_path, text)
    assert isinstance(bad, BadRow)
    assert (bad.line, bad.reason) == (2, "a quote that is closed nowhere")
    assert len(good) == 1001
    assert all(isinstance(row, Recipient) for row in good)


def test_one_long_line_is_no_reason_to_read_on_for_ever(tmp_path: Path) -> None:
    """A cell of more than csv takes is a bad row."""
    text = f"mobile,content\n13900000000,{'x' * 200_000}\n13900000001,ok\n"
    bad, good = rows_of(tmp_path, text)
    assert isinstance(bad, BadRow)
    assert told([good]) == [(3, "ok")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("first", ["", "\n\n", "sep={}\n", '"sep={}"\n', "\n,,\n"])
def test_delimiters_are_found(tmp_path: Path, delimiter: str, first: str) -> None:
    """From the line that Excel writes for it, or from the header; lines above may be blank."""
    above = first.format(delimiter)
    text = (
        above + f"mobile{delimiter}content{delimiter}a\n13900000000{delimiter}x,;y z{delimiter}b\n"
    )
    text = text.replace("x,;y z", f'"x{delimiter}y"')
    (row,) = rows_of(tmp_path, text)
    assert isinstance(row, Recipient)
    assert row.content == f"x{delimiter}y"


def test_a_delimiter_may_be_given(tmp_path: Path) -> None:
    """Then nothing is guessed."""
    (row,) = rows_of(tmp_path, "mobile|content\n13900000000|a,b;c\n", delimiter="|")
    assert isinstance(row, Recipient)
    assert row.content == "a,b;c"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_encodings_are_found(tmp_path: Path, encoding: str, mark: str) -> None:
    """As Excel and editors write them, with a mark, without one, or with two."""
    text = f"{mark}手机号,内容\n13900000000,您的订单已由顺风快递发出，请注意查收。\n"
    (row,) = rows_of(tmp_path, text.encode(encoding))
    assert row == Recipient("13900000000", "您的订单已由顺风快递发出，请注意查收。", line=2)


def test_rows_of_commas_are_no_rows(tmp_path: Path) -> None:
    """Spreadsheets write them below the table."""
    rows = rows_of(tmp_path, "mobile,content\n,,\n13900000000,ok\n,\n , \n")
    assert told(rows) == [(3, "ok")]


def test_empty_cells_behind_the_last_column_are_no_cells(tmp_path: Path) -> None:
    """But others are: something was cut in two there."""
    text = "mobile,content\n13900000000,ok,,\n13900000001,您好,请注意\n"
    rows = rows_of(tmp_path, text)
    assert told(rows) == [(2, "ok"), (3, "bad: 3 cells instead of 2")]


@pytest.mark.parametrize(
    "name",
    ["手机号", "手机号码", "手机", "电话", "联系电话", "Mobile", "phone", "Phone Number", "TEL",
     "\u200b手机\xa0号\ufeff", " 手机号： "],
)  # fmt: skip
def test_the_numbers_are_found_by_many_names(tmp_path: Path, name: str) -> None:
    """In any case, with blanks and what can't be seen."""
    (row,) = rows_of(tmp_path, f"姓名,{name},天数\n张茜,13900000000,2\n", template=TEMPLATE)
    assert row == Recipient("13900000000", "您的客户张茜将于2天后过生日", line=2)


def test_our_own_name_goes_first(tmp_path: Path) -> None:
    """Where there is a column `mobile`, another may be called 电话."""
    (row,) = rows_of(tmp_path, "电话,mobile,content\n02151000029,13900000000,ok\n")
    assert row == Recipient("13900000000", "ok", line=2)


def test_a_template_may_name_its_columns(tmp_path: Path) -> None:
    """In braces, in any order, one of them twice."""
    text, columns = named_values("您好{姓名}，{天数}天后，{姓名}。")
    assert text == "您好【变量】，【变量】天后，【变量】。"
    assert columns == {"1": "姓名", "2": "天数", "3": "姓名"}
    table = "天数,手机,姓名,其他\n2,13900000000,张茜,x\n"
    (row,) = rows_of(tmp_path, table, template=Template(text), columns=columns)
    assert row == Recipient("13900000000", "您好张茜，2天后，张茜。", line=2)


def test_a_named_column_that_is_missing_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    """With those that there are."""
    text, columns = named_values("您好{姓名}。")
    with pytest.raises(InvalidRequest, match=r"no column '姓名'.*it has: 手机, 名字"):
        rows_of(tmp_path, "手机,名字\n13900000000,张茜\n", template=Template(text), columns=columns)
    with pytest.raises(InvalidRequest, match=r"both 【变量】 and \{姓名\}"):
        named_values("您好{姓名}，【变量】。")


def test_a_content_may_name_columns_of_its_row(tmp_path: Path) -> None:
    """Each place holds the row's own cell; one that can't be said spoils its row only."""
    rows = rows_of(
        tmp_path,
        "mobile,content, 姓 名 \n13900000000,您好{姓 名}。,张茜\n13900000001,您好{姓 名}。,a b\n",
    )
    first, second = rows
    assert isinstance(first, Recipient)
    assert first.content == "您好张茜。"
    assert told([second])[0][1].startswith("bad: value 1 has ' '")


def test_a_content_that_names_a_column_that_is_missing_is_told_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    """Nobody is to hear a brace; it is the list that is wrong, not a row of it."""
    with pytest.raises(InvalidRequest, match=r"line 2: a content has \{姓名\}.*there are: mobile"):
        rows_of(tmp_path, "mobile,content\n13900000000,您好{姓名}\n")
    with pytest.raises(InvalidRequest, match="two columns '姓名'"):
        rows_of(tmp_path, "mobile,content,姓名,姓名\n13900000000,您好{姓名},a,b\n")


@pytest.mark.parametrize(
    ("template", "columns", "reason"),
    [
        (None, {"1": "a"}, "1=… names a value of a template, and there is no template"),
        (Template("今天停水"), {"1": "a"}, "there is no 【变量】 in the template"),
        (TEMPLATE, {"3": "a"}, "takes only 2"),
    ],
)
def test_a_value_that_no_template_takes_is_told(
    tmp_path: Path, template: Template | None, columns: dict[str, str], reason: str
) -> None:
    """In words that say what is missing."""
    with pytest.raises(InvalidRequest, match=reason):
        rows_of(tmp_path, "mobile,content,a\n", template=template, columns=columns)


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an .xls of Excel 97"),
        (b"%PDF-1.7", "a PDF"),
        (b"\xef\xbb\xbf <HTML><table>", "a web page"),
        (b"PK\x03\x04 cut off", "a .zip archive that was cut off"),
        (b"{\\rtf1", "a text of Word"),
    ],
)
def test_what_is_no_table_is_named_for_what_it_is(tmp_path: Path, start: bytes, what: str) -> None:
    """With what to do about it."""
    with pytest.raises(InvalidRequest, match=f"recipients.csv is {what}.*: save it as .xlsx"):
        rows_of(tmp_path, start + b"x" * 100)


@pytest.mark.parametrize(
    "data",
    [bytes(5000), bytes(9), b"\x7fELF\x02\x01\x01\0mobile\n1\n", b'\0"\n'],
    ids=["zeros", "few", "program", "quote"],
)
def test_what_is_neither_text_nor_a_workbook_is_called_so(tmp_path: Path, data: bytes) -> None:
    """Zeros are what a copy that was cut off leaves; a list of their columns helps nobody."""
    with pytest.raises(
        InvalidRequest, match=r"recipients.csv is neither text nor a workbook; save"
    ):
        rows_of(tmp_path, data)


def test_a_stray_sign_in_a_header_spoils_no_list(tmp_path: Path) -> None:
    """Of a column that nobody needs."""
    (row,) = rows_of(tmp_path, b"mobile,content,no\x00te\n13900000000,ok,x\n")
    assert isinstance(row, Recipient)


def test_every_row_keeps_its_cells_and_the_file_its_names(tmp_path: Path) -> None:
    """Those of bad rows, too, for the results stand beside them."""
    file = tmp_path / "a.csv"
    file.write_text(" Mobile ,content,其他\n13900000000,ok,x\n1,ok,y\n", encoding="utf-8")
    table = RecipientsFile(file)
    assert table.names() == ("Mobile", "content", "其他")
    assert [row.cells for row in table] == [("13900000000", "ok", "x"), ("1", "ok", "y")]


def test_a_pipe_is_read_once_and_can_be_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-` is what is piped in; a file is left where it is, and one that is missing stays so."""
    text = "mobile,content\n13900000000,ok\n"
    piped = tmp_path / "piped.csv"
    piped.write_text(text, encoding="utf-8")
    with piped.open("rb") as stdin:
        monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": stdin}))
        with readable_twice(Path("-")) as copy:
            assert RecipientsFile(copy).count() == 1
            assert len(list(RecipientsFile(copy))) == 1
    assert not copy.exists()
    for path in (piped, tmp_path / "none.csv"):
        with readable_twice(path) as same:
            assert same is path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
def test_a_piped_list_that_was_cut_off_is_no_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, end: str
) -> None:
    """Whoever writes it may die at any place, and a part of a number may be somebody else's."""
    whole = f"mobile,content{end}03118800000,您好{end}"
    cut = whole[: -len(end)].encode(encoding)
    for data, is_whole in ((b"", True), (whole.encode(encoding), True), (cut, False)):
        piped = BytesIO(data)
        monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": piped}))
        with nullcontext() if is_whole else pytest.raises(InvalidRequest, match="cut off"):
            with readable_twice(Path("-")):
                pass
