"""Recipients from CSV files: every line is one recipient or one bad row."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice import InvalidRequest, Template
from ihuyi_voice.recipients import BadRow, Recipient, RecipientsFile

TEMPLATE = Template("您的客户【变量】将于【变量】天后过生日")
GOOD = "mobile,name,days\n13900000000,张茜,2\n+86 139 0000 0001,赵鑫,3\n"


def write(path: Path, text: str | bytes) -> Path:
    """Write a file and return its path."""
    file = path / "recipients.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_file_is_read_whatever_its_encoding(tmp_path: Path, encoding: str, line_end: str) -> None:
    """UTF-8 with or without a BOM, or GB18030, as spreadsheets write them."""
    file = RecipientsFile(write(tmp_path, GOOD.replace("\n", line_end).encode(encoding)), TEMPLATE)
    first, second = file
    assert isinstance(first, Recipient)
    assert isinstance(second, Recipient)
    assert (first.mobile, first.content) == ("13900000000", "您的客户张茜将于2天后过生日")
    assert (second.mobile, second.line) == ("13900000001", 3)
    assert file.count() == 2


def test_contents_and_references_may_stand_in_the_file(tmp_path: Path) -> None:
    """Without a template, and with quoted commas."""
    text = 'reference,content,mobile,other\nr1,"您好，请注意, 谢谢",13900000000,x\n'
    (row,) = RecipientsFile(write(tmp_path, text))
    expected = Recipient("13900000000", "您好，请注意, 谢谢", "r1", line=2)
    assert row == expected


def test_columns_may_have_other_names_and_another_order(tmp_path: Path) -> None:
    """The mapping names them."""
    text = "天数,手机号,姓名,备注\n2,13900000000,张茜,x\n"
    columns = {"mobile": "手机号", "1": "姓名", "2": "天数", "reference": "备注"}
    (row,) = RecipientsFile(write(tmp_path, text), TEMPLATE, columns)
    assert row == Recipient("13900000000", "您的客户张茜将于2天后过生日", "x", line=2)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1390000,张茜,2", "11 digits"),
        ("13900000000,张茜", "2 cells instead of 3"),
        ("13900000000,张茜,2,3", "4 cells instead of 3"),
        ("13900000000,张 茜,2", "value 1 has ' '"),
        ("13900000000,,2", "value 1 is empty"),
        ('13900000000,"张茜,2', "unexpected end of data"),
        ('13900000000,"张"茜,2', "expected after"),
        ("13900000000,张\0茜,2", "value 1 has"),
    ],
)
def test_a_bad_row_is_reported_with_its_line_and_the_rest_goes_on(
    tmp_path: Path, line: str, reason: str
) -> None:
    """An unclosed quote spoils its own row and no other."""
    bad, good = list(
        RecipientsFile(write(tmp_path, f"mobile,a,b\n\n{line}\n139-0000-0000,c,d"), TEMPLATE)
    )
    assert isinstance(bad, BadRow)
    assert (bad.line, bad.text) == (3, line)
    assert reason in bad.reason
    assert isinstance(good, Recipient)
    assert good.line == 4


def test_bytes_of_no_encoding_spoil_their_row_only(tmp_path: Path) -> None:
    """Neither UTF-8 nor GB18030."""
    text = "mobile,content\n13900000000,".encode("gb18030") + b"\xff\xff\n13900000001,ok\n"
    bad, good = list(RecipientsFile(write(tmp_path, text)))
    assert isinstance(bad, BadRow)
    assert "neither UTF-8 nor GB18030" in bad.reason
    assert isinstance(good, Recipient)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("phone,name,days", "no column 'mobile' for the mobile; it has: phone, name, days"),
        ("", "it has: none"),
        ("mobile,name", "takes 2 values, and recipients.csv has 1 columns"),
    ],
)
def test_a_header_that_lacks_a_column_is_an_error_that_names_those_found(
    tmp_path: Path, header: str, reason: str
) -> None:
    """Nothing is sent from such a file."""
    with pytest.raises(InvalidRequest, match=reason):
        list(RecipientsFile(write(tmp_path, f"{header}\n1,2,3\n"), TEMPLATE))


def test_without_a_template_a_content_column_is_needed(tmp_path: Path) -> None:
    """The error says so."""
    with pytest.raises(InvalidRequest, match="for the content"):
        list(RecipientsFile(write(tmp_path, "mobile\n13900000000\n")))


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    """Its count is none, not minus one."""
    assert RecipientsFile(write(tmp_path, "")).count() == 0


cells = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])), max_size=4)


@given(st.lists(cells, max_size=8), st.sampled_from(["utf-8", "gb18030"]))
def test_every_line_is_one_recipient_or_one_bad_row(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], encoding: str
) -> None:
    """In order, with the right numbers, whatever stands in it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["mobile", "content"], *rows])
    file = RecipientsFile(write(tmp_path_factory.mktemp("csv"), text.getvalue().encode(encoding)))
    lines = text.getvalue().split("\n")
    expected = [number for number, line in enumerate(lines, 1) if number > 1 and line.strip()]
    assert [row.line for row in file] == expected
    assert file.count() == len(expected)
