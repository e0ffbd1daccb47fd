"""The group `ledger`: what people and programs are told of runs, and what they may decide."""

import asyncio
import csv
import io
import json
import re
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import pytest

from ihuyi_voice import NotSent, OutcomeStatus, OutcomeUnknown, VendorError, VoiceError
from ihuyi_voice.ledger import Fate, Ledger, RunReport
from ihuyi_voice.models import Action, DeliveryReport, Draft, Operation, Submission
from tests.support.command import CONTENT, run

NUMBERS = re.compile(r"1[3-9]\d{9}(?!\d)")
EVIL = "<script>alert(1)</script>"


def mobile(place: int) -> str:
    """Return a number."""
    return f"139{place:08d}"


class Reports:
    """An inbox that has some reports."""

    def __init__(self, *reports: DeliveryReport) -> None:
        self._reports = reports

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing was open."""

    async def reports(
        self, since: int | None = None, *, follow: bool = True
    ) -> AsyncGenerator[DeliveryReport]:
        """Yield them."""
        for report in self._reports:
            yield report


ENDS: tuple[Submission | VoiceError, ...] = (
    Submission("7000000000000001", mobile(0), "提交成功"),
    Submission("7000000000000002", mobile(1), "提交成功"),
    VendorError(4030, EVIL, Operation.SUBMIT, Action.FIX_REQUEST),
    NotSent("no connection to 13912345678"),
    OutcomeUnknown("no reply within 30 s"),
)


async def fill(path: str) -> None:
    """Make a ledger with a run in which everything has happened."""
    async with Ledger.open(path) as ledger, ledger.run("VM1", "nightly") as journal:
        for place, end in enumerate(ENDS):
            draft = Draft(f"k{place}", mobile(place), CONTENT, f"{EVIL}{mobile(place)}")
            assert await journal.intend(draft) is None
            await journal.settle(draft, end)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a ledger with a run is."""
    path = str(tmp_path / "n.db")
    asyncio.run(fill(path))
    monkeypatch.setenv("IHUYI_LEDGER", path)
    return path


def with_ledger(path: str, work: Callable[[Ledger], Awaitable[Any]]) -> Any:
    """Do something with a ledger."""

    async def main() -> Any:
        async with Ledger.open(path) as opened:
            return await work(opened)

    return asyncio.run(main())


COUNTS = {"ACCEPTED": 2, "REJECTED": 1, "HELD": 0, "NOT_SENT": 1, "UNKNOWN": 1, "OPEN": 0}


def test_runs_are_listed(ledger: str) -> None:
    """For people a table, for programs a line each."""
    result = run("ledger", "runs")
    assert (result.exit_code, "nightly" in result.stdout) == (0, True)
    told = json.loads(run("ledger", "runs", "--json").stdout)
    assert (told["run"], told["account"], told["in_use"]) == ("nightly", "VM1", False)
    assert told["outcomes"] == COUNTS


def test_a_run_is_shown(ledger: str) -> None:
    """Outcomes, codes and how calls ended."""
    result = run("ledger", "show", "nightly")
    assert re.search(r"│ UNKNOWN +│ 1 ", result.stdout)
    assert re.search(r"│ 4030 +│ 1 +│ 手机号码已被列入黑名单", result.stdout)
    told = json.loads(run("ledger", "show", "nightly", "--json").stdout)
    assert told["outcomes"] == COUNTS
    assert told["codes"] == {"2": 2, "4030": 1}
    assert told["people"] == {"awaited": 2, "uncertain": 1, "refused": 1, "not_called": 1}


def test_what_is_uncertain_is_listed_with_masked_numbers(ledger: str) -> None:
    """Unless whole ones are asked for."""
    result = run("ledger", "unknown", "nightly")
    assert (result.exit_code, "1 uncertain" in result.stdout) == (0, True)
    assert not NUMBERS.search(result.stdout)
    told = json.loads(run("ledger", "unknown", "nightly", "--json").stdout)
    assert (told["key"], told["mobile"], told["error"]) == (
        *("k4", "139****0004", "no reply within 30 s"),
    )
    told = json.loads(run("ledger", "unknown", "nightly", "--json", "--numbers").stdout)
    assert told["mobile"] == mobile(4)


def test_a_person_settles_what_is_uncertain(ledger: str) -> None:
    """Once; then it isn't uncertain any more."""
    result = run("ledger", "settle", "nightly", "k4", "accepted", "--voice-id", "7")
    assert (result.exit_code, result.stdout) == (0, "k4 is ACCEPTED now\n")
    assert run("ledger", "unknown", "nightly").stdout == "nothing is uncertain\n"
    again = run("ledger", "settle", "nightly", "k4", "not_sent")
    assert (again.exit_code, "only UNKNOWN can be settled" in again.stderr) == (2, True)


def test_reports_settle_what_is_uncertain(ledger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one call fits; they are joined to accepted calls, too."""
    reports = Reports(
        DeliveryReport("7000000000000001", 2, mobile(0), 5),
        DeliveryReport("7000000000000002", -6, mobile(1)),
    )

    def existing(_: str) -> Reports:
        return reports

    monkeypatch.setattr("ihuyi_voice.cli.inbox.existing", existing)
    result = run("ledger", "reconcile")
    assert result.exit_code == 0, result.output
    assert "0 settled by their reports" in result.stdout
    told = json.loads(run("ledger", "show", "nightly", "--json").stdout)
    assert told["deliveries"] == {"-6": 1, "2": 1}
    assert (told["people"]["answered"], told["people"]["not_reached"]) == (1, 1)
    assert re.search(r"│ -6 +│ 1 +│ 无人接听", run("ledger", "show", "nightly").stdout)


def test_a_run_is_written_as_csv(ledger: str, tmp_path: Path) -> None:
    """All entries, masked unless asked, to the output or to a file."""
    rows = list(csv.DictReader(io.StringIO(run("ledger", "csv", "nightly").stdout)))
    assert [row["status"] for row in rows] == [
        *("ACCEPTED", "ACCEPTED", "REJECTED", "NOT_SENT", "UNKNOWN"),
    ]
    assert (rows[2]["code"], rows[0]["mobile"]) == ("4030", "139****0000")
    assert rows[3]["error"] == "no connection to 139****5678"
    out = tmp_path / "out.csv"
    assert run("ledger", "csv", "nightly", "--numbers", "--out", str(out)).exit_code == 0
    assert mobile(0) in out.read_text(encoding="utf-8-sig")


def test_a_list_is_written_with_its_columns(ledger: str, tmp_path: Path) -> None:
    """And what became of each row, found by its reference or its digest."""
    file = tmp_path / "list.csv"
    file.write_text(
        f"姓名,mobile,content,reference\n张,{mobile(0)},{CONTENT},k0\n李,{mobile(9)},{CONTENT},k9\n",
        encoding="utf-8",
    )
    result = run("ledger", "csv", "nightly", "--recipients", str(file))
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [(row["姓名"], row["mobile"], row["status"]) for row in rows] == [
        ("张", "139****0000", "ACCEPTED"),
        ("李", "139****0009", "NOT_SENT"),
    ]


def test_a_run_is_written_as_a_page(ledger: str, tmp_path: Path) -> None:
    """In the language that is asked for, with nothing injected and no whole number."""
    out = tmp_path / "report.html"
    result = run("ledger", "html", "nightly", "--out", str(out), "--lang", "zh")
    assert result.exit_code == 0, result.output
    text = out.read_text(encoding="utf-8")
    assert '<html lang="zh">' in text
    assert "139****0004" in text
    assert EVIL not in text
    assert not NUMBERS.search(re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL))
    assert "共 5 人" in text


def test_a_missing_extra_is_named(
    ledger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the line that installs it; nothing is written."""
    monkeypatch.setitem(sys.modules, "ihuyi_voice.cli.page", None)
    out = tmp_path / "report.html"
    result = run("ledger", "html", "nightly", "--out", str(out))
    assert (result.exit_code, out.exists()) == (8, False)
    assert "pip install 'ihuyi-voice[report]'" in result.stderr


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        (("show", "none"), "the ledger has no run 'none'"),
        (("settle", "nightly", "nix", "accepted"), "the run has no entry of this key"),
        (("show", "nightly", "--account", "VM2"), "the ledger has no run 'nightly' of VM2"),
        (("show", "nightly", "--ledger", "/nowhere/n.db"), "there is no ledger /nowhere/n.db"),
    ],
)
def test_what_is_not_there_is_told(ledger: str, args: tuple[str, ...], shown: str) -> None:
    """Exit code 2, and no database is made."""
    result = run("ledger", *args)
    assert (result.exit_code, shown in result.stderr) == (2, True)


def test_what_a_person_told_of_says_nothing_of_how_long_calls_take(ledger: str) -> None:
    """The vendor's answer never came, so it has no time."""

    async def told(opened: Ledger) -> RunReport:
        await opened.settle("nightly", "k4", OutcomeStatus.ACCEPTED, voice_id="V4")
        return await opened.report("nightly")

    report = with_ledger(ledger, told)
    assert sum(count for each in report.slices for _, count in each.waits) == 3


def test_a_report_counts_the_whole_run(ledger: str) -> None:
    """People by the best that they got, codes, reasons and slices of time."""
    report = with_ledger(ledger, lambda opened: opened.report("nightly"))
    assert sum(report.people.values()) == 5
    assert report.people[Fate.AWAITED] == 2
    assert [(each.code, each.count) for each in report.codes] == [(2, 2), (4030, 1)]
    assert dict(report.reasons) == {"no connection to 13912345678": 1, "no reply within 30 s": 1}
    assert sum(sum(each.ended.values()) for each in report.slices) == 5
    assert sum(count for each in report.slices for _, count in each.waits) == 3
    assert [entry.key for entry in report.uncertain] == ["k4"]
    assert report.begun <= report.ended
