"""The hook: hands events to those who make spans and figures of them, if anybody keeps those."""

import inspect
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from ihuyi_voice.common.foreign import ENDING
from ihuyi_voice.common.logs import Trouble
from ihuyi_voice.events import Event, RunStarted, RunStopped
from ihuyi_voice.events.every import EVERY
from ihuyi_voice.models import DeliveryReport, TemplateAudit
from ihuyi_voice.otel.api import NAME, does_something, metrics, trace
from ihuyi_voice.otel.figures import Figures
from ihuyi_voice.otel.spans import Spans

logger = logging.getLogger("ihuyi_voice.outcomes")

_P = TypeVar("_P", DeliveryReport, TemplateAudit)
_LOOK: Final = 1.0  # seconds
_RUNS: Final[frozenset[type[Event]]] = frozenset({RunStarted, RunStopped})
"""What is heard even without an SDK, for it may come while they go on."""


class Telemetry:
    """What `on_event` is told, as spans and metrics; one may serve clients, ledgers and inboxes.

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
        self._providers = tracer_provider, meter_provider
        self._spans = Spans(trace.get_tracer(NAME, tracer_provider=tracer_provider))
        self._figures = Figures(metrics.get_meter(NAME, meter_provider=meter_provider))
        self._trouble = Trouble(logger)
        self._is_kept = False
        self._look_at = 0.0
        of_spans, of_figures = self._spans.handlers, self._figures.handlers
        self._handlers: dict[type, tuple[Callable[[Any], None], ...]] = {
            kind: tuple(each[kind] for each in (of_figures, of_spans) if kind in each)
            for kind in EVERY
        }

    def __call__(self, event: Event) -> None:
        """Take an event; where spans or figures fail, the others have it still.

        Raises:
            Exception: What the last that failed raised.
        """
        failure: Exception | None = None
        for handle in self._handlers[type(event)]:
            try:
                handle(event)
            except Exception as exc:  # noqa: BLE001 - a provider is foreign code
                failure = exc
        if failure is not None:
            raise failure

    @property
    def kinds(self) -> frozenset[type[Event]]:
        """The events that are of use: all, or next to none where no SDK keeps what is made."""
        return EVERY if self._is_kept or self._has_come() else _RUNS

    def pushed(self, handler: Callable[[_P], Awaitable[None]]) -> Callable[[_P], Awaitable[None]]:
        """Return a handler of pushes, for `PushReceiver`, that counts what it hands on.

        What is handed on is handed on whatever the counting comes to, and as the inbox does it: a
        plain function has done its work when it returns.
        """

        async def counted(push: _P) -> None:
            try:
                self._figures.pushed(push)
            except ENDING:
                raise
            except BaseException as exc:  # noqa: BLE001 - a provider is foreign code
                self._trouble.note("a push could not be counted (%s)", type(exc).__name__)
            result: object = handler(push)
            while inspect.isawaitable(result):
                result = await result

        return counted

    def _has_come(self) -> bool:
        """Look for an SDK, once in a while; where one has come, it stays."""
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + _LOOK
        traces, meters = self._providers
        traces = trace.get_tracer_provider() if traces is None else traces
        meters = metrics.get_meter_provider() if meters is None else meters
        self._is_kept = does_something(traces) or does_something(meters)
        return self._is_kept
