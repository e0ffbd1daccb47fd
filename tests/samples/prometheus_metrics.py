"""Prometheus, by the stream of events: `hook = prometheus(registry)`, then `on_event=hook`.

One hook for all: `VoiceClient(on_event=hook)`, `Ledger.open(…, on_event=hook)` and
`Inbox.open(…, on_event=hook)`; workers tell by their client.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ihuyi_voice.events import (
    AttemptEnded,
    AttemptStarted,
    CutOff,
    Event,
    Hook,
    LedgerCommitted,
    LedgerFailed,
    OwnerLost,
    PartOpened,
    PartWorked,
    PushHandled,
    PushQuarantined,
    PushRefused,
    PushStored,
    QueueSeen,
    RunStopped,
    Settled,
    Waited,
)


def prometheus(registry: CollectorRegistry) -> Hook:
    """Return a hook that counts in a registry."""
    hooks = _calls(registry), _ledgers(registry), _inboxes(registry), _workers(registry)

    def on_event(event: Event) -> None:
        for hook in hooks:
            hook(event)

    return on_event


def _calls(registry: CollectorRegistry) -> Hook:
    outcomes = Counter(
        "ihuyi_outcomes", "Submissions by outcome.", ["status", "code"], registry=registry
    )
    seconds = Histogram("ihuyi_submission_seconds", "From asking to the end.", registry=registry)
    waits = Histogram("ihuyi_wait_seconds", "Waits by cause.", ["cause"], registry=registry)
    in_flight = Gauge("ihuyi_in_flight", "Attempts being made.", registry=registry)
    cut_off = Counter("ihuyi_cut_off", "Callers that were cancelled.", registry=registry)
    stopped = Counter("ihuyi_runs_stopped", "Runs that something stopped.", registry=registry)

    def hook(event: Event) -> None:
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
            case RunStopped(cause=BaseException()):
                stopped.inc()
            case _:
                pass

    return hook


def _ledgers(registry: CollectorRegistry) -> Hook:
    commits = Histogram("ihuyi_ledger_commit_seconds", "A commit's.", registry=registry)
    rows = Counter("ihuyi_ledger_rows", "Rows by what came of them.", ["step"], registry=registry)
    failures = Counter(
        "ihuyi_ledger_failures", "What was not written, or read.", ["work"], registry=registry
    )
    owed = Gauge("ihuyi_ledger_owed", "Ends still to be written.", ["ledger"], registry=registry)
    takeovers = Counter("ihuyi_ledger_takeovers", "Parts taken from the dead.", registry=registry)
    lost = Counter("ihuyi_ledger_owner_lost", "Times thought dead.", registry=registry)

    def hook(event: Event) -> None:
        match event:
            case LedgerCommitted():
                commits.observe(event.seconds)
                for step in ("granted", "refused", "fenced", "settled", "paid", "late"):
                    rows.labels(step).inc(getattr(event, step))
                owed.labels(event.ledger).set(0)
            case LedgerFailed(work=work):
                failures.labels(work).inc()
                if work == "commit":
                    owed.labels(event.ledger).set(event.owed)
            case PartOpened(taken_over=True):
                takeovers.inc()
            case OwnerLost():
                lost.inc()
            case _:
                pass

    return hook


def _inboxes(registry: CollectorRegistry) -> Hook:
    pushes = Counter("ihuyi_pushes", "Pushes by what became of them.", ["step"], registry=registry)
    refused = Counter("ihuyi_pushes_refused", "By answer.", ["status"], registry=registry)
    handlers = Histogram("ihuyi_handler_seconds", "How long handlers take.", registry=registry)

    def hook(event: Event) -> None:
        match event:
            case PushStored():
                pushes.labels("stored").inc()
            case PushQuarantined():
                pushes.labels("quarantined").inc()
            case PushRefused(status=status):
                refused.labels(str(status)).inc()
            case PushHandled(end=end, seconds=seconds):
                pushes.labels(end).inc()
                handlers.observe(seconds)
            case _:
                pass

    return hook


def _workers(registry: CollectorRegistry) -> Hook:
    worked = Histogram("ihuyi_part_seconds", "Passes over parts.", ["end"], registry=registry)
    # All workers of an account see the same: the dashboard takes the highest, not the sum.
    parts = Gauge("ihuyi_parts", "The account's, by state.", ["state"], registry=registry)
    oldest = Gauge("ihuyi_part_age_seconds", "Of the part held longest.", registry=registry)

    def hook(event: Event) -> None:
        match event:
            case PartWorked(end=end, seconds=seconds):
                worked.labels(end).observe(seconds)
            case QueueSeen():
                for state in ("undone", "held", "stalled"):
                    parts.labels(state).set(getattr(event, state))
                oldest.set(event.oldest)
            case _:
                pass

    return hook
