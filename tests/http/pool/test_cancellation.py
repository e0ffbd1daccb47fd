"""A cancelled request costs its own connection at most, never a slot."""

import asyncio
import gc
import random
import warnings

import httpx
import pytest

from ihuyi_voice.http.pool import PoolTransport
from ihuyi_voice.http.pool.connection import Connection
from ihuyi_voice.http.pool.dialing import Steps
from ihuyi_voice.simulator import Simulator
from tests.support.long import few_or_many
from tests.support.sockets import (
    OK,
    Reader,
    Writer,
    always,
    pool_to,
    read_request,
    request,
    send,
    until,
)


async def usable(pool: PoolTransport, slots: int) -> None:
    """Check that every slot works, all at once."""
    assert pool.statistics().in_flight == pool.statistics().waiting == 0
    replies = await asyncio.gather(*(send(pool) for _ in range(slots)))
    assert {reply.text for reply in replies} == {"ok"}


async def test_200_requests_that_time_out_leave_all_10_slots_usable() -> None:
    """The script that leaves httpcore's pool dead for good (its issue 1093)."""
    silent = True

    async def serve(reader: Reader, writer: Writer) -> None:
        while True:
            await read_request(reader)
            if not silent:
                writer.write(OK)

    async with pool_to(serve, max_connections=10) as pool:
        tasks = [asyncio.create_task(send(pool)) for _ in range(200)]
        await until(lambda: pool.statistics().in_flight == 10)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        silent = False
        await usable(pool, 10)


@pytest.mark.parametrize("seed", range(4))
async def test_cancelling_anywhere_leaves_every_slot_usable(seed: int) -> None:
    """Thousands of requests each, cancelled after a random number of turns of the loop."""
    chance = random.Random(seed)
    async with pool_to(always(), max_connections=5) as pool:
        for _ in range(few_or_many(75, 250)):
            tasks = [asyncio.create_task(send(pool)) for _ in range(20)]
            for _ in range(chance.randrange(12)):
                await asyncio.sleep(0)
            for task in tasks:
                if chance.random() < 0.8:
                    task.cancel()
            await asyncio.wait(tasks)
            ended = [task.exception() for task in tasks if not task.cancelled()]
            assert not any(ended)
        assert pool.statistics().idle <= 5
        await usable(pool, 5)


async def test_a_cancelled_exchange_never_leaves_its_reply_to_the_next() -> None:
    """The connection is aborted, because the reply may still come."""
    number = 0
    arrived = asyncio.Event()

    async def serve(reader: Reader, writer: Writer) -> None:
        nonlocal number
        while True:
            await read_request(reader)
            number += 1
            arrived.set()
            body = str(number).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async with pool_to(serve, max_connections=1) as pool:
        await send(pool)
        for _ in range(100):
            arrived.clear()
            task = asyncio.create_task(send(pool))
            await arrived.wait()
            task.cancel()
            await asyncio.wait({task})
            expected = number + 1
            assert (await send(pool)).text == str(expected)


async def test_a_cancelled_wait_for_a_slot_gives_up_its_place_only() -> None:
    """Those behind it move up."""
    async with pool_to(always(), max_connections=1) as pool:
        tasks = [asyncio.create_task(send(pool)) for _ in range(10)]
        await asyncio.sleep(0)
        for task in tasks[1::2]:
            task.cancel()
        await asyncio.wait(tasks)
        assert [task.cancelled() for task in tasks] == [False, True] * 5


async def test_a_cancelled_request_whose_connection_then_fails_gives_its_slot_back() -> None:
    """Nobody is left to hear the error, and the slot is free again."""
    refuse = asyncio.Event()

    class Refuses(PoolTransport):
        """A pool that is refused when the test says so."""

        async def _open(self, wait: float | None, steps: Steps) -> Connection:
            await refuse.wait()
            return await super()._open(wait, steps)

    async with pool_to(always()) as gone:
        asked = request(gone)
    pool = Refuses(asked.url, max_connections=1)
    task = asyncio.create_task(pool.handle_async_request(asked))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    refuse.set()
    with pytest.raises(httpx.ConnectError):
        await pool.handle_async_request(asked)
    await pool.aclose()


def test_nothing_is_left_open_when_the_loop_ends() -> None:
    """No socket, no transport, no task; in development mode each would be a warning."""

    async def main() -> None:
        simulator = Simulator(limits=())
        async with simulator.serve() as url:
            pool = PoolTransport(url, max_connections=3)
            asked = [httpx.Request("GET", f"{url}?method=GetNum") for _ in range(9)]
            for _ in range(3):
                await asyncio.gather(*(pool.handle_async_request(each) for each in asked))
            task = asyncio.create_task(pool.handle_async_request(asked[0]))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            await pool.aclose()
            assert pool.statistics().idle == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(main(), debug=True)
        gc.collect()


async def test_a_client_closed_twice_stays_closed() -> None:
    """Closing is idempotent."""
    async with pool_to(always()) as pool:
        await send(pool)
        await pool.aclose()
        await pool.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await pool.handle_async_request(request(pool))
