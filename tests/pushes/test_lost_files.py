"""An inbox whose SQLite file is lost, locked, full or not to be written: `success` to nothing."""

# ruff: noqa: ASYNC240 - small files
# Some facts can only be seen from inside.
# pyright: reportPrivateUsage=false

import asyncio
import json
import re
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

import pytest

from ihuyi_voice.pushes import Inbox, InboxUnavailable, PushReceiver
from tests.pushes.requests import TOKEN, push, status
from tests.pushes.support import Recorder, report, report_form, states

LOST = "push refused, 503: not stored: the inbox's database failed: OSError: the file, or its -wal,"


async def voice_ids(path: Path) -> list[int]:
    """Return the ids of what is stored in a file."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT subject FROM ihuyi_pushes ORDER BY seq").fetchall()
    connection.close()
    return [int(subject) for (subject,) in rows]


@pytest.mark.parametrize("then", ["deleted", "replaced"])
@pytest.mark.parametrize("ending", ["", "-wal"])
async def test_nothing_is_acknowledged_into_a_file_that_is_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ending: str, then: str
) -> None:
    """Deleted or replaced, itself or its log: 503 and a clear word until the same one is back."""
    path, handler = tmp_path / "pushes.sqlite3", Recorder()
    inbox = Inbox.open(path, poll=0.01)
    receiver = PushReceiver(inbox, token=TOKEN, on_report=handler)
    async with inbox:
        assert await status(receiver, push(report_form("1"))) == 200
        await states(inbox, handled=1)
        lost, away = Path(f"{path}{ending}"), tmp_path / "away"
        lost.rename(away)
        if then == "replaced":
            shutil.copy(away, lost)
        for number in range(2, 8):
            assert await status(receiver, push(report_form(str(number)))) == 503
        away.rename(lost)
        assert await status(receiver, push(report_form("8"))) == 200
        await states(inbox, handled=2)
    assert await voice_ids(path) == [1, 8]
    assert LOST in caplog.text


async def test_a_file_that_is_made_anew_is_taken_by_opening_again(tmp_path: Path) -> None:
    """Which is a decision: nobody here can know whether the old one is to come back."""
    path = tmp_path / "pushes.sqlite3"
    async with Inbox.open(path) as inbox:
        await inbox.put(report("1"))
        for each in tmp_path.iterdir():
            each.unlink()
        with pytest.raises(InboxUnavailable, match="deleted or replaced"):
            await inbox.put(report("2"))
        async with Inbox.open(path) as anew:
            await anew.put(report("3"))
            with pytest.raises(InboxUnavailable, match="deleted or replaced"):
                await inbox.put(report("4"))
    assert await voice_ids(path) == [3]


async def test_a_file_that_somebody_locks_for_too_long_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """503 until it is free; what was stored is handled then."""
    monkeypatch.setattr("ihuyi_voice.storage.sqlite._BUSY", 0.05)
    path, handler = tmp_path / "pushes.sqlite3", Recorder()
    inbox = Inbox.open(path, poll=0.01)
    receiver = PushReceiver(inbox, token=TOKEN, on_report=handler)
    async with inbox:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for number in (1, 2):
            assert await status(receiver, push(report_form(str(number)))) == 503
        other.execute("COMMIT")
        other.close()
        assert await status(receiver, push(report_form("3"))) == 200
        await states(inbox, handled=1)
    assert "503: not stored: the inbox's database failed: OperationalError: database is locked" in (
        caplog.text
    )


async def test_a_database_that_may_not_grow_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What fits is acknowledged, and nothing else; when there is room again, it goes on."""
    path = tmp_path / "pushes.sqlite3"
    inbox = Inbox.open(path, poll=0.01)
    receiver = PushReceiver(inbox, token=TOKEN)
    answers: list[int] = []
    async with inbox:
        limit_pages(inbox, 1)  # it is larger already
        while answers.count(503) < 5:
            answers.append(await status(receiver, push(report_form(str(len(answers) + 1)))))
        limit_pages(inbox, 2**31 - 2)
        for _ in range(3):
            answers.append(await status(receiver, push(report_form(str(len(answers) + 1)))))
    assert answers[-3:] == [200] * 3
    assert await voice_ids(path) == acknowledged(answers)
    assert "database or disk is full" in caplog.text


def limit_pages(inbox: Inbox, most: int) -> None:
    """Let the file grow to so many pages, or not at all; a setting of the writer's connection."""
    engine = inbox._open_parts().store._database._engine
    engine._writer.execute(f"PRAGMA max_page_count={most}")  # type: ignore[attr-defined]


def acknowledged(answers: list[int]) -> list[int]:
    """Return the ids of what was answered `success`."""
    return [place for place, answer in enumerate(answers, 1) if answer == 200]


@pytest.mark.long
@pytest.mark.parametrize("limit", [130_000, 200_000, 300_000])
async def test_a_disk_that_is_full_is_told(tmp_path: Path, limit: int) -> None:
    """In a process whose files may not grow: likewise, in the middle of a page or of a log."""
    path = tmp_path / "pushes.sqlite3"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.pushes.confined", str(path), str(limit)),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, log = await process.communicate()
    assert process.returncode == 0, log.decode()
    answers = json.loads(out)
    assert answers[-5:] == [200] * 5
    assert answers.count(200) > 5
    assert await voice_ids(path) == acknowledged(answers)
    assert b"push refused, 503: not stored: the inbox's database failed: OperationalError" in log


READ_ONLY = """
import asyncio, os, sys
from ihuyi_voice.pushes import Inbox, InboxUnavailable
from tests.pushes.support import report

async def main():
    try:
        async with Inbox.open(sys.argv[1]) as inbox:
            await inbox.put(report("2"))
    except InboxUnavailable as exc:
        print(exc)

if os.geteuid() == 0:
    os.setuid(65534)  # root may write anywhere
asyncio.run(main())
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("which", "told"),
    [
        ("folder", "unable to open database file"),
        ("folder with a file", "readonly database|unable to open database file"),
        ("file", "readonly database"),
    ],
)
async def test_what_may_not_be_written_is_told_at_opening(which: str, told: str) -> None:
    """A folder without a file, with one, and a file by itself; what is there stays as it is."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders let nobody else in
        path = Path(name) / "pushes.sqlite3"
        if which != "folder":
            async with Inbox.open(path) as inbox:
                await inbox.put(report("1"))
            path.chmod(0o444 if which == "file" else 0o666)
        Path(name).chmod(0o777 if which == "file" else 0o555)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", READ_ONLY, str(path)),
            cwd=Path(__file__).parents[2],
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        assert re.match(f"the inbox's database failed: OperationalError: .*({told})", out.decode())
        Path(name).chmod(0o777)
        assert which == "folder" or await voice_ids(path) == [1]
