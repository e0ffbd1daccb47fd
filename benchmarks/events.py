"""What it costs a submission that somebody listens: to events, with OpenTelemetry's SDK or without.

    python -m benchmarks.events [--messages 2000] [--rounds 15] [--only nobody …] [--json]

One process, a client for each way of listening, and a stub of the vendor in another process. In
each round every way sends as many messages by `submit_many`, in turn and from another start each
time; the time is the process's own CPU time. Shown are the median of the rounds, and the median of
its differences to `nobody` in the same round: what else the machine does then cancels out.

Beside it stands a span of OpenTelemetry without an SDK, begun and ended as `ihuyi_voice.otel` does,
and by its context manager.
"""

import argparse
import asyncio
import json
import statistics
import time
import timeit
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import count
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from benchmarks.clients import ACCOUNT, CONTENT, KEY
from benchmarks.vendor import vendor
from ihuyi_voice import VoiceClient
from ihuyi_voice.events import Settled

NOBODY: Final = "nobody"
_CONCURRENCY: Final = 50
_numbers = count()


def _takes(_: object) -> None:
    """Take an event, and do nothing."""


class _Chooses:
    """A hook that wants to hear of outcomes alone."""

    kinds: Final = frozenset({Settled})

    def __call__(self, event: object) -> None:
        """Take an event, and do nothing."""


def telemetry(*, sdk: bool) -> Callable[[Any], None]:
    """Return a Telemetry, whose spans and figures an SDK keeps or nobody does."""
    from ihuyi_voice.otel import Telemetry  # noqa: PLC0415 - only who listens by it pays for it

    if not sdk:
        return Telemetry()
    meters = MeterProvider(metric_readers=[InMemoryMetricReader()])
    return Telemetry(tracer_provider=TracerProvider(), meter_provider=meters)


WAYS: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    NOBODY: dict,
    "a hook that does nothing": lambda: {"on_event": _takes},
    "a hook of outcomes alone": lambda: {"on_event": _Chooses()},
    "Telemetry, no SDK": lambda: {"on_event": telemetry(sdk=False)},
    "Telemetry, SDK": lambda: {"on_event": telemetry(sdk=True)},
}


async def send(client: VoiceClient, many: int) -> float:
    """Send so many messages; return the CPU time of one, in microseconds."""
    messages = [(f"139{next(_numbers):08d}", CONTENT) for _ in range(many)]
    began = time.process_time()
    async with client.submit_many(messages, concurrency=_CONCURRENCY) as run:
        async for outcome in run:
            assert outcome.voice_id  # noqa: S101 - or it measures something else
    return (time.process_time() - began) / many * 1e6


async def measure(url: str, ways: list[str], many: int, rounds: int) -> dict[str, list[float]]:
    """Return the CPU times of each way, a round each."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    async with AsyncExitStack() as stack:
        clients = {
            way: await stack.enter_async_context(
                VoiceClient(ACCOUNT, KEY, base_url=url, **WAYS[way]())
            )
            for way in ways
        }
        for client in clients.values():
            await send(client, 8 * _CONCURRENCY)  # all connections are open then
        for place in range(rounds):
            first = place % len(ways)
            for way in ways[first:] + ways[:first]:
                times[way].append(await send(clients[way], many))
    return times


def spans() -> dict[str, float]:
    """Return the microseconds that a span costs without an SDK, by how it is made."""
    tracer = trace.get_tracer("benchmark")

    def managed() -> None:
        with tracer.start_as_current_span("x"):
            pass

    forms = {
        "a span, begun and ended": lambda: tracer.start_span("x").end(),
        "a span, by its context manager": managed,
    }
    many = 20_000
    return {
        form: min(timeit.repeat(make, number=many, repeat=7)) / many * 1e6
        for form, make in forms.items()
    }


def table(times: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Return each way's medians."""
    base = times.get(NOBODY)
    rows: dict[str, dict[str, float]] = {}
    for way, each in times.items():
        rows[way] = {"cpu_us": statistics.median(each)}
        if base is not None:
            differences = [one - other for one, other in zip(each, base, strict=True)]
            rows[way]["more_us"] = statistics.median(differences)
    return rows


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with vendor() as url:
        times = asyncio.run(measure(url, options.only, options.messages, options.rounds))
    rows, costs = table(times), spans()
    if options.json:
        print(json.dumps({"ways": rows, "spans_us": costs}, indent=2))
        return
    print(f"{'who listens':34}{'µs CPU a message':>18}{'more':>8}")
    for way, row in rows.items():
        print(f"{way:34}{row['cpu_us']:>18.1f}{row.get('more_us', 0.0):>8.1f}")
    for form, cost in costs.items():
        print(f"{form:34}{'':18}{cost:>8.2f}")


if __name__ == "__main__":
    main()
