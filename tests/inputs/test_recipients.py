"""Recipients from tables: every record is one recipient or one bad row."""

import csv
import io
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice import InvalidRequest, Template
from ihuyi_voice.inputs.recipients import BadRow, Recipient, RecipientsFile

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
    ("cell", "mobile"),
    [
        ('="13900000000"', "13900000000"),
        ('"=""02151000029"""', "02151000029"),
        ("'13900000000", "13900000000"),
        ("13900000000.0", "13900000000"),
    ],
)
def test_numbers_that_spreadsheets_wrapped_are_read(tmp_path: Path, cell: str, mobile: str) -> None:
    """As the text that they were meant to be, quoted or not."""
    (row,) = RecipientsFile(write(tmp_path, f"mobile,a,b\n{cell},张茜,2\n"), TEMPLATE)
    assert row == Recipient(mobile, "您的客户张茜将于2天后过生日", line=2)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1.39E+10,张茜,2", "Excel shortened it: format the column as text"),
        ("2151000029,张茜,2", "lost its leading 0"),
        ("0311-8800000-1,张茜,2", "extension"),
        ("1390000,张茜,2", "11 digits"),
        ("13900000000,张茜", "2 cells instead of 3"),
        ("13900000000,张茜,2,3", "4 cells instead of 3"),
        ("13900000000,张 茜,2", "value 1 has ' '"),
        ("13900000000,,2", "value 1 is empty"),
        ('13900000000,"张茜,2', "a quote that is closed nowhere"),
        ('13900000000,"张"茜,2', "expected after"),
        ("13900000000,张\0茜,2", "value 1 has"),
    ],
)
def test_a_bad_row_is_reported_with_its_line_and_the_rest_goes_on(
    tmp_path: Path, line: str, reason: str
) -> None:
    """A quote that is closed nowhere spoils its own row and no other."""
    bad, good = list(
        RecipientsFile(write(tmp_path, f"mobile,a,b\n\n{line}\n139-0000-0000,c,d"), TEMPLATE)
    )
    assert isinstance(bad, BadRow)
    assert (bad.line, bad.text) == (3, line)
    assert reason in bad.reason
    assert isinstance(good, Recipient)
    assert good.line == 4


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("broken", [b"\xff", "赵".encode()[:2], "赵".encode("gb18030")])
def test_a_broken_byte_turns_no_name_of_a_utf8_file_into_another(
    tmp_path: Path, mark: bytes, broken: bytes
) -> None:
    """Read as GB18030 because of it, 张茜 would be 寮犺寽, and her phone would ring with that."""
    text = GOOD.replace("赵鑫", "赵匡胤").encode() + b"13900000002," + broken + b",4\n"
    first, second, bad = RecipientsFile(write(tmp_path, mark + text), TEMPLATE)
    assert isinstance(first, Recipient)
    assert isinstance(second, Recipient)
    assert first.content == "您的客户张茜将于2天后过生日"
    assert second.content == "您的客户赵匡胤将于3天后过生日"
    assert isinstance(bad, BadRow)
    assert (bad.line, bad.reason) == (4, "bytes that make no sense in the file's encoding")


def test_a_broken_byte_leaves_a_gb18030_file_one(tmp_path: Path) -> None:
    """The names around it are read as they were written."""
    text = GOOD.encode("gb18030") + b"13900000002,\xff\xff,4\n"
    first, second, bad = RecipientsFile(write(tmp_path, text), TEMPLATE)
    contents = [row.content for row in (first, second) if isinstance(row, Recipient)]
    assert contents == ["您的客户张茜将于2天后过生日", "您的客户赵鑫将于3天后过生日"]
    assert isinstance(bad, BadRow)


@pytest.mark.parametrize("seed", range(20))
def test_twenty_common_characters_tell_gb18030_from_utf8(tmp_path: Path, seed: int) -> None:
    """Even though some pairs of its bytes make sense in both."""
    chance = random.Random(seed)
    pairs = [bytes((chance.randint(0xB0, 0xD6), chance.randint(0xA1, 0xFE))) for _ in range(20)]
    names = b"".join(pairs)
    (row,) = RecipientsFile(write(tmp_path, b"mobile,content\n13900000000," + names))
    assert row == Recipient("13900000000", names.decode("gb18030"), line=2)


def test_the_encoding_is_told_from_the_whole_file(tmp_path: Path) -> None:
    """GB18030 whose first Chinese character comes after a megabyte of ASCII is still GB18030."""
    rows = "".join(f"139{place:08d},{'ok' * 500}\n" for place in range(1_200))
    text = f"mobile,content\n{rows}13911111111,张茜\n".encode("gb18030")
    *_, last = RecipientsFile(write(tmp_path, text))
    assert last == Recipient("13911111111", "张茜", line=1_202)


def test_bytes_of_no_encoding_spoil_their_row_only(tmp_path: Path) -> None:
    """Neither UTF-8 nor GB18030."""
    text = "mobile,content\n13900000000,".encode("gb18030") + b"\xff\xff\n13900000001,ok\n"
    bad, good = list(RecipientsFile(write(tmp_path, text)))
    assert isinstance(bad, BadRow)
    assert "bytes that make no sense" in bad.reason
    assert isinstance(good, Recipient)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("number,name,days", "no column 'mobile' for the mobile; it has: number, name, days"),
        ("", "no column 'mobile' for the mobile; it has: 1, 2, 3"),
        (
            "phone,手机,days",
            "has several columns for the mobile: phone, 手机; say which by mobile=",
        ),
        ("手机,手机,days", "two columns '手机' for the mobile"),
        ("mobile,mobile,name", "two columns 'mobile' for the mobile; it has: mobile, mobile, name"),
        ("mobile,name", r"takes 2 values, and recipients.csv has 1 columns for them \(name\)"),
        ('mobile,"name', "the header of recipients.csv can't be read: a quote"),
    ],
)
def test_a_header_that_lacks_a_column_is_an_error_that_names_those_found(
    tmp_path: Path, header: str, reason: str
) -> None:
    """Nothing is sent from such a file."""
    with pytest.raises(InvalidRequest, match=reason):
        list(RecipientsFile(write(tmp_path, f"{header}\n1,2,3\n"), TEMPLATE))


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"2": "name"}, "takes 2 values, and only 2 has a column named; name all of them or none"),
        ({"3": "name"}, "3=… names a value, and the template takes only 2"),
        ({"moblie": "name"}, "no column is needed for 'moblie'"),
        ({"1": "name", "2": "day"}, "no column 'day' for the 2; it has: mobile, name, days"),
        ({"reference": "order"}, "no column 'order' for the reference"),
        ({"mobile": "手机号"}, "no column '手机号' for the mobile"),
    ],
)
def test_a_mapping_that_does_not_fit_is_an_error(
    tmp_path: Path, columns: dict[str, str], reason: str
) -> None:
    """Ignored, it would put the wrong values into calls, or lose the references."""
    with pytest.raises(InvalidRequest, match=reason):
        list(RecipientsFile(write(tmp_path, GOOD), TEMPLATE, columns))


def test_a_content_column_is_no_value_of_the_template(tmp_path: Path) -> None:
    """The template makes the contents, and the columns of our own names are left out."""
    text = "content,mobile,name,reference,days\nx,13900000000,张茜,r,2\n"
    (row,) = RecipientsFile(write(tmp_path, text), TEMPLATE)
    assert row == Recipient("13900000000", "您的客户张茜将于2天后过生日", "r", line=2)


def test_an_empty_reference_is_none(tmp_path: Path) -> None:
    """Or all rows without one would share the same."""
    rows = RecipientsFile(
        write(tmp_path, "mobile,content,reference\n13900000000,a,\n13900000001,b, r2 \n")
    )
    assert [row.reference for row in rows if isinstance(row, Recipient)] == [None, "r2"]


def test_a_template_of_no_values_takes_no_columns(tmp_path: Path) -> None:
    """Whatever columns there are besides are of no concern to it."""
    file = RecipientsFile(write(tmp_path, "mobile\n13900000000\n"), Template("今天停水"))
    assert [row.content for row in file if isinstance(row, Recipient)] == ["今天停水"]


def test_a_row_shows_neither_number_nor_text_in_logs(tmp_path: Path) -> None:
    """A recipient's repr masks the number, a bad row's leaves its line out."""
    good, bad = RecipientsFile(write(tmp_path, "mobile,content\n13900000000,a\n13900000000\n"))
    assert "13900000000" not in repr(good) + repr(bad)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    """For counting and for reading."""
    file = RecipientsFile(tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError):
        file.count()
    with pytest.raises(FileNotFoundError):
        next(iter(file))


def test_without_a_template_a_content_column_is_needed(tmp_path: Path) -> None:
    """The error says so."""
    with pytest.raises(InvalidRequest, match="for the content"):
        list(RecipientsFile(write(tmp_path, "mobile\n13900000000\n")))


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    """Its count is none, not minus one."""
    assert RecipientsFile(write(tmp_path, "")).count() == 0


letters = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=6)
cells = st.lists(letters | st.sampled_from(["", '"', ",", "\n", '"\n"', ";", "a\tb"]), max_size=4)


@given(
    st.lists(cells, max_size=8),
    st.sampled_from(["utf-8", "gb18030", "utf-8-sig", "utf-16"]),
    st.sampled_from([",", ";", "\t"]),
)
def test_every_record_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], encoding: str, delimiter: str
) -> None:
    """Line breaks, quotes and delimiters in its cells included; blank ones are left out."""
    text = io.StringIO()
    header = ["mobile", "content", "x", "y"]
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows([header, *rows])
    # Twenty characters that tell the encoding.
    marked = (
        f"{text.getvalue()}13900000000{delimiter}{'您的订单号是请注意查收顺风快递已由发出好' * 9}"
    )
    file = RecipientsFile(write(tmp_path_factory.mktemp("csv"), marked.encode(encoding)))
    expected = [tuple(row) for row in rows if any(cell.strip() for cell in row)]
    assert [row.cells for row in file][:-1] == expected
    assert file.count() == len(expected) + 1


junk = st.binary(max_size=24) | st.text(max_size=8).map(
    lambda text: text.encode("gb18030", "replace")
)
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
files = st.lists(st.tuples(junk, ends), max_size=12).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


@given(files)
def test_any_bytes_are_rows_in_order(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Whatever the lines hold and end with, each stands in one row, and none in two."""
    path = write(tmp_path_factory.mktemp("csv"), b"mobile,content\n" + data)
    rows = list(RecipientsFile(path))
    numbers = [row.line for row in rows]
    assert numbers == sorted(set(numbers))
    assert RecipientsFile(path).count() == len(rows)


@given(files)
def test_any_header_is_usable_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """No file at all makes reading fail in another way."""
    file = RecipientsFile(write(tmp_path_factory.mktemp("csv"), data), TEMPLATE)
    with pytest.raises(InvalidRequest):
        list(file)


@pytest.mark.parametrize("content", ["#N/A", "#REF!", " #VALUE! ", "#DIV/0!", "#NAME?", "#SPILL!"])
def test_an_error_of_a_spreadsheet_is_nothing_to_say(tmp_path: Path, content: str) -> None:
    """A formula found nothing, and a phone would have rung to say so."""
    path = tmp_path / "a.csv"
    path.write_text(f"mobile,content,备注\n13900000000,{content},x\n13900000001,好,#N/A\n", "utf-8")
    bad, good = RecipientsFile(path)
    assert isinstance(bad, BadRow)
    assert bad.reason == f"the content is an error of a spreadsheet: {content.strip()}"
    assert isinstance(good, Recipient)
