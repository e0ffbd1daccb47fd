"""Measure the clients side by side, the server in another process.

    python -m benchmarks [--connections 10 50 200 1000] [--server-ms 0 50] [--repeats 5]
        [--clients "ours, submit_many" …] [--json]

Each measurement runs in a fresh process, interleaved over the repeats; medians are shown. CPU is
the client process's own, all its threads, user and system, a submission, after a warm-up by the
same client of four submissions for each connection. Beside it stands the median of its ratios to
bare aiohttp's, of the same repeat each: what else the machine does then cancels out. Lag is the
99th percentile of how late a neighbouring coroutine's timers fire.
"""

import argparse
import asyncio
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from typing import Any

from benchmarks.clients import CLIENTS
from benchmarks.vendor import address_of

BASE = "aiohttp, bare"
_CRASHES = 3  # in a row, of a rival's own threads
SLOW = "httpx, stock"  # it gets fewer requests, or the run would take an hour


async def feel(lags: list[float]) -> None:
    """Be the neighbour: note how late each of its timers fires."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + 0.01
        await asyncio.sleep(0.01)
        lags.append(loop.time() - due)


def child(name: str, url: str, many: int, connections: int) -> None:
    """Measure one client in this process."""

    async def run() -> dict[str, float]:
        async with CLIENTS[name](url, connections) as send:
            await send(4 * connections)  # warm up: all connections open, also by a slow start
            lags: list[float] = []
            neighbour = asyncio.create_task(feel(lags))
            cpu, started = time.process_time(), time.perf_counter()
            latencies = sorted(await send(many))
            cpu, seconds = time.process_time() - cpu, time.perf_counter() - started
            neighbour.cancel()
        return {
            "cpu_us": cpu / many * 1e6,
            "per_second": many / seconds,
            "p50_ms": latencies[len(latencies) // 2] * 1e3,
            "p99_ms": latencies[len(latencies) * 99 // 100] * 1e3,
            "lag_p99_ms": sorted(lags)[len(lags) * 99 // 100] * 1e3 if lags else 0.0,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }

    print(json.dumps(asyncio.run(run())))


def serve(server_ms: float) -> None:
    """Be the vendor: print the address, then serve until the parent ends this process."""
    from ihuyi_voice.simulator import Simulator  # noqa: PLC0415 - only the server needs it

    async def run() -> None:
        simulator = Simulator(limits=(), balance=10**9, keep_arrivals=0, latency=server_ms / 1000)
        async with simulator.serve() as url:
            print(url, flush=True)
            await asyncio.Event().wait()

    asyncio.run(run())


def server(server_ms: float) -> AbstractContextManager[str]:
    """Run the vendor in another process and yield its address."""
    return address_of("benchmarks", "--serve", str(server_ms))


def run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run a measurement to its end."""
    return subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - ours


def measure(name: str, url: str, many: int, connections: int) -> dict[str, float]:
    """Measure one client in a fresh process; if a signal kills that, say so and do it again."""
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "--child",
        name,
        url,
        str(many),
        str(connections),
    ]
    done = run(command)
    for _ in range(_CRASHES):
        if done.returncode < 0:
            print(f"{name} died of signal {-done.returncode}", file=sys.stderr, flush=True)
            done = run(command)
    done.check_returncode()
    result: dict[str, float] = json.loads(done.stdout)
    return result


def compare(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure everything; return a row for each client, connections and server time."""
    rows: list[dict[str, Any]] = []
    for server_ms in options.server_ms:
        for connections in options.connections:
            runs = measure_all(options, server_ms, connections)
            for name in runs:
                where = {"server_ms": server_ms, "connections": connections, "client": name}
                rows.append(where | summary(name, runs))
                show(rows[-1])
    return rows


def measure_all(
    options: argparse.Namespace, server_ms: float, connections: int
) -> dict[str, list[dict[str, float]]]:
    """Measure each client as often as asked for, in turn."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in options.clients}
    for _ in range(options.repeats):
        for name, results in runs.items():
            many = options.requests // 8 if name == SLOW else options.requests
            if server_ms:  # nobody can be faster than connections / server time
                many = min(many, 200 * connections)
            with server(server_ms) as url:
                results.append(measure(name, url, max(many, connections), connections))
    return runs


def summary(name: str, runs: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    """Return a client's medians, and its CPU beside the base's if that was measured too."""
    results = runs[name]
    medians = {key: statistics.median(result[key] for result in results) for key in results[0]}
    if BASE in runs:
        pairs = zip(results, runs[BASE], strict=True)
        medians["ratio"] = statistics.median(one["cpu_us"] / two["cpu_us"] for one, two in pairs)
    return medians


def show(row: dict[str, Any]) -> None:
    """Print a row of the table."""
    print(
        f"{row['server_ms']:6.0f}{row['connections']:7}  {row['client']:26}"
        f"{row['cpu_us']:9.0f}{row.get('ratio', math.nan):9.2f}{row['per_second']:10.0f}"
        f"{row['p50_ms']:9.1f}{row['p99_ms']:9.1f}{row['lag_p99_ms']:9.1f}{row['peak_mb']:9.0f}",
        file=sys.stderr,
        flush=True,
    )


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, nargs="+", default=[10, 50, 200, 1000])
    parser.add_argument("--server-ms", type=float, nargs="+", default=[0, 50])
    parser.add_argument("--clients", nargs="+", default=list(CLIENTS), choices=list(CLIENTS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--requests", type=int, default=8_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=4)
    parser.add_argument("--serve", type=float)
    options = parser.parse_args()
    if options.child:
        name, url, many, connections = options.child
        child(name, url, int(many), int(connections))
    elif options.serve is not None:
        serve(options.serve)
    else:
        print(
            f"{'ms':>6}{'conns':>7}  {'client':26}{'µs CPU':>9}{'x base':>9}{'a second':>10}"
            f"{'p50 ms':>9}{'p99 ms':>9}{'lag ms':>9}{'peak MB':>9}",
            file=sys.stderr,
        )
        rows = compare(options)
        if options.json:
            print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
