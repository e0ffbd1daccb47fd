"""The account's rate over all machines: one turn after another, and no number held for it."""

import asyncio
from collections.abc import AsyncGenerator
from itertools import pairwise

import pytest

from ihuyi_voice.guards import Lease, Limits, Wait
from ihuyi_voice.guards.turns import Turns
from tests.support.redis_servers import Clock, ClockedGuard

RATE = 10.0


@pytest.fixture
async def guards(redis_url: str, prefix: str, clock: Clock) -> AsyncGenerator[list[ClockedGuard]]:
    """Two guards with one Redis, as of two processes, and one rate; without memory of their own."""
    made = [ClockedGuard(redis_url, Limits(), clock, prefix, max_rate=RATE) for _ in range(2)]
    made[1]._key, made[1].server = made[0]._key, made[0].server  # pyright: ignore[reportPrivateUsage] - one clock
    for guard in made:
        guard.inside._server = made[0].server  # pyright: ignore[reportPrivateUsage]
    yield made
    for guard in made:
        await guard.aclose()


def forget_turns(guard: ClockedGuard) -> None:
    """Let a guard ask the server, whose clock is not the guard's."""
    for batches in guard.inside._batches.values():  # pyright: ignore[reportPrivateUsage]
        batches.turns = Turns(1 / RATE, lambda: 0.0)


async def ask(guard: ClockedGuard, number: int) -> Lease | Wait:
    """Reserve a number of its own."""
    forget_turns(guard)
    return await guard.reserve("a", f"139{number:08d}")


async def test_a_turn_is_the_accounts_and_not_a_processs(
    guards: list[ClockedGuard], clock: Clock
) -> None:
    """Ten a second over both, and never two at once."""
    granted = 0
    for step in range(400):
        clock.now += 0.005
        granted += isinstance(await ask(guards[step % 2], step), Lease)
    assert 19 <= granted <= 21


async def test_who_waits_for_a_turn_holds_no_number(
    guards: list[ClockedGuard], clock: Clock
) -> None:
    """The other process may call it when its turn comes first."""
    one, other = guards
    assert isinstance(await ask(one, 0), Lease)
    wait = await ask(one, 1)
    assert isinstance(wait, Wait)
    assert wait.whole_account
    assert wait.seconds == pytest.approx(0.1, abs=0.03)
    clock.now += 0.1
    assert isinstance(await ask(other, 1), Lease)


async def test_other_accounts_have_turns_of_their_own(guards: list[ClockedGuard]) -> None:
    """It is the vendor's limit for one account."""
    assert isinstance(await guards[0].reserve("a", "1"), Lease)
    assert isinstance(await guards[0].reserve("b", "1"), Lease)


async def test_what_was_not_sent_gives_its_turn_back(guards: list[ClockedGuard]) -> None:
    """Only a submission uses it up, and a closed number none at all."""
    for _ in range(5):
        lease = await ask(guards[0], 0)
        assert isinstance(lease, Lease)
        closed = await ask(guards[0], 0)
        assert isinstance(closed, Wait)
        assert not closed.whole_account
        await guards[0].release(lease)


async def test_a_commit_and_a_block_use_their_turns_up(
    guards: list[ClockedGuard], clock: Clock
) -> None:
    """Both were sent."""
    lease = await ask(guards[0], 0)
    assert isinstance(lease, Lease)
    await guards[0].block(lease, 1.0)
    assert isinstance(await ask(guards[0], 1), Wait)
    clock.now += 0.1
    lease = await ask(guards[0], 1)
    assert isinstance(lease, Lease)
    await guards[0].commit(lease)
    assert isinstance(await ask(guards[0], 2), Wait)


@pytest.mark.slow
async def test_neither_of_two_processes_gets_all_the_turns(
    guards: list[ClockedGuard], clock: Clock
) -> None:
    """Though one always asks just before the other."""
    granted = [0, 0]
    for step in range(400):
        clock.now += 0.0049
        for place, guard in enumerate(guards):
            granted[place] += isinstance(await ask(guard, 2 * step + place), Lease)
    assert min(granted) >= 5


async def test_who_waits_in_one_process_is_told_times_one_after_another(
    guards: list[ClockedGuard],
) -> None:
    """So that they come back one by one, and nobody asks the server in vain meanwhile."""
    given = await asyncio.gather(*(guards[0].reserve("a", str(n)) for n in range(1, 6)))
    waits = sorted(each.seconds for each in given if isinstance(each, Wait))
    assert len(waits) == 4
    steps = [later - sooner for sooner, later in pairwise(waits)]
    assert steps == [pytest.approx(0.1, abs=0.02)] * 3


def test_turns_are_told_without_asking() -> None:
    """Until the first can be free; nobody is sent away for long."""
    turns = Turns(0.1, lambda: 0.0)
    assert turns.wait(100.0) is None
    assert turns.refused(100.0, 0.05).seconds == pytest.approx(0.05)
    second = turns.wait(100.0)
    assert second is not None
    assert second.seconds == pytest.approx(0.15)
    assert turns.wait(100.05) is None
    last = [turns.refused(100.05, 0.1) for _ in range(100)][-1]
    assert 1.0 <= last.seconds <= 2.0
    assert last.whole_account


async def test_a_clock_that_was_set_back_holds_up_no_account(
    guards: list[ClockedGuard], clock: Clock
) -> None:
    """A turn that is more than a minute away is nobody's."""
    one, _ = guards
    clock.now += 7_200.0
    assert isinstance(await ask(one, 0), Lease)
    clock.now -= 3_600.0
    assert isinstance(await ask(one, 1), Lease)
    wait = await ask(one, 2)
    assert isinstance(wait, Wait)
    assert wait.seconds == pytest.approx(0.1, abs=0.03)
