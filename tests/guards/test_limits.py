"""The limits are settings, and wrong ones are refused."""

from typing import Any

import pytest

from ihuyi_voice import InvalidRequest
from ihuyi_voice.guards import Limits, Window


def test_the_vendors_limits_are_the_default() -> None:
    """1 a second, 3 a minute, 10 a day (codes 4080, 4081, 4082)."""
    assert Limits().windows == (Window(1, 1.0), Window(3, 60.0), Window(10, 86_400.0))


def test_each_limit_can_be_set_or_dropped_and_more_added() -> None:
    """Daily limits other than 10 occur."""
    limits = Limits(per_second=None, per_day=5, extra=(Window(100, 604_800.0),))
    assert limits.windows == (Window(3, 60.0), Window(5, 86_400.0), Window(100, 604_800.0))


@pytest.mark.parametrize("count", [1.5, "3"])
def test_a_limit_that_is_no_whole_number_is_refused(count: Any) -> None:
    """Settings come from files and environments."""
    with pytest.raises(InvalidRequest, match="whole number") as caught:
        Limits(per_day=count)
    assert caught.value.field == "limits"


@pytest.mark.parametrize("count", [0, -1])
def test_a_limit_of_nothing_is_refused(count: int) -> None:
    """It would hold everything for ever."""
    with pytest.raises(InvalidRequest, match="can't be a limit") as caught:
        Limits(per_minute=count)
    assert caught.value.field == "limits"


def test_a_window_of_no_length_is_refused() -> None:
    """Not a number is no length either, and infinity would close a number for good."""
    for seconds in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidRequest):
            Window(1, seconds)
