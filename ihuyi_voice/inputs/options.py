"""Checks of options that are numbers: functions, and the attrs validators made of them.

A wrong option is named where it is given: text, a bool, nan and infinity would otherwise be met
hours later, in a sleep or a comparison.
"""

from math import inf
from numbers import Integral
from reprlib import repr as short
from typing import TYPE_CHECKING, Any

from ihuyi_voice.common.options import is_number, too_slow
from ihuyi_voice.errors import InvalidRequest

if TYPE_CHECKING:
    import attrs


def check_number(name: str, value: object) -> None:
    """Refuse what is no number; infinity is one here.

    Raises:
        InvalidRequest: It is none; the error names the option.
    """
    if value not in (inf, -inf):
        _number(name, value)


def check_above_zero(name: str, value: object) -> None:
    """Refuse what is not a number above 0.

    Raises:
        InvalidRequest: It is 0 or less, or no finite number; the error names the option.
    """
    if not _number(name, value) > 0:
        raise InvalidRequest(f"{name} is {value}; it must be above 0", field=name)


def check_rate(name: str, value: object) -> None:
    """Refuse what is no rate a second: not above 0, or slower than one a day.

    Raises:
        InvalidRequest: It is none; the error names the option.
    """
    check_above_zero(name, value)
    wrong = too_slow(name, _number(name, value))
    if wrong is not None:
        raise InvalidRequest(wrong, field=name)


def check_not_negative(name: str, value: object) -> None:
    """Refuse what is not a number of at least 0.

    Raises:
        InvalidRequest: It is less than 0, or no finite number; the error names the option.
    """
    if not _number(name, value) >= 0:
        raise InvalidRequest(f"{name} is {value}; it can't be negative", field=name)


def check_wait(name: str, value: object) -> None:
    """Refuse what is not a number of seconds that may be waited; infinity means for ever.

    Raises:
        InvalidRequest: It is less than 0, or no number; the error names the option.
    """
    if value != inf:
        check_not_negative(name, value)


def check_count(name: str, value: object) -> None:
    """Refuse what is not a whole number of at least 1.

    Raises:
        InvalidRequest: It is none; the error names the option.
    """
    check_above_zero(name, value)
    if not isinstance(value, Integral):
        raise InvalidRequest(f"{name} is {value}; it must be a whole number", field=name)


def above_zero(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    """Refuse an attribute that `check_above_zero` would; None passes where it is the default."""
    if not _is_unused(attribute, value):
        check_above_zero(attribute.name, value)


def rated(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    """Refuse an attribute that `check_rate` would; None passes where it is the default."""
    if not _is_unused(attribute, value):
        check_rate(attribute.name, value)


def not_negative(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    """Refuse an attribute that `check_not_negative` would; None passes where it is the default."""
    if not _is_unused(attribute, value):
        check_not_negative(attribute.name, value)


def waited(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    """Refuse an attribute that `check_wait` would; None passes where it is the default."""
    if not _is_unused(attribute, value):
        check_wait(attribute.name, value)


def lasting(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    """Refuse an attribute that is no time above 0; infinity means for ever."""
    if value != inf:
        above_zero(_, attribute, value)


def counted(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    """Refuse an attribute that `check_count` would; None passes where it is the default."""
    if not _is_unused(attribute, value):
        check_count(attribute.name, value)


def _is_unused(attribute: "attrs.Attribute[Any]", value: object) -> bool:
    return value is None and attribute.default is None


def _number(name: str, value: object) -> float:
    if not is_number(value):
        raise InvalidRequest(
            f"{name} is {short(value)}, of type {type(value).__name__}; it must be a number",
            field=name,
        )
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if number - number != 0:  # infinity, and nan
        raise InvalidRequest(f"{name} is {short(value)}; it must be finite", field=name)
    return number
