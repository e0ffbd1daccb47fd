"""The one timer of a run."""

import asyncio

from ihuyi_voice.bulk.alarm import Alarm
from tests.support.virtual_time import loop_time, run_virtual


def rings(*times: float | None) -> list[float]:
    """Set an alarm for these times from now, one after the other; return when it rang."""

    async def main() -> list[float]:
        rung: list[float] = []
        started = loop_time()
        alarm = Alarm(asyncio.get_running_loop(), lambda: rung.append(loop_time() - started))
        for when in times:
            alarm.set(None if when is None else started + when)
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
