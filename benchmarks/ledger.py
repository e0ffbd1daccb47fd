"""What a ledger costs, beside a run without one, and beside what one would take instead of it.

    python -m benchmarks.ledger [--full] [--only runs keys rows kills] [--postgres URL] [--json]

- runs: `submit_many` at 100 in flight without a ledger, with SQLite and with PostgreSQL, in turn,
  each in a fresh process; the vendor is a stub of 0 and of 20 ms. Medians, and beside them the
  median of the ratios to the run without, of the same repeat each.
- keys: `submit(key=)` from one process and from eight, 50 callers in all.
- rows: a run with many settled rows: how long until it sends, if the first one is open and if only
  the one behind half of them is; what a replayed row costs, and what it would if it were only told,
  to a consumer that does nothing; how much memory it takes, its summary, and the size of the file.
- kills: 3,000 messages under five SIGKILLs, by a run and by dbos (a workflow a message, on
  PostgreSQL), and how many phones rang twice.

The default takes a minute or two; `--full` has a million rows and more of everything.
"""

import argparse
import asyncio
import json
import os
import resource
import secrets
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, Final

import asyncpg

from benchmarks.vendor import rung, vendor
from ihuyi_voice import Message, Outcome, OutcomeStatus, VoiceClient
from ihuyi_voice.ledger import Ledger

ACCOUNT: Final = "VM00000000"
API_KEY: Final = "benchmark"
CONTENT: Final = "您的订单号是：9633。已由顺风快递发出，请注意查收。"
NONE, SQLITE, POSTGRES, DBOS = "no ledger", "SQLite", "PostgreSQL", "dbos"
_OURS: Final = "benchmarks.ledger --child"
_POSTGRES_URL: Final = "postgresql://postgres@127.0.0.1:5432/test"
_CALLERS: Final = 50
_KILLS: Final = 5


def message(place: int) -> Message:
    """Return a message of its own number."""
    return Message(f"139{place:08d}", CONTENT, f"m{place}")


def client_of(url: str, ledger: Ledger | None, concurrency: int) -> VoiceClient:
    """Return a client."""
    return VoiceClient(
        ACCOUNT, API_KEY, base_url=url, max_connections=concurrency, timeout=60.0, ledger=ledger
    )


def peak_mb() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# --- in a process of its own


async def run(url: str, where: str, many: int, concurrency: int) -> dict[str, float]:
    """Send a run, after a warm-up."""
    if not where:
        async with client_of(url, None, concurrency) as client:
            return await _measured(client, many, concurrency, {})
    async with Ledger.open(where) as ledger, client_of(url, ledger, concurrency) as client:
        return await _measured(client, many, concurrency, {"run": "benchmark"})


async def _measured(
    client: VoiceClient, many: int, concurrency: int, options: dict[str, Any]
) -> dict[str, float]:
    warm = (message(10**7 + place) for place in range(10 * concurrency))
    await _sent(client, warm, concurrency, {name: f"{value} 0" for name, value in options.items()})
    cpu, started = time.process_time(), time.perf_counter()
    await _sent(client, (message(place) for place in range(many)), concurrency, options)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {"per_second": many / seconds, "cpu_us": cpu / many * 1e6, "peak_mb": peak_mb()}


async def _sent(
    client: VoiceClient, messages: Iterable[Message], concurrency: int, options: dict[str, Any]
) -> None:
    async with client.submit_many(messages, concurrency=concurrency, **options) as bulk:
        async for outcome in bulk:
            if outcome.voice_id is None:
                raise RuntimeError(f"not accepted: {outcome.error}")


async def keys(url: str, where: str, many: int, first: int, callers: int) -> list[float]:
    """Make keyed calls, and return how long each took, in seconds."""
    times: list[float] = []
    places = iter(range(first, first + many))

    async def caller(client: VoiceClient) -> None:
        for place in places:
            wanted = message(place)
            began = time.perf_counter()
            await client.submit(wanted.mobile, wanted.content, key=str(wanted.reference))
            times.append(time.perf_counter() - began)

    async with Ledger.open(where) as ledger, client_of(url, ledger, callers) as client:
        await asyncio.gather(*(caller(client) for _ in range(callers)))
    return times


async def rows(url: str, where: str, many: int) -> dict[str, float]:
    """Resume a run whose first message is open and all others are settled."""
    async with Ledger.open(where) as ledger, client_of(url, ledger, 100) as client:
        half = [*range(1, many // 2), many]  # the last of them is new
        sooner = await _first_sent(client, (message(place) for place in half))
        before, cpu, started = peak_mb(), time.process_time(), time.perf_counter()
        first = await _first_sent(client, (message(place) for place in range(many)), stays=True)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        told = await _only_told(many)
        after, started = peak_mb(), time.perf_counter()
        await ledger.summary("benchmark")
        summary = time.perf_counter() - started
    return {
        "sending_after_s": first,
        "sending_after_half_s": sooner,
        "replayed_row_us": seconds / many * 1e6,
        "replayed_row_cpu_us": cpu / many * 1e6,
        "only_told_row_us": told / many * 1e6,
        "memory_mb": after - before,
        "summary_s": summary,
    }


async def _first_sent(
    client: VoiceClient, messages: Iterable[Message], *, stays: bool = False
) -> float:
    """Return after how many seconds of a run something was sent that was not replayed."""
    began, first = time.perf_counter(), 0.0
    async with client.submit_many(messages, run="benchmark") as bulk:
        async for outcome in bulk:
            if not first and not outcome.replayed:
                first = time.perf_counter() - began
                if not stays:
                    break
    return first


async def _only_told(many: int) -> float:
    """Return how long it takes to make so many messages and outcomes, and to hand them over."""

    async def told() -> AsyncGenerator[Outcome]:
        for place in range(many):
            yield Outcome(message(place), OutcomeStatus.ACCEPTED, str(place), replayed=True)

    began = time.perf_counter()
    async for _ in told():
        pass
    return time.perf_counter() - began


async def resumable(url: str, where: str, many: int) -> None:
    """Send a run of 3,000 or so, to be killed."""
    async with Ledger.open(where) as ledger, client_of(url, ledger, 100) as client:
        messages = (message(place) for place in range(many))
        async with client.submit_many(messages, run="benchmark", takeover=True) as bulk:
            async for _ in bulk:
                pass


def child(what: str, url: str, where: str, *numbers: str) -> None:
    """Do one of these in this process, and print its figures."""
    jobs: dict[str, Callable[..., Any]] = {
        "run": run, "keys": keys, "rows": rows, "resumable": resumable,
    }  # fmt: skip
    print(json.dumps(asyncio.run(jobs[what](url, where, *map(int, numbers)))))


# --- the parent


@contextmanager
def place_of(kind: str, postgres: str) -> Generator[str]:
    """Yield where a new ledger is to be; nothing for none."""
    if kind in {POSTGRES, DBOS}:
        name = f"benchmark_{secrets.token_hex(4)}"
        asyncio.run(_execute(postgres, f"CREATE DATABASE {name}"))
        try:
            yield f"{postgres.rpartition('/')[0]}/{name}"
        finally:
            asyncio.run(_execute(postgres, f"DROP DATABASE {name} WITH (FORCE)"))
        return
    with tempfile.TemporaryDirectory() as folder:
        yield str(Path(folder) / "calls.db") if kind == SQLITE else ""


async def _execute(postgres: str, statement: str) -> None:
    connection = await asyncpg.connect(postgres)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def started(module: str, *given: object) -> "Popen[str]":
    """Start a child."""
    command = [sys.executable, "-m", *module.split(), *map(str, given)]
    return Popen(command, stdout=PIPE, text=True)  # noqa: S603 - ours


def result(process: "Popen[str]") -> Any:  # noqa: ANN401 - its JSON
    """Return what a process printed, once it has ended."""
    text, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"a child failed: {process.args!r}")
    return json.loads(text)


def compare_runs(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure runs side by side."""
    table: list[dict[str, Any]] = []
    for server_ms in (0, 20):
        runs: dict[str, list[dict[str, float]]] = {NONE: [], SQLITE: [], POSTGRES: [], DBOS: []}
        for _ in range(options.repeats):
            for kind, figures in runs.items():
                with vendor(server_ms) as url, place_of(kind, options.postgres) as where:
                    figures.append(result(_run_of(kind, url, where, options)))
        table += [_row(server_ms, kind, runs) for kind in runs]
    return table


def _run_of(kind: str, url: str, where: str, options: argparse.Namespace) -> "Popen[str]":
    if kind == DBOS:  # fewer, or it would take minutes
        return started("benchmarks.durable", url, where, min(options.messages, options.phones))
    return started(_OURS, "run", url, where, options.messages, 100)


def _row(server_ms: int, kind: str, runs: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    figures = runs[kind]
    medians = {name: statistics.median(each[name] for each in figures) for name in figures[0]}
    pairs = zip(figures, runs[NONE], strict=True)
    share = statistics.median(one["per_second"] / two["per_second"] for one, two in pairs)
    return {"what": "run", "server_ms": server_ms, "ledger": kind, **medians, "share": share}


def compare_keys(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure keyed calls from one process and from eight."""
    table: list[dict[str, Any]] = []
    for kind in (SQLITE, POSTGRES):
        for processes in (1, 8):
            with vendor() as url, place_of(kind, options.postgres) as where:
                table.append(_keyed(url, where, kind, processes, options.keys))
    return table


def _keyed(url: str, where: str, kind: str, processes: int, many: int) -> dict[str, Any]:
    result(started(_OURS, "keys", url, where, 1, 10**7, 1))  # the tables are there
    each, callers = many // processes, max(1, _CALLERS // processes)
    children = [
        started(_OURS, "keys", url, where, each, place * each, callers)
        for place in range(processes)
    ]
    spans = [result(process) for process in children]
    times = sorted(seconds for span in spans for seconds in span)
    # Each caller is always in a call, so that the sum of their times is the time it took.
    rate = sum(len(span) / (sum(span) / callers) for span in spans)
    return {
        "what": "keys", "ledger": kind, "processes": processes, "per_second": rate,
        "p50_ms": times[len(times) // 2] * 1e3, "p99_ms": times[len(times) * 99 // 100] * 1e3,
    }  # fmt: skip


def compare_rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure what a long run costs when it is resumed."""
    table: list[dict[str, Any]] = []
    for kind in (SQLITE, POSTGRES):
        with vendor() as url, place_of(kind, options.postgres) as where:
            result(started(_OURS, "run", url, where, 1_000, 100))
            size = asyncio.run(_multiplied(where, options.rows))
            figures = result(started(_OURS, "rows", url, where, options.rows))
            table.append({"what": "rows", "ledger": kind, "rows": options.rows,
                          "bytes_a_row": size / options.rows, **figures})  # fmt: skip
    return table


def compare_kills(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Count the phones that ring twice."""
    table: list[dict[str, Any]] = []
    for kind in (SQLITE, POSTGRES, DBOS):
        with vendor(20) as url, place_of(kind, options.postgres) as where:
            begun = time.perf_counter()
            _killed(kind, url, where, options.phones)
            called, twice = rung(url)
            table.append({
                "what": "kills", "ledger": kind, "phones": options.phones, "called": called,
                "rung_twice": twice, "seconds": time.perf_counter() - begun,
            })  # fmt: skip
    return table


def _killed(kind: str, url: str, where: str, phones: int) -> None:
    """Send to its end what is killed whenever another part of the phones has rung."""
    ours = (_OURS, "resumable") if kind != DBOS else ("benchmarks.durable",)
    for kill in range(1, _KILLS + 1):
        process = started(*ours, url, where, phones)
        while process.poll() is None and rung(url)[0] < phones * kill // (_KILLS + 1):
            time.sleep(0.005)
        process.kill()
        process.communicate()
    result(started(*ours, url, where, phones))


_COPY: Final = """
    INSERT INTO ihuyi_entries (run, key, part, mobile, content, reference, state, epoch, owner,
        ticket, attempts, begun_at, at, voice_id, code, text)
    SELECT run, 'm' || n, part, '139' || {digits}, content, 'm' || n, state, epoch, NULL, 0, 1,
        begun_at, at, CAST(n AS TEXT), code, text
    FROM {series} CROSS JOIN
        (SELECT * FROM ihuyi_entries WHERE key = 'm1' LIMIT 1) AS one
"""
_SQLITE_SERIES: Final = """(WITH RECURSIVE c(n) AS (SELECT {first} UNION ALL
    SELECT n + 1 FROM c WHERE n < {last}) SELECT n FROM c)"""


async def _multiplied(where: str, many: int) -> float:
    """Make so many settled entries of those that a run has left; return the size in bytes.

    The first of them, m0, is made open again.
    """
    first, last = 1_000, many - 1
    if "://" in where:
        copied = _COPY.format(
            digits="lpad(CAST(n AS TEXT), 8, '0')",
            series=f"generate_series({first}, {last}) AS n",
        )
        await _execute(where, copied)
        await _execute(where, "DELETE FROM ihuyi_entries WHERE key = 'm0'")
        await _execute(where, "ANALYZE ihuyi_entries")
        connection = await asyncpg.connect(where)
        size = float(await connection.fetchval("SELECT pg_total_relation_size('ihuyi_entries')"))
        await connection.close()
        return size
    series = _SQLITE_SERIES.format(first=first, last=last)
    with closing(sqlite3.connect(where, isolation_level=None)) as on:
        on.execute(_COPY.format(digits="printf('%08d', n)", series=series))
        on.execute("DELETE FROM ihuyi_entries WHERE key = 'm0'")
        on.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return float(Path(where).stat().st_size)  # noqa: ASYNC240 - nothing else runs


COMPARED: Final = {
    "runs": compare_runs,
    "keys": compare_keys,
    "rows": compare_rows,
    "kills": compare_kills,
}


def show(row: dict[str, Any]) -> None:
    """Print a row of figures."""
    told = (
        f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}"
        for name, value in row.items()
    )
    print(", ".join(told), flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", nargs="+", default=list(COMPARED), choices=list(COMPARED))
    parser.add_argument(
        "--postgres", default=os.environ.get("IHUYI_TEST_POSTGRES_URL", _POSTGRES_URL)
    )
    parser.add_argument("--messages", type=int, help="of each run")
    parser.add_argument("--keys", type=int, help="keyed calls in all")
    parser.add_argument("--rows", type=int, help="of the long run")
    parser.add_argument("--phones", type=int, help="of those that are killed")
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs="+")
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    defaults = _FULL if options.full else _SHORT
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    table: list[dict[str, Any]] = []
    for name in options.only:
        rows_of = COMPARED[name](options)
        table += rows_of
        for row in rows_of:
            show(row)
    if options.json:
        print(json.dumps(table, indent=2))


_SHORT: Final = {"messages": 4_000, "keys": 1_600, "rows": 20_000, "phones": 600, "repeats": 1}
_FULL: Final = {
    "messages": 20_000, "keys": 8_000, "rows": 1_000_000, "phones": 3_000, "repeats": 5,
}  # fmt: skip


if __name__ == "__main__":
    main()
