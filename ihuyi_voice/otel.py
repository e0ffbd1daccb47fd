"""Spans and metrics of a client's calls by OpenTelemetry: `VoiceClient(on_event=Telemetry())`.

Needs the extra `otel`, which is the API alone: where spans and figures go is said by an SDK, and
without one next to nothing happens. A submission is a span, its attempts are child spans by the
conventions for HTTP clients, and an instrumentation of httpx makes its spans children of those. No
secret, no query and no number is in any of it.

Metrics (seconds, and counts):

    ihuyi.voice.submissions          counter    by status and code; replayed ones apart
    ihuyi.voice.submission.duration  histogram  by status
    ihuyi.voice.wait                 histogram  by cause: guard, ledger, connection, retry
    ihuyi.voice.in_flight            up-down    attempts being made
    ihuyi.voice.cut_off              counter    callers that were cancelled, by in_flight
    ihuyi.voice.runs                 up-down    runs, and parts of runs that workers have
    ihuyi.voice.deferred             gauge      messages of runs that are held back until later
    ihuyi.voice.pushes               counter    by kind and status; see `Telemetry.pushed`
"""

from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from ihuyi_voice.calls import (
    AttemptEnded,
    AttemptStarted,
    CutOff,
    Event,
    RetryEvent,
    RunStarted,
    RunStopped,
    Settled,
    Submitted,
    Waited,
)
from ihuyi_voice.models import DeliveryReport, OutcomeStatus, TemplateAudit

if TYPE_CHECKING:
    from contextvars import Token

try:
    from opentelemetry import context, metrics, trace
except ImportError as error:
    raise ImportError("ihuyi_voice.otel needs an extra: pip install 'ihuyi-voice[otel]'") from error

_NAME: Final = "ihuyi_voice"
_P = TypeVar("_P", DeliveryReport, TemplateAudit)


class Telemetry:
    """What `on_event` is told, as spans and metrics; one may serve many clients.

    Args:
        tracer_provider: Makes the spans; None for OpenTelemetry's own choice.
        meter_provider: Keeps the metrics; None for OpenTelemetry's own choice.
    """

    def __init__(
        self,
        *,
        tracer_provider: "trace.TracerProvider | None" = None,
        meter_provider: "metrics.MeterProvider | None" = None,
    ) -> None:
        self._tracer = trace.get_tracer(_NAME, tracer_provider=tracer_provider)
        self._metrics = _Metrics(metrics.get_meter(_NAME, meter_provider=meter_provider))
        self._calls: dict[int, trace.Span] = {}
        self._attempts: dict[int, tuple[trace.Span, Token[context.Context]]] = {}
        self._handlers: dict[type, Callable[[Any], None]] = {
            Submitted: self._submitted,
            Waited: lambda event: self._metrics.waited(event.cause, event.seconds),
            AttemptStarted: self._attempt_started,
            AttemptEnded: self._attempt_ended,
            RetryEvent: self._retried,
            Settled: self._settled,
            CutOff: self._cut_off,
            RunStarted: self._metrics.run_started,
            RunStopped: self._metrics.run_stopped,
        }

    def __call__(self, event: Event) -> None:
        """Take an event."""
        self._handlers[type(event)](event)

    def pushed(self, handler: Callable[[_P], Awaitable[None]]) -> Callable[[_P], Awaitable[None]]:
        """Return a handler of pushes, for `PushReceiver`, that counts what it hands on."""

        async def counted(push: _P) -> None:
            self._metrics.pushed(push)
            await handler(push)

        return counted

    # --- spans

    def _submitted(self, event: Submitted) -> None:
        span = self._tracer.start_span("ihuyi submit", kind=trace.SpanKind.INTERNAL)
        if span.is_recording():
            self._calls[event.call] = span

    def _attempt_started(self, event: AttemptStarted) -> None:
        self._metrics.in_flight.add(1)
        parent = self._calls.get(event.call)
        if parent is None:
            return
        resent = {"http.request.resend_count": event.attempt - 1} if event.attempt > 1 else {}
        span = self._tracer.start_span(
            event.method,
            context=trace.set_span_in_context(parent),
            kind=trace.SpanKind.CLIENT,
            attributes={**_request(event.method, event.url), **resent},
        )
        # Told within the attempt's own task: httpx's spans become children of this one.
        self._attempts[event.call] = span, context.attach(trace.set_span_in_context(span))

    def _attempt_ended(self, event: AttemptEnded) -> None:
        self._metrics.in_flight.add(-1)
        span, token = self._attempts.pop(event.call, (None, None))
        if span is None or token is None:
            return
        context.detach(token)
        if event.http_status is not None:
            span.set_attribute("http.response.status_code", event.http_status)
        if event.error is not None:
            span.set_attribute("error.type", type(event.error).__name__)
            span.set_status(trace.StatusCode.ERROR)
        span.end()

    def _retried(self, event: RetryEvent) -> None:
        self._metrics.waited("retry", event.delay)
        span = None if event.call is None else self._calls.get(event.call)
        if span is not None:
            told: dict[str, Any] = {"delay": event.delay, "error.type": type(event.error).__name__}
            span.add_event("retry", told)

    def _settled(self, event: Settled) -> None:
        self._metrics.settled(event)
        span = None if event.call is None else self._calls.pop(event.call, None)
        if span is None:
            return
        span.set_attributes({name: value for name, value in _facts(event) if value is not None})
        if event.status is not OutcomeStatus.ACCEPTED:
            span.set_status(trace.StatusCode.ERROR, event.status.value)
        span.end()

    def _cut_off(self, event: CutOff) -> None:
        self._metrics.cut_off.add(1, {"in_flight": event.in_flight})
        span = self._calls.pop(event.call, None)
        if span is not None:
            span.set_attribute("error.type", type(event.error).__name__)
            span.set_status(trace.StatusCode.ERROR, "cut off")
            span.end()


@lru_cache(maxsize=64)
def _request(method: str, url: str) -> dict[str, Any]:
    """Return what all attempts at an address have in common, by the conventions for HTTP."""
    parts = urlsplit(url)
    return {
        "http.request.method": method,
        "server.address": parts.hostname or "",
        "server.port": parts.port or (443 if parts.scheme == "https" else 80),
        "url.full": url,
    }


def _facts(event: Settled) -> Iterable[tuple[str, Any]]:
    yield "ihuyi.status", event.status.value
    yield "ihuyi.code", event.code
    yield "ihuyi.voice_id", event.voice_id
    yield "ihuyi.attempts", event.attempts
    yield "error.type", None if event.error is None else type(event.error).__name__
    if event.timing is not None:
        yield "ihuyi.wait.guard", event.timing.guard
        yield "ihuyi.wait.ledger", event.timing.ledger
        yield "ihuyi.wait.pool", event.timing.pool
        yield "ihuyi.wait.backoff", event.timing.backoff


class _Metrics:
    """The instruments, by the names above."""

    def __init__(self, meter: "metrics.Meter") -> None:
        prefix = "ihuyi.voice"
        self.in_flight = meter.create_up_down_counter(f"{prefix}.in_flight")
        self.cut_off = meter.create_counter(f"{prefix}.cut_off")
        self._submissions = meter.create_counter(f"{prefix}.submissions")
        self._durations = meter.create_histogram(f"{prefix}.submission.duration", unit="s")
        self._waits = meter.create_histogram(f"{prefix}.wait", unit="s")
        self._pushes = meter.create_counter(f"{prefix}.pushes")
        self._runs = meter.create_up_down_counter(f"{prefix}.runs")
        meter.create_observable_gauge(f"{prefix}.deferred", [self._deferred])
        self._running: dict[int, RunStarted] = {}

    def waited(self, cause: str, seconds: float) -> None:
        """Record a wait."""
        self._waits.record(seconds, {"cause": cause})

    def settled(self, event: Settled) -> None:
        """Count an outcome, and how long it took."""
        told: dict[str, Any] = {"status": event.status.value, "replayed": event.replayed}
        if event.code is not None:
            told["code"] = event.code
        self._submissions.add(1, told)
        if event.timing is not None:
            self._durations.record(event.timing.total, {"status": event.status.value})

    def pushed(self, push: DeliveryReport | TemplateAudit) -> None:
        """Count a push."""
        if isinstance(push, DeliveryReport):
            self._pushes.add(1, {"kind": "report", "status": push.status.value})
        else:
            self._pushes.add(1, {"kind": "audit", "approved": push.approved})

    def run_started(self, event: RunStarted) -> None:
        """Begin to watch a run."""
        self._running[event.run] = event
        self._runs.add(1)

    def run_stopped(self, event: RunStopped) -> None:
        """Watch it no longer."""
        if self._running.pop(event.run, None) is not None:
            self._runs.add(-1)

    def _deferred(self, _: "metrics.CallbackOptions") -> Iterable["metrics.Observation"]:
        running = list(self._running.values())
        yield metrics.Observation(sum(run.look().deferred for run in running))
