"""The demo: what somebody sees who tries the package for the first time."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from ihuyi_voice import InvalidRequest
from ihuyi_voice.cli import demo
from ihuyi_voice.cli.course import Course
from ihuyi_voice.inputs.recipients import BadRow, Recipient, RecipientsFile
from ihuyi_voice.inputs.templates import Template
from tests.support.command import PROGRAM, run

SIMULATORS_KEY = "simulator-key"
TEMPLATE = "您的订单号是：【变量】。已由【变量】发出，请注意查收。"
ROWS = 60


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.long
def test_the_demo_shows_everything_at_once(folder: Path) -> None:
    """Outcomes, codes with their meaning, rows that went wrong, throughput, and the balance."""
    result = run("demo", "--count", str(ROWS))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert re.fullmatch(r"The vendor, simulated, listens at http://127\.0\.0\.1:\d+/\S+", lines[0])
    assert lines[1] == f"Template: {TEMPLATE}"
    assert (
        sum(bool(re.fullmatch(r"60 rows in [\d.]+ s: \d+ a second", line)) for line in lines) == 1
    )
    assert lines[-1] == "balance before 1,000,000, after 999,947: 53 used"
    cells = [tuple(re.split(r" *│ *", line)[1:-1]) for line in lines if line.startswith("│")]
    ends, cells = cells[7:], cells[:7]
    assert {row[0] for row in ends} <= {"2", "-6", "-4", "-1", "-12"}
    assert ("成功", "answered") in {row[2:] for row in ends}
    assert sum(int(row[1]) for row in ends) == 53  # every accepted call's report is back
    assert cells == [
        ("ACCEPTED", "53", "no, the phone will ring"),
        ("REJECTED", "3", "see the codes"),
        ("HELD", "0", "yes, after retry_at"),
        ("NOT_SENT", "4", "yes, once what is wrong is mended"),
        ("UNKNOWN", "0", "no, it may ring already"),
        ("2", "53", "提交成功", "nothing"),
        ("4030", "3", "手机号码已被列入黑名单", "fix_request"),
    ]
    bad = set(re.findall(r"^line (\d+): (\w+): ", result.stderr, re.MULTILINE))
    assert bad == {(str(line), "NOT_SENT") for line in (14, 15, 16, 20)}
    (alike,) = re.findall(r"^3 × REJECTED: .* \(lines (.*)\)", result.stderr, re.MULTILINE)
    assert sorted(alike.split(", ")) == ["17", "18", "19"]
    assert SIMULATORS_KEY not in result.output
    assert not list(folder.iterdir())


@pytest.mark.long
def test_the_demo_can_speak_to_programs(folder: Path) -> None:
    """One object on stdout, nothing on stderr."""
    result = run("demo", "--count", "20", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    told = json.loads(result.stdout)
    assert told.pop("per_second") > 0
    assert sum(told.pop("reports").values()) == 13
    assert told == {
        "outcomes": {"ACCEPTED": 13, "REJECTED": 3, "HELD": 0, "NOT_SENT": 4, "UNKNOWN": 0},
        "codes": {"2": 13, "4030": 3},
    }
    assert not list(folder.iterdir())


@pytest.mark.parametrize("count", [20, 1000])
def test_the_demos_file_has_a_few_rows_of_each_kind(
    folder: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Bad numbers, a bad value, numbers twice, and all others good."""
    rows: list[Recipient | BadRow] = []

    async def read(_: object, __: object, path: Path, **___: object) -> Course:
        rows.extend(RecipientsFile(path, Template(TEMPLATE)))
        return Course()

    monkeypatch.setattr(demo, "_show", read)
    assert run("demo", "--count", str(count)).exit_code == 0
    good = [row.mobile for row in rows if isinstance(row, Recipient)]
    assert len(rows) == count
    assert [row.line for row in rows if isinstance(row, BadRow)] == [14, 15, 16, 20]
    assert len(good) - len(set(good)) == 2


def test_a_demo_that_fails_leaves_nothing_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its file nor its server."""

    async def fail(*_: object, **__: object) -> None:
        raise InvalidRequest("it broke")

    monkeypatch.setattr(demo, "_show", fail)
    result = run("demo", "--count", "20")
    assert (result.exit_code, result.stderr) == (2, "InvalidRequest: it broke\n")
    assert not list(folder.iterdir())


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="it has other signals")
@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_ended_leaves_nothing_behind(tmp_path: Path, by: signal.Signals) -> None:
    """As with Ctrl-C, by whatever it is ended: no list and no inbox among the temporary files."""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "IHUYI_LANG": "en"}
    with subprocess.Popen(  # noqa: S603 - our own program
        [*PROGRAM, "demo"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline()
        running.send_signal(by)
        _, told = running.communicate()
    assert (running.returncode, told.splitlines()[-1:]) == (130, [b"Interrupted."])
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_demo_that_is_interrupted_while_it_sends_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent until then is told, and the exit code is not that of a whole one."""
    whole = demo._vendor()  # pyright: ignore[reportPrivateUsage]
    act = whole._act  # pyright: ignore[reportPrivateUsage]

    def interrupted(operation: str, form: Any, fault: Any) -> Any:
        if len(whole.arrivals) == 20:
            os.kill(os.getpid(), signal.SIGINT)
        return act(operation, form, fault)

    monkeypatch.setattr(whole, "_act", interrupted)
    monkeypatch.setattr(demo, "_vendor", lambda: whole)
    result = run("demo", "--count", "200")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (130, "Interrupted.")
    assert 0 < len(whole.arrivals) < 200
    assert "rows in" in result.stdout


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The demo is the first thing that somebody behind a company's proxy tries."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    done = subprocess.run(  # noqa: S603 - our own program
        [*PROGRAM, "demo", "--count", "20", "--json"], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["outcomes"]["ACCEPTED"] == sum(told["reports"].values()) == 13
