"""Figures: what is counted and measured of events, in seconds and counts.

    ihuyi.voice.submissions             counter    by status, code; replayed ones apart
    ihuyi.voice.submission.duration     histogram  by status
    ihuyi.voice.wait                    histogram  by cause: guard, ledger, connection, retry
    ihuyi.voice.in_flight               up-down    attempts being made
    ihuyi.voice.cut_off                 counter    callers that were cancelled, by in_flight
    ihuyi.voice.runs                    up-down    runs, and parts of runs that workers have
    ihuyi.voice.deferred                gauge      messages of runs that are held back until later

    ihuyi.voice.ledger.commit.duration  histogram
    ihuyi.voice.ledger.commit.rows      histogram  intents and ends in one commit
    ihuyi.voice.ledger.rows             counter    by step: granted, refused, fenced, settled, paid,
                                                   late
    ihuyi.voice.ledger.failures         counter    by work: commit, beat, leave, reports
    ihuyi.voice.ledger.owed             gauge      ends that are still to be written
    ihuyi.voice.ledger.parts            up-down    runs and parts that are held here
    ihuyi.voice.ledger.takeovers        counter    parts taken from dead owners
    ihuyi.voice.ledger.unknown          counter    calls that were in flight when their owner died
    ihuyi.voice.ledger.owner.lost       counter    times that this process was thought dead
    ihuyi.voice.ledger.reports          counter    by step: stored, settled, refused

    ihuyi.voice.inbox.pushes            counter    by kind, step: stored, handled, failed, dead,
                                                   interrupted; quarantined
    ihuyi.voice.inbox.duration          histogram  by step: stored, handled
    ihuyi.voice.inbox.refused           counter    by status, as it was answered
    ihuyi.voice.pushes                  counter    by kind, status; see `Telemetry.pushed`

    ihuyi.voice.part.duration           histogram  by end: done, given back, stopped, failed
    ihuyi.voice.parts                   gauge      of the account, by state: undone, held, stalled
    ihuyi.voice.part.age                gauge      how long the part held longest has been
    ihuyi.voice.jobs                    counter    by step: deferred, failed
    ihuyi.voice.worker.failures         counter    by work

What is the account's, the two gauges of parts, each worker sees alike: don't add them up.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from ihuyi_voice.events import (
    AttemptEnded,
    AttemptStarted,
    CutOff,
    LedgerCommitted,
    LedgerFailed,
    OwnerLost,
    PartLeft,
    PartOpened,
    PartWorked,
    PushHandled,
    PushQuarantined,
    PushRefused,
    PushStored,
    QueueSeen,
    ReportsTaken,
    RetryEvent,
    RunStarted,
    RunStopped,
    Settled,
    Waited,
    WorkerTroubled,
)
from ihuyi_voice.models import DeliveryReport, TemplateAudit
from ihuyi_voice.otel.api import metrics

PREFIX: Final = "ihuyi.voice."
_SECONDS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
    300.0, 600.0,
)  # fmt: skip
_ROWS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)


class Figures:
    """Keeps figures of events.

    Attributes:
        handlers: What is done with which event.

    Args:
        meter: Makes the instruments.
    """

    def __init__(self, meter: "metrics.Meter") -> None:
        self._meter = meter
        self._flying: set[int] = set()
        self._running: dict[int, RunStarted] = {}
        self._of_calls()
        self._of_ledgers()
        self._of_inboxes()
        self._of_workers()
        self.handlers: dict[type, Callable[[Any], None]] = {
            Waited: lambda event: self._waits.record(event.seconds, {"cause": event.cause}),
            RetryEvent: lambda event: self._waits.record(event.delay, {"cause": "retry"}),
            AttemptStarted: lambda event: self._flying.add(event.call),
            AttemptEnded: lambda event: self._flying.discard(event.call),
            Settled: self._settled,
            CutOff: lambda event: self._cut_off.add(1, {"in_flight": event.in_flight}),
            RunStarted: lambda event: self._running.update({event.run: event}),
            RunStopped: self._run_stopped,
            LedgerCommitted: self._committed,
            LedgerFailed: self._ledger_failed,
            PartOpened: self._opened,
            PartLeft: lambda event: self._held.discard((event.ledger, event.run, event.part)),
            OwnerLost: lambda _: self._lost.add(1),
            ReportsTaken: self._reports_taken,
            PushStored: lambda event: self._push(event.kind, "stored", event.seconds),
            PushQuarantined: lambda event: self._push("unread", "quarantined", event.seconds),
            PushRefused: lambda event: self._refused.add(1, {"status": event.status}),
            PushHandled: lambda event: self._push(event.kind, event.end, event.seconds),
            PartWorked: lambda event: self._worked.record(event.seconds, {"end": event.end}),
            QueueSeen: self._queue_seen,
            WorkerTroubled: lambda event: self._troubles.add(1, {"work": event.work}),
        }

    def pushed(self, push: DeliveryReport | TemplateAudit) -> None:
        """Count a push."""
        if isinstance(push, DeliveryReport):
            self._pushes.add(1, {"kind": "report", "status": push.status.value})
        else:
            self._pushes.add(1, {"kind": "audit", "approved": push.approved})

    # --- instruments

    def _of_calls(self) -> None:
        self._submissions = self._counter("submissions")
        self._durations = self._seconds("submission.duration")
        self._waits = self._seconds("wait")
        self._cut_off = self._counter("cut_off")
        self._level("in_flight", lambda: len(self._flying))
        self._level("runs", lambda: len(self._running))
        self._gauge("deferred", lambda: {None: self._deferred()})

    def _of_ledgers(self) -> None:
        self._commits = self._seconds("ledger.commit.duration")
        self._sizes = self._histogram("ledger.commit.rows", "{row}", _ROWS)
        self._rows = self._counter("ledger.rows")
        self._failures = self._counter("ledger.failures")
        self._owed: dict[int, int] = {}
        self._gauge("ledger.owed", lambda: {None: sum(self._owed.copy().values())})
        self._held: set[tuple[int, str, int]] = set()
        self._level("ledger.parts", lambda: len(self._held))
        self._takeovers = self._counter("ledger.takeovers")
        self._unknown = self._counter("ledger.unknown")
        self._lost = self._counter("ledger.owner.lost")
        self._reports = self._counter("ledger.reports")

    def _of_inboxes(self) -> None:
        self._pushes = self._counter("pushes")
        self._inbox = self._counter("inbox.pushes")
        self._inbox_seconds = self._seconds("inbox.duration")
        self._refused = self._counter("inbox.refused")

    def _of_workers(self) -> None:
        self._worked = self._seconds("part.duration")
        self._parts: Mapping[str | None, float] = {}
        self._oldest: Mapping[str | None, float] = {}
        self._gauge("parts", lambda: self._parts)
        self._gauge("part.age", lambda: self._oldest, unit="s")
        self._jobs = self._counter("jobs")
        self._troubles = self._counter("worker.failures")

    def _counter(self, name: str) -> "metrics.Counter":
        return self._meter.create_counter(PREFIX + name)

    def _seconds(self, name: str) -> "metrics.Histogram":
        return self._histogram(name, "s", _SECONDS)

    def _histogram(self, name: str, unit: str, bounds: Iterable[float]) -> "metrics.Histogram":
        # By default they are those of milliseconds.
        return self._meter.create_histogram(
            PREFIX + name, unit=unit, explicit_bucket_boundaries_advisory=list(bounds)
        )

    def _level(self, name: str, look: Callable[[], int]) -> None:
        """Make an up-down counter that is looked at when somebody asks: nothing, each time else."""

        def looked(_: "metrics.CallbackOptions") -> Iterable["metrics.Observation"]:
            yield metrics.Observation(look())

        self._meter.create_observable_up_down_counter(PREFIX + name, [looked])

    def _gauge(
        self, name: str, look: Callable[[], Mapping[str | None, float]], unit: str = ""
    ) -> None:
        """Make a gauge; `look` returns its values by state, or one without."""

        def looked(_: "metrics.CallbackOptions") -> Iterable["metrics.Observation"]:
            for state, value in look().items():
                told = None if state is None else {"state": state}
                yield metrics.Observation(value, told)

        self._meter.create_observable_gauge(PREFIX + name, [looked], unit=unit)

    # --- events

    def _settled(self, event: Settled) -> None:
        told: dict[str, Any] = {"status": event.status.value, "replayed": event.replayed}
        if event.code is not None:
            told["code"] = event.code
        self._submissions.add(1, told)
        if event.timing is not None:
            self._durations.record(event.timing.total, {"status": event.status.value})

    def _run_stopped(self, event: RunStopped) -> None:
        self._running.pop(event.run, None)

    def _deferred(self) -> int:
        deferred = 0
        for run in list(self._running.values()):
            with suppress(Exception):  # an exporter asks from a thread of its own
                deferred += run.look().deferred
        return deferred

    def _committed(self, event: LedgerCommitted) -> None:
        self._commits.record(event.seconds)
        self._sizes.record(event.granted + event.refused + event.fenced + event.settled)
        self._steps(self._rows, event, ("granted", "refused", "fenced", "settled", "paid", "late"))
        self._owed[event.ledger] = 0

    def _ledger_failed(self, event: LedgerFailed) -> None:
        self._failures.add(1, {"work": event.work})
        if event.work == "commit":
            self._owed[event.ledger] = event.owed

    def _opened(self, event: PartOpened) -> None:
        self._held.add((event.ledger, event.run, event.part))
        if event.taken_over:
            self._takeovers.add(1)
        if event.unknown:
            self._unknown.add(event.unknown)

    def _reports_taken(self, event: ReportsTaken) -> None:
        self._steps(self._reports, event, ("stored", "settled", "refused"))

    def _push(self, kind: str, step: str, seconds: float) -> None:
        self._inbox.add(1, {"kind": kind, "step": step})
        if step in {"stored", "handled"}:
            self._inbox_seconds.record(seconds, {"step": step})

    def _queue_seen(self, event: QueueSeen) -> None:
        self._parts = {name: getattr(event, name) for name in ("undone", "held", "stalled")}
        self._oldest = {None: event.oldest}
        self._steps(self._jobs, event, ("deferred", "failed"))

    def _steps(self, counter: "metrics.Counter", event: object, steps: Iterable[str]) -> None:
        """Count by step what an event has under these names."""
        for step in steps:
            count = getattr(event, step)
            if count:
                counter.add(count, {"step": step})
