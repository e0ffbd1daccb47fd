"""The limits are settings, and wrong ones are refused."""

from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from ihuyi_voice import InvalidRequest
from ihuyi_voice.guards import Limits, MemoryGuard, QuietHours, Window
from ihuyi_voice.guards.redis import RedisGuard
from tests.support.odd import kind_of


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


ODD: tuple[Any, ...] = (True, 7, "x", b"x", [7], {1: 1}, object(), object, float("nan"), 10**400)


@pytest.mark.parametrize("odd", [None, "1", True, 10**400, object()], ids=kind_of)
def test_what_is_no_length_of_a_window_is_refused(odd: Any) -> None:
    """In words: it would be met in a comparison, while somebody waits for a call."""
    with pytest.raises(InvalidRequest, match="can't be a limit"):
        Window(1, odd)


@pytest.mark.parametrize("odd", [True, b"1", None, 1.0], ids=kind_of)
def test_what_is_no_count_of_a_window_is_refused(odd: Any) -> None:
    """Also what counts as 1 by accident."""
    with pytest.raises(InvalidRequest, match="can't be a limit"):
        Window(odd, 1.0)


@pytest.mark.parametrize("odd", [None, *ODD], ids=kind_of)
def test_further_windows_are_windows(odd: Any) -> None:
    """Pairs look like them."""
    for extra in (odd, (odd,)):
        with pytest.raises(InvalidRequest, match="extra must hold Windows") as caught:
            Limits(extra=extra)
        assert caught.value.field == "limits"


@pytest.mark.parametrize("odd", [*ODD, 0, False, ()], ids=kind_of)
def test_limits_of_a_guard_are_limits(odd: Any) -> None:
    """Of each guard; what is false by itself is not the vendor's limits either."""
    for make in (MemoryGuard, partial(RedisGuard, "redis://127.0.0.1:1")):
        with pytest.raises(InvalidRequest, match="limits must be Limits") as caught:
            make(limits=odd)
        assert caught.value.field == "limits"


@pytest.mark.parametrize("odd", [None, 7, "x"], ids=kind_of)
def test_a_clock_can_be_called(odd: Any) -> None:
    """Or each call would come to nothing."""
    for make in (MemoryGuard, partial(QuietHours, "22:00-08:00")):
        with pytest.raises(InvalidRequest, match="can't be called") as caught:
            make(clock=odd)
        assert caught.value.field == "clock"


@pytest.mark.parametrize("odd", [*ODD, Decimal("NaN")], ids=kind_of)
@pytest.mark.parametrize("name", ["prefix", "lease", "max_rate", "on_unavailable"])
def test_an_option_of_a_redis_guard_is_named(name: str, odd: Any) -> None:
    """Of whatever type it is."""
    if (name, odd) in (("prefix", "x"), ("lease", 7), ("max_rate", 7)):
        return
    with pytest.raises(InvalidRequest) as caught:
        RedisGuard("redis://127.0.0.1:1", **{name: odd})
    assert caught.value.field == name
