"""What OpenTelemetry's own SDK has kept, in memory."""

from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ihuyi_voice.otel import Telemetry


class Seen:
    """A Telemetry, and what came of it."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self.traces = traces = TracerProvider()
        traces.add_span_processor(SimpleSpanProcessor(self._spans))
        self._reader = InMemoryMetricReader()
        meters = MeterProvider(metric_readers=[self._reader])
        self.telemetry = Telemetry(tracer_provider=traces, meter_provider=meters)

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """Those that have ended, in that order."""
        return self._spans.get_finished_spans()

    def data(self) -> list[Metric]:
        """Return what each instrument has."""
        data = self._reader.get_metrics_data()
        return [
            metric
            for resource in (() if data is None else data.resource_metrics)
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]

    def metrics(self) -> dict[str, list[tuple[dict[str, Any], float]]]:
        """Return each instrument's points: attributes, and value or count."""
        return {
            metric.name: [
                (dict(point.attributes or {}), getattr(point, "count", getattr(point, "value", 0)))
                for point in metric.data.data_points
            ]
            for metric in self.data()
        }
