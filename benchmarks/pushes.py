"""How many pushes a second are acknowledged, stored durably in SQLite, and how fast.

    python -m benchmarks.pushes [--pushes 20000] [--connections 64] [--rate 500] [--seconds 10]
        [--handle] [--stored 1000000 --pending 500000] [--url postgresql://…] [--json]

The receiver runs in another process under uvicorn, which is held to one core where the system
can. First as many pushes as it takes, from so many connections; then a steady rate, of which the
times to the answer count. `--handle` gives the receiver a handler, which then runs meanwhile.
`--stored` makes an inbox that holds so many pushes, so many of which are `--pending` (on PostgreSQL
it takes the place of the table `ihuyi_pushes`). `python -m benchmarks.backlog` says what else that
costs.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil

from benchmarks.backlog import Place

TOKEN = "benchmark"  # noqa: S105 - guards nothing
ANSWER = b"success"


def serve(url: str, *, handle: bool) -> None:
    """Be the receiver: print the port, then serve until the parent ends this process."""
    import uvicorn  # noqa: PLC0415 - only the server needs it

    from ihuyi_voice.pushes import DeliveryReport, Inbox, PushReceiver  # noqa: PLC0415 - likewise

    async def on_report(_: DeliveryReport) -> None:
        """Do nothing, which costs the claim and its end."""

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    receiver = PushReceiver(Inbox.open(url), token=TOKEN, on_report=on_report if handle else None)
    config = uvicorn.Config(receiver, port=0, log_level="warning", access_log=False)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(self.servers[0].sockets[0].getsockname()[1], flush=True)

    Server(config).run()


@contextmanager
def receiver(url: str, *, handle: bool) -> Generator[tuple[int, int]]:
    """Run the receiver in another process; yield its port and its process id."""
    command = [sys.executable, "-m", "benchmarks.pushes", "--serve", url]
    command += ["--handle"] if handle else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    try:
        assert process.stdout is not None  # noqa: S101 - asked for above
        yield int(process.stdout.readline()), process.pid
    finally:
        process.terminate()
        process.wait()


def request(place: int) -> bytes:
    """Return one push as the vendor sends it."""
    fields = {
        "code": "2",
        "msg": "成功",
        "mobilephone": f"139{place % 10**8:08d}",
        "talktime": "12",
        "voiceid": str(60_495_654 + place),
        "report_time": "2018-05-24 17:46:50",
    }
    body = urlencode(fields).encode()
    head = (
        f"POST /{TOKEN} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )
    return head.encode() + body


class Connection:
    """One connection to the receiver, with one push at a time on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> "Connection":
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def push(self, place: int) -> float:
        """Send a push and return the seconds until its answer."""
        started = time.perf_counter()
        self._writer.write(request(place))
        await self._reader.readuntil(b"\r\n\r\n")
        answer = await self._reader.readexactly(len(ANSWER))
        if answer != ANSWER:
            raise ValueError(answer)
        return time.perf_counter() - started

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def flood(port: int, pushes: int, connections: int) -> float:
    """Push as fast as answers come, and return the pushes a second."""
    places = iter(range(pushes))

    async def run() -> None:
        connection = await Connection.open(port)
        for place in places:
            await connection.push(place)
        connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(run() for _ in range(connections)))
    return pushes / (time.perf_counter() - started)


async def steady(port: int, rate: float, seconds: float, first: int) -> list[float]:
    """Push at a steady rate; return the sorted seconds from each push's due time to its answer."""
    loop = asyncio.get_running_loop()
    idle: list[Connection] = []
    started = loop.time() + 0.1

    async def one(number: int) -> float:
        due = started + number / rate
        await asyncio.sleep(due - loop.time())
        # The one that has been idle longest, or the server would close it after 5 s.
        connection = idle.pop(0) if idle else await Connection.open(port)
        await connection.push(first + number)
        idle.append(connection)
        return loop.time() - due

    times = await asyncio.gather(*(one(number) for number in range(int(rate * seconds))))
    for connection in idle:
        connection.close()
    return sorted(times)


async def prepare(place: Place, stored: int, pending: int) -> None:
    """Make an inbox that holds so many pushes."""
    if place.is_postgres:
        await place.drop()
    await place.make()
    await place.fill(stored, pending)


async def measure(options: argparse.Namespace, port: int, pid: int) -> dict[str, Any]:
    """Run both and return the figures."""
    process = psutil.Process(pid)
    await flood(port, 500, options.connections)  # warm up
    before = sum(process.cpu_times()[:2])
    rate = await flood(port, options.pushes, options.connections)
    cpu = sum(process.cpu_times()[:2]) - before
    times = await steady(port, options.rate, options.seconds, options.pushes)
    return {
        "acknowledged_a_second": rate,
        "cpu_us_a_push": cpu / options.pushes * 1e6,
        "rate": options.rate,
        "p50_ms": times[len(times) // 2] * 1e3,
        "p99_ms": times[len(times) * 99 // 100] * 1e3,
        "max_ms": times[-1] * 1e3,
    }


def main() -> None:
    """Run everything and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pushes", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--handle", action="store_true")
    parser.add_argument("--stored", type=int, default=0)
    parser.add_argument("--pending", type=int, default=0)
    parser.add_argument("--url", help="the inbox; a temporary SQLite file by default")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve")
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, handle=options.handle)
        return
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or str(Path(folder) / "pushes.sqlite3")
        if options.stored:
            asyncio.run(prepare(Place(url, "ihuyi_pushes"), options.stored, options.pending))
        with receiver(url, handle=options.handle) as (port, pid):
            figures = asyncio.run(measure(options, port, pid))
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, figure in figures.items():
            print(f"{name:24}{figure:10.1f}")


if __name__ == "__main__":
    main()
