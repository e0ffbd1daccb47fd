"""The turns of an account, as a process tells them: pure, on a clock that is only a number."""

import pytest

from ihuyi_voice.guards import Wait
from ihuyi_voice.guards.turns import Turns


def turns(gap: float = 0.1, chance: float = 0.0) -> Turns:
    """Return turns whose chance is no chance."""
    return Turns(gap, lambda: chance)


def test_nobody_waits_until_the_server_has_said_so() -> None:
    """Whatever the clock says: it may have begun at 0 a moment ago."""
    assert turns().wait(0.0) is None
    assert turns().wait(0.5) is None


def test_the_first_who_is_refused_is_told_the_servers_time() -> None:
    """Nothing else, however young the clock is; and it concerns the whole account."""
    wait = turns().refused(0.25, 0.5)
    assert (wait.seconds, wait.whole_account, wait.window) == (0.5, True, None)


def test_who_waits_is_told_times_one_after_another() -> None:
    """A gap apart, so that they come back one by one; the server is not asked meanwhile."""
    given = turns(gap=0.25)
    assert given.refused(8.0, 0.5) == Wait(0.5)
    assert [given.wait(8.0) for _ in range(3)] == [Wait(0.75), Wait(1.0), Wait(1.25)]
    assert given.wait(8.25) == Wait(1.25)


def test_once_a_turn_may_be_free_the_server_is_asked() -> None:
    """At that moment; and a time that it said before still holds."""
    given = turns()
    given.refused(8.0, 0.5)
    assert given.wait(8.375) is not None
    assert given.wait(8.5) is None
    given.refused(8.5, 2.0)
    given.refused(8.5, 0.5)
    assert given.wait(10.375) is not None


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 1.0), (0.5, 1.5), (1.0, 2.0)])
def test_nobody_is_sent_away_for_longer_than_two_seconds(chance: float, seconds: float) -> None:
    """Others may give up; from one second on, so that not all come back at once."""
    given = turns(gap=1.5, chance=chance)
    given.refused(8.0, 1.0)
    assert given.wait(8.0) == Wait(seconds)
    assert given.wait(8.0) == Wait(seconds)  # which takes nobody's turn


def test_what_is_due_in_just_two_seconds_is_told_exactly() -> None:
    """It is not too far; the next one is."""
    given = turns(gap=0.5)
    given.refused(8.0, 0.5)
    assert [given.wait(8.0) for _ in range(4)] == [Wait(1.0), Wait(1.5), Wait(2.0), Wait(1.0)]


def test_before_the_servers_own_time_nobody_comes_back() -> None:
    """However far that is."""
    assert turns().refused(8.0, 5.0) == Wait(5.0)


@pytest.mark.parametrize(
    ("gap", "spread"), [(0.004, 0.001), (0.012, 0.003), (0.02, 0.003), (1.0, 0.003)]
)
def test_who_is_first_is_left_to_chance(gap: float, spread: float) -> None:
    """By a quarter of a gap at most, and by so much as the server makes up for; never earlier."""
    assert turns(gap, chance=1.0).refused(8.0, 1.5).seconds == pytest.approx(1.5 + spread)
    assert turns(gap, chance=0.5).refused(8.0, 1.5).seconds == pytest.approx(1.5 + spread / 2)
    assert turns(gap, chance=0.0).refused(8.0, 1.5).seconds == pytest.approx(1.5)
