"""What a ledger and the command around it tell: in use, failing, refused, uncertain, printed."""

import asyncio
import csv
import json
import os
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ihuyi_voice import OutcomeUnknown
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.models import Draft
from ihuyi_voice.protocol import parse_push
from ihuyi_voice.pushes import Inbox
from ihuyi_voice.simulator import Fault, Simulator
from tests.cli.test_resuming import Sending, arrived, results, sent, write
from tests.pushes.support import FORM, report_form
from tests.support.command import CONTENT, MOBILE, program, run


def test_the_reports_of_a_real_inbox_settle_what_is_uncertain(tmp_path: Path, inbox: str) -> None:
    """By number and time; the run has nothing uncertain then."""
    ledger = str(tmp_path / "n.db")

    async def fill() -> None:
        async with Ledger.open(ledger) as opened, opened.run("VM1", "r") as journal:
            draft = Draft("k", MOBILE, CONTENT)
            await journal.intend(draft)
            await journal.settle(draft, OutcomeUnknown("no reply"))
        now = datetime.now(timezone(timedelta(hours=8)))  # the vendor's
        async with Inbox.open(inbox) as reports:
            await reports.put(
                parse_push(report_form("7", 2, report_time=f"{now:%Y-%m-%d %H:%M:%S}"), FORM)
            )

    asyncio.run(fill())
    result = run("ledger", "reconcile", "--ledger", ledger, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert ([each["key"] for each in told["settled"]], told["ambiguous"]) == (["k"], [])
    assert "nothing is uncertain" in run("ledger", "unknown", "r", "--ledger", ledger).stdout


@pytest.mark.slow
def test_a_run_in_use_is_told_in_words_and_can_be_taken_over(
    vendor: Simulator, tmp_path: Path
) -> None:
    """Refused with what to do; taken over, the other process sends nothing more."""
    vendor.latency = 0.3
    file = write(tmp_path, 200)
    first = Sending(tmp_path, file)
    arrived(vendor, 5, first)
    code, said = sent(tmp_path)
    assert code == 4
    assert "Another process works on this run" in said
    assert "--takeover" in said
    vendor.latency = 0.0
    code, _ = sent(tmp_path, "--takeover")
    assert code in {0, 1}
    first.end()
    assert max(vendor.rung().values()) == 1


def test_what_was_refused_is_sent_again_when_asked(vendor: Simulator, tmp_path: Path) -> None:
    """And not otherwise."""
    vendor.add_fault(Fault("code", code=4030, times=1))
    write(tmp_path, 1)
    assert sent(tmp_path)[0] == 1
    assert sent(tmp_path)[0] == 7
    assert len(vendor.arrivals) == 1
    assert sent(tmp_path, "--retry-rejected")[0] == 0
    assert len(vendor.arrivals) == 2


def test_a_content_with_line_breaks_is_one_message_and_one_row(
    vendor: Simulator, tmp_path: Path
) -> None:
    """In the vendor's record, and in the results."""
    vendor.vendor.check_templates = False
    file, out = tmp_path / "名单.csv", tmp_path / "out.csv"
    with file.open("w", encoding="utf-8", newline="") as written:
        csv.writer(written).writerows([("mobile", "content"), (MOBILE, 'a,\n"b"')])
    assert sent(tmp_path, "--out", str(out))[0] in {0, 1}
    assert [(row["content"], row["run"]) for row in results(out)] == [('a,\n"b"', "名单.csv")]
    assert [arrival.content for arrival in vendor.arrivals] == ['a,\n"b"']


def test_a_closed_output_costs_the_words_alone(vendor: Simulator, tmp_path: Path) -> None:
    """Everything is sent and in the results; exit code 6 says that the summary is lost."""
    file, out = write(tmp_path, 3), tmp_path / "out.csv"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(  # noqa: S603 - our own program
        [*program(), "send", str(file), "--ledger", str(tmp_path / "n.db"), "--out", str(out)],
        check=False,
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    assert (done.returncode, b"Traceback" in done.stderr) == (6, False)
    assert {row["status"] for row in results(out)} == {"ACCEPTED"}


def test_an_output_of_windows_letters_loses_no_summary(vendor: Simulator, tmp_path: Path) -> None:
    """What cp1252 lacks is spelled out."""
    done = subprocess.run(  # noqa: S603 - our own program
        [*program(), "send", str(write(tmp_path, 3)), "--ledger", str(tmp_path / "n.db")],
        check=False,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "cp1252:strict"},
    )
    assert (done.returncode, b"3 rows in" in done.stdout) == (0, True), done.stderr
