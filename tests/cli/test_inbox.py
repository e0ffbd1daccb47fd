"""`inbox`: counted, cleaned, looked through and read again, for people and for programs."""

import asyncio
import base64
import json
from typing import Any

import pytest

from ihuyi_voice.protocol import RawPush
from ihuyi_voice.pushes import DeliveryReport, Inbox
from tests.pushes.support import report, report_form, states
from tests.support.command import run

EVIL = b"mobilephone=13900000000&msg=\x1b[2J\r\nline 2 [bold]&x=\xff"


async def _fill(inbox: str, *raw: RawPush) -> None:
    async def handled(_: DeliveryReport) -> None:
        """Take it."""

    opened = Inbox.open(inbox, poll=0.01)
    opened.handle(on_report=handled)
    async with opened:
        await opened.put(report("7"))
        await states(opened, handled=1)
        for each in raw:
            await opened.quarantine(each)


@pytest.fixture
def filled(inbox: str) -> str:
    """Return an inbox with one handled push and one that can't be read."""
    asyncio.run(_fill(inbox, RawPush(EVIL, "text/x", "code is\x1b[2J wrong")))
    return inbox


def told(*args: str) -> list[dict[str, Any]]:
    """Return the objects that a command prints for programs."""
    result = run("inbox", *args, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_counts_says_what_there_is(filled: str) -> None:
    """In words of either language, and in numbers for programs."""
    assert "│ quarantined │ 1      │" in run("inbox", "counts").stdout
    assert "无法读取，已原样保存" in run("--lang", "zh", "inbox", "counts").stdout
    expected = {"pending": 0, "handled": 1, "dead": 0, "superseded": 0, "quarantined": 1}
    assert told("counts") == [{"counts": expected}]


def test_quarantine_shows_what_could_not_be_read(filled: str) -> None:
    """On a line each, harmless and without numbers; for programs to the byte."""
    shown = run("inbox", "quarantine").stdout
    assert len(shown.splitlines()) == 1
    assert r"code is\x1b[2J wrong: mobilephone=139****&msg=\x1b[2J\r\nline 2 [bold]" in shown
    (values,) = told("quarantine")
    assert base64.b64decode(values["body_base64"]) == EVIL
    assert (values["content_type"], values["reason"]) == ("text/x", "code is\x1b[2J wrong")
    assert "13900000000" in values["text"]


def test_an_empty_quarantine_is_told(inbox: str) -> None:
    """For a person in words, for a program by no line at all."""
    asyncio.run(_fill(inbox))
    assert run("inbox", "quarantine").stdout == "every push could be read\n"
    assert told("quarantine") == []


def test_reparse_reads_what_a_newer_version_can_read(inbox: str) -> None:
    """The others stay."""
    raw = RawPush(report_form("8"), "", "an earlier version could not read it")
    asyncio.run(_fill(inbox, raw, RawPush(EVIL, "", "wrong")))
    assert told("reparse") == [{"read": 1, "unread": 1}]
    assert run("inbox", "reparse").stdout == "0 pushes can be read now, 1 can not\n"
    assert json.loads(run("report", "8", "--json").stdout)["voice_id"] == "8"


def test_purge_deletes_what_is_handled_and_old(filled: str) -> None:
    """And nothing else: neither what came lately nor what still needs somebody."""
    assert run("inbox", "purge", "--days", "1").stdout == "0 pushes deleted\n"
    assert told("purge", "--days", "0") == [{"purged": 1}]
    assert told("counts")[0]["counts"]["quarantined"] == 1
    assert run("inbox", "purge").exit_code == 2


def test_it_speaks_chinese(filled: str) -> None:
    """Every command of the group."""
    for args, expected in (
        (("quarantine",), "：mobilephone=139****"),
        (("reparse",), "0 条推送现在可以读取，1 条仍无法读取"),
        (("purge", "--days", "0"), "已删除 1 条推送"),
    ):
        assert expected in run("--lang", "zh", "inbox", *args).stdout
