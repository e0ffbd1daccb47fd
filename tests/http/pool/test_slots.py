"""Slots are given in the order of asking, and nobody loses one."""

import asyncio
import random

import httpx
import pytest

from ihuyi_voice.http.pool.slots import Slots
from tests.support.sockets import always, pool_to, send, until
from tests.support.virtual_time import loop_time, run_virtual


async def test_700_requests_over_2_connections_are_all_served_in_the_order_of_asking() -> None:
    """Given the time: there is no limit but the one that is set."""
    order: list[int] = []

    async def one(place: int) -> None:
        assert (await send(pool, timeout={"pool": None})).text == "ok"
        order.append(place)

    async with pool_to(always(), max_connections=2) as pool:
        await asyncio.gather(*(one(place) for place in range(700)))
        assert pool.statistics().opened == 2
    assert all(abs(place - order.index(place)) <= 2 for place in range(0, 700, 50))
    assert sorted(order) == list(range(700))


def test_without_a_timeout_a_wait_may_last_for_ever() -> None:
    """With one, it ends just then."""

    async def main() -> None:
        slots = Slots(1)
        assert slots.take()
        patient = asyncio.create_task(slots.wait(None))
        with pytest.raises(httpx.PoolTimeout):
            await slots.wait(7.0)
        assert loop_time() == start + 7.0
        await asyncio.sleep(1e6)
        assert not patient.done()
        slots.give_back()
        await patient
        assert (slots.taken, slots.waiting) == (1, 0)

    start = 1_000.0  # where a virtual clock begins
    run_virtual(main())


async def test_a_slot_given_to_somebody_cancelled_at_that_moment_goes_to_the_next() -> None:
    """It is not lost, and the order stays."""
    slots = Slots(1)
    assert slots.take()
    first, second = (asyncio.create_task(slots.wait(None)) for _ in range(2))
    await until(lambda: slots.waiting == 2)
    slots.give_back()  # to the first, which hasn't run yet
    first.cancel()
    await asyncio.wait({first, second})
    assert (first.cancelled(), second.exception()) == (True, None)
    slots.give_back()
    assert slots.taken == 0


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_cancelled_every_slot_comes_back(seed: int) -> None:
    """2,000 waiters, some with timeouts, cancelled at random; the rest in order."""
    chance = random.Random(seed)
    slots, served = Slots(3), list[int]()

    async def one(place: int) -> None:
        if not slots.take():
            await slots.wait(chance.choice([None, 60.0]))
        served.append(place)
        try:
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(0)
        finally:
            slots.give_back()

    tasks = [asyncio.create_task(one(place)) for place in range(2000)]
    for _ in range(300):
        chance.choice(tasks).cancel()
        await asyncio.sleep(0)
    await asyncio.wait(tasks)
    assert served == sorted(served)
    assert (slots.taken, slots.waiting) == (0, 0)


async def test_all_back_is_told_to_everybody_who_waits_for_it() -> None:
    """Also after one of them was cancelled."""
    slots = Slots(2)
    assert slots.take()
    watching = [asyncio.create_task(slots.all_back()) for _ in range(3)]
    await asyncio.sleep(0)
    watching[1].cancel()
    await asyncio.sleep(0)
    slots.give_back()
    await asyncio.wait(watching)
    assert [each.cancelled() for each in watching] == [False, True, False]
    await slots.all_back()


async def test_those_sent_away_hold_nothing() -> None:
    """And a slot that comes back later is free."""
    slots = Slots(1)
    assert slots.take()
    waiting = [asyncio.create_task(slots.wait(60.0)) for _ in range(3)]
    await until(lambda: slots.waiting == 3)
    slots.refuse("no more")
    await asyncio.wait(waiting)
    assert [str(each.exception()) for each in waiting] == ["no more"] * 3
    slots.give_back()
    assert (slots.taken, slots.take()) == (0, True)
