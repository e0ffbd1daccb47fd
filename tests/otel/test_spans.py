"""Spans and metrics by OpenTelemetry's own SDK, in memory."""

import asyncio
import subprocess
import sys
from contextlib import suppress
from typing import Any, cast
from unittest.mock import MagicMock

import pytest
from opentelemetry.context import Context
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    SamplingResult,
)
from opentelemetry.trace import SpanKind, get_current_span

from ihuyi_voice import DeliveryReport, Operation, OutcomeStatus, VoiceClient, VoiceError
from ihuyi_voice.events import (
    AttemptEnded,
    AttemptStarted,
    CutOff,
    LedgerFailed,
    PartOpened,
    PartWorked,
    PushQuarantined,
    RetryEvent,
    RunStopped,
    Settled,
    Submitted,
    WorkerTroubled,
)
from ihuyi_voice.models import Timing
from ihuyi_voice.otel import Telemetry
from ihuyi_voice.simulator import Fault, Simulator
from tests.otel.seen import Seen
from tests.support.vendor import BASE_URL, CONTENT, MOBILE, in_process, vendor
from tests.support.virtual_time import run_virtual

SECRET = "0123456789abcdef0123456789abcdef"


async def call(seen: Seen, *faults: Fault) -> None:
    """Make one call."""
    async with in_process(vendor(*faults), on_event=seen.telemetry) as client:
        with suppress(VoiceError):
            await client.submit(MOBILE, CONTENT)


def test_a_submission_is_a_span_and_its_attempts_are_its_children() -> None:
    """By the conventions for HTTP; no number, no query, no secret."""
    seen = Seen()
    run_virtual(call(seen, Fault("code", code=0, times=1)))
    first, second, whole = seen.spans
    assert (whole.name, first.name, second.name) == ("ihuyi submit", "POST", "POST")
    assert first.parent is not None
    assert whole.context is not None
    assert first.parent.span_id == whole.context.span_id
    attributes = dict(second.attributes or {})
    assert second.kind is SpanKind.CLIENT
    assert attributes == {
        "http.request.method": "POST",
        "server.address": "vendor.test",
        "server.port": 80,
        "url.full": BASE_URL,
        "http.request.resend_count": 1,
        "http.response.status_code": 200,
    }
    assert dict(first.attributes or {})["error.type"] == "SubmissionFailed"
    told = dict(whole.attributes or {})
    assert (told["ihuyi.status"], told["ihuyi.code"], told["ihuyi.attempts"]) == ("ACCEPTED", 2, 2)
    assert {"ihuyi.wait.guard", "ihuyi.wait.pool"} <= set(told)
    assert [event.name for event in whole.events] == ["retry"]
    everything = "".join(span.to_json() for span in seen.spans)
    assert MOBILE not in everything
    assert "simulator-key" not in everything


def test_outcomes_waits_and_attempts_are_counted() -> None:
    """By status and code; nothing is left in flight."""
    seen = Seen()
    run_virtual(call(seen, Fault("code", code=4072)))
    run_virtual(call(seen))
    metrics = seen.metrics()
    counted = [(told["status"], told["code"], n) for told, n in metrics["ihuyi.voice.submissions"]]
    assert sorted(counted) == [("ACCEPTED", 2, 1), ("REJECTED", 4072, 1)]
    assert metrics["ihuyi.voice.in_flight"] == [({}, 0)]
    assert sum(count for _, count in metrics["ihuyi.voice.submission.duration"]) == 2


async def test_spans_of_an_instrumented_httpx_are_children_of_our_attempts() -> None:
    """Through our own pool; nothing stays attached afterwards."""
    seen = Seen()
    simulator = Simulator(limits=())
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=seen.traces)
    try:
        async with simulator.serve() as url:
            options: dict[str, Any] = {"base_url": url, "on_event": seen.telemetry}
            async with VoiceClient(simulator.account, simulator.api_key, **options) as client:
                await client.submit(MOBILE, CONTENT)
                async with client.submit_many([("13900000001", CONTENT)]) as run:
                    assert [each.voice_id async for each in run] != [None]
    finally:
        instrumentor.uninstrument()
    for httpx_span, attempt, whole in (seen.spans[:3], seen.spans[3:]):
        assert (httpx_span.name, attempt.name, whole.name) == ("POST", "POST", "ihuyi submit")
        assert httpx_span.parent == attempt.context
        assert attempt.parent == whole.context
    assert not get_current_span().is_recording()


def test_a_submission_is_a_child_of_what_its_caller_does() -> None:
    """A run's as well, however late they start."""
    seen = Seen()

    async def main() -> None:
        async with in_process(vendor(), on_event=seen.telemetry) as client:
            with seen.traces.get_tracer("shop").start_as_current_span("order"):
                await client.submit(MOBILE, CONTENT)
            with seen.traces.get_tracer("shop").start_as_current_span("reminders"):
                async with client.submit_many([(MOBILE, CONTENT)] * 2) as run:
                    assert len([each async for each in run]) == 2

    run_virtual(main())
    named = {span.context.span_id: span.name for span in seen.spans if span.context}
    parents = [
        named[span.parent.span_id]
        for span in seen.spans
        if span.name == "ihuyi submit" and span.parent is not None
    ]
    assert parents == ["order", "reminders", "reminders"]


def test_a_run_is_watched_until_it_ends() -> None:
    """What it holds back is a gauge."""
    seen = Seen()
    deferred: list[float] = []

    async def main() -> None:
        messages = [(MOBILE, f"您的订单号是：{n}。") for n in range(3)]
        async with in_process(vendor(), on_event=seen.telemetry) as client:
            async with client.submit_many(messages) as run:
                deferred.extend([seen.metrics()["ihuyi.voice.deferred"][0][1] async for _ in run])

    run_virtual(main())
    assert deferred[0] >= 1
    assert seen.metrics()["ihuyi.voice.deferred"] == [({}, 0)]
    assert seen.metrics()["ihuyi.voice.runs"] == [({}, 0)]


def test_a_caller_that_is_cancelled_ends_its_span() -> None:
    """And is counted."""
    seen = Seen()

    async def main() -> None:
        async with in_process(vendor(Fault("silence")), on_event=seen.telemetry) as client:
            task = asyncio.create_task(client.submit(MOBILE, CONTENT))
            await asyncio.sleep(1.0)
            task.cancel()
            await asyncio.wait({task})

    run_virtual(main())
    assert [span.name for span in seen.spans] == ["POST", "ihuyi submit"]
    assert seen.metrics()["ihuyi.voice.cut_off"] == [({"in_flight": True}, 1)]
    assert not get_current_span().is_recording()


async def test_pushes_are_counted_on_their_way_to_the_handler() -> None:
    """By kind and status."""
    seen, handled = Seen(), list[str]()

    async def on_report(report: DeliveryReport) -> None:
        handled.append(report.voice_id)

    counted = seen.telemetry.pushed(on_report)
    await counted(DeliveryReport("7", 2, MOBILE))
    assert handled == ["7"]
    assert seen.metrics()["ihuyi.voice.pushes"] == [({"kind": "report", "status": "answered"}, 1)]


def test_nothing_of_an_errors_words_is_kept() -> None:
    """Anybody may have written them: of an error its class is told alone, its numbers masked."""
    seen = Seen()

    def text(_: VoiceError) -> str:
        return f"{MOBILE} {SECRET}"

    odd = type(f"No{MOBILE}", (VoiceError,), {"__str__": text})()
    for event in (
        Submitted(1, MOBILE),
        AttemptStarted(1, 1, "POST", BASE_URL),
        AttemptEnded(1, 1, 0.1, None, odd),
        RetryEvent(Operation.SUBMIT, 1, 0.5, odd, 1),
        Settled(OutcomeStatus.UNKNOWN, MOBILE, 1, error=odd, timing=Timing(1, 1.0)),
        Submitted(2, MOBILE),
        CutOff(2, in_flight=True, error=odd),
        RunStopped(3, {}, 1.0, f"broke at {MOBILE}", odd),
        LedgerFailed(1, "commit", 1, odd),
        WorkerTroubled("take jobs", odd),
        PushQuarantined(f"{MOBILE} {SECRET}", 0.1),
        PartWorked(f"to {MOBILE}", 1, "failed", 0.1, {}, odd),
        PartOpened(1, f"to {MOBILE}", 1),
    ):
        seen.telemetry(event)
    everything = "".join(span.to_json() for span in seen.spans) + str(seen.metrics())
    assert "No139****0000" in everything
    assert len(seen.spans) == 3
    assert MOBILE not in everything
    assert SECRET not in everything


async def test_what_a_sampler_drops_is_dropped_with_its_children() -> None:
    """Or the span of an instrumented httpx would be a trace of its own."""
    exported = InMemorySpanExporter()
    traces = TracerProvider(sampler=_Ours())
    traces.add_span_processor(SimpleSpanProcessor(exported))
    simulator = Simulator(limits=())
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=traces)
    try:
        async with simulator.serve() as url:
            options: dict[str, Any] = {
                "base_url": url,
                "on_event": Telemetry(tracer_provider=traces),
            }
            async with VoiceClient(simulator.account, simulator.api_key, **options) as client:
                await client.submit(MOBILE, CONTENT)
    finally:
        instrumentor.uninstrument()
    assert not exported.get_finished_spans()


class _Ours(ParentBased):
    """Drops submissions, and keeps every other span that has no parent."""

    def __init__(self) -> None:
        super().__init__(ALWAYS_ON)

    def should_sample(
        self, parent_context: Context | None, trace_id: int, name: str, *args: Any, **kwargs: Any
    ) -> SamplingResult:
        """Say which."""
        given = parent_context, trace_id, name, *args
        if name == "ihuyi submit":
            return ALWAYS_OFF.should_sample(*given, **kwargs)
        return super().should_sample(*given, **kwargs)


def test_without_the_extra_its_name_is_said() -> None:
    """Not a missing module of somebody else's."""
    code = "import sys; sys.modules['opentelemetry'] = None; import ihuyi_voice.otel"
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "ihuyi-voice[otel]" in done.stderr


@pytest.mark.parametrize("form", ["structlog", "json"])
def test_formatters_that_write_fields_find_the_facts(form: str) -> None:
    """Of structlog, and of the many that dump a record's attributes."""
    from tests.client.formatters import written  # noqa: PLC0415 - it imports structlog

    line = written(form)
    assert line["voice_status"] == "REJECTED"
    assert line["voice_code"] == 4072
    assert MOBILE not in str(line)


class Odd(BaseException):
    """As pytest's `fail` and gevent's `Timeout` are."""


class NoCounters(MeterProvider):
    """A provider whose counters raise.

    Attributes:
        error: What they raise.
    """

    error: type[BaseException] = LookupError

    def get_meter(self, *given: Any, **named: Any) -> Any:
        """Return its meter."""
        meter = super().get_meter(*given, **named)
        counter = MagicMock()
        counter.add.side_effect = self.error
        meter.create_counter = lambda *_, **__: counter  # type: ignore[method-assign]  # broken
        return meter


@pytest.mark.parametrize("error", [LookupError, Odd])
async def test_a_push_that_can_not_be_counted_is_handed_on(
    caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    """Else it would count as failed, and be dead after ten tries, though nobody had it."""
    provider = NoCounters()
    provider.error = error
    handled: list[str] = []

    async def on_report(report: DeliveryReport) -> None:
        handled.append(report.voice_id)

    counted = Telemetry(meter_provider=provider).pushed(on_report)
    for voice_id in ("7", "8"):
        await counted(DeliveryReport(voice_id, 2, MOBILE))
    assert handled == ["7", "8"]
    assert caplog.text.count(f"a push could not be counted ({error.__name__})") == 1


async def test_a_handler_that_is_no_coroutine_is_called_once() -> None:
    """As by the inbox itself: what it returns was its work, and what can be awaited is awaited."""
    handled: list[str] = []

    async def later(report: DeliveryReport) -> None:
        handled.append(f"later {report.voice_id}")

    def plain(report: DeliveryReport) -> None:
        handled.append(report.voice_id)

    async def forgetful(report: DeliveryReport) -> Any:
        return later(report)

    for handler in (plain, forgetful):
        counted: Any = Telemetry().pushed(cast("Any", handler))
        await counted(DeliveryReport("7", 2, MOBILE))
    assert handled == ["7", "later 7"]


def test_spans_end_though_nothing_can_be_counted() -> None:
    """One that never ended would be kept for ever, with each call."""
    seen = Seen()
    telemetry = Telemetry(tracer_provider=seen.traces, meter_provider=NoCounters())
    telemetry(Submitted(1, MOBILE))
    with pytest.raises(LookupError):
        telemetry(Settled(OutcomeStatus.ACCEPTED, MOBILE, 1))
    assert [span.name for span in seen.spans] == ["ihuyi submit"]
