"""How often a number may be called, by a clock that is moved (codes 4080 to 4084)."""

import pytest

from ihuyi_voice.simulator import ManualClock, Simulator, tables
from tests.simulator.asking import TEXTS, code, reply

WINDOWS = [
    pytest.param(1, 1.0, 4080, id="second"),
    pytest.param(3, 60.0, 4081, id="minute"),
    pytest.param(10, 86_400.0, 4082, id="day"),
]


@pytest.mark.parametrize(("calls", "seconds", "expected"), WINDOWS)
async def test_a_window_opens_exactly_in_time(calls: int, seconds: float, expected: int) -> None:
    """Refused until the oldest call is as old as the window, accepted from that moment."""
    clock = ManualClock()
    simulator = Simulator(clock=clock)
    gap = seconds / 16  # binary fractions, exact on any clock; longer than the shorter windows
    for _ in range(calls):
        assert await code(simulator) == 2
        clock.advance(gap)
    clock.advance(seconds - calls * gap - 0.125)
    answer = await reply(simulator)
    assert (answer["code"], answer["msg"]) == (expected, TEXTS["Submit", expected])
    assert await code(simulator, mobile="13911111111") == 2
    clock.advance(0.125)
    assert await code(simulator) == 2


async def test_a_refused_call_does_not_count_in_the_windows() -> None:
    """Only accepted ones make a phone ring."""
    clock = ManualClock()
    simulator = Simulator(clock=clock)
    assert await code(simulator) == 2
    for _ in range(7):
        clock.advance(0.125)
        assert await code(simulator) == 4080
    clock.advance(0.125)
    assert await code(simulator) == 2


async def test_the_limits_can_be_set_and_left_out() -> None:
    """They are per account, and other daily limits than 10 occur."""
    clock = ManualClock()
    simulator = Simulator(clock=clock, limits=[(2, 10.0, 4085)])
    assert [await code(simulator) for _ in range(3)] == [2, 2, 4085]
    clock.advance(10.0)
    assert await code(simulator) == 2
    free = Simulator(clock=clock, limits=())
    assert [await code(free) for _ in range(20)] == [2] * 20


def contents_limited(clock: ManualClock) -> Simulator:
    """Return a vendor with the limits of one content to one number, and no others."""
    return Simulator(clock=clock, limits=(), repeat_limits=tables.REPEAT_LIMITS)


async def test_the_same_content_is_refused_within_a_minute_if_asked_for() -> None:
    """4083, to the second; another content or another number is none of its business."""
    clock = ManualClock()
    simulator = contents_limited(clock)
    assert await code(simulator) == 2
    clock.advance(59.875)
    answer = await reply(simulator)
    assert (answer["code"], answer["msg"]) == (4083, "同一手机号一分钟之内不能提交相同的内容")
    assert await code(simulator, content="别的") == 2
    assert await code(simulator, mobile="13911111111") == 2
    clock.advance(0.125)
    assert await code(simulator) == 2


async def test_the_same_content_is_refused_a_sixth_time_a_day_if_asked_for() -> None:
    """4084, until the first of the five is a day old."""
    clock = ManualClock()
    simulator = contents_limited(clock)
    for _ in range(5):
        assert await code(simulator) == 2
        clock.advance(60.0)
    assert await code(simulator) == 4084
    assert await code(simulator, content="别的") == 2
    clock.advance(86_400.0 - 300.0 - 0.125)
    assert await code(simulator) == 4084
    clock.advance(0.125)
    assert await code(simulator) == 2


async def test_the_same_content_may_be_repeated_unless_asked_otherwise() -> None:
    """No document names these limits, so nobody has them by default."""
    simulator = Simulator(clock=ManualClock(), limits=())
    assert [await code(simulator) for _ in range(10)] == [2] * 10


async def test_the_limits_of_a_number_come_before_those_of_its_contents() -> None:
    """And what either refuses counts in neither."""
    clock = ManualClock()
    simulator = Simulator(clock=clock, repeat_limits=[(1, 2.0, 4083)])
    seen: list[int] = []
    for _ in range(5):
        seen.append(await code(simulator))
        clock.advance(0.5)
    assert seen == [2, 4080, 4083, 4083, 2]
