"""Nothing from outside steers the terminal, whatever command shows it."""

import asyncio
import csv
import io
import json
import logging
import re
import subprocess
import unicodedata
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice.cli.output import print_json, reporting
from ihuyi_voice.common.redaction import shown
from ihuyi_voice.models import TemplateAudit
from ihuyi_voice.protocol.pushes import parse_push
from ihuyi_voice.pushes import Handling, Inbox
from ihuyi_voice.simulator import Simulator
from tests.pushes.support import report_form
from tests.support.command import CONTENT, MOBILE, Answering, program, run

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\nline 1: ACCEPTED\u202e\u2028\x00 [bold]:warning: \x7f"
ESCAPES = "\x1b[2J\x9b31m\u202e"
STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def steering(text: str) -> list[str]:
    """Return what in a text would steer a terminal, line ends between our own lines excepted."""
    return [c for c in text if unicodedata.category(c) in STEERING and c != "\n"]


def refusing(_: str) -> dict[str, object]:
    """Answer as a hostile vendor does."""
    return {"code": 9999, "msg": EVIL, "voiceid": "0"}


@pytest.mark.parametrize("options", [(), ("--json",)], ids=str)
@pytest.mark.parametrize(
    "args",
    [
        ("submit", MOBILE, CONTENT),
        ("balance",),
        ("template", "add", "a【变量】"),
        ("template", "delete", "1[/x]"),
    ],
    ids=lambda args: args[0],
)
def test_the_vendors_text_is_spelled_out(
    monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], options: tuple[str, ...]
) -> None:
    """In every command that shows it, for people and for programs; nothing of it is lost."""
    with Answering(refusing) as vendor:
        vendor.point(monkeypatch)
        result = run(*args, *options)
    assert result.exit_code == 3
    assert not steering(result.output)
    assert len(result.output.splitlines()) == (1 if options else 2)  # and what to do
    assert "[bold]:warning:" in result.output
    if options:
        assert EVIL in json.loads(result.stdout)["message"]
    else:
        assert r"\x1b[2J\x9b31m\r\nline 1: ACCEPTED\u202e\u2028" in result.stderr


@pytest.mark.parametrize("options", [(), ("--json",)], ids=str)
def test_a_bulk_run_spells_out_what_the_vendor_and_the_file_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Row by row, under the bar, and in our columns of the results; the list keeps its own."""
    file, out = tmp_path / "a.csv", tmp_path / "out.csv"
    evil = EVIL.replace("\r\n", "").replace("\u2028", "").replace("\0", "")
    file.write_text(
        f"mobile,content\n{MOBILE},{CONTENT}\n1{evil},x\n13911111111,x\n", encoding="utf-8"
    )
    with Answering(refusing) as vendor:
        vendor.point(monkeypatch)
        result = run("send", str(file), "--out", str(out), *options)
    assert result.exit_code == 1
    assert not steering(result.output)
    if not options:
        starts = {line.partition(":")[0] for line in result.stderr.splitlines()}
        assert {"line 3", "2 × REJECTED"} <= starts
        assert r"mostly (2): 9999 \x1b]0;owned\x07\x1b[2J" in result.stderr
    with out.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.reader(lines))
    assert not steering("".join(cell for row in rows for cell in row[2:]))
    assert {row[0] for row in rows} >= {f"1{evil}"}  # the list's own cells are as they were
    written = "".join(cell for row in rows for cell in row[2:])
    assert r"\x1b[2J\x9b31m\r\nline 1: ACCEPTED" in written


@pytest.mark.parametrize(
    "args",
    [
        ("send", "\x1b[2J.csv"),
        ("send", "\udcff.csv"),
        ("send", "x.csv", "--column", "\x1b[2J"),
        ("report", "7", "--inbox", "\x1b[2J"),
        ("template", "check", "\x1b[2J【变量】", "x"),
        ("\x1b[2J",),
        ("balance", "--\x1b[2J"),
        ("balance", "\x1b[2J"),
        ("balance", "--account", "\x1b[2J"),
        ("submit", MOBILE, CONTENT, "--max-wait", "\x1b[2J"),
        ("--lang", "zh", "balance", "--\x1b[2J"),
    ],
    ids=ascii,
)
def test_a_name_that_is_wrong_is_spelled_out(vendor: Simulator, args: tuple[str, ...]) -> None:
    """Names of files, columns, options and commands come from scripts, and those from anywhere."""
    result = run(*args)
    assert result.exit_code in {2, 3}
    assert not steering(result.output)
    told = r"\\x1b|\\udcff|has a blank|doesn't follow|valid number"  # the name, or what is wrong
    assert re.search(told, result.output)


def test_a_header_is_spelled_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error names the columns that it found."""
    with Answering(refusing) as vendor:
        vendor.point(monkeypatch)
        file = tmp_path / "a.csv"
        file.write_text("\x1b[2J,x\n1,2\n", encoding="utf-8")
        result = run("send", str(file))
    assert result.exit_code == 2
    assert not steering(result.output)
    assert r"\x1b[2J" in result.stderr


async def _store(inbox: str) -> None:
    async with Inbox.open(inbox, handling=Handling(max_tries=1)) as opened:
        await opened.put(parse_push(report_form("7", 99, msg=f"{MOBILE} {ESCAPES}")))


def test_a_report_is_spelled_out(tmp_path: Path) -> None:
    """Also the text of a code that is in no table, which is the vendor's own; numbers masked."""
    inbox = str(tmp_path / "pushes.sqlite3")
    asyncio.run(_store(inbox))
    result = run("report", "7", "--inbox", inbox)
    assert result.exit_code == 0
    assert not steering(result.output)
    assert r"  7  139****0000  139****0000 \x1b[2J\x9b31m\u202e" in result.stdout
    told = run("report", "7", "--inbox", inbox, "--json").stdout
    assert (json.loads(told)["msg"], steering(told)) == (f"{MOBILE} {ESCAPES}", [])
    missing = run("report", "\x1b[2J", "--inbox", inbox)
    assert missing.stderr == "no report of \\x1b[2J has come\n"


def test_what_receive_prints_is_spelled_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Audits like reports."""
    from ihuyi_voice.cli import pushes  # noqa: PLC0415

    asyncio.run(pushes.print_audit(TemplateAudit("5", approved=False, msg=EVIL)))
    out = capsys.readouterr().out
    assert not steering(out)
    assert out.startswith(r"template 5 turned down \x1b]0;owned")


def test_log_lines_that_nobody_else_handles_are_spelled_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python would write them to stderr as they are; afterwards it does so again."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    before = logging.lastResort
    logger = logging.getLogger("ihuyi_voice.test")
    with reporting(as_json=False):
        logger.warning("%s says %s", MOBILE, EVIL)
        logger.error("broken", exc_info=ValueError(EVIL.replace("\n", "")))
    lines = capsys.readouterr().err.splitlines()
    assert logging.lastResort is before
    assert lines[0].startswith(r"139****0000 says \x1b]0;owned\x07")
    assert lines[1] == "broken"
    assert lines[2].startswith(r"ValueError: \x1b]0;owned\x07")
    assert not steering("".join(lines))


@pytest.mark.long
@given(st.text())
def test_a_text_that_is_shown_never_steers(text: str) -> None:
    """And a text that has nothing to hide stays as it is, wide and accented letters included."""
    assert not steering(shown(text).replace("\n", "\0"))
    if not steering(text.replace("\n", "\0")):
        assert shown(text) == text


@given(st.dictionaries(st.text(), st.text()))
def test_json_says_the_same_harmlessly(value: dict[str, str]) -> None:
    """A program reads what was to be told, character by character."""
    with redirect_stdout(io.StringIO()) as told:
        print_json(value)
    line = told.getvalue().removesuffix("\n")
    assert json.loads(line) == value
    assert not steering(line.replace("\n", "\0"))


def test_a_real_stderr_takes_what_can_not_be_encoded(vendor: Simulator) -> None:
    """A file's name that is no text ends no program with a traceback."""
    done = subprocess.run(  # noqa: S603 - our own program
        [*program(), "send", b"\xff\x1b[2J.csv"], check=False, capture_output=True
    )
    assert done.returncode == 2
    assert rb"\udcff\x1b[2J.csv" in done.stderr
    assert b"Traceback" not in done.stderr
