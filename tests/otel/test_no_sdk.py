"""Without an SDK nobody makes an event for a Telemetry; one that comes later is noticed."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.util._once import Once

from ihuyi_voice import VoiceClient
from ihuyi_voice.calls.events import Events
from ihuyi_voice.events import Event, LedgerCommitted, RunStarted, RunStopped, Settled, Submitted
from ihuyi_voice.events.every import EVERY
from ihuyi_voice.otel import Telemetry
from tests.support.vendor import CONTENT, MOBILE, in_process, vendor
from tests.support.virtual_time import run_virtual

LATER: Final = """
import asyncio, time
import ihuyi_voice.otel.telemetry as telemetry
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.support.vendor import CONTENT, in_process, vendor
from tests.support.virtual_time import run_virtual

async def main():
    hook = telemetry.Telemetry()
    async with in_process(vendor(), on_event=hook) as client:
        await client.submit("13900000000", CONTENT)
        spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
        traces = TracerProvider()
        traces.add_span_processor(SimpleSpanProcessor(spans))
        trace.set_tracer_provider(traces)
        metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))
        hook._look_at = 0.0
        await client.submit("13900000001", CONTENT)
        names = [span.name for span in spans.get_finished_spans()]
        data = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
        (count,) = [m for m in data if m.name == "ihuyi.voice.submissions"]
        print(names, [point.value for point in count.data.data_points])

run_virtual(main())
"""


def told(hook: Any, run: Callable[[VoiceClient], Any]) -> list[Event]:
    """Return the events that a hook was told, and hears."""
    events: list[Event] = []
    tell = Events.tell

    async def main() -> None:
        async with in_process(vendor(), on_event=hook) as client:
            await run(client)

    def watched(stream: Events, event: Event) -> None:
        events.append(event)
        tell(stream, event)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Events, "tell", watched)
        run_virtual(main())
    return events


async def both(client: VoiceClient) -> None:
    """Make a call, and a run."""
    await client.submit(MOBILE, CONTENT)
    async with client.submit_many([("13900000001", CONTENT)]) as run:
        assert [each.voice_id async for each in run] != [None]


def test_no_event_of_a_call_is_made() -> None:
    """Only those of runs, of which an SDK that comes meanwhile should know."""
    assert [type(event) for event in told(Telemetry(), both)] == [RunStarted, RunStopped]


@pytest.mark.parametrize(
    "providers",
    [
        {"tracer_provider": trace.NoOpTracerProvider()},
        {"meter_provider": metrics.NoOpMeterProvider()},
        {
            "tracer_provider": trace.ProxyTracerProvider(),
            "meter_provider": metrics.NoOpMeterProvider(),
        },
    ],
)
def test_providers_that_do_nothing_are_none(providers: dict[str, Any]) -> None:
    """The API's own, given by hand."""
    assert Submitted not in Telemetry(**providers).kinds


@pytest.mark.parametrize(
    "providers", [{"tracer_provider": TracerProvider()}, {"meter_provider": MeterProvider()}]
)
def test_one_provider_is_enough(providers: dict[str, Any]) -> None:
    """Spans without figures, or figures without spans."""
    assert Telemetry(**providers).kinds == EVERY
    assert Settled in {type(event) for event in told(Telemetry(**providers), both)}


def test_a_ledgers_commits_are_not_told_either() -> None:
    """Nor anything else that nobody keeps."""
    assert not {LedgerCommitted, Settled} & Telemetry().kinds


def test_it_looks_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """For to look costs more than all the rest."""
    now, looks = [100.0], list[float]()

    def look() -> object:
        looks.append(now[0])
        return trace.NoOpTracerProvider()

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", look)
    telemetry = Telemetry()
    looks.clear()
    for _ in range(100):
        assert Submitted not in telemetry.kinds
    now[0] += 1.0
    assert Submitted not in telemetry.kinds
    assert looks == [100.0, 101.0]


def test_an_sdk_that_comes_in_mid_call_finds_nothing_half_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The call in flight is not counted, and nothing stays in flight after it."""
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", None)
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER_SET_ONCE", Once())
    telemetry = Telemetry()

    async def main() -> None:
        async with in_process(vendor(latency=1.0), on_event=telemetry) as client:
            task = asyncio.create_task(client.submit(MOBILE, CONTENT))
            await asyncio.sleep(0.5)
            trace.set_tracer_provider(TracerProvider())
            telemetry._look_at = 0.0  # pyright: ignore[reportPrivateUsage]
            await client.submit("13900000001", CONTENT)
            await task

    run_virtual(main())
    assert not telemetry._figures._flying  # pyright: ignore[reportPrivateUsage]
    assert not telemetry._spans._calls  # pyright: ignore[reportPrivateUsage]


@pytest.mark.slow
def test_an_sdk_that_is_installed_later_is_noticed() -> None:
    """By the global providers, in a program of its own: they can be set once."""
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", LATER], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "['POST', 'ihuyi submit'] [1]", done.stderr
