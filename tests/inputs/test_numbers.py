"""What is a number that can be called, and what a person is told if it is not."""

import math
import re
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice import InvalidRequest
from ihuyi_voice.inputs.numbers import normalise_mobile


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("13900000000", "13900000000"),
        ("139 0000 0000", "13900000000"),
        ("139-0000-0000", "13900000000"),
        ("139–0000—0000", "13900000000"),
        ("139−0000－0000", "13900000000"),
        ("+86 139 0000 0000", "13900000000"),
        ("+8613900000000", "13900000000"),
        ("8613900000000", "13900000000"),
        ("008613900000000", "13900000000"),
        ("１３９００００００００", "13900000000"),
        ("＋８６（０２１）５１００００２９", "02151000029"),
        ("\u3000139\u00a00000\u20090000\ufeff", "13900000000"),
        ("02151000029", "02151000029"),
        ("021-51000029", "02151000029"),
        ("(021) 51000029", "02151000029"),
        ("+86 21 5100 0029", "02151000029"),
        ("0755-26000000", "075526000000"),
        ("0311-8600000", "03118600000"),
        ("010 88888888", "01088888888"),
        ("(0311) 8800 0001", "031188000001"),
        ("0311-880-0000", "03118800000"),
        ("010-8888-8888", "01088888888"),
        ("021 5100 0029", "02151000029"),
        ("+86-21-51000029", "02151000029"),
        ("+86 (0)21 5100 0029", "02151000029"),
        ("+86 (0)311 880 0000", "03118800000"),
        ("+86 311 8800000", "03118800000"),
        ("86 21 5100 0029", "02151000029"),
        ("8621-51000029", "02151000029"),
        ("0311 880 000 01", "031188000001"),
        ("1 3 9 0 0 0 0 0 0 0 0", "13900000000"),
        ("86 0311-8800 0001", "031188000001"),
        ("860311 88 000001", "031188000001"),
    ],
)
def test_what_people_write_becomes_what_the_vendor_takes(written: str, sent: str) -> None:
    """Country codes, blanks, hyphens, brackets and full-width digits are taken away."""
    assert normalise_mobile(written) == sent


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("13900000000.0", "13900000000"),
        ("13900000000.00", "13900000000"),
        ("8613900000000.0", "13900000000"),
        ('="13900000000"', "13900000000"),
        ('="02151000029"', "02151000029"),
        ('="0311-8800000"', "03118800000"),
        ("'13900000000", "13900000000"),
        ("'02151000029", "02151000029"),
        ("＇１３９ ００００ ００００", "13900000000"),
        (' ="139 0000 0000" ', "13900000000"),
    ],
)
def test_what_spreadsheets_put_around_a_number_is_taken_away(written: str, sent: str) -> None:
    """Text kept as a formula or behind an apostrophe, and the .0 of a column that became float."""
    assert normalise_mobile(written) == sent


def refusal(written: object) -> str:
    """Return what is told of a number that is refused."""
    with pytest.raises(InvalidRequest) as caught:
        normalise_mobile(written)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - users' mistakes are under test
    assert caught.value.field == "mobile"
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "empty"),
        (" - ", "empty"),
        ('=""', "empty"),
        ("+86", "nothing behind the country code"),
        ("1390000000", "a mobile has 11 digits, this has 10"),
        ("139000000001", "this has 12"),
        ("12345678901", "begins with 12"),
        ("13900000000,13900000001", "several numbers"),
        ("13900000000；13900000001", "several numbers"),
        ("13900000000\n13900000001", "several numbers"),
        ("0311-8800000/8800001", "several numbers"),
        ("139abc", "'abc' can't be part of a number"),
        ("021510000", "10 to 12 digits, this has 9"),
        ("0991123456789", "10 to 12 digits, this has 13"),
        ("0011234567", "another country"),
        ("01212345678", "no area code"),
        ("51000029", "needs its area code"),
        ("9613900000000", "neither a mobile"),
        ("1390000000②", "'②' can't be part of a number"),
        ("0755-2600000¹", "'¹' can't be part of a number"),
        ("١٣٩٠٠٠٠٠٠٠٠", "can't be part of a number"),
        ("139.0000.0000", "'.' can't be part of a number"),
        ("013900000000", "leave the 0 out"),
        ("0139-0000-0000", "leave the 0 out"),
        ("2151000029", "lost its leading 0"),
        ("7552600000", "lost its leading 0"),
        ("1088888888", "lost its leading 0"),
        ("2151000029.0", "lost its leading 0"),
        ("4008001234", "service numbers"),
        ("400-800-1234", "service numbers"),
        ("+85212345678", "another country"),
        ("+852 1390 0000", "another country"),
        ("0085212345678", "another country"),
        ("+1 390 000 0000", "another country"),
        ("001234567890", "another country"),
        ("+86 13900000", "behind \\+86, a mobile has 11 digits, this has 8"),
        ("+86 5100 0029", "behind \\+86, a landline needs its area code"),
        ("08613900000000", "the country code is written \\+86"),
        ("086-10-88888888", "the country code is written \\+86"),
        ("1.39E+10", "Excel shortened it: format the column as text"),
        ("1.39e+10", "Excel shortened it: format the column as text"),
        ("1,39E+10", "Excel shortened it: format the column as text"),
        ("2.151E10", "Excel shortened it: format the column as text"),
        ('="1.39E+10"', "Excel shortened it: format the column as text"),
        ("13,900,000,000", "format the column as text"),
        ("nan", "held no number"),
        ("None", "held no number"),
        ("<NA>", "held no number"),
        ("#N/A", "held no number"),
        ("#REF!", "held no number"),
    ],
)
def test_anything_else_is_refused_with_a_reason(written: str, reason: str) -> None:
    """A person reads what is wrong with the number, and what to do about it."""
    assert re.search(reason, refusal(written))


@pytest.mark.parametrize(
    "written",
    [
        "0311-8800000-1",
        "0311-880-0000-1",
        "0311-880 0000 1",
        "0311 8800000 1",
        "0311-8800000(1)",
        "(0311)8800000—1",
        "０３１１－８８０００００－１",
        "021-5100002-9",
        "+86 311 8800000 1",
        "+86 (0)311 8800000 1",
        "86-21-5100002-9",
        "0311-88000001 转 1",
        "0311-88000001转1",
        "0311-88000001 转接 1234",
        "0311-88000001 分机 1",
        "0311-88000001 ext 1",
        "0311-88000001 Ext. 1",
        "0311-88000001 ext: 1",
        "0311-88000001#1",
        "0311-88000001x1",
        "(0311)8800000*1",
        "0311-88000001-1",
        "0311-88000001-1234",
        "0311-8800000-123456",
        "13900000000-1",
        "139 0000 0000 1",
        "139-0000-0000 转 12",
        "13900000000#1234",
        "+86 139 0000 0000 12",
        "86 139 0000 0000 12",
        '="0311-8800000-1"',
        "'0311-8800000-1",
        "0 3 1 1 8 8 0 0 0 0 0 1",
    ],
)
def test_an_extension_is_refused_and_never_joined_to_the_number(written: str) -> None:
    """However its digits are set apart from the number; joined to it, they ring a stranger."""
    assert "extension" in refusal(written)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("1-347-555-0123", "North America"),
        ("1 (347) 555-0123", "North America"),
        ("1 347 5550123", "North America"),
        ("8621 5100 0029", "write \\+86, or the area code"),
        ("86215100-0029", "write \\+86, or the area code"),
        ("8621510-0029", "write \\+86, or the area code"),
    ],
)
def test_what_can_be_read_as_two_numbers_is_refused(written: str, reason: str) -> None:
    """A number of New York looks like a mobile, a local number with an extension like +86."""
    assert re.search(reason, refusal(written))


class Index:
    """An integer that isn't one, as numpy's are."""

    def __index__(self) -> int:
        return 13900000000


class NAType:
    """As pandas' NA: it can't be compared to a bool."""

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")

    def __eq__(self, other: object) -> bool:
        raise TypeError

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (13900000000, "type int; give it as text, which keeps a leading 0"),
        (Index(), "type Index; give it as text"),
        (True, "type bool; give it as text"),
        (b"13900000000", "type bytes; give it as text"),
        (Decimal(13900000000), "type Decimal; give it as text"),
        (13900000000.0, "type float; give it as text: a column with an empty cell becomes float"),
        (math.inf, "type float"),
        (math.nan, "there is no number"),
        (None, "there is no number"),
        (NAType(), "there is no number"),
    ],
)
def test_a_number_that_is_no_text_is_refused_in_words(given: object, reason: str) -> None:
    """The error says to give it as text, and doesn't show the number."""
    told = refusal(given)
    assert reason in told
    assert "139" not in told


@pytest.mark.parametrize(
    "written",
    [
        "13900000000 13911112222",
        "13900000000,13911112222",
        "139000000000",
        "139 0000 0000 0",
        "１３９００００００００0",
        "13900000000 home",
        "021-51000029#8",
        "0311-8800000-1",
        "+85213900000",
        "13,900,000,000",
        "8621 5100 0029",
        "013900000000",
        "0" * 10,
    ],
)
def test_an_error_never_shows_a_whole_number(written: str) -> None:
    """Numbers in the message are masked, also those of a digit too many."""
    with pytest.raises(InvalidRequest) as caught:
        normalise_mobile(written)
    shown, _, reason = str(caught.value).partition(": ")
    assert "****" in shown
    assert len(re.findall(r"\d", shown)) <= 7
    assert not re.search(r"\d{5}", reason)


numbers = st.from_regex(
    r"1[3-9]\d{9}|0(10|2\d|[3-9]\d\d)[2-8]\d{6,7}",
    fullmatch=True,
    alphabet=st.sampled_from("0123456789"),
)


gaps = st.text(" \t\u3000\u00a0-–—−－()（）\u200b\ufeff", max_size=2)
countries = st.sampled_from(["", "+86", "0086", "86", "＋８６ "])


def widened(data: st.DataObject, text: str) -> str:
    """Return a text some of whose digits are full-width."""
    return "".join(chr(ord(each) + 0xFEE0 * data.draw(st.integers(0, 1))) for each in text)


def groups_of(number: str) -> Iterator[tuple[str, ...]]:
    """Yield the ways in which people group a number."""
    if number[0] == "1":
        yield from [(number,), (number[:3], number[3:7], number[7:]), (number[:3], number[3:])]
        return
    code = 3 if number[1] in "12" else 4
    local = number[code:]
    yield from [(number,), (number[:code], local), (number[:code], local[:4], local[4:])]
    yield (number[:code], local[:3], local[3:])


@given(numbers, st.data())
def test_the_usual_groups_change_no_number(number: str, data: st.DataObject) -> None:
    """Blanks, dashes and brackets between groups, full-width digits, and a country code."""
    groups = data.draw(st.sampled_from(list(groups_of(number))))
    country = data.draw(st.sampled_from(["", "+86", "0086", "86 "]))
    written = country + "".join(data.draw(gaps) + widened(data, group) for group in groups)
    assert normalise_mobile(written + data.draw(gaps)) == number


def scattered(data: st.DataObject, number: str) -> str:
    """Return a number with decoration anywhere, and perhaps a country code before it."""
    text = "".join(widened(data, digit) + data.draw(gaps) for digit in number)
    return data.draw(gaps) + data.draw(countries) + text


@given(numbers, st.data())
def test_decoration_never_makes_another_number(number: str, data: st.DataObject) -> None:
    """Wherever it stands: the same number comes out, or none, because an extension is possible."""
    try:
        assert normalise_mobile(scattered(data, number)) == number
    except InvalidRequest as refused:
        assert re.search("extension|North America", str(refused))  # noqa: PT017 - or none at all


@given(
    numbers,
    st.text(" -–(#*x转", min_size=1, max_size=2),
    st.text("0123456789", min_size=1, max_size=4),
    st.data(),
)
def test_digits_behind_a_whole_number_are_refused(
    number: str, gap: str, extension: str, data: st.DataObject
) -> None:
    """Wherever else there is decoration, and with any country code."""
    assert refusal(scattered(data, number) + gap + extension)


@given(st.text(max_size=40))
def test_any_text_is_normalised_or_refused(text: str) -> None:
    """Nothing else is ever raised, and what comes out stays as it is a second time."""
    try:
        number = normalise_mobile(text)
    except InvalidRequest:
        return
    assert number.isascii()
    assert number.isdigit()
    assert normalise_mobile(number) == number
