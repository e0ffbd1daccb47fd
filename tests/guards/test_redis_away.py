"""A guard whose Redis is away, or silent, or asked in vain: what its callers are told."""

import asyncio
import logging
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from ihuyi_voice import GuardUnavailable
from ihuyi_voice.guards import Lease, Limits, RedisGuard, Wait
from ihuyi_voice.guards.redis_batches import Held
from tests.support.redis_servers import CLIENT, Clock, ClockedGuard
from tests.support.virtual_time import loop_time, run_virtual

A = "13900000000"
WHY = "Redis could not be asked (OSError: gone)"


class Gone:
    """A client whose server is not there."""

    async def execute_command(self, *_: object, **__: object) -> Any:
        """Fail."""
        raise OSError("gone")


class Silent:
    """A client whose server never answers."""

    async def execute_command(self, *_: object, **__: object) -> Any:
        """Wait."""
        await asyncio.sleep(1e9)


async def test_allow_gives_a_lease_with_nothing_behind_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ending it does nothing; once a minute the log tells how many there were."""
    now, client = [5.0], Gone()  # the machine has just been started
    given: Any = client
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("ihuyi_voice.guards.redis.time", clock)
    async with RedisGuard(given, on_unavailable="allow") as guard:
        lease = await guard.reserve("a", A)
        assert type(lease) is Lease
        assert (lease.account, lease.mobile) == ("a", A)
        await guard.commit(lease)
        await guard.release(lease)
        await guard.block(lease, 1.0)
        for passes in (0.0, 59.9, 0.1, 30.0):
            now[0] += passes
            assert isinstance(await guard.reserve("a", A), Lease)
    told = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert told == [f"1 calls go out unguarded: {WHY}", f"3 calls go out unguarded: {WHY}"]


async def test_allow_guards_as_ever_while_redis_is_there(redis_url: str, prefix: str) -> None:
    """A lease of Redis ends there."""
    limits = Limits(per_second=None, per_minute=1)
    async with RedisGuard(redis_url, limits, prefix=prefix, on_unavailable="allow") as guard:
        lease = await guard.reserve("a", A)
        assert isinstance(lease, Lease)
        await guard.commit(lease)
        wait = await guard.reserve("a", A)
        assert isinstance(wait, Wait)
        assert wait.window == 60.0


@pytest.mark.parametrize(("lease", "seconds"), [(30.0, 2.0), (3.0, 1.0)])
def test_an_answer_is_waited_for_no_longer_than_a_third_of_a_lease(
    lease: float, seconds: float
) -> None:
    """Nor than two seconds; one that came later might be of a lease that has lapsed."""

    async def main() -> float:
        client: Any = Silent()
        async with RedisGuard(client, lease=lease) as guard:
            began = loop_time()
            with pytest.raises(GuardUnavailable, match="no answer within"):
                await guard.reserve("a", A)
            return loop_time() - began

    assert run_virtual(main()) == pytest.approx(seconds)


async def test_nobody_asks_redis_for_a_turn_that_is_known_not_to_be_his(
    redis_url: str, prefix: str
) -> None:
    """However many come meanwhile: the account's next turn is ten seconds away."""
    async with RedisGuard(redis_url, prefix=prefix, max_rate=0.1) as guard:
        assert isinstance(await guard.reserve("a", A), Lease)
        assert isinstance(await guard.reserve("a", "1"), Wait)
        server = guard._server  # pyright: ignore[reportPrivateUsage]
        server.call = None  # type: ignore[assignment]  # it would break there
        for number in range(2, 20):
            wait = await guard.reserve("a", str(number))
            assert isinstance(wait, Wait)
            assert wait.whole_account


async def test_no_two_reservations_of_a_guard_have_one_token(redis_url: str, prefix: str) -> None:
    """However many there were; its first five bytes are the guard's, by which turns go round."""
    async with RedisGuard(redis_url, prefix=prefix) as guard:
        tokens: list[bytes] = []
        for begun in (0, 2**24 - 2):
            guard._numbers = count(begun)  # pyright: ignore[reportPrivateUsage]
            tokens += [await token_of(guard, f"139{begun + number:08d}") for number in range(2)]
        assert len({token[:5] for token in tokens}) == 1
        tokens += [await token_of(guard, f"138{number:08d}") for number in range(3)]
        assert len({token[:5] for token in tokens}) == 2
    assert len(set(tokens)) == len(tokens) == 7
    assert {len(token) for token in tokens} == {8}


async def token_of(guard: RedisGuard, mobile: str) -> bytes:
    """Reserve a number; return what only that reservation knows."""
    lease = await guard.reserve("a", mobile)
    assert isinstance(lease, Held)
    return lease.token


@pytest.mark.parametrize(
    ("wait", "least", "most"),
    [
        (Wait(3.0), 2.0, 3.0),  # in flight: it may be over sooner
        (Wait(10.0, 60.0), 10.0, 10.3),
        (Wait(80_000.0, 86_400.0), 80_000.0, 80_001.0),
        (Wait(3.0, whole_account=True), 3.0, 3.0),
    ],
)
async def test_who_waits_is_told_about_when_to_come_back(
    wait: Wait, least: float, most: float
) -> None:
    """Never before a window is over; and what is waited for stays what it is."""
    client: Any = Gone()
    guard = RedisGuard(client)
    told: list[float] = []
    for chance in (0.0, 1.0):
        guard._chance = lambda chance=chance: chance  # type: ignore[misc]  # pyright: ignore[reportPrivateUsage]
        spread = guard._spread(wait)  # pyright: ignore[reportPrivateUsage]
        assert (spread.window, spread.whole_account) == (wait.window, wait.whole_account)
        told.append(spread.seconds)
    assert sorted(told) == pytest.approx([least, most])


async def test_a_call_whose_lease_redis_has_lost_counts_beside_an_earlier_one(
    redis_url: str, prefix: str, clock: Clock
) -> None:
    """As after a restart from a snapshot that is a little old: it was made all the same."""
    guard = ClockedGuard(redis_url, Limits(per_second=None, per_minute=2), clock, prefix)
    async with CLIENT.from_url(redis_url) as client:
        first = await guard.reserve("a", A)
        assert isinstance(first, Lease)
        await guard.commit(first)
        (key,) = [each async for each in client.scan_iter(f"{{{prefix}:a}}:[0-9]*")]
        snapshot = await client.dump(key)
        clock.now += 1.0
        second = await guard.reserve("a", A)
        assert isinstance(second, Lease)
        await client.restore(key, 0, snapshot, replace=True)
        await guard.commit(second)
        wait = await guard.reserve("a", A)
    await guard.aclose()
    assert isinstance(wait, Wait)
    assert wait.window == 60.0
