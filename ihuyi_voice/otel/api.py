"""OpenTelemetry's API, or the error that says which extra has it; and whether an SDK is behind."""

from typing import Final

try:
    from opentelemetry import context, metrics, trace
except ImportError as error:
    raise ImportError("ihuyi_voice.otel needs an extra: pip install 'ihuyi-voice[otel]'") from error

__all__ = ["NAME", "context", "does_something", "metrics", "trace"]

NAME: Final = "ihuyi_voice"
_OWN: Final = ("opentelemetry.trace", "opentelemetry.metrics")


def does_something(provider: object) -> bool:
    """Say whether a provider is an SDK's: those of the API itself do nothing."""
    return not type(provider).__module__.startswith(_OWN)
