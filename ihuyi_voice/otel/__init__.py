"""Spans and metrics by OpenTelemetry: `VoiceClient(on_event=Telemetry())`.

Needs the extra `otel`, which is the API alone: where spans and figures go is said by an SDK. A
submission is a span, its attempts are child spans by the conventions for HTTP clients, and an
instrumentation of httpx makes its spans children of those. No secret, no query and no number is in
any of it.

Without an SDK next to nothing happens: a Telemetry tells the stream so, and nobody makes an event
for it. One that is installed later is noticed within a second.
"""

from ihuyi_voice.otel.telemetry import Telemetry

__all__ = ["Telemetry"]
