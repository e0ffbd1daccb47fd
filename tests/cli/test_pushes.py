"""Receiving pushes from the shell: what is printed, what is kept, and how it ends."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ihuyi_voice.pushes import DeliveryReport, Handling, Inbox, PushState
from tests.pushes.support import FORM, audit_form, report, report_form, states
from tests.support.command import PROGRAM, run

TOKEN = "s3cret-token"


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of an inbox, and the environment that the commands read."""
    monkeypatch.setenv("IHUYI_PUSH_TOKEN", TOKEN)
    monkeypatch.setenv("IHUYI_INBOX", str(tmp_path / "pushes.sqlite3"))
    return str(tmp_path / "pushes.sqlite3")


@contextmanager
def receiving(
    *args: str, said: str = "listening at "
) -> Generator[tuple["subprocess.Popen[str]", str]]:
    """Run `ihuyi-voice receive` in a process of its own; yield it and its address."""
    command = [*PROGRAM, "receive", "--port", "0", *args]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith(f"{said}http://127.0.0.1:"), line
            yield process, line.removeprefix(said).strip()
        finally:
            process.kill()


def push(address: str, body: bytes) -> httpx.Response:
    """Push as the vendor does."""
    url = address.replace("<token>", TOKEN)
    return httpx.post(url, content=body, headers={"Content-Type": FORM}, trust_env=False)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_receive_prints_each_push_once_and_ends_in_good_order(inbox: str, name: str) -> None:
    """For a person, numbers masked and the token nowhere."""
    with receiving() as (process, address):
        for body in (report_form("7"), report_form("7"), audit_form("5", 0, "含有敏感字符")):
            assert push(address, body).text == "success"
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(getattr(signal, name))
        rest, told = process.communicate()
    assert lines == [
        "2018-05-24 17:46:50  7  139****0000  成功, 12 s\n",
        "template 5 turned down 含有敏感字符\n",
    ]
    assert (process.returncode, rest, told) == (0, "", "")


def test_receive_speaks_to_programs(inbox: str) -> None:
    """One object a line, numbers in full, also for what was stored while nobody received."""
    with receiving("--store-only") as (_, address):
        assert push(address, report_form("7", code=-6)).text == "success"
    with receiving("--json") as (process, address):
        assert push(address, audit_form("5")).text == "success"
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline()) for _ in range(2)]
    assert sorted(told, key=lambda each: each["kind"]) == [
        {"kind": "audit", "template_id": "5", "approved": True, "msg": ""},
        {
            "kind": "report",
            "voice_id": "7",
            "code": -6,
            "mobile": "13900000000",
            "talk_time": 12,
            "report_time": "2018-05-24T17:46:50+08:00",
            "msg": "成功",
            "status": "no_answer",
            "answered": False,
        },
    ]


def test_receive_speaks_chinese(inbox: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where handlers print, which run in tasks of the inbox; and so does `report`."""
    monkeypatch.setenv("IHUYI_LANG", "zh")
    with receiving(said="正在监听 ") as (process, address):
        for body in (report_form("7"), audit_form("5", 0, "含有敏感字符")):
            assert push(address, body).text == "success"
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
    assert lines == [
        "2018-05-24 17:46:50  7  139****0000  成功，12 秒\n",
        "模板 5 未通过审核 含有敏感字符\n",
    ]
    assert run("report", "7").stdout == lines[0]
    assert run("report", "8").stderr == "8 的回执尚未到达\n"
    assert "待处理" in run("replay").stdout


def test_receive_takes_only_allowed_networks(inbox: str) -> None:
    """A proxy's word counts if it was named."""
    with receiving("--allow", "203.0.113.0/24", "--trusted-proxy", "127.0.0.1") as (_, address):
        assert push(address, report_form("7")).status_code == 403
        url = address.replace("<token>", TOKEN)
        headers = {"Content-Type": FORM, "X-Forwarded-For": "203.0.113.9"}
        passed = httpx.post(url, content=report_form(), headers=headers, trust_env=False)
        assert passed.text == "success"


def test_receive_needs_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And proposes one."""
    monkeypatch.delenv("IHUYI_PUSH_TOKEN", raising=False)
    result = run("receive", "--inbox", str(tmp_path / "pushes.sqlite3"))
    assert result.exit_code == 2
    assert "set IHUYI_PUSH_TOKEN, for example to " in result.stderr


def test_receive_tells_what_is_wrong_with_its_inbox(inbox: str, tmp_path: Path) -> None:
    """Before it listens."""
    result = run("receive", "--inbox", str(tmp_path / "missing" / "pushes.sqlite3"))
    assert result.exit_code == 1
    assert "unable to open database file" in result.stderr
    assert "listening" not in result.output


async def _store(inbox: str, *voice_ids: str) -> None:
    async with Inbox.open(inbox) as opened:
        for voice_id in voice_ids:
            await opened.put(report(voice_id))


def test_report_tells_how_a_call_ended(inbox: str) -> None:
    """For a person and for a program."""
    asyncio.run(_store(inbox, "7"))
    shown = run("report", "7")
    assert (shown.exit_code, shown.stdout) == (
        0,
        "2018-05-24 17:46:50  7  139****0000  成功, 12 s\n",
    )
    told = run("report", "7", "--json")
    assert json.loads(told.stdout)["answered"] is True


def test_report_says_if_there_is_none(inbox: str) -> None:
    """Exit code 1 for none yet; 2 for an inbox that isn't there, which is not made."""
    missing = run("report", "7")
    assert (missing.exit_code, "there is no inbox" in missing.stderr) == (2, True)
    assert not Path(inbox).exists()
    asyncio.run(_store(inbox, "7"))
    result = run("report", "8", "--wait", "0.01")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "no report of 8 has come\n"


async def _die(inbox: str) -> None:
    async def fail(_: DeliveryReport) -> None:
        raise ValueError

    opened = Inbox.open(inbox, handling=Handling(max_tries=1), poll=0.01)
    opened.handle(on_report=fail)
    async with opened:
        await opened.put(report("7"))
        await states(opened, dead=1)


async def _count(inbox: str) -> dict[PushState, int]:
    async with Inbox.open(inbox) as opened:
        return await opened.counts()


def test_replay_revives_the_dead(inbox: str) -> None:
    """And says how many they were."""
    asyncio.run(_die(inbox))
    shown = run("replay")
    assert shown.stdout.splitlines()[0] == "1 dead pushes will be handled again"
    assert asyncio.run(_count(inbox))[PushState.PENDING] == 1
    told = run("replay", "--json")
    counts = {"pending": 1, "handled": 0, "dead": 0, "superseded": 0}
    assert json.loads(told.stdout) == {"replayed": 0, "counts": counts}
