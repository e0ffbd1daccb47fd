"""What a guard's check costs in time and memory, beside the rate limiters a user would pick.

    python -m benchmarks.guard [--numbers 1000000] [--json]

Each measurement runs in a fresh process, interleaved over the repeats; medians are shown. A check
is one number that may call: for the guard reserve and commit, for the others one hit on three
windows. The time is the process's own CPU time; the bytes are what its resident memory grew by,
beyond the numbers' strings, which are the caller's.
"""

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

REPEATS = 5
RIVAL_NUMBERS = 50_000  # they take too long for a million; their bytes a number don't depend on it


def _numbers(count: int) -> list[str]:
    return [f"13{place:09d}" for place in range(count)]


def measure_guard(numbers: list[str]) -> None:
    """Check every number once with the package's own guard."""
    from ihuyi_voice.guards import MemoryGuard  # noqa: PLC0415 - only this process pays for it

    async def run() -> None:
        guard = MemoryGuard()
        for number in numbers:
            await guard.commit(await guard.reserve("account", number))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - each number is new, so it is a lease

    asyncio.run(run())


def measure_limits(numbers: list[str]) -> None:
    """Check every number once with limits' moving windows in memory."""
    from limits import parse  # noqa: PLC0415
    from limits.aio.storage import MemoryStorage  # noqa: PLC0415
    from limits.aio.strategies import MovingWindowRateLimiter  # noqa: PLC0415

    async def run() -> None:
        limiter = MovingWindowRateLimiter(MemoryStorage())
        windows = [parse("1/second"), parse("3/minute"), parse("10/day")]
        for number in numbers:
            for window in windows:
                await limiter.hit(window, "account", number)

    asyncio.run(run())


def measure_pyrate(numbers: list[str]) -> None:
    """Check every number once with pyrate-limiter, one in-memory bucket a number."""
    from pyrate_limiter import Duration, InMemoryBucket, Rate, RateItem  # noqa: PLC0415

    rates = [Rate(1, Duration.SECOND), Rate(3, Duration.MINUTE), Rate(10, Duration.DAY)]
    buckets: dict[str, InMemoryBucket] = {}
    for number in numbers:
        bucket = buckets[number] = InMemoryBucket(rates)
        bucket.put(RateItem(number, time.monotonic_ns() // 1_000_000))


MEASURES: dict[str, Callable[[list[str]], None]] = {
    "ihuyi_voice MemoryGuard": measure_guard,
    "limits MovingWindow": measure_limits,
    "pyrate-limiter InMemoryBucket": measure_pyrate,
}


def child(name: str, count: int) -> None:
    """Measure one in this process: microseconds a check and bytes a number."""
    numbers = _numbers(count)
    MEASURES[name](numbers[:100])  # imports are not what is measured
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    MEASURES[name](numbers)
    seconds = time.process_time() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    print(json.dumps({"us": seconds / count * 1e6, "bytes": grown / count}))


def measure(name: str, count: int) -> dict[str, float]:
    """Measure one in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.guard", "--child", name, "--numbers", str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child")
    options = parser.parse_args()
    if options.child:
        child(options.child, options.numbers)
        return
    counts = {
        name: options.numbers if name.startswith("ihuyi") else RIVAL_NUMBERS for name in MEASURES
    }
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in MEASURES}
    for _ in range(REPEATS):
        for name, results in runs.items():
            results.append(measure(name, counts[name]))
    table = {
        name: {key: statistics.median(run[key] for run in results) for key in ("us", "bytes")}
        for name, results in runs.items()
    }
    if options.json:
        print(json.dumps({"numbers": counts, "medians": table}, indent=2))
        return
    print("The others are measured on fewer numbers; what they cost a number doesn't depend on it.")
    print(f"{'':32}{'numbers':>10}{'µs a check':>12}{'bytes a number':>16}")
    for name, row in table.items():
        print(f"{name:32}{counts[name]:>10,}{row['us']:>12.2f}{row['bytes']:>16.0f}")


if __name__ == "__main__":
    main()
