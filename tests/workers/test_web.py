"""A web application of four workers behind a load balancer that asks everything twice."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import attrs
import httpx
import pytest

from ihuyi_voice.common.signal import Signal
from tests.support.databases import own_database
from tests.support.redis_servers import own_prefix
from tests.support.servers import free_port
from tests.workers.processes import running
from tests.workers.vendor import RATE_CODES, Vendor, vendor_of

ORDERS: Final = 1_000
AT_ONCE: Final = 30
TRIES: Final = 200
PAUSE: Final = 0.3
APART: Final = httpx.Limits(max_keepalive_connections=0)

pytestmark = [pytest.mark.timeout(240), pytest.mark.long]


@attrs.define(eq=False)
class Balancer:
    """Sends every request twice at once, over connections of their own, until there is an answer.

    Attributes:
        url: Of the application.
        web: What it sends with.
        workers: The processes that have answered.
        heard: Rings for each answer.
        told: What it was told of each order.
    """

    url: str
    web: httpx.AsyncClient
    workers: Counter[int] = attrs.field(factory=Counter[int])
    heard: Signal = attrs.field(factory=Signal)
    told: dict[int, set[str | None]] = attrs.field(factory=dict[int, set[str | None]])

    async def deliver(self, orders: range) -> None:
        """Deliver the requests of these orders, so many at a time."""
        left = iter(orders)

        async def lane() -> None:
            for order in left:
                await asyncio.gather(self._insist(order), self._insist(order))

        await asyncio.gather(*(lane() for _ in range(AT_ONCE)))

    async def _insist(self, order: int) -> None:
        for _ in range(TRIES):
            with suppress(httpx.TransportError):
                answer = await self._ask(order)
                if answer.status_code in {200, 202}:
                    self.told.setdefault(order, set()).add(answer.json().get("voice_id"))
                    return
            await asyncio.sleep(PAUSE)  # it, too, only tries again
        raise AssertionError(order)

    async def _ask(self, order: int) -> httpx.Response:
        address = f"{self.url}/orders/{order}/shipped"
        answer = await self.web.post(address, json={"mobile": mobile_of(order)})
        self.workers[int(answer.headers["x-worker"])] += 1
        self.heard.notify()
        return answer

    async def met(self, workers: int) -> None:
        """Return once so many processes have answered."""
        await self.heard.wait_until(lambda: len(self.workers) >= workers)


def mobile_of(order: int) -> str:
    """Return whom an order's call is for."""
    return f"139{order:08d}"


@asynccontextmanager
async def shop(
    vendor: Vendor, ledger: str, redis: str, prefix: str, folder: Path
) -> AsyncGenerator[str]:
    """Run the application with four workers; yield its address."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.workers.web:app", "--workers", "4",
               "--port", str(port), "--log-level", "warning"]  # fmt: skip
    environment = {"SHOP_LEDGER": ledger, "SHOP_REDIS": redis, "SHOP_PREFIX": prefix}
    with (folder / "web.log").open("wb") as log:
        async with running(command, vendor.environment | environment, log=log) as process:
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()  # it ends its workers; a killed one would leave them
                await process.wait()


async def test_each_phone_rings_once(postgres: str, redis_url: str, tmp_path: Path) -> None:
    """All is asked twice at once, and two of the four workers are killed in the midst of it."""
    with own_prefix(redis_url) as prefix:
        async with (
            own_database(postgres) as ledger,
            vendor_of(tmp_path, latency=0.1, jitter=0.1) as vendor,
            shop(vendor, ledger, redis_url, prefix, tmp_path) as url,
            httpx.AsyncClient(timeout=20.0, limits=APART) as web,
        ):
            balancer = Balancer(url, web)
            delivering = asyncio.create_task(balancer.deliver(range(ORDERS)))
            await balancer.met(4)
            await vendor.arrived(ORDERS // 4)
            killed = [worker for worker, _ in balancer.workers.most_common(2)]
            for worker in killed:
                os.kill(worker, signal.SIGKILL)
            await delivering
            calls, codes = Counter(vendor.calls()), vendor.codes()
    assert set(balancer.told) == set(range(ORDERS))
    assert max(calls.values()) == 1  # each phone once
    assert not codes.keys() & RATE_CODES
    known = {order for order, told in balancer.told.items() if told != {None}}
    for order in known:  # both requests were told of the same call, and it was made
        assert len(balancer.told[order] - {None}) == 1
        assert calls[mobile_of(order), f"您的订单号是：{order}。"] == 1
    assert ORDERS - len(known) <= AT_ONCE  # uncertain is what the two had in flight
