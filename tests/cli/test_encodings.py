"""Outputs that have no Chinese letters: nothing is lost, and nothing crashes, in any command."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ihuyi_voice.protocol import RawPush, parse_push
from ihuyi_voice.pushes import Inbox
from ihuyi_voice.simulator import Simulator
from tests.pushes.support import report_form
from tests.support.command import CONTENT, MOBILE

pytestmark = pytest.mark.long

# Each command in one process, for they load slowly; its exit code stands behind what it prints.
ALL = """
import json, sys
from ihuyi_voice.cli import main
for args in json.loads(sys.argv[1]):
    sys.argv = ["ihuyi-voice", *args]
    try:
        main()
    except SystemExit as ended:
        print("=", ended.code, flush=True)
"""
MSG = "新状态 é 😀 “x”"
ODD = "模板 é😀.csv"


async def _fill(inbox: str) -> None:
    async with Inbox.open(inbox) as opened:
        await opened.put(parse_push(report_form("7", 99, msg=MSG)))
        await opened.quarantine(RawPush(f"x={MSG}".encode(), "", "没有 voiceid"))


def every(encoding: str, *commands: tuple[str, ...]) -> tuple[str, str]:
    """Run commands where the output has this encoding; return what they print, and complain."""
    environment = os.environ | {"PYTHONIOENCODING": f"{encoding}:strict", "IHUYI_LANG": "zh"}
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", ALL, json.dumps(commands)],
        check=False,
        capture_output=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode(encoding), done.stderr.decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "gbk"])
def test_no_command_loses_anything(
    inbox: str, vendor: Simulator, tmp_path: Path, encoding: str
) -> None:
    """For people what can't be written is spelled out; each ends as it does everywhere."""
    asyncio.run(_fill(inbox))
    recipients = tmp_path / "名单.csv"
    recipients.write_text(f"手机号,content\n{MOBILE},{CONTENT}\n1,x\n", encoding="utf-8")
    out, told = every(
        encoding,
        ("submit", MOBILE, CONTENT),
        ("balance",),
        ("template", "check", "今天停水", "今天停水"),
        ("template", "add", "【变量】x"),
        ("template", "delete", "1"),
        ("send", str(recipients), "--column", "mobile=手机号"),
        ("send", ODD),
        ("report", "7"),
        ("report", "8"),
        ("replay",),
        ("inbox", "counts"),
        ("inbox", "quarantine"),
        ("inbox", "reparse"),
        ("inbox", "purge", "--days", "1"),
        ("demo", "--count", "20"),
        ("receive", "--token", "短"),
        ("nonsense é",),
        ("check",),
        ("simulate", "--balance", "-5"),
        ("simulate", "--fault", ODD),
        ("--help",),
        ("inbox", "purge", "--help"),
    )
    ended = [int(line[2:]) for line in out.splitlines() if line.startswith("= ")]
    assert ended == [0, 0, 0, 0, 3, 1, 2, 0, 1, 0, 0, 0, 0, 0, 0, 2, 2, 0, 2, 2, 0, 0]
    assert "Traceback" not in told
    for whole in (MSG, ODD, "没有 voiceid"):
        spelled = whole.encode(encoding, "backslashreplace").decode(encoding)
        assert spelled in out + told


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "gbk"])
def test_json_stays_json(inbox: str, encoding: str) -> None:
    """A program reads the same, whatever letters the pipe has."""
    asyncio.run(_fill(inbox))
    out, told = every(encoding, ("report", "7", "--json"), ("inbox", "quarantine", "--json"))
    assert told == ""
    report, _, unread, _ = out.splitlines()
    assert json.loads(report)["msg"] == MSG
    assert json.loads(unread)["text"] == f"x={MSG}"
