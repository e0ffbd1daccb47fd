"""What workers of one run do together, and what it costs to give them a list.

    python -m benchmarks.workers [--workers 1 2 4 8] [--repeats 3] [--server-ms 50] [--json]
        [--in-flight 5] [--each 600] [--rows 20000 100000] [--idle 10]
        [--postgres URL] [--redis URL] [--pids PID PID …]

- throughput: so many workers, each a process with five submissions in flight, on one run, with one
  guard in Redis and one ledger in PostgreSQL. The vendor is a stub that takes 50 ms, so that
  waiting is shared out, not this machine's processors. The rate is that of the middle four fifths
  of the messages, by the ledger's own clock; CPU is the workers' own, a message. Medians, and the
  median of the ratios to one worker, of the same repeat each.
- idle: what a worker costs a second that has nothing to do.
- distributing: lists of so many rows loaded by one process, by COPY and then into parts: its CPU
  and the time it takes, a message, and its most memory.

With servers that nobody else uses, and their process ids, it tells of their CPU a message, too.
"""

import argparse
import asyncio
import json
import resource
import secrets
import signal
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from subprocess import PIPE, Popen
from typing import Any, Final

import asyncpg
import psutil
import redis

from benchmarks.vendor import vendor
from ihuyi_voice import Message, VoiceClient
from ihuyi_voice.guards import RedisGuard
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.workers import distribute, work

ACCOUNT: Final = "VM00000000"
RUN: Final = "benchmark"
_OURS: Final = "benchmarks.workers"
_POSTGRES: Final = "postgresql://postgres@127.0.0.1:5432/test"
_REDIS: Final = "redis://127.0.0.1:6379"
_SETTLED: Final = 3.0  # seconds that a worker takes to begin
_MIDDLE: Final = (
    "SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY at)"
    " - percentile_cont(0.1) WITHIN GROUP (ORDER BY at) FROM ihuyi_entries"
)


def message(place: int) -> Message:
    """Return a message of its own number."""
    return Message(f"139{place:08d}", f"您的订单号是：{place}。", f"m{place}")


# --- in a process of its own


async def worker(
    url: str, ledger_url: str, redis_url: str, prefix: str, in_flight: str, settled: str = "0"
) -> dict[str, float]:
    """Work until SIGTERM; return the CPU that it took since it has settled, and for how long."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with (
        RedisGuard(redis_url, prefix=prefix) as guard,
        Ledger.open(ledger_url) as ledger,
        VoiceClient(ACCOUNT, "benchmark", base_url=url, guard=guard) as client,
    ):
        began, started = time.process_time(), time.perf_counter()
        working = work(client, ledger, concurrency=int(in_flight), parts=1, stop=stop)
        task = asyncio.create_task(working)
        if float(settled):
            await asyncio.sleep(float(settled))
            began, started = time.process_time(), time.perf_counter()
        await task
        cpu, seconds = time.process_time() - began, time.perf_counter() - started
        return {"cpu_s": cpu, "seconds": seconds}


async def coordinator(ledger_url: str, rows: str) -> dict[str, float]:
    """Load a list; return what it cost a message."""
    many = int(rows)
    async with Ledger.open(ledger_url) as ledger:
        before, began = time.process_time(), time.perf_counter()
        await distribute(ledger, RUN, map(message, range(many)), account=ACCOUNT)
        cpu, seconds = time.process_time() - before, time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_us": cpu / many * 1e6, "wall_us": seconds / many * 1e6, "peak_mb": peak}


def child(what: str, *arguments: str) -> None:
    """Be a process of the measurement, and print its figures."""
    jobs: dict[str, Callable[..., Any]] = {"worker": worker, "coordinator": coordinator}
    print(json.dumps(asyncio.run(jobs[what](*arguments))))


def start(*arguments: str) -> "Popen[str]":
    """Start one."""
    command = [sys.executable, "-m", _OURS, "--child", *arguments]
    return Popen(command, stdout=PIPE, text=True)  # noqa: S603 - ours


def told(process: "Popen[str]") -> dict[str, float]:
    """Return its figures, once it has ended."""
    out, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"a process of the measurement failed: {process.returncode}")
    figures: dict[str, float] = json.loads(out)
    return figures


# --- measuring


@asynccontextmanager
async def database(url: str) -> AsyncGenerator[str]:
    """Yield a database of the measurement's own."""
    name = f"bench_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE DATABASE {name}")
    try:
        yield f"{url.rpartition('/')[0]}/{name}"
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()


async def throughput(options: argparse.Namespace, workers: int) -> dict[str, float]:
    """Let so many workers send a run."""
    prefix, many = f"bench-{secrets.token_hex(4)}", workers * options.each
    async with database(options.postgres) as where:
        with vendor(options.server_ms) as url:
            arguments = ("worker", url, where, options.redis, prefix, str(options.in_flight))
            processes = [start(*arguments) for _ in range(workers)]
            async with Ledger.open(where) as ledger:
                rows = map(message, range(many))
                await distribute(ledger, RUN, rows, options.each // 6, account=ACCOUNT)
                before = {pid: server_cpu(pid) for pid in options.pids}
                await done(ledger)
            for process in processes:
                process.terminate()
            figures = [told(process) for process in processes]
        connection = await asyncpg.connect(where)
        seconds = await connection.fetchval(_MIDDLE)
        await connection.close()
    forget(options.redis, prefix)
    cpu = sum(each["cpu_s"] for each in figures)
    servers = {f"cpu_us_{pid}": (server_cpu(pid) - before[pid]) / many * 1e6 for pid in before}
    return {"per_second": 0.8 * many / seconds, "cpu_us": cpu / many * 1e6} | servers


async def idle(options: argparse.Namespace) -> dict[str, float]:
    """Let a worker wait for work."""
    prefix = f"bench-{secrets.token_hex(4)}"
    async with database(options.postgres) as where:
        async with Ledger.open(where):  # it is there when the worker comes
            pass
        nobody = ("worker", "http://127.0.0.1:9", where, options.redis, prefix, "100")
        process = start(*nobody, str(_SETTLED))
        await asyncio.sleep(2 * _SETTLED)
        before = {pid: server_cpu(pid) for pid in options.pids}
        await asyncio.sleep(options.idle)
        spent = {pid: server_cpu(pid) - before[pid] for pid in before}
        process.terminate()
        figures = await asyncio.to_thread(told, process)
    servers = {f"cpu_ms_{pid}": cpu / options.idle * 1e3 for pid, cpu in spent.items()}
    return {"cpu_ms": figures["cpu_s"] / figures["seconds"] * 1e3} | servers


def server_cpu(pid: int) -> float:
    """Return the CPU that a server has taken, and all of its processes, also those that ended."""
    server = psutil.Process(pid)
    own, seconds = server.cpu_times(), 0.0
    for each in server.children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            times = each.cpu_times()
            seconds += times.user + times.system
    return seconds + own.user + own.system + own.children_user + own.children_system


async def done(ledger: Ledger) -> None:
    """Return when all parts are done."""
    while True:
        progress = await ledger.parts.progress(RUN)
        if progress.done == len(progress.parts):
            return
        await asyncio.sleep(0.5)


def forget(url: str, prefix: str) -> None:
    """Delete the keys of a guard."""
    client: Any = redis.Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType] - half typed
    with client:
        for key in client.scan_iter(match=f"*{prefix}*", count=1000):
            client.unlink(key)


async def distributing(options: argparse.Namespace, rows: int) -> dict[str, float]:
    """Load a list in a fresh process."""
    async with database(options.postgres) as where:
        return await asyncio.to_thread(told, start("coordinator", where, str(rows)))


async def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure everything; return a row each."""
    rows: list[dict[str, Any]] = []
    runs: dict[int, list[dict[str, float]]] = {workers: [] for workers in options.workers}
    for _ in range(options.repeats):
        for workers, results in runs.items():
            results.append(await throughput(options, workers))
    for workers, results in runs.items():
        base = runs[options.workers[0]]
        ratios = [a["per_second"] / b["per_second"] for a, b in zip(results, base, strict=True)]
        rows.append({"workers": workers} | medians(results) | {"x": statistics.median(ratios)})
        show(rows[-1])
    if options.idle:
        rows.append({"idle": 1} | medians([await idle(options) for _ in range(options.repeats)]))
        show(rows[-1])
    for many in options.rows:
        results = [await distributing(options, many) for _ in range(options.repeats)]
        rows.append({"rows": many} | medians(results))
        show(rows[-1])
    return rows


def medians(results: list[dict[str, float]]) -> dict[str, float]:
    """Return the medians of figures."""
    return {name: statistics.median(each[name] for each in results) for name in results[0]}


def show(row: dict[str, Any]) -> None:
    """Print a row."""
    print("  ".join(f"{name} {value:,.2f}" for name, value in row.items()), file=sys.stderr)


def main() -> None:
    """Measure as told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--rows", type=int, nargs="*", default=[20_000, 100_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--server-ms", type=float, default=50)
    parser.add_argument("--in-flight", type=int, default=5)
    parser.add_argument("--each", type=int, default=600)
    parser.add_argument("--idle", type=float, default=10.0)
    parser.add_argument("--postgres", default=_POSTGRES)
    parser.add_argument("--redis", default=_REDIS)
    parser.add_argument("--pids", type=int, nargs="*", default=[])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs="+")
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    rows = asyncio.run(measure(options))
    if options.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
