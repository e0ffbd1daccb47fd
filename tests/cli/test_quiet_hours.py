"""`send` and `work --quiet-hours`: rows are held until the morning, and can be sent then."""

import asyncio
import csv
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from ihuyi_voice.cli import send as send_module
from ihuyi_voice.cli import work as work_module
from ihuyi_voice.guards import Guard, QuietHours
from ihuyi_voice.simulator import Simulator
from tests.support.command import CONTENT, run
from tests.support.ready import ready_ledger
from tests.support.redis_servers import PrivateRedis

NIGHT = datetime.fromisoformat("2026-11-25T23:30:00+08:00").timestamp()


@pytest.fixture
def recipients(tmp_path: Path) -> Path:
    """A list of three."""
    file = tmp_path / "list.csv"
    rows = "".join(f"1390000000{place},{CONTENT}\n" for place in range(3))
    file.write_text(f"mobile,content\n{rows}", encoding="utf-8")
    return file


@pytest.fixture
def at_night(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be half past eleven in China."""
    for module in (send_module, work_module):
        monkeypatch.setattr(module, "QuietHours", _at_night)


def _at_night(hours: str, guard: Guard | None = None) -> QuietHours:
    return QuietHours(hours, guard=guard, clock=lambda: NIGHT)


@pytest.mark.usefixtures("at_night")
def test_at_night_all_is_held_and_the_headline_says_why(
    vendor: Simulator, recipients: Path, tmp_path: Path
) -> None:
    """Nothing is lost: each row has its time, and the same list can be sent by day."""
    out = tmp_path / "out.csv"
    result = run("send", str(recipients), "--quiet-hours", "22:00-08:00", "--out", str(out))
    assert result.exit_code == 1
    assert not vendor.arrivals
    assert "quiet hours until 08:00" in result.output
    assert "when they are over" in result.output
    with out.open(encoding="utf-8-sig", newline="") as file:
        assert {row["status"] for row in csv.DictReader(file)} == {"HELD"}


@pytest.mark.usefixtures("at_night")
def test_it_says_so_in_chinese(vendor: Simulator, recipients: Path) -> None:
    """The reason, too."""
    told = run("--lang", "zh", "send", str(recipients), "--quiet-hours", "22-8").output
    assert "免打扰时段内不呼叫" in told
    assert "时段结束后再发送其余部分" in told


@pytest.mark.usefixtures("at_night")
def test_by_day_everybody_is_called(vendor: Simulator, recipients: Path) -> None:
    """And without the option at any hour."""
    assert run("send", str(recipients), "--quiet-hours", "12:00-14:00").exit_code == 0
    assert run("send", str(recipients)).exit_code == 0
    assert len(vendor.arrivals) == 6


@pytest.mark.parametrize(
    ("hours", "told"), [("night", "can't be read"), ("22:00-22:00", "two different times")]
)
def test_hours_that_are_none_are_wrong_usage(
    vendor: Simulator, recipients: Path, hours: str, told: str
) -> None:
    """Before anything is sent."""
    result = run("send", str(recipients), "--quiet-hours", hours)
    assert (result.exit_code, told in result.stderr) == (2, True)
    assert not vendor.arrivals


def test_workers_have_hours_of_their_own(vendor: Simulator, recipients: Path) -> None:
    """It is refused where it would do nothing, and the error says where it does something."""
    result = run("send", str(recipients), "--quiet-hours", "22-8", "--distribute")
    assert (result.exit_code, "--distribute" in result.stderr) == (2, True)
    assert "to the workers" in result.stderr
    assert not vendor.arrivals


# --- work --quiet-hours


def held(ledger: str) -> dict[str, int]:
    """Return how many of the run stand where."""
    told = json.loads(run("ledger", "show", "nightly", "--ledger", ledger, "--json").stdout)
    return {status: count for status, count in told["outcomes"].items() if count}


@pytest.fixture
def workers(postgres: str, private: PrivateRedis, recipients: Path) -> Iterator[str]:
    """A ledger with the list in it, for workers; the environment names it, and their guard."""
    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patch:
        lending = ready_ledger(postgres, queue=True, alone=True)
        url = runner.run(lending.__aenter__()).url
        patch.setenv("IHUYI_LEDGER", url)
        patch.setenv("IHUYI_GUARD", private.url)
        patch.setenv("IHUYI_ACCOUNT", "VM00000000")
        loaded = run("send", str(recipients), "--distribute", "--run", "nightly")
        assert loaded.exit_code == 0, loaded.output
        yield url
        runner.run(lending.__aexit__(None, None, None))


@pytest.mark.slow
@pytest.mark.usefixtures("at_night")
def test_at_night_workers_call_nobody(vendor: Simulator, workers: str) -> None:
    """All is held, and nothing is lost: resumed by day, the run goes on to its end."""
    night = run("work", "--until-done", "--quiet-hours", "22:00-08:00")
    assert night.exit_code == 0, night.output
    assert held(workers) == {"HELD": 3}
    assert not vendor.arrivals
    assert run("ledger", "resume", "nightly").exit_code == 0
    assert run("work", "--until-done", "--quiet-hours", "12:00-14:00").exit_code == 0
    assert held(workers) == {"ACCEPTED": 3}
    assert sorted(vendor.rung().values()) == [1, 1, 1]


@pytest.mark.slow
@pytest.mark.usefixtures("at_night", "workers")
def test_a_container_is_told_the_hours_by_its_environment(
    vendor: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is told all else; the rate that all share is kept beside them."""
    monkeypatch.setenv("IHUYI_QUIET_HOURS", "22-8")
    assert run("work", "--until-done", "--max-rate", "100").exit_code == 0
    assert not vendor.arrivals
    monkeypatch.setenv("IHUYI_QUIET_HOURS", "")
    assert run("ledger", "resume", "nightly").exit_code == 0
    assert run("work", "--until-done", "--max-rate", "100").exit_code == 0
    assert len(vendor.arrivals) == 3


@pytest.mark.parametrize(
    ("hours", "told"), [("night", "can't be read"), ("22:00-22:00", "two different times")]
)
def test_workers_begin_with_no_hours_that_are_none(
    vendor: Simulator, workers: str, hours: str, told: str
) -> None:
    """Before they take anything on."""
    result = run("work", "--until-done", "--quiet-hours", hours)
    assert (result.exit_code, told in result.stderr) == (2, True)
    assert held(workers) == {"OPEN": 3}
    assert not vendor.arrivals
