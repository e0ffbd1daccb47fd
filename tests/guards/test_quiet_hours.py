"""Nobody is called in quiet hours, nothing is lost by them, and alarms have a way around."""

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice import (
    GuardUnavailable,
    InvalidRequest,
    Limits,
    MemoryGuard,
    OutcomeStatus,
    QuietHours,
    RateLimited,
)
from ihuyi_voice.calls.guarding import Guarding
from ihuyi_voice.guards import Lease, Wait
from ihuyi_voice.simulator import Simulator
from tests.support.guards import Misbehaving
from tests.support.vendor import CONTENT, MOBILE, in_process
from tests.support.virtual_time import loop_time, run_virtual

NIGHT = datetime(2026, 11, 25, 15, 30, tzinfo=UTC).timestamp()  # 23:30 in China
MORNING = NIGHT + 8.5 * 3600
NOON = NIGHT + 12.5 * 3600


class Clock:
    """Unix time that goes on with the event loop's."""

    def __init__(self, start: float = NIGHT) -> None:
        self.offset = start - loop_time()

    def __call__(self) -> float:
        """Return the time."""
        return loop_time() + self.offset


def quiet(guard: Any = None, start: float = NIGHT) -> QuietHours:
    """Return quiet hours at a time of the day that goes on."""
    guard = MemoryGuard(clock=loop_time) if guard is None else guard
    return QuietHours("22:00-08:00", guard=guard, clock=Clock(start))


def seconds_at(hours: str, hour: int, minute: int = 0) -> float:
    """Return how long it is quiet at a time of the day in China."""
    now = datetime(2026, 11, 25, hour, minute, tzinfo=UTC) - timedelta(hours=8)
    return QuietHours(hours, clock=now.timestamp).quiet_for()


@pytest.mark.parametrize(
    ("hours", "at", "left"),
    [
        ("22:00-08:00", (21, 59), 0.0),
        ("22:00-08:00", (22, 0), 36_000.0),
        ("22:00-08:00", (23, 30), 30_600.0),
        ("22:00-08:00", (0, 0), 28_800.0),
        ("22:00-08:00", (7, 59), 60.0),
        ("22:00-08:00", (8, 0), 0.0),
        ("12:00-14:30", (11, 59), 0.0),
        ("12:00-14:30", (12, 0), 9_000.0),
        ("12:00-14:30", (14, 30), 0.0),
        ("21-9", (8, 0), 3_600.0),
        (" 21：30 至 9:05 ", (9, 0), 300.0),
        ("22:00–24:00", (23, 0), 3_600.0),
        ("22:00-24:00", (0, 0), 0.0),
        ("0:00~6:00", (0, 0), 21_600.0),
    ],
)
def test_it_is_quiet_from_the_beginning_to_the_end(
    hours: str, at: tuple[int, int], left: float
) -> None:
    """Past midnight as within a day, however the hours are written."""
    assert seconds_at(hours, *at) == left


@pytest.mark.parametrize(
    ("hours", "told"),
    [
        ("22:00-22:00", "two different times"),
        ("0:00-24:00", "two different times"),
        ((time(8), time(8)), "two different times"),
        ("", "can't be read"),
        ("night", "can't be read"),
        ("22:00", "can't be read"),
        ("22:00-08:00-09:00", "can't be read"),
        ("25:00-08:00", "hour must be in"),
        ("22:00-24:30", "hour must be in"),
        ("22:60-08:00", "minute must be in"),
        (None, "can't be read"),
        (("22:00", "08:00"), "can't be read"),
        ((time(22, tzinfo=UTC), time(8)), "without a zone"),
    ],
)
def test_hours_that_are_none_are_refused(hours: Any, told: str) -> None:
    """With what to write instead."""
    with pytest.raises(InvalidRequest, match=told) as caught:
        QuietHours(hours)
    assert caught.value.field == "hours"


@pytest.mark.parametrize(
    ("options", "field", "told"),
    [
        ({"guard": Limits()}, "guard", "guard"),
        ({"guard": MemoryGuard}, "guard", "guard"),
        ({"zone": "China"}, "zone", "not 'China'"),
        ({"clock": 5}, "clock", "clock is 5, which can't be called"),
    ],
)
def test_options_that_can_not_be_right_are_refused(options: Any, field: str, told: str) -> None:
    """By name, and in words."""
    with pytest.raises(InvalidRequest, match=told) as caught:
        QuietHours("22:00-08:00", **options)
    assert caught.value.field == field


@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds it
    st.tuples(st.times(), st.times()).filter(lambda pair: pair[0] != pair[1]),
    st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Pacific/Apia"]),
)
def test_a_wait_ends_when_the_quiet_hours_do(
    now: datetime, hours: tuple[time, time], zone: str
) -> None:
    """Or a little earlier or later where clocks are changed, and then who waits looks again."""
    at = now.timestamp()
    guard = QuietHours(hours, zone=ZoneInfo(zone), clock=lambda: at)
    seconds = guard.quiet_for()
    assert 0 <= seconds < 25 * 3600
    looks = 0
    while (left := guard.quiet_for()) and looks < 3:
        at, looks = math.nextafter(at + left, math.inf) + 1e-5, looks + 1
    assert not guard.quiet_for()


@pytest.mark.parametrize("utc_hour", [0, 1])
def test_an_hour_that_comes_twice_is_two_hours(utc_hour: int) -> None:
    """In Berlin, 25 October 2026 has 02:30 as summer time, and once more an hour later."""
    now = datetime(2026, 10, 25, utc_hour, 30, tzinfo=UTC)
    guard = QuietHours("1:00-2:45", zone=ZoneInfo("Europe/Berlin"), clock=now.timestamp)
    assert guard.quiet_for() == 900.0


def test_china_has_the_same_hours_all_the_year() -> None:
    """Its clocks are never changed."""
    summer, winter = datetime(2026, 7, 1, 14, tzinfo=UTC), datetime(2026, 1, 1, 14, tzinfo=UTC)
    lefts = {QuietHours("22-8", clock=each.timestamp).quiet_for() for each in (summer, winter)}
    assert lefts == {36_000.0}


def test_a_call_at_night_is_held_until_the_morning() -> None:
    """Nothing is sent, and the error says what for and until when."""

    async def main() -> None:
        clock = Clock()
        guard = QuietHours("22:00-08:00", clock=clock)
        simulator = Simulator(clock=loop_time)
        async with in_process(simulator, guard=guard, clock=clock) as client:
            with pytest.raises(RateLimited, match="quiet hours until 08:00") as caught:
                await client.submit(MOBILE, CONTENT)
            error = caught.value
            assert (error.status, error.source) == (OutcomeStatus.HELD, "guard")
            assert error.code == 4010  # of the whole account, whatever the number
            assert error.retry_at is not None
            assert error.retry_at.timestamp() == pytest.approx(MORNING, abs=0.01)
            assert not simulator.arrivals

    run_virtual(main())


def test_who_may_wait_as_long_rings_in_the_morning() -> None:
    """And who comes behind it to the same number is told the morning, too."""

    async def main() -> None:
        clock = Clock()
        simulator = Simulator(clock=loop_time, limits=())
        guard = QuietHours("22:00-08:00", guard=MemoryGuard(clock=loop_time), clock=clock)
        async with in_process(simulator, guard=guard, clock=clock) as client:
            async with client.submit_many(
                [(MOBILE, CONTENT)], max_wait=math.inf, concurrency=1
            ) as run:
                first = run.__aiter__()
                with pytest.raises(RateLimited) as caught:
                    await client.submit(MOBILE, CONTENT)
                assert caught.value.retry_at is not None
                assert caught.value.retry_at.timestamp() == pytest.approx(MORNING, abs=2)
                outcome = await anext(first)
        assert outcome.status is OutcomeStatus.ACCEPTED
        assert clock() == pytest.approx(MORNING, abs=1)

    run_virtual(main())


def test_a_run_at_night_holds_everything_and_loses_nothing() -> None:
    """It ends at once, and each message has its time; a run that waits says what it waits for."""

    async def main() -> None:
        clock = Clock()
        simulator = Simulator(clock=loop_time)
        guard = QuietHours("22:00-08:00", guard=MemoryGuard(clock=loop_time), clock=clock)
        messages = [(f"139{place:08d}", CONTENT) for place in range(300)]
        async with in_process(simulator, guard=guard, clock=clock) as client:
            async with client.submit_many(messages) as run:
                outcomes = [outcome async for outcome in run]
            assert {outcome.status for outcome in outcomes} == {OutcomeStatus.HELD}
            assert len(outcomes) == 300
            assert not simulator.arrivals
            async with client.submit_many(messages, max_wait=math.inf) as run:
                outcomes = [await anext(run)]
                assert clock() >= MORNING
                outcomes += [outcome async for outcome in run]
        assert {outcome.status for outcome in outcomes} == {OutcomeStatus.ACCEPTED}

    run_virtual(main())


def test_a_run_that_waits_says_what_for() -> None:
    """In words, by how many."""

    async def main() -> None:
        clock = Clock()
        guard = QuietHours("22:00-08:00", guard=MemoryGuard(clock=loop_time), clock=clock)
        messages = [(MOBILE, CONTENT)] * 3
        async with in_process(Simulator(clock=loop_time), guard=guard, clock=clock) as client:
            async with client.submit_many(messages, max_wait=math.inf) as run:
                await _until(lambda: run.progress.waiting)
                assert run.progress.waiting["quiet hours until 08:00"] == 1
                await anext(run)
                await _until(lambda: run.progress.waiting)
                assert run.progress.waiting == {"its second": 1, "an earlier call to its number": 1}
                await run.drain()

    run_virtual(main())


async def _until(seen: Callable[[], object]) -> None:
    while not seen():  # noqa: ASYNC110 - whatever the run does next
        await asyncio.sleep(0)


def test_an_alarm_rings_at_night() -> None:
    """By the guard inside, whose windows it counts in; by a run of its own, too."""

    async def main() -> None:
        clock = Clock()
        inside = MemoryGuard(clock=loop_time)
        hours = QuietHours("22:00-08:00", guard=inside, clock=clock)
        simulator = Simulator(clock=loop_time)
        async with in_process(simulator, guard=hours, clock=clock) as client:
            assert (await client.submit(MOBILE, CONTENT, guard=hours.guard)).voice_id
            with pytest.raises(RateLimited) as caught:
                await client.submit(MOBILE, CONTENT, guard=hours.guard)
            assert caught.value.code == 4080
            other = [("13900000009", CONTENT)]
            async with client.submit_many(other, guard=hours.guard) as run:
                assert [outcome.status async for outcome in run] == [OutcomeStatus.ACCEPTED]
            assert inside.statistics().numbers == 2
            await client.submit("13900000010", CONTENT, guard=None)
        assert len(simulator.arrivals) == 3
        assert inside.statistics().numbers == 2

    run_virtual(main())


def test_one_run_may_have_quiet_hours_of_its_own() -> None:
    """Around the guard that the client has."""

    async def main() -> None:
        clock, inside = Clock(), MemoryGuard(clock=loop_time)
        simulator = Simulator(clock=loop_time)
        async with in_process(simulator, guard=inside, clock=clock) as client:
            hours = QuietHours("22:00-08:00", guard=inside, clock=clock)
            async with client.submit_many([(MOBILE, CONTENT)], guard=hours) as run:
                assert [outcome.status async for outcome in run] == [OutcomeStatus.HELD]
            assert (await client.submit(MOBILE, CONTENT)).voice_id
            for wrong in (Limits(), MemoryGuard, 5):
                with pytest.raises(InvalidRequest, match="guard"):
                    client.submit_many([], guard=wrong)  # type: ignore[arg-type]  # wrong on purpose

    run_virtual(main())


async def test_it_wraps_a_guard_and_never_replaces_it() -> None:
    """Each call is the other guard's, and so is whatever else it can do."""
    inside = MemoryGuard()
    hours = QuietHours("22:00-08:00", guard=inside, clock=lambda: NOON)
    lease = await hours.reserve("a", MOBILE)
    assert isinstance(lease, Lease)
    assert isinstance(await inside.reserve("a", MOBILE), Wait)
    await hours.commit(lease)
    assert inside.statistics() == hours.statistics()
    hours.restore("a", "13900000001", [5.0])
    assert inside.remembers("a", "13900000001")
    assert hours.limits is inside.limits
    assert not hasattr(hours, "max_rate")
    with pytest.raises(AttributeError, match="'QuietHours' object has no attribute '_private'"):
        getattr(hours, "_private")  # noqa: B009 - it has none
    async with hours as entered:
        assert entered is hours
    await hours.aclose()
    assert repr(hours).startswith("QuietHours(22:00-08:00, guard=<")


async def test_what_the_guard_inside_can_be_told_to_close_is_closed() -> None:
    """By `async with` and by `aclose`, as a guard in Redis is."""

    class Closing(MemoryGuard):
        max_rate = 5.0
        told: list[str] = []  # noqa: RUF012 - of one test

        async def __aenter__(self) -> Self:
            self.told.append("enter")
            return self

        async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
            self.told.append(f"exit {error}")

        async def aclose(self) -> None:
            self.told.append("close")

    hours = QuietHours((time(22), time(8)), guard=Closing())
    with pytest.raises(LookupError):
        async with hours:
            await hours.aclose()
            raise LookupError("lost")
    assert Closing.told == ["enter", "close", "exit lost"]
    assert Guarding(hours, "a").cap(9.0) == 5.0


def test_it_costs_a_task_only_if_the_guard_inside_does() -> None:
    """A MemoryGuard never suspends, so neither do quiet hours around it; nor two of them."""

    def direct(guard: Any) -> bool:
        return Guarding(guard, "a").is_direct()

    class Sub(MemoryGuard):
        """May do anything."""

    plain = QuietHours("22-8")
    assert direct(plain)
    assert direct(QuietHours("12-14", guard=plain))
    assert not direct(QuietHours("22-8", guard=Sub()))
    plain.guard.reserve = None  # type: ignore[method-assign,assignment]  # as a test's mock is put there
    assert not direct(plain)


def test_a_guard_inside_that_fails_is_told_as_ever() -> None:
    """Before anything is sent; and a clock that fails, too: closed, not open."""

    async def main() -> None:
        simulator = Simulator(clock=loop_time)
        async with in_process(
            simulator, guard=quiet(Misbehaving("reserve"), NOON), clock=Clock()
        ) as client:
            with pytest.raises(GuardUnavailable, match="no guard to reserve"):
                await client.submit(MOBILE, CONTENT)
        broken = QuietHours("22-8", clock=lambda: math.nan)
        async with in_process(simulator, guard=broken) as client:
            with pytest.raises(GuardUnavailable):
                await client.submit(MOBILE, CONTENT)
        assert not simulator.arrivals

    run_virtual(main())


@pytest.mark.parametrize(
    ("wait", "words"),
    [
        (Wait(1.0, 1.0), "its second"),
        (Wait(1.0, 60.0), "its minute"),
        (Wait(1.0, 86_400.0), "its day"),
        (Wait(1.0), "a call to it in flight"),
        (Wait(1.0, 2.5), "its 2.5 s"),
        (Wait(1.0, whole_account=True), "the account's rate"),
        (Wait(1.0, 60.0, reason="lunch"), "lunch"),
    ],
)
def test_a_wait_says_what_for(wait: Wait, words: str) -> None:
    """In a few words, of its own or by its window."""
    assert wait.waits_for == words
