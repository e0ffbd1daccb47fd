"""The figures of ledgers, inboxes and workers, by OpenTelemetry's own SDK."""

import re
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import HistogramDataPoint

from ihuyi_voice import OutcomeStatus
from ihuyi_voice.events import (
    CutOff,
    Event,
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
    RunStarted,
    Settled,
    WorkerTroubled,
)
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.otel import figures
from tests.otel.seen import Seen
from tests.support.vendor import CONTENT, MOBILE, in_process
from tests.support.vendor import vendor as simulated

DOCS = Path(figures.__file__).parents[1] / "docs"
Points = list[tuple[dict[str, Any], float]]


def kept(*events: Event) -> dict[str, Points]:
    """Return what an SDK has of these events."""
    seen = Seen()
    for event in events:
        seen.telemetry(event)
    return {name.removeprefix("ihuyi.voice."): told for name, told in seen.metrics().items()}


CASES: list[tuple[Event, dict[str, Points]]] = [
    (
        LedgerCommitted(1, 0.2, granted=3, refused=1, fenced=2, settled=4, paid=1, late=1),
        {
            "ledger.commit.duration": [({}, 1)],
            "ledger.commit.rows": [({}, 1)],
            "ledger.owed": [({}, 0)],
            "ledger.rows": [
                ({"step": "granted"}, 3), ({"step": "refused"}, 1), ({"step": "fenced"}, 2),
                ({"step": "settled"}, 4), ({"step": "paid"}, 1), ({"step": "late"}, 1),
            ],
        },
    ),
    (
        LedgerFailed(1, "commit", 5),
        {"ledger.failures": [({"work": "commit"}, 1)], "ledger.owed": [({}, 5)]},
    ),
    (
        PartOpened(1, "r", 3, 0.1, taken_over=True, unknown=2),
        {
            "ledger.parts": [({}, 1)],
            "ledger.takeovers": [({}, 1)],
            "ledger.unknown": [({}, 2)],
        },
    ),
    (OwnerLost(1), {"ledger.owner.lost": [({}, 1)]}),
    (
        ReportsTaken(1, stored=2, settled=1, refused=3),
        {
            "ledger.reports": [
                ({"step": "stored"}, 2), ({"step": "settled"}, 1), ({"step": "refused"}, 3),
            ],
        },
    ),
    (
        PushStored("report", 0.1),
        {
            "inbox.pushes": [({"kind": "report", "step": "stored"}, 1)],
            "inbox.duration": [({"step": "stored"}, 1)],
        },
    ),
    (
        PushQuarantined("no code", 0.1),
        {"inbox.pushes": [({"kind": "unread", "step": "quarantined"}, 1)]},
    ),
    (PushRefused(503), {"inbox.refused": [({"status": 503}, 1)]}),
    (
        PushHandled("audit", "dead", 9, 0.1),
        {"inbox.pushes": [({"kind": "audit", "step": "dead"}, 1)]},
    ),
    (PartWorked("r", 1, "done", 3.0), {"part.duration": [({"end": "done"}, 1)]}),
    (
        QueueSeen(9, 4, 2, 70.0, 3, 1),
        {
            "parts": [({"state": "undone"}, 9), ({"state": "held"}, 4), ({"state": "stalled"}, 2)],
            "part.age": [({}, 70.0)],
            "jobs": [({"step": "deferred"}, 3), ({"step": "failed"}, 1)],
        },
    ),
    (WorkerTroubled("take jobs"), {"worker.failures": [({"work": "take jobs"}, 1)]}),
    (CutOff(1, in_flight=True), {"cut_off": [({"in_flight": True}, 1)]}),
]  # fmt: skip


@pytest.mark.parametrize(("event", "wanted"), CASES, ids=lambda case: type(case).__name__)
def test_each_event_has_its_figures(event: Event, wanted: dict[str, Points]) -> None:
    """Under these names, by these attributes."""
    found = kept(event)
    assert {name: found[name] for name in wanted} == wanted


def test_what_is_held_is_a_level() -> None:
    """It comes back to nothing; a debt that is paid, too."""
    opened, left = PartOpened(1, "r", 1), PartLeft(1, "r", 1)
    found = kept(opened, left, LedgerFailed(1, "commit", 5), LedgerCommitted(1, 0.1))
    assert found["ledger.parts"] == [({}, 0)]
    assert found["ledger.owed"] == [({}, 0)]


def test_a_run_that_can_not_be_looked_at_costs_no_other_figure() -> None:
    """An exporter asks from a thread of its own, while the run goes on."""

    def look() -> Any:
        raise RuntimeError("dictionary changed size during iteration")

    found = kept(RunStarted(1, 5, look), Settled(OutcomeStatus.ACCEPTED, MOBILE, code=2))
    assert found["deferred"] == [({}, 0)]
    assert found["runs"] == [({}, 1)]
    assert found["submissions"] == [({"status": "ACCEPTED", "replayed": False, "code": 2}, 1)]


def test_histograms_have_bounds_of_seconds() -> None:
    """Those of OpenTelemetry's own are of milliseconds: a submission would be in their first."""
    seen = Seen()
    seen.telemetry(PushStored("report", 0.02))
    data = seen.data()
    (histogram,) = [each for each in data if each.name == "ihuyi.voice.inbox.duration"]
    (point,) = histogram.data.data_points
    assert isinstance(point, HistogramDataPoint)
    assert point.explicit_bounds[0] < 0.02 < point.explicit_bounds[-1] == 600.0
    assert point.bucket_counts[0] == 0


async def test_a_ledgers_figures_come_from_its_own_work(tmp_path: Path) -> None:
    """One hook for client and ledger."""
    seen = Seen()
    async with (
        Ledger.open(tmp_path / "calls.db", on_event=seen.telemetry) as ledger,
        in_process(simulated(), ledger=ledger, guard=None, on_event=seen.telemetry) as client,
    ):
        await client.submit(MOBILE, CONTENT, key="k")
        await client.submit(MOBILE, CONTENT, key="k")
    points = seen.metrics()["ihuyi.voice.ledger.rows"]
    rows = {told["step"]: count for told, count in points}
    assert rows == {"granted": 1, "settled": 1}
    assert MOBILE not in str(seen.metrics())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_metric_stands_in_the_docs(language: str) -> None:
    """On the page, and in the module that makes it."""
    text = (DOCS / language / "observability.md").read_text(encoding="utf-8")
    made = {f"ihuyi.voice.{name}" for name in kept(*(event for event, _ in CASES))}
    named = set(re.findall(r"`(ihuyi\.voice\.[a-z_.]+)`", text))
    in_module = set(re.findall(r"^    (ihuyi\.voice\.\S+)", figures.__doc__ or "", re.MULTILINE))
    assert made <= named == in_module
