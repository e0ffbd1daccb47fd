"""Options that are numbers are checked when they are given, and a wrong one is named."""

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs
import pytest

from ihuyi_voice import InvalidRequest
from ihuyi_voice.inputs.options import (
    above_zero,
    check_above_zero,
    check_count,
    check_not_negative,
    check_wait,
    counted,
    not_negative,
    rated,
)
from ihuyi_voice.pushes import Handling

CHECKS = [check_above_zero, check_not_negative, check_count]
Check = Callable[[str, object], None]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    ("value", "told"),
    [
        (True, "option is True, of type bool; it must be a number"),
        (False, "option is False, of type bool; it must be a number"),
        ("5", "option is '5', of type str; it must be a number"),
        (None, "option is None, of type NoneType; it must be a number"),
        ([1], r"option is \[1\], of type list; it must be a number"),
        (Decimal(5), "of type Decimal; it must be a number"),
        (1j, "of type complex; it must be a number"),
        ("9" * 10_000, "option is '99.{,40}, of type str"),
        (math.nan, "option is nan; it must be finite"),
        (math.inf, "option is inf; it must be finite"),
        (-math.inf, "option is -inf; it must be finite"),
        (10**400, "option is 1000.*; it must be finite"),
    ],
)
def test_what_is_no_finite_number_is_refused_by_name(
    check: Check, value: object, told: str
) -> None:
    """In one short sentence, whichever number it should have been."""
    with pytest.raises(InvalidRequest, match=told) as caught:
        check("option", value)
    assert caught.value.field == "option"
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("check", "value", "told"),
    [
        (check_above_zero, 0, "option is 0; it must be above 0"),
        (check_above_zero, -0.5, "option is -0.5; it must be above 0"),
        (check_not_negative, -0.5, "option is -0.5; it can't be negative"),
        (check_count, 0, "option is 0; it must be above 0"),
        (check_count, 2.5, "option is 2.5; it must be a whole number"),
        (check_count, 2.0, "option is 2.0; it must be a whole number"),
    ],
)
def test_a_number_out_of_range_is_refused_by_name(check: Check, value: float, told: str) -> None:
    """The error says what it must be."""
    with pytest.raises(InvalidRequest, match=told):
        check("option", value)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (check_above_zero, 1),
        (check_above_zero, 5e-324),
        (check_above_zero, Fraction(1, 3)),
        (check_not_negative, 0),
        (check_not_negative, -0.0),
        (check_count, 1),
        (check_count, 10**9),
    ],
)
def test_any_kind_of_real_number_in_range_passes(check: Check, value: float) -> None:
    """Limits included."""
    check("option", value)


@pytest.mark.parametrize("value", [0, 1.5, math.inf])
def test_a_wait_may_be_for_ever(value: float) -> None:
    """And for no time at all."""
    check_wait("max_wait", value)


@pytest.mark.parametrize("value", [-1, -math.inf, math.nan, "5", True, None])
def test_a_wait_that_is_no_time_is_refused_by_name(value: object) -> None:
    """As any other number."""
    with pytest.raises(InvalidRequest, match="max_wait is"):
        check_wait("max_wait", value)


@attrs.frozen
class Options:
    """One option of each kind, with and without a None."""

    rate: float | None = attrs.field(default=None, validator=above_zero)
    wait: float = attrs.field(default=0.0, validator=not_negative)
    count: int = attrs.field(default=1, validator=counted)
    pace: float | None = attrs.field(default=None, validator=rated)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"rate": 0}, "rate is 0; it must be above 0"),
        ({"rate": "fast"}, "rate is 'fast', of type str"),
        ({"wait": -1}, "wait is -1; it can't be negative"),
        ({"wait": None}, "wait is None, of type NoneType; it must be a number"),
        ({"pace": 0}, "pace is 0; it must be above 0"),
        ({"pace": 5e-324}, "pace is 5e-324, slower than one a day"),
        ({"pace": 1 / 86_401}, "slower than one a day"),
        ({"count": 1.5}, "count is 1.5; it must be a whole number"),
        ({"count": None}, "count is None, of type NoneType; it must be a number"),
    ],
)
def test_the_validators_name_the_attribute(options: dict[str, Any], told: str) -> None:
    """And take None only where it is the default, so where it means something."""
    assert Options(rate=None) == Options()
    assert Options(pace=1 / 86_400) != Options(pace=None) == Options()
    with pytest.raises(InvalidRequest, match=told) as caught:
        Options(**options)
    assert caught.value.field in options


@pytest.mark.parametrize("name", ["concurrency", "timeout", "max_tries", "backoff", "grace"])
@pytest.mark.parametrize("value", [math.nan, math.inf, True, "3", None, -1])
def test_how_pushes_are_handled_is_checked_so(name: str, value: Any) -> None:
    """An option of a class that uses the validators: the error names it."""
    with pytest.raises(InvalidRequest, match=f"^{name} is "):
        Handling(**{name: value})
