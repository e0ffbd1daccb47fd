"""The sample for Prometheus counts, and its dashboard asks for nothing that it doesn't export."""

import json
import re
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from ihuyi_voice import VoiceError
from ihuyi_voice.simulator import Fault
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


def test_the_sample_counts_outcomes_by_code() -> None:
    """And leaves nothing in flight."""
    page = exported()
    assert 'ihuyi_outcomes_total{code="2",status="ACCEPTED"} 2.0' in page
    assert 'ihuyi_outcomes_total{code="4072",status="REJECTED"} 1.0' in page
    assert "ihuyi_in_flight 0.0" in page
    assert MOBILE not in page


def test_every_query_of_the_dashboard_finds_its_metric() -> None:
    """By name and by label."""
    page = exported()
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    names = {name for query in queries for name in re.findall(r"ihuyi_\w+", query)}
    assert len(queries) >= 7
    assert [name for name in names if f"\n{name}" not in page] == []
    labels = {label for query in queries for label in re.findall(r"by \((\w+)\)", query)}
    assert [label for label in labels if f'{label}="' not in page] == []
