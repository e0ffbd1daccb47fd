"""`receive`: what is printed, what is kept, and how it ends."""

# Its sockets can only be seen from inside.
# pyright: reportPrivateUsage=false

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from ihuyi_voice import DeliveryReport
from ihuyi_voice.cli.pushes import _while_heard
from tests.cli.receiving import TOKEN, push, receiving
from tests.pushes.support import FORM, audit_form, report_form
from tests.support.command import program, run


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
            "raw": {
                "code": "-6",
                "msg": "成功",
                "mobilephone": "13900000000",
                "talktime": "12",
                "voiceid": "7",
                "report_time": "2018-05-24 17:46:50",
            },
            "seq": 1,
            "status": "no_answer",
            "answered": False,
        },
    ]


def test_receive_speaks_chinese(inbox: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where handlers print, which run in tasks of the inbox; and so does `report`."""
    monkeypatch.setenv("IHUYI_LANG", "zh")
    with receiving(said="正在监听 http://127.0.0.1:") as (process, address):
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
    assert result.exit_code == 6
    assert "unable to open database file" in result.stderr
    assert "listening" not in result.output


@pytest.mark.parametrize("token", ["abc", "a" * 15])
def test_receive_refuses_a_secret_that_can_be_guessed(
    inbox: str, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    """And says what to do; nothing is made or opened before that."""
    monkeypatch.setenv("IHUYI_PUSH_TOKEN", token)
    result = run("receive")
    assert (result.exit_code, result.stdout) == (2, "")
    proposal = re.search(r"set IHUYI_PUSH_TOKEN, for example to (\S+),", result.stderr)
    assert proposal is not None
    assert len(proposal[1]) > 16
    assert not Path(inbox).exists()
    assert token not in run("--lang", "zh", "receive", "--token", token).stderr.replace("例", "")


@pytest.mark.parametrize("command", ["receive", "simulate"])
def test_a_port_that_is_taken_is_no_refusal_of_the_vendor(inbox: str, command: str) -> None:
    """Nor wrong input: the surroundings have failed, exit code 6, and the reason is told once."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(  # noqa: S603 - our own program
            [*program(), command, "--port", port], check=False, capture_output=True, text=True
        )
    assert (done.returncode, done.stdout) == (6, "")
    assert f"port {port} on 127.0.0.1 is taken" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_host_that_is_none_is_wrong_input(inbox: str) -> None:
    """Exit code 2, in words, without a traceback."""
    result = run("receive", "--host", "no such host")
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1


def test_an_address_of_ipv6_has_its_brackets(inbox: str) -> None:
    """So that it can be copied; and somebody listens there."""
    with receiving("--host", "::1", said="listening at http://[::1]:") as (_, address):
        assert push(address, report_form("7")).text == "success"


def test_an_answer_does_not_wait_for_itself(inbox: str) -> None:
    """Its two parts leave at once: the sockets that it listens on are known to be TCP."""
    from ihuyi_voice.cli import serving  # noqa: PLC0415

    async def listen() -> list[int]:
        bound = await serving.listen("127.0.0.1", 0)
        protocols = [each.proto for each in bound]
        for each in bound:
            each.close()
        return protocols

    assert asyncio.run(listen()) == [socket.IPPROTO_TCP]


@pytest.mark.long
@pytest.mark.parametrize("options", [(), ("--json",)], ids=str)
def test_a_closed_output_ends_it_and_loses_nothing(inbox: str, options: tuple[str, ...]) -> None:
    """What was not printed is printed next time; it says so without a word about event loops."""
    with receiving(*options) as (process, address):
        assert process.stdout is not None
        process.stdout.close()
        assert push(address, report_form("7")).text == "success"
        assert process.wait() == 6
        assert process.stderr is not None
        told = process.stderr.read()
    assert told == (
        "the output is closed: what was not printed stays stored, and is printed next time\n"
    )
    with receiving() as (process, _):
        assert process.stdout is not None
        assert process.stdout.readline().startswith("2018-05-24 17:46:50  7  ")


@pytest.mark.slow
def test_what_can_not_be_read_is_told_on_stderr(inbox: str) -> None:
    """On one harmless line without numbers, while pushes go on."""
    evil = b"mobilephone=13900000000&msg=%1b%5b2J%0d%0aline 2&code=DELIVRD&voiceid=9"
    with receiving() as (process, address):
        assert push(address, evil).text == "success"
        assert push(address, report_form("7"), "").text == "success"
        process.send_signal(signal.SIGINT)
        out, told = process.communicate()
    assert (process.returncode, out[:20]) == (0, "2018-05-24 17:46:50 ")
    assert told.startswith("push quarantined, for it can't be read: code is not what it should be")
    assert r"mobilephone=139****&msg=\x1b[2J\r\nline 2" in told
    assert len(told.splitlines()) == 1
    assert run("inbox", "counts", "--json").exit_code == 0


def test_a_hostile_text_steers_no_terminal(inbox: str) -> None:
    """The text of the vendor in a report of an unlisted code, and in an audit."""
    evil = "\x1b]0;owned\x07\x9b31m\r\nforged\u202e [bold]"
    with receiving() as (process, address):
        assert push(address, report_form("7", 99, msg=evil)).text == "success"
        assert push(address, audit_form("5", 0, evil)).text == "success"
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
    assert all(line.rstrip("\n").isprintable() for line in lines)
    assert all(r"\x1b]0;owned\x07\x9b31m\r\nforged\u202e [bold]" in line for line in lines)


@pytest.mark.slow
def test_pushes_are_taken_while_nobody_reads(inbox: str) -> None:
    """As from a pager that stands still: they are stored, and printed to whoever reads next."""
    count = 300  # more than a pipe holds
    with receiving("--json") as (process, address):
        for place in range(1, count + 1):
            assert push(address, report_form(str(place))).text == "success"
        process.send_signal(signal.SIGTERM)
        process.wait()  # nobody reads yet
        printed, told = process.communicate()
    assert (process.returncode, told) == (0, "")
    assert 0 < len(printed.splitlines()) < count
    with receiving("--json") as (process, _):
        assert process.stdout is not None
        more = [process.stdout.readline() for _ in range(count - len(printed.splitlines()))]
    ids = [json.loads(line)["voice_id"] for line in (*printed.splitlines(), *more)]
    assert sorted(ids, key=int) == [str(place) for place in range(1, count + 1)]


async def test_a_handler_that_waits_for_a_reader_outlasts_its_time_and_no_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its timeout is no failure of its push, or a pause would make dead letters of pushes."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    told = DeliveryReport("7000000000000001", 2, "13900000000")
    over, printed = asyncio.Event(), list[DeliveryReport]()

    async def show(report: DeliveryReport) -> None:
        printed.append(report)

    handle = _while_heard(show, asyncio.Event(), over)
    with open(writing, "w", encoding="utf-8") as file:  # noqa: ASYNC230, PTH123 - of a number
        monkeypatch.setattr(sys, "stdout", file)
        waits, ends = (asyncio.ensure_future(handle(told)) for _ in range(2))
        await asyncio.sleep(0)
        waits.cancel()  # as its timeout does
        await asyncio.sleep(0)
        assert not waits.done()
        over.set()
        ends.cancel()
        await asyncio.wait({ends})
        assert (ends.cancelled(), printed) == (True, [])
        os.read(reading, 1 << 20)
        await waits
        monkeypatch.undo()
    os.close(reading)
    assert printed == [told]
