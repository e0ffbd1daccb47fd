"""A large run with repeated numbers, beside one without: what do the repeats cost the others?

    python -m benchmarks.bulk [--messages 50000] [--concurrency 100] [--repeats 1] [--json]

The vendor runs in another process with 5 to 80 ms of jittered latency and its real limits. In the
run with repeats, one number in twenty comes four times and one in ten twice. The rate is that of
all messages finished by the time the last of the unrepeated ones is.
"""

import argparse
import asyncio
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import httpx

from ihuyi_voice import OutcomeStatus, VoiceClient
from ihuyi_voice.simulator import Simulator

CONTENT = "您的订单号是：9633。已由顺风快递发出，请注意查收。"


def serve() -> None:
    """Be the vendor: print the address, then tell on standard input's end what codes it gave."""

    async def run() -> None:
        simulator = Simulator(balance=10**9, keep_arrivals=0, latency=0.005, jitter=0.075)
        async with simulator.serve() as url:
            print(url, flush=True)
            await asyncio.to_thread(sys.stdin.read)
        print(json.dumps({str(code): count for code, count in simulator.codes.items()}))

    asyncio.run(run())


@contextmanager
def vendor(codes: Counter[str]) -> Generator[str]:
    """Run the vendor in another process; its codes are added up at the end."""
    command = [sys.executable, "-m", "benchmarks.bulk", "--serve"]
    with subprocess.Popen(  # noqa: S603 - ours
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None  # noqa: S101 - asked for above
        yield process.stdout.readline().strip()
        told, _ = process.communicate()
        codes.update(json.loads(told))


def messages(many: int, *, repeats: bool) -> list[str]:
    """Return the numbers to call, in random order."""
    count = many * 4 // 5 if repeats else many
    numbers = [f"139{place:08d}" for place in range(count)]
    drawn = list(numbers)
    if repeats:
        drawn += numbers[: count // 20] * 3 + numbers[count // 20 : count * 3 // 20]
    random.Random(5).shuffle(drawn)
    return drawn


async def run(url: str, numbers: list[str], concurrency: int) -> dict[str, Any]:
    """Send to all of them and measure."""
    times = Counter(numbers)
    counts: Counter[OutcomeStatus] = Counter()
    done = last = rate = 0.0
    async with VoiceClient(
        Simulator().account, Simulator().api_key, base_url=url,
        max_connections=concurrency, timeout=httpx.Timeout(30),
    ) as client:  # fmt: skip
        started, cpu = time.perf_counter(), time.process_time()
        pairs = ((number, CONTENT) for number in numbers)
        async with client.submit_many(pairs, concurrency=concurrency) as bulk:
            async for outcome in bulk:
                counts[outcome.status] += 1
                done += 1
                if times[outcome.message.mobile] == 1:
                    last = time.perf_counter() - started
                    rate = done / last
    return {
        "messages": len(numbers),
        "outcomes": {status.value: counts[status] for status in OutcomeStatus},
        "seconds": time.perf_counter() - started,
        "unrepeated_done_after": last,
        "rate": rate,
        "cpu_us": (time.process_time() - cpu) / len(numbers) * 1e6,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Run both kinds in turn and print them side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    results: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    for _ in range(options.repeats):
        for repeats, runs in results.items():
            codes: Counter[str] = Counter()
            with vendor(codes) as url:
                numbers = messages(options.messages, repeats=repeats)
                runs.append(asyncio.run(run(url, numbers, options.concurrency)))
            runs[-1]["vendor_codes"] = dict(codes)
            print(f"{'with' if repeats else 'without'} repeats: {runs[-1]}", file=sys.stderr)
    rates = {
        repeats: statistics.median(run["rate"] for run in runs) for repeats, runs in results.items()
    }
    print(f"rate with repeats / without: {rates[True] / rates[False]:.3f}", file=sys.stderr)
    if options.json:
        print(json.dumps({str(repeats): runs for repeats, runs in results.items()}, indent=2))


if __name__ == "__main__":
    main()
