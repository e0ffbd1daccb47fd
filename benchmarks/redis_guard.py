"""What the guard in Redis costs, beside the rate limiters a user would pick, on the same server.

    python -m benchmarks.redis_guard [--pairs 2000] [--numbers 50000] [--repeats 3] [--json]

A redis-server of the benchmark's own is started and stopped. Each measurement runs in a fresh
process, interleaved over the repeats; medians are shown. A pair is one call to one number: for the
guard reserve and commit, for the others one hit on three windows, which locks nothing. Client CPU
is the process's own; the server's is what it says of itself. Bytes are what the server's memory
grew by, with one and with ten calls of each number; the aims (60 and 150) are for a million.
"""

import argparse
import asyncio
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias

import redis
import redis.asyncio

from ihuyi_voice.guards import Lease, Limits, RedisGuard
from ihuyi_voice.guards import redis_script as script

CALLERS = (1, 100, 1_000)
SLOW = 5  # the others take so many times as long: they get so many times fewer pairs
AT_ONCE = 500

Check: TypeAlias = Callable[[str], Awaitable[Any]]
BLOCKING: Any = redis.Redis  # what redis-py takes is only half typed
CLIENT: Any = redis.asyncio.Redis


@asynccontextmanager
async def guard(url: str) -> AsyncGenerator[Check]:
    """Ours: reserve and commit."""
    async with RedisGuard(url) as ours:

        async def check(number: str) -> None:
            lease = await ours.reserve("account", number)
            assert isinstance(lease, Lease)  # noqa: S101 - each number is new
            await ours.commit(lease)

        yield check


@asynccontextmanager
async def limits(url: str) -> AsyncGenerator[Check]:
    """The moving windows of limits."""
    from limits import parse  # noqa: PLC0415 - only this process pays for it
    from limits.aio.storage import RedisStorage  # noqa: PLC0415
    from limits.aio.strategies import MovingWindowRateLimiter  # noqa: PLC0415

    storage = RedisStorage(f"async+{url}", implementation="redispy")
    limiter = MovingWindowRateLimiter(storage)
    windows = [parse("1/second"), parse("3/minute"), parse("10/day")]

    async def check(number: str) -> None:
        for window in windows:
            await limiter.hit(window, "account", number)

    yield check


@asynccontextmanager
async def pyrate(url: str) -> AsyncGenerator[Check]:
    """A bucket of pyrate-limiter for each number, whose script knows all windows."""
    from pyrate_limiter import Duration, Rate, RateItem, RedisBucket  # noqa: PLC0415

    rates = [Rate(1, Duration.SECOND), Rate(3, Duration.MINUTE), Rate(10, Duration.DAY)]
    async with CLIENT.from_url(url) as client:
        kind: Any = RedisBucket
        first = await kind.init(rates, client, "first")  # loads the script

        async def check(number: str) -> None:
            bucket = kind(rates, client, f"account:{number}", first.script_hash)
            await bucket.put(RateItem(number, time.time_ns() // 1_000_000))

        yield check


@asynccontextmanager
async def throttled(url: str) -> AsyncGenerator[Check]:
    """The sliding windows of throttled-py."""
    from throttled.asyncio import (  # noqa: PLC0415
        RedisStore,
        Throttled,
        per_day,
        per_min,
        per_sec,
    )  # fmt: skip

    store: Any = RedisStore(server=url)
    quotas = [per_sec(1), per_min(3), per_day(10)]
    limiters: list[Any] = [
        Throttled(using="sliding_window", quota=quota, store=store) for quota in quotas
    ]

    async def check(number: str) -> None:
        for place, limiter in enumerate(limiters):
            await limiter.limit(f"account:{place}:{number}")

    yield check


RIVALS = {
    "ihuyi_voice RedisGuard": guard,
    "limits MovingWindow": limits,
    "pyrate-limiter RedisBucket": pyrate,
    "throttled-py sliding_window": throttled,
}


def server_cpu(url: str) -> float:
    """Return the seconds of CPU that the server has used."""
    with BLOCKING.from_url(url) as client:
        told = client.info("cpu")
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


async def measure(name: str, url: str, callers: int, pairs: int) -> dict[str, float]:
    """Make so many pairs by so many callers; microseconds a pair, and pairs a second."""
    numbers = iter(f"13{place:09d}" for place in range(pairs + callers))
    crowd = f"{url}?max_connections={callers}"  # which only the others need
    async with RIVALS[name](crowd) as check:

        async def one(times: int) -> None:
            for _ in range(times):
                await check(next(numbers))

        await asyncio.gather(*(one(1) for _ in range(callers)))  # connections are not measured
        theirs, cpu, wall = server_cpu(url), time.process_time(), time.perf_counter()
        await asyncio.gather(*(one(pairs // callers) for _ in range(callers)))
        made = pairs // callers * callers
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        theirs = server_cpu(url) - theirs
    micro = 1e6 / made
    return {"client_us": cpu * micro, "server_us": theirs * micro, "pairs_s": made / wall}


async def fill(url: str, numbers: int, calls: int) -> dict[str, float]:
    """Have so many numbers called so often, by what a guard tells the script; bytes a number."""
    settings = script.Settings(Limits(None, None, 10), 30.0, 1.0, 0.0, 0.0)
    base = script.key_of_account("ihuyi", "account")
    packed = settings.packed(0.0)
    async with CLIENT.from_url(url) as client:
        digest = await client.script_load(script.SCRIPT)
        before = (await client.info("memory"))["used_memory"]
        for first in range(0, numbers, AT_ONCE):
            places = [
                script.place_of(f"1{30 + place % 60}{place * 7919 % 10**8:08d}")
                for place in range(first, min(first + AT_ONCE, numbers))
            ]
            keys = [base + b"account", *(base + bucket for bucket, _ in places)]
            for _ in range(calls):
                for kind in (script.RESERVE, script.COMMIT):
                    told = [script.operation(kind, b"8 bytes.", field) for _, field in places]
                    await client.execute_command(
                        "EVALSHA", digest, len(keys), *keys, b"8 bytes.", packed, *told,
                        NEVER_DECODE=True,
                    )  # fmt: skip
        grown = (await client.info("memory"))["used_memory"] - before
    return {"bytes": grown / numbers}


@contextmanager
def own_server() -> Generator[str]:
    """Start a server on a free port; stop it afterwards."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise SystemExit("redis-server is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(  # noqa: S603 - a server of ours
            [program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        for line in process.stdout:
            if "eady to accept connections" in line:
                break
        try:
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.communicate()


def in_a_process(url: str, *arguments: object) -> dict[str, float]:
    """Measure one thing in a fresh process, over an empty server."""
    with BLOCKING.from_url(url) as client:
        client.flushall()
    words = [sys.executable, "-m", "benchmarks.redis_guard", "--child", url, *map(str, arguments)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    result: dict[str, float] = json.loads(done.stdout)
    return result


def child(words: list[str]) -> None:
    """Do what a fresh process was started for."""
    url, name, first, second = words
    if name == "fill":
        result = asyncio.run(fill(url, int(first), int(second)))
    else:
        result = asyncio.run(measure(name, url, int(first), int(second)))
    print(json.dumps(result))


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def measure_all(options: argparse.Namespace) -> dict[str, Any]:
    """Run everything."""
    runs: dict[tuple[str, int], list[dict[str, float]]] = {}
    with own_server() as url:
        for _ in range(options.repeats):
            for callers in CALLERS:
                for name in RIVALS:
                    pairs = options.pairs * (
                        SLOW if name.startswith("ihuyi") and callers > 1 else 1
                    )
                    told = in_a_process(url, name, callers, max(pairs, callers))
                    runs.setdefault((name, callers), []).append(told)
        table = {f"{name} @ {callers}": medians(told) for (name, callers), told in runs.items()}
        sizes = {
            f"{calls} calls": in_a_process(url, "fill", options.numbers, calls)["bytes"]
            for calls in (1, 10)
        }
    return {"pairs": table, "numbers": options.numbers, "bytes": sizes}


def main() -> None:
    """Run everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=2_000)
    parser.add_argument("--numbers", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=4)
    options = parser.parse_args()
    if options.child:
        child(options.child)
        return
    told = measure_all(options)
    if options.json:
        print(json.dumps(told, indent=2))
        return
    print(f"{'callers':>40}{'client µs':>12}{'server µs':>12}{'pairs/s':>10}{'of a server':>13}")
    for name, row in told["pairs"].items():
        most = 1e6 / row["server_us"]  # a calculation: all its CPU, and clients enough
        print(
            f"{name:>40}{row['client_us']:>12.1f}{row['server_us']:>12.1f}"
            f"{row['pairs_s']:>10,.0f}{most:>13,.0f}"
        )
    for name, size in told["bytes"].items():
        print(f"{told['numbers']:,} numbers with {name}: {size:.0f} bytes each")


if __name__ == "__main__":
    main()
