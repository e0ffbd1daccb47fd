"""The sample for Prometheus counts, and its dashboard asks for nothing that it doesn't export."""

import json
import re
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from ihuyi_voice import VoiceError
from ihuyi_voice.simulator import Fault
from tests.otel.test_figures import CASES
from tests.samples.prometheus_metrics import prometheus
from tests.support.vendor import CONTENT, MOBILE, in_process, vendor
from tests.support.virtual_time import run_virtual

DASHBOARD = Path(__file__).parents[1] / "samples" / "grafana.json"


def exported() -> str:
    """Make a call that is accepted and one that is refused; return the page that is scraped."""
    registry = CollectorRegistry()

    async def main() -> None:
        hook = prometheus(registry)
        async with in_process(vendor(Fault("code", code=4072, times=1)), on_event=hook) as client:
            for _ in range(3):
                with suppress(VoiceError):
                    await client.submit(MOBILE, CONTENT, max_wait=5.0)

    run_virtual(main())
    return generate_latest(registry).decode()


def of_every_kind() -> str:
    """Tell an event of each kind that calls don't have; return the page that is scraped."""
    registry = CollectorRegistry()
    hook = prometheus(registry)
    for event, _ in CASES:
        hook(event)
    return generate_latest(registry).decode()


def test_the_sample_counts_outcomes_by_code() -> None:
    """And leaves nothing in flight."""
    page = exported()
    assert 'ihuyi_outcomes_total{code="2",status="ACCEPTED"} 2.0' in page
    assert 'ihuyi_outcomes_total{code="4072",status="REJECTED"} 1.0' in page
    assert "ihuyi_in_flight 0.0" in page
    assert MOBILE not in page


def test_every_query_of_the_dashboard_finds_its_metric() -> None:
    """By name and by label."""
    page = exported() + of_every_kind()
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    names = {name for query in queries for name in re.findall(r"ihuyi_\w+", query)}
    assert len(queries) >= 20
    assert [name for name in names if f"\n{name}" not in page] == []
    labels = {label for query in queries for label in re.findall(r"by \((\w+)\)", query)}
    assert [label for label in labels if f'{label}="' not in page] == []


def test_ledgers_inboxes_and_workers_are_counted() -> None:
    """By the same hook."""
    page = of_every_kind()
    assert 'ihuyi_ledger_rows_total{step="granted"} 3.0' in page
    assert 'ihuyi_ledger_owed{ledger="1"} 5.0' in page
    assert 'ihuyi_pushes_total{step="dead"} 1.0' in page
    assert 'ihuyi_pushes_refused_total{status="503"} 1.0' in page
    assert 'ihuyi_parts{state="stalled"} 2.0' in page
    assert "ihuyi_part_age_seconds 70.0" in page


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    """Each has its place, and a number of its own."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len({panel["id"] for panel in panels}) == len(panels)
