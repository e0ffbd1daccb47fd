"""Spans: one for each submission, and one for each of its attempts."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ihuyi_voice.common.redaction import mask_numbers
from ihuyi_voice.events import (
    AttemptEnded,
    AttemptStarted,
    CutOff,
    RetryEvent,
    Settled,
    Submitted,
)
from ihuyi_voice.models import OutcomeStatus
from ihuyi_voice.otel.api import context, trace

if TYPE_CHECKING:
    from contextvars import Token


class Spans:
    """Makes spans of events.

    Attributes:
        handlers: What is done with which event.

    Args:
        tracer: Makes them.
    """

    def __init__(self, tracer: "trace.Tracer") -> None:
        self._tracer = tracer
        self._calls: dict[int, trace.Span] = {}
        self._attempts: dict[int, tuple[trace.Span, Token[context.Context]]] = {}
        self.handlers: dict[type, Callable[[Any], None]] = {
            Submitted: self._submitted,
            AttemptStarted: self._attempt_started,
            AttemptEnded: self._attempt_ended,
            RetryEvent: self._retried,
            Settled: self._settled,
            CutOff: self._cut_off,
        }

    def _submitted(self, event: Submitted) -> None:
        span = self._tracer.start_span("ihuyi submit")
        if span.get_span_context().is_valid:  # one that a sampler dropped is kept for its children
            self._calls[event.call] = span

    def _attempt_started(self, event: AttemptStarted) -> None:
        parent = self._calls.get(event.call)
        if parent is None:
            return
        attributes = _request(event.method, event.url)
        if event.attempt > 1:
            attributes = {**attributes, "http.request.resend_count": event.attempt - 1}
        around = trace.set_span_in_context(parent)
        told: dict[str, Any] = {"kind": trace.SpanKind.CLIENT, "attributes": attributes}
        span = self._tracer.start_span(event.method, around, **told)
        # Told within the attempt's own task: httpx's spans become children of this one.
        self._attempts[event.call] = span, context.attach(trace.set_span_in_context(span))

    def _attempt_ended(self, event: AttemptEnded) -> None:
        span, token = self._attempts.pop(event.call, (None, None))
        if span is None or token is None:
            return
        context.detach(token)
        if event.http_status is not None:
            span.set_attribute("http.response.status_code", event.http_status)
        if event.error is not None:
            span.set_attribute("error.type", name_of(event.error))
            span.set_status(trace.StatusCode.ERROR)
        span.end()

    def _retried(self, event: RetryEvent) -> None:
        span = None if event.call is None else self._calls.get(event.call)
        if span is not None:
            told: dict[str, Any] = {"delay": event.delay, "error.type": name_of(event.error)}
            span.add_event("retry", told)

    def _settled(self, event: Settled) -> None:
        span = None if event.call is None else self._calls.pop(event.call, None)
        if span is None:
            return
        if span.is_recording():
            span.set_attributes({name: value for name, value in _facts(event) if value is not None})
            if event.status is not OutcomeStatus.ACCEPTED:
                span.set_status(trace.StatusCode.ERROR, event.status.value)
        span.end()

    def _cut_off(self, event: CutOff) -> None:
        span = self._calls.pop(event.call, None)
        if span is not None:
            if event.error is not None:
                span.set_attribute("error.type", name_of(event.error))
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


def name_of(error: BaseException) -> str:
    """Return what an error is told by: its class alone, for anybody may have written its words."""
    return mask_numbers(type(error).__name__)


def _facts(event: Settled) -> Iterable[tuple[str, Any]]:
    yield "ihuyi.status", event.status.value
    yield "ihuyi.code", event.code
    yield "ihuyi.voice_id", event.voice_id
    yield "ihuyi.attempts", event.attempts
    yield "ihuyi.replayed", event.replayed or None
    yield "error.type", None if event.error is None else name_of(event.error)
    if event.timing is not None:
        yield "ihuyi.wait.guard", event.timing.guard
        yield "ihuyi.wait.pool", event.timing.pool
        yield "ihuyi.wait.ledger", event.timing.ledger or None
        yield "ihuyi.wait.backoff", event.timing.backoff or None
