"""How much memory a run keeps: a million messages from a generator, with and without a guard.

    python -m benchmarks.memory [--messages 1000000] [--no-guard]

The vendor is a transport in this process that answers at once, so that only the client is measured.
"""

import argparse
import asyncio
import gc
import os
from collections.abc import Iterator

import httpx
import psutil

from ihuyi_voice import MemoryGuard, VoiceClient

REPLY = b'{"code":2,"msg":"ok","voiceid":"16842079209571524017"}'


class Instant(httpx.AsyncBaseTransport):
    """Answers every request with an acceptance."""

    async def handle_async_request(
        self,
        request: httpx.Request,  # noqa: ARG002 - a transport is given it
    ) -> httpx.Response:
        """Return the reply after one turn of the event loop."""
        await asyncio.sleep(0)
        return httpx.Response(200, content=REPLY)


def messages(many: int) -> Iterator[tuple[str, str]]:
    """Yield so many messages, each to a number of its own."""
    for place in range(many):
        yield f"13{place:09d}", "您的订单号是：9633。"


def resident() -> int:
    """Return this process's memory in bytes."""
    gc.collect()
    size: int = psutil.Process(os.getpid()).memory_info().rss
    return size


async def run(many: int, guard: MemoryGuard | None) -> None:
    """Send everything and print the memory after each tenth."""
    first = 0
    async with httpx.AsyncClient(transport=Instant()) as http_client:
        client = VoiceClient("a", "k", http_client=http_client, guard=guard)
        async with client.submit_many(messages(many)) as bulk:
            done = 0
            async for _ in bulk:
                done += 1
                if done % (many // 10) == 0:
                    size = resident()
                    first = first or size
                    print(f"{done:>10,} messages: {size / 1e6:7.1f} MB", flush=True)
    grown = (resident() - first) / (many * 9 / 10)
    print(f"growth after the first tenth: {grown:.0f} bytes a message")


def main() -> None:
    """Run once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--no-guard", action="store_true")
    options = parser.parse_args()
    asyncio.run(run(options.messages, None if options.no_guard else MemoryGuard()))


if __name__ == "__main__":
    main()
