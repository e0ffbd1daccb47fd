"""Signal: who is woken, that nothing is missed, and that nothing is left behind."""

# What is kept can only be seen from inside.
# pyright: reportPrivateUsage=false

import asyncio

import pytest

from ihuyi_voice.common.signal import Rounds, Signal
from tests.support.virtual_time import loop_time, run_virtual


async def waited_for(signal: Signal, waiters: int = 1) -> None:
    """Return once so many wait."""
    while len(signal._waiters) != waiters:  # noqa: ASYNC110 - who waits is told nobody
        await asyncio.sleep(0)


async def test_everybody_who_waits_is_woken() -> None:
    """But returns only when what they wait for is so."""
    signal, told = Signal(), 0
    first = asyncio.create_task(signal.wait_until(lambda: told >= 1))
    second = asyncio.create_task(signal.wait_until(lambda: told >= 2))
    await waited_for(signal, 2)
    told += 1
    signal.notify()
    await first
    assert not second.done()
    told += 1
    signal.notify()
    await second


async def test_what_is_so_already_is_not_waited_for() -> None:
    """No notification need come."""
    await Signal().wait_until(lambda: True)


async def test_whoever_gives_up_is_forgotten() -> None:
    """Simulators live long, and so would those who wait."""
    signal = Signal()
    for wait in (signal.wait_until(lambda: False), signal.wait(), signal.wait(seconds=60.0)):
        waiting = asyncio.create_task(wait)
        await waited_for(signal)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not signal._waiters


async def test_a_predicate_that_raises_leaves_nothing_behind() -> None:
    """Its error goes to whoever waits for it."""
    signal = Signal()
    waiting = asyncio.create_task(signal.wait_until(lambda: 1 / signal.count > 1))
    with pytest.raises(ZeroDivisionError):
        await waiting
    assert not signal._waiters


async def test_the_next_notification_ends_a_wait_and_an_earlier_one_does_not() -> None:
    """For whoever wants to hear of the next, not of the last."""
    signal = Signal()
    signal.notify()
    waiting = asyncio.create_task(signal.wait())
    await waited_for(signal)
    assert not waiting.done()
    signal.notify()
    await waiting


def test_a_wait_may_be_bounded() -> None:
    """In seconds; it returns then, and nobody is told which of both it was."""

    async def wait() -> float:
        await Signal().wait(seconds=60.0)
        return loop_time()

    assert run_virtual(wait()) == pytest.approx(1060.0)


async def test_the_first_round_is_at_once_and_each_notification_makes_one_more() -> None:
    """None without a notification, if there is no other reason."""
    signal, rounds = Signal(), asyncio.Queue[int]()

    async def look() -> None:
        async for _ in signal.rounds():
            rounds.put_nowait(signal.count)

    looking = asyncio.create_task(look())
    for expected in (0, 1, 2):
        assert await rounds.get() == expected
        await waited_for(signal)
        assert rounds.empty()
        signal.notify()
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert not signal._waiters


async def test_what_is_told_during_a_look_makes_another_round_at_once() -> None:
    """Whatever the look has missed, the next one sees; however much was told, it is one."""
    signal, rounds = Signal(), list[int]()
    async for _ in signal.rounds():
        rounds.append(signal.count)
        if signal.count:
            break
        signal.notify()
        await asyncio.sleep(0)
        signal.notify()
    assert rounds == [0, 2]
    assert not signal._waiters


def test_after_so_many_seconds_there_is_a_round_in_any_case() -> None:
    """They count from the end of the last look."""

    async def look() -> list[float]:
        times: list[float] = []
        async for _ in Signal().rounds(every=10.0):
            times.append(loop_time() - 1000.0)
            if len(times) == 3:
                break
            await asyncio.sleep(1.0)  # virtual
        return times

    assert run_virtual(look()) == pytest.approx([0.0, 11.0, 22.0])


def test_how_long_to_wait_may_be_asked_before_each_wait() -> None:
    """Whoever knows when the next thing is due says so; None is for ever."""

    async def look() -> list[float]:
        signal, times, pauses = Signal(), list[float](), iter([5.0, 0.0, -1.0, None])
        asyncio.get_running_loop().call_later(60.0, signal.notify)
        async for _ in signal.rounds(every=lambda: next(pauses)):
            times.append(loop_time() - 1000.0)
            if len(times) == 5:
                break
        return times

    assert run_virtual(look()) == pytest.approx([0.0, 5.0, 5.0, 5.0, 60.0])


async def test_a_round_that_is_cancelled_can_be_asked_for_again() -> None:
    """Whoever gives up waiting for it, by a timeout for example, has missed nothing after that."""
    signal = Signal()
    rounds = signal.rounds()
    await anext(rounds)
    for _ in range(2):
        waiting = asyncio.ensure_future(_next(rounds))
        await waited_for(signal)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert not signal._waiters
    signal.notify()
    await anext(rounds)


async def _next(rounds: Rounds) -> None:
    await anext(rounds)


def test_one_signal_serves_several_loops() -> None:
    """One after another, as tests do that share a simulator."""
    signal = Signal()

    async def hear() -> None:
        waiting = asyncio.create_task(signal.wait_until(lambda: signal.count % 2))
        await waited_for(signal)
        signal.notify()
        await waiting
        signal.notify()

    asyncio.run(hear())
    asyncio.run(hear())
    assert signal.count == 4
