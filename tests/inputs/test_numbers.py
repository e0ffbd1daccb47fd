"""What is a number that can be called, and what a person is told if it is not."""

import re

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
    ],
)
def test_what_people_write_becomes_what_the_vendor_takes(written: str, sent: str) -> None:
    """Country codes, blanks, hyphens, brackets and full-width digits are taken away."""
    assert normalise_mobile(written) == sent


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "empty"),
        (" - ", "empty"),
        ("1390000000", "a mobile has 11 digits, this has 10"),
        ("139000000001", "this has 12"),
        ("12345678901", "begins with 12"),
        ("13900000000,13900000001", "several numbers"),
        ("13900000000；13900000001", "several numbers"),
        ("139abc", "'abc' can't be part of a number"),
        ("021510000", "10 to 12 digits, this has 9"),
        ("0991123456789", "10 to 12 digits, this has 13"),
        ("001234567890", "no area code"),
        ("51000029", "neither a mobile"),
        ("9613900000000", "neither a mobile"),
        ("013900000000", "no area code"),
        ("1390000000②", "'②' can't be part of a number"),
        ("0755-2600000¹", "'¹' can't be part of a number"),
        ("١٣٩٠٠٠٠٠٠٠٠", "can't be part of a number"),
    ],
)
def test_anything_else_is_refused_with_a_reason(written: str, reason: str) -> None:
    """A person reads what is wrong with the number."""
    with pytest.raises(InvalidRequest, match=reason) as caught:
        normalise_mobile(written)
    assert caught.value.field == "mobile"


def test_a_number_given_as_an_int_is_refused_because_it_loses_its_zero() -> None:
    """The error says to give it as text."""
    with pytest.raises(InvalidRequest, match="type int; give it as text"):
        normalise_mobile(13900000000)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - the mistake under test


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
    r"1[3-9]\d{9}|0(10|2\d|[3-9]\d\d)[2-8]\d{7}",
    fullmatch=True,
    alphabet=st.sampled_from("0123456789"),
)


@given(numbers, st.data())
def test_decoration_changes_no_number(number: str, data: st.DataObject) -> None:
    """Wherever blanks, dashes, brackets and full-width digits stand, and before a country code."""
    gaps = st.text(" \t\u3000\u00a0-–—−－()（）\u200b\ufeff", max_size=2)
    wide = [digit + data.draw(gaps) for digit in number]
    digits = [chr(ord(each[0]) + 0xFEE0 * data.draw(st.integers(0, 1))) + each[1:] for each in wide]
    country = data.draw(st.sampled_from(["", "+86", "0086", "86", "＋８６ "]))
    assert normalise_mobile(data.draw(gaps) + country + "".join(digits)) == number


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
