"""A guard whose Redis is away, or silent, or asked in vain: what its callers are told."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from ihuyi_voice import GuardUnavailable
from ihuyi_voice.guards import Lease, RedisGuard, Wait
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
    async with RedisGuard(redis_url, prefix=prefix, on_unavailable="allow") as guard:
        lease = await guard.reserve("a", A)
        assert isinstance(lease, Lease)
        await guard.commit(lease)
        wait = await guard.reserve("a", A)
        assert isinstance(wait, Wait)
        assert wait.window == 1.0


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
