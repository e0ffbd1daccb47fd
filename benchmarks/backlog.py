"""What a push costs in an inbox that holds a million others, half of them pending.

    python -m benchmarks.backlog [--stored 1000000] [--pending 500000] [--url postgresql://…]
        [--table ihuyi_backlog] [--json]

The same is measured in an empty inbox, in a full one whose statistics are from when it was empty,
and in a full one that has just been analyzed: to store a push, one after another (ms) and as many
as arrive at once (a second); to claim pushes and to end the claims, twenty a turn (a second); to
have them handled by a handler that does nothing (a second); `report_of`, a look of `reports()` that
finds one, and `counts()` (ms). Beside each stands its ratio to the empty one. Milliseconds are
those of the fastest tenth, for this is about what the inbox costs, and not about the disk's bad
moments. The table is dropped.
"""

import argparse
import asyncio
import json
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.parse import urlencode

from ihuyi_voice.protocol import Push, parse_push
from ihuyi_voice.pushes import DeliveryReport, Inbox, PushState
from ihuyi_voice.pushes.claims import Terms, Verdict
from ihuyi_voice.pushes.store import Store
from ihuyi_voice.storage import Address

HEADER = "application/x-www-form-urlencoded"
BODY = (
    "code=2&msg=%E6%88%90%E5%8A%9F&mobilephone=13900000000&talktime=12&voiceid={id}"
    "&report_time=2018-05-24+17%3A46%3A50"
)
ONE_BY_ONE = 300
AT_ONCE = 500
WAVES = 25
HANDLED = 5000
TURNS = 200
OFTEN = 100
FIRST = 70_000_000  # the first voice id of what is measured; what fills the inbox has others
COPY = """
INSERT INTO {t} (key, kind, subject, rank, body, content_type, received_at, state, tries, due)
WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})
SELECT 'k{pad}' || i, 'report', CAST(10000000 + i AS TEXT), 3054310420,
CAST('{body}' AS {blob}), '{header}', 1500000000 + i, '{state}', {tries}, {due} FROM n
"""


class Place:
    """Where the inbox is, by the database's own means.

    Args:
        url: A path, or a URL of PostgreSQL.
        table: The table.
    """

    def __init__(self, url: str, table: str) -> None:
        self.url = url
        self.table = table
        self.is_postgres = "://" in url

    async def execute(self, *statements: str) -> None:
        """Execute statements, each by itself."""
        if self.is_postgres:
            import asyncpg  # noqa: PLC0415 - an extra

            connection = await asyncpg.connect(self.url)
            for statement in statements:
                await connection.execute(statement)
            await connection.close()
        else:
            on = sqlite3.connect(self.url, isolation_level=None)
            for statement in statements:
                on.execute(statement)
            on.close()

    async def fill(self, stored: int, pending: int) -> None:
        """Store so many pushes more, so many of which are pending, the latest ones."""
        done = stored - pending
        blob = "bytea" if self.is_postgres else "blob"
        parts = ((1, done, "handled", 1, "NULL"), (done + 1, stored, "pending", 0, "0"))
        for first, last, state, tries, due in parts:
            if last >= first:
                names = {"first": first, "last": last, "state": state, "tries": tries, "due": due}
                body, pad = BODY.format(id="10000000"), "0" * 55
                sql = COPY.format(
                    t=self.table, body=body, pad=pad, blob=blob, header=HEADER, **names
                )
                await self.execute(sql)
        counted = f"UPDATE {self.table}_counts SET pushes = pushes +"  # noqa: S608 - ours
        await self.execute(
            f"{counted} {done} WHERE state = 'handled'",
            f"{counted} {pending} WHERE state = 'pending'",
        )

    async def size(self) -> int:
        """Return the bytes that the inbox takes, with its indexes."""
        if not self.is_postgres:
            await self.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return Path(self.url).stat().st_size  # noqa: ASYNC240 - once
        import asyncpg  # noqa: PLC0415 - an extra

        connection = await asyncpg.connect(self.url)
        size = await connection.fetchval(f"SELECT pg_total_relation_size('{self.table}')")
        await connection.close()
        return int(size)

    async def make(self) -> None:
        """Make the table, which gets statistics while it is empty, and none afterwards."""
        async with Inbox.open(self.url, table=self.table):
            pass
        if self.is_postgres:
            await self.execute(f"ALTER TABLE {self.table} SET (autovacuum_enabled = off)")
        await self.execute("ANALYZE")

    async def drop(self) -> None:
        """Leave nothing behind."""
        if self.is_postgres:
            await self.execute(
                f"DROP TABLE IF EXISTS {self.table}, {self.table}_counts",
                f"DELETE FROM ihuyi_schema WHERE name = '{self.table}'",  # noqa: S608 - ours
            )
        else:
            Path(self.url).unlink()  # noqa: ASYNC240 - once


def push(number: int) -> Push:
    """Return a report."""
    fields = {"code": "2", "msg": "成功", "mobilephone": "13900000000", "talktime": "12"}
    fields |= {"voiceid": str(FIRST + number), "report_time": "2018-05-24 17:46:50"}
    return parse_push(urlencode(fields).encode(), HEADER)


async def milliseconds(times: int, act: Callable[[int], Awaitable[object]]) -> float:
    """Return what an act takes, with as little as may be of what others do to the machine."""
    taken: list[float] = []
    for number in range(times):
        started = time.perf_counter()
        await act(number)
        taken.append(time.perf_counter() - started)
    return quantiles(taken, n=10)[0] * 1e3


async def turns(store: Store) -> float:
    """Return how many pushes a second are claimed and ended, twenty a turn."""
    claims = await store.turn([], {"report": 20}, Terms(60.0, 10))
    started, done = time.perf_counter(), 0
    for _ in range(TURNS):
        verdicts = [Verdict(claim, PushState.HANDLED) for claim in claims]
        claims = await store.turn(verdicts, {"report": 20}, Terms(60.0, 10))
        done += len(verdicts)
    rate = done / (time.perf_counter() - started)
    await store.turn([Verdict(each, PushState.HANDLED) for each in claims], {}, Terms(60.0, 10))
    return rate


async def handled(place: Place) -> float:
    """Return how many pushes a second are handled by a handler that does nothing."""
    seen, enough = 0, asyncio.Event()

    async def on_report(_: DeliveryReport) -> None:
        nonlocal seen
        seen += 1
        if seen == HANDLED:
            enough.set()

    inbox = Inbox.open(place.url, table=place.table)
    inbox.handle(on_report=on_report)
    async with inbox:
        started = time.perf_counter()
        await enough.wait()
        return HANDLED / (time.perf_counter() - started)


async def measure(place: Place, first: int) -> dict[str, float]:
    """Measure everything, with pushes of which the first has this number."""
    pushes = [push(first + number) for number in range(ONE_BY_ONE + AT_ONCE * WAVES)]
    figures: dict[str, float] = {}
    async with Inbox.open(place.url, table=place.table) as inbox:
        figures["store_ms"] = await milliseconds(ONE_BY_ONE, lambda n: inbox.put(pushes[n]))
        wave_ms = await milliseconds(
            WAVES,
            lambda n: asyncio.gather(
                *(inbox.put(each) for each in pushes[ONE_BY_ONE + AT_ONCE * n :][:AT_ONCE])
            ),
        )
        figures["stored_a_second"] = AT_ONCE / wave_ms * 1e3
        figures["report_of_ms"] = await milliseconds(
            OFTEN, lambda n: inbox.report_of(str(FIRST + first + n), timeout=5)
        )
        seq = (await inbox.report_of(str(FIRST + first), timeout=5)).seq or 0
        figures["reports_ms"] = await milliseconds(OFTEN, lambda n: anext(inbox.reports(seq + n)))
        figures["counts_ms"] = await milliseconds(OFTEN, lambda _: inbox.counts())
    store = Store(Address.parse(place.url), place.table, tries_within=3600.0)
    async with store:
        figures["claimed_a_second"] = await turns(store)
    figures["handled_a_second"] = await handled(place)
    return figures


async def run(options: argparse.Namespace, place: Place) -> dict[str, Any]:
    """Measure the empty inbox and the full one."""
    figures: dict[str, Any] = {}
    await place.make()
    figures["empty"] = await measure(place, 0)
    await place.drop()
    await place.make()
    before = await place.size()
    await place.fill(options.stored, options.pending)
    figures["bytes_a_push"] = (await place.size() - before) / options.stored
    figures["old statistics"] = await measure(place, 1_000_000)
    await place.execute("ANALYZE")
    figures["fresh statistics"] = await measure(place, 2_000_000)
    await place.drop()
    return figures


def show(figures: dict[str, Any]) -> None:
    """Print the figures, and how they compare with those of the empty inbox."""
    print(f"{figures['bytes_a_push']:.0f} bytes a push")
    for name, empty in figures["empty"].items():
        line = f"{name:18}{empty:12.2f}"
        for full in ("old statistics", "fresh statistics"):
            line += f"{figures[full][name]:12.2f} ({figures[full][name] / empty:.2f})"
        print(line)


def main() -> None:
    """Run everything and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stored", type=int, default=1_000_000)
    parser.add_argument("--pending", type=int, default=500_000)
    parser.add_argument("--url", help="PostgreSQL; a temporary SQLite file by default")
    parser.add_argument("--table", default="ihuyi_backlog")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Place(options.url or str(Path(folder) / "pushes.sqlite3"), options.table)
        figures = asyncio.run(run(options, place))
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures)


if __name__ == "__main__":
    main()
