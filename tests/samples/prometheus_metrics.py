"""Prometheus, by the client's events: `VoiceClient(on_event=prometheus(registry))`."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ihuyi_voice.calls import AttemptEnded, AttemptStarted, CutOff, Event, Settled, Waited


def prometheus(registry: CollectorRegistry) -> Callable[[Event], None]:
    """Return a hook that counts in a registry."""
    outcomes = Counter(
        "ihuyi_outcomes", "Submissions by outcome.", ["status", "code"], registry=registry
    )
    seconds = Histogram("ihuyi_submission_seconds", "From asking to the end.", registry=registry)
    waits = Histogram("ihuyi_wait_seconds", "Waits by cause.", ["cause"], registry=registry)
    in_flight = Gauge("ihuyi_in_flight", "Attempts being made.", registry=registry)
    cut_off = Counter("ihuyi_cut_off", "Callers that were cancelled.", registry=registry)

    def on_event(event: Event) -> None:
        match event:
            case Settled(status=status, code=code, timing=timing):
                outcomes.labels(status.value, "" if code is None else str(code)).inc()
                if timing is not None:
                    seconds.observe(timing.total)
            case Waited(cause=cause, seconds=waited):
                waits.labels(cause).observe(waited)
            case AttemptStarted():
                in_flight.inc()
            case AttemptEnded():
                in_flight.dec()
            case CutOff():
                cut_off.inc()
            case _:
                pass

    return on_event
