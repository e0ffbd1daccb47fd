"""The one timer of a run."""

import asyncio

from ihuyi_voice.bulk.alarm import Alarm
from tests.support.virtual_time import loop_time, run_virtual

NOW = -1.0
"""The next turn of the event loop, in which no time has passed."""


def rings(*times: float | None) -> list[float]:
    """Set an alarm for these times from now, one after the other; return when it rang."""

    async def main() -> list[float]:
        rung: list[float] = []
        started = loop_time()
        alarm = Alarm(asyncio.get_running_loop(), lambda: rung.append(loop_time() - started))
        for when in times:
            if when == NOW:
                alarm.set_now()
            else:
                alarm.set(None if when is None else started + when)
        assert rung == []
        await asyncio.sleep(100.0)
        return rung

    return run_virtual(main())


def test_it_rings_once_and_at_the_earliest_time_that_it_was_set_for() -> None:
    """An earlier timer does for a later one."""
    assert rings(5.0) == [5.0]
    assert rings(5.0, 2.0) == [2.0]
    assert rings(2.0, 5.0) == [2.0]


def test_it_can_be_turned_off() -> None:
    """And set again after that."""
    assert rings(5.0, None) == []
    assert rings(5.0, None, 7.0) == [7.0]
    assert rings(None) == []


def test_it_rings_in_the_next_turn_once_however_often_it_is_asked_to() -> None:
    """Beside the timer, which goes on; turned off, neither rings."""
    assert rings(NOW) == [0.0]
    assert rings(NOW, NOW, NOW) == [0.0]
    assert rings(NOW, 3.0) == rings(3.0, NOW) == [0.0, 3.0]
    assert rings(3.0, NOW, None) == rings(NOW, 3.0, None) == []
    assert rings(NOW, None, NOW) == [0.0]


def test_it_rings_in_the_next_turn_again_and_again() -> None:
    """Who is rung for may ask for the turn after that."""

    async def main() -> int:
        rung: list[float] = []

        def ring() -> None:
            rung.append(loop_time())
            if len(rung) < 5:
                alarm.set_now()

        alarm = Alarm(asyncio.get_running_loop(), ring)
        alarm.set_now()
        await asyncio.sleep(1.0)
        return len(rung)

    assert run_virtual(main()) == 5
