"""What a valid number is: mainland mobiles and landlines as the vendor takes them (2.3).

The digits are read in the groups in which they were written, because `0311-8800000-1` is a number
and its extension, and without its hyphens it would be a stranger's. What can be read as more than
one number is refused.
"""

import re
import unicodedata
from itertools import accumulate
from typing import Final

import attrs

from ihuyi_voice.common.plain import plain
from ihuyi_voice.common.redaction import mask_mobile
from ihuyi_voice.errors import InvalidRequest

_MOBILE: Final = re.compile(r"1[3-9][0-9]{9}")
# Area codes: 010 and 02x have three digits, all others four; the number follows with 7 or 8.
_LANDLINE: Final = re.compile(r"0(?:10|2[0-9]|[3-9][0-9]{2})[0-9]{7,8}")
_COUNTRY: Final = re.compile(r"(?:\+|00)?86(?=1[3-9][0-9]{9}$|0?(?:10|[2-9][0-9]{1,2})[0-9]{7,8}$)")
_PREFIX: Final = re.compile(r"(?:\+|00)86|86(?=1[3-9])")  # of what is no number all the same
# Not NFKC: it would make a digit of a footnote mark, and another phone would ring.
_FULL_WIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_MINUS: Final = "\N{MINUS SIGN}"  # looks like a dash and isn't of their category
_MOBILE_DIGITS: Final = 11
_SHORTEST: Final = 10
_LONGEST: Final = 12
_HARMLESS: Final = 6  # so few digits are nobody's number
_USUAL_EXTENSION: Final = 4
_LONGEST_EXTENSION: Final = 6
_AMERICAN_BREAKS: Final = {(1, 4), (1, 4, 7)}  # 1-347-555-0123
_MISSING: Final = {"NoneType", "NAType", "NaTType"}  # the latter two are pandas'
_LOCAL: Final = (7, 8)  # digits of a landline without its area code

# What spreadsheets put around a number that they keep as text, and pandas behind a number.
_AS_FORMULA: Final = re.compile(r'= ?"([^"]*)"')
_AS_TEXT: Final = re.compile(r"'(.*)")
_AS_FLOAT: Final = re.compile(r"([1-9][0-9]*)\.00?")

_EXTENSION: Final = "an extension can't be dialled; give the number without it"
_MAYBE_EXTENSION: Final = (
    "the last digit looks like an extension, which can't be dialled; leave it out, or, if it "
    "belongs to the number, write no blank or hyphen before it"
)
_SEVERAL: Final = "several numbers; only one can be submitted at a time"
_AMERICAN: Final = (
    "written like a number of North America; a mainland mobile has no blank or hyphen behind its 1"
)
_LOCAL_OR_COUNTRY: Final = (
    "86 may be the country code or begin a number with an extension; write +86, or the area code"
)
_FOREIGN: Final = "a number of another country; only those of the mainland (+86) can be called"
_LOST_ZERO: Final = (
    "a landline whose area code lost its leading 0, as spreadsheets do; put the 0 in front and "
    "format the column as text"
)

# What a whole text may be, blanks between its groups, and what its writer is told.
_TEXTS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), words)
    for pattern, words in (
        (r"", "the number is empty"),
        (r"nan|none|null|<na>|n/a|#[a-z/0]+[!?]?", "the cell held no number"),
        (r"[0-9]([.,][0-9]+)?E ?\+? ?[0-9]+", "Excel shortened it: format the column as text"),
        (r"\+|(\+|00) ?86", "there is nothing behind the country code"),
        (
            r"[0-9]{1,3}(,[0-9]{3})+(\.0+)?",
            "formatted with thousands separators; format the column as text",
        ),
        (r"(\+|00) ?(?!8 ?6)[1-9][0-9 ]*", _FOREIGN),
        (
            r"[^A-Z转轉分内內#*]*[0-9] ?(转接?|轉|分机|[内內]线|ext[a-z]*\.?|x|#|\*)[ :]*[0-9 ]+",
            _EXTENSION,
        ),
        (r".*[,;/|、].*", _SEVERAL),
    )
)
# The same for texts of digits alone, without blanks.
_DIGITS: Final = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"01[3-9][0-9]{9}", "a mobile with the 0 of long-distance calls; leave the 0 out"),
        (r"086[0-9]*", "the country code is written +86 or 0086, not 086"),
        (r"[48]00[0-9]{7}", "service numbers (400, 800) can't be called"),
        (r"10[0-9]{7,8}|2[0-9][0-9]{7,8}|[3-9][0-9]{2}[0-9]{7,8}", _LOST_ZERO),
        (r"[2-9][0-9]{6,7}", "a landline needs its area code in front, as in 021…"),
    )
)


def normalise_mobile(number: str) -> str:
    """Return `number` as the vendor takes it: 11 digits, or area code and number.

    Understood and taken away are `+86`, `86`, `0086`, blanks, hyphens, brackets, full-width
    digits, and what spreadsheets add: `="139…"`, `'139…` and `139….0`. Landlines keep the 0 of
    their area code, as in 02151000029. Extensions are refused, and so is what might be one.

    Args:
        number: As a person wrote it.

    Raises:
        InvalidRequest: It is no number that can be called; the error says why.
    """
    if type(number) is not str:
        if not isinstance(number, str):  # pyright: ignore[reportUnnecessaryIsInstance] - user input
            raise InvalidRequest(_reason_for_type(number), field="mobile")
        number = plain(number)
    if _MOBILE.fullmatch(number):
        return number
    groups = _unwrapped(_groups(number.translate(_FULL_WIDTH)))
    written = _Written.of(groups)
    domestic = _without_country(written)
    if _is_domestic(domestic.digits) and not _doubt(written, domestic):
        return domestic.digits
    shown = written.digits
    shown = mask_mobile(shown) if len(shown) > _HARMLESS else shown
    raise InvalidRequest(f"{shown!r}: {_reason(groups, written, domestic)}", field="mobile")


@attrs.frozen
class _Written:
    """A number without what stood between its groups.

    Attributes:
        digits: All groups joined.
        breaks: After how many digits there was a blank, a hyphen or a bracket.
    """

    digits: str
    breaks: tuple[int, ...]

    @classmethod
    def of(cls, groups: list[str]) -> "_Written":
        """Join groups and remember where they met."""
        return cls("".join(groups), tuple(accumulate(map(len, groups)))[:-1])

    def behind(self, prefix: int, lead: str = "") -> "_Written":
        """Return what follows so many digits, with `lead` in their place."""
        breaks = (place - prefix + len(lead) for place in self.breaks if place > prefix)
        return _Written(lead + self.digits[prefix:], tuple(breaks))

    def extension(self) -> int:
        """Return how many digits follow those groups that are a whole number by themselves."""
        count = len(self.digits)
        whole = (place for place in self.breaks if _is_domestic(self.digits[:place]))
        return count - next(whole, count)


def _groups(text: str) -> list[str]:
    return "".join(" " if _is_decoration(char) else char for char in text).split()


def _is_decoration(char: str) -> bool:
    # Blanks, dashes of every kind, brackets, and the invisible marks that spreadsheets leave.
    if char.isspace() or char == _MINUS:
        return True
    return unicodedata.category(char) in {"Pd", "Ps", "Pe", "Cf"}


def _unwrapped(groups: list[str]) -> list[str]:
    text = " ".join(groups)
    for wrapping in (_AS_FORMULA, _AS_TEXT, _AS_FLOAT):
        if match := wrapping.fullmatch(text):
            text = match[1]
    return text.split()


def _without_country(written: _Written) -> _Written:
    match = _COUNTRY.match(written.digits)
    if match is None:
        return written
    rest = written.digits[match.end() :]
    return written.behind(match.end(), "" if _is_domestic(rest) else "0")


def _is_domestic(digits: str) -> bool:
    return bool(_MOBILE.fullmatch(digits) or _LANDLINE.fullmatch(digits))


def _doubt(written: _Written, domestic: _Written) -> str | None:
    """Return why a number that would be valid may be meant for another one."""
    if domestic.extension():
        return _MAYBE_EXTENSION
    if written.digits[0] == "1" and written.breaks in _AMERICAN_BREAKS:
        return _AMERICAN
    return _LOCAL_OR_COUNTRY if _is_local(written) else None


def _is_local(written: _Written) -> bool:
    """Tell whether 7 or 8 digits and an extension happen to look like 86 and a landline."""
    if not written.digits.startswith("86") or 2 in written.breaks:  # noqa: PLR2004 - behind 86
        return False
    count = len(written.digits)
    return any(place in _LOCAL and count - place <= _USUAL_EXTENSION for place in written.breaks)


def _reason(groups: list[str], written: _Written, domestic: _Written) -> str:
    text, digits = " ".join(groups), written.digits
    for pattern, words in _TEXTS:
        if pattern.fullmatch(text):
            return words
    strange = dict.fromkeys(char for char in digits.removeprefix("+") if char not in "0123456789")
    if strange:
        return f"{''.join(strange)[:10]!r} can't be part of a number"
    if _is_domestic(domestic.digits):
        return _doubt(written, domestic) or ""
    if prefix := _PREFIX.match(digits):
        return f"behind {prefix[0]}, {_reason_for_digits(written.behind(prefix.end()))}"
    return _reason_for_digits(written)


def _reason_for_digits(written: _Written) -> str:
    if behind := written.extension():
        return _EXTENSION if behind <= _LONGEST_EXTENSION else _SEVERAL
    for pattern, words in _DIGITS:
        if pattern.fullmatch(written.digits):
            return words
    return _reason_for_length(written.digits)


def _reason_for_length(digits: str) -> str:
    count, first = len(digits), digits[:1]
    if first == "1" and count != _MOBILE_DIGITS:
        return f"a mobile has 11 digits, this has {count}"
    if first == "1":
        return f"no mainland mobile begins with {digits[:2]}"
    if first == "0" and not _SHORTEST <= count <= _LONGEST:
        return f"area code and number have 10 to 12 digits, this has {count}"
    if first == "0":
        return "no area code of the mainland, or not 7 or 8 digits behind it"
    return "neither a mobile (1…) nor a landline with its area code (0…)"


def _reason_for_type(number: object) -> str:
    """Return what is told of a number that isn't text; its value is shown to nobody."""
    kind = type(number).__name__
    if kind in _MISSING or (isinstance(number, float) and number != number):  # noqa: PLR0124 - nan
        return f"there is no number ({number})"
    if isinstance(number, float):
        return (
            f"the number is of type {kind}; give it as text: a column with an empty cell becomes "
            "float, which pandas' dtype=str prevents"
        )
    return f"the number is of type {kind}; give it as text, which keeps a leading 0"
