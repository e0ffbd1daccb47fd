"""A guard in Redis that is closed in another event loop than its own."""

import asyncio

import pytest

from ihuyi_voice.guards import Lease, RedisGuard

pytestmark = pytest.mark.timeout(30)


async def test_a_guard_is_not_closed_in_another_event_loop(redis_url: str, prefix: str) -> None:
    """It would wait for ever there, and what goes on here would find a guard that is closed."""
    async with RedisGuard(redis_url, prefix=prefix) as guard:
        lease = await guard.reserve("a", "13900000000")
        assert isinstance(lease, Lease)
        going_on = asyncio.ensure_future(guard.reserve("a", "13900000001"))
        await asyncio.sleep(0)

        async def closed() -> None:
            async with asyncio.timeout(5):
                await guard.aclose()

        with pytest.raises(RuntimeError, match="belongs to the event loop of its first use"):
            await asyncio.to_thread(asyncio.run, closed())
        assert isinstance(await going_on, Lease)
        await guard.commit(lease)
