"""The event loop's time, with a clock beside it that somebody moves."""

import pytest

from ihuyi_voice.calls.moved import Moved


def test_time_goes_on_with_the_loop_and_with_the_clock() -> None:
    """Whatever is moved, and whenever; a clock that fails is where it was last."""
    loop, by = [100.0], ["5"]

    def moved() -> float:
        return float(by[0])

    time = Moved(lambda: loop[0], moved)
    by[0] = "broken"
    assert time() == 105.0
    by[0] = "7"
    assert time() == 107.0
    loop[0] = 200.0
    by[0] = "broken"
    assert time() == 207.0


def test_a_clock_that_fails_from_the_start_is_its_owners_mistake() -> None:
    """Nothing has been sent by then."""

    def fails() -> float:
        raise LookupError

    with pytest.raises(LookupError):
        Moved(lambda: 100.0, fails)
