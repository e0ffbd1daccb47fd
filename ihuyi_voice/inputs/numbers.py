"""What a valid number is: mainland mobiles and landlines as the vendor takes them (2.3)."""

import re
import unicodedata
from typing import Final

from ihuyi_voice.common.redaction import mask_mobile
from ihuyi_voice.errors import InvalidRequest

_MOBILE: Final = re.compile(r"1[3-9][0-9]{9}")
# Area codes: 010 and 02x have three digits, all others four; the number follows with 7 or 8.
_LANDLINE: Final = re.compile(r"0(?:10|2[0-9])[0-9]{7,8}|0[3-9][0-9]{2}[0-9]{7,8}")
_COUNTRY: Final = re.compile(r"(?:\+|00)?86(?=1[3-9][0-9]{9}$|0?(?:10|[2-9][0-9]{1,2})[0-9]{7,8}$)")
_SEVERAL: Final = re.compile(r"[,;/|、]")
# Not NFKC: it would make a digit of a footnote mark, and another phone would ring.
_FULL_WIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_MINUS: Final = "\N{MINUS SIGN}"  # looks like a dash and isn't of their category
_MOBILE_DIGITS: Final = 11
_SHORTEST: Final = 10
_LONGEST: Final = 12
_HARMLESS: Final = 6  # so few digits are nobody's number


def normalise_mobile(number: str) -> str:
    """Return `number` as the vendor takes it: 11 digits, or area code and number.

    Understood and taken away are `+86`, `86`, `0086`, blanks, hyphens, brackets and full-width
    digits. Landlines keep the 0 of their area code, as in 02151000029.

    Args:
        number: As a person wrote it.

    Raises:
        InvalidRequest: It is no number that can be called; the error says why.
    """
    if not isinstance(number, str):  # pyright: ignore[reportUnnecessaryIsInstance] - user input
        raise InvalidRequest(
            f"the number is of type {type(number).__name__}; give it as text, which keeps a "
            "leading 0",
            field="mobile",
        )
    if _MOBILE.fullmatch(number):
        return number
    digits = _without_country(_without_decoration(number))
    if _MOBILE.fullmatch(digits) or _LANDLINE.fullmatch(digits):
        return digits
    shown = mask_mobile(digits) if len(digits) > _HARMLESS else digits
    raise InvalidRequest(f"{shown!r}: {_reason(digits)}", field="mobile")


def _without_decoration(number: str) -> str:
    return "".join(char for char in number.translate(_FULL_WIDTH) if not _is_decoration(char))


def _is_decoration(char: str) -> bool:
    # Blanks, dashes of every kind, brackets, and the invisible marks that spreadsheets leave.
    if char.isspace() or char == _MINUS:
        return True
    return unicodedata.category(char) in {"Pd", "Ps", "Pe", "Cf"}


def _without_country(digits: str) -> str:
    match = _COUNTRY.match(digits)
    if match is None:
        return digits
    rest = digits[match.end() :]
    return rest if rest[0] in "01" and _is_domestic(rest) else f"0{rest}"


def _is_domestic(digits: str) -> bool:
    return bool(_MOBILE.fullmatch(digits) or _LANDLINE.fullmatch(digits))


def _reason(digits: str) -> str:
    if not digits:
        return "the number is empty"
    if _SEVERAL.search(digits):
        return "several numbers; only one can be submitted at a time"
    strange = dict.fromkeys(char for char in digits if not (char.isascii() and char.isdigit()))
    if strange:
        return f"{''.join(strange)[:10]!r} can't be part of a number"
    return _reason_for_digits(digits)


def _reason_for_digits(digits: str) -> str:
    count = len(digits)
    if digits[0] == "1" and count != _MOBILE_DIGITS:
        return f"a mobile has 11 digits, this has {count}"
    if digits[0] == "1":
        return f"no mainland mobile begins with {digits[:2]}"
    if digits[0] == "0" and not _SHORTEST <= count <= _LONGEST:
        return f"area code and number have 10 to 12 digits, this has {count}"
    if digits[0] == "0":
        return "no area code of the mainland, or not 7 or 8 digits behind it"
    return "neither a mobile (1…) nor a landline with its area code (0…)"
