"""`report` and `replay`: how a call ended, and dead letters; and what they leave alone."""

import asyncio
import json
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from ihuyi_voice.pushes import DeliveryReport, Handling, Inbox, PushState
from tests.pushes.support import report, states
from tests.support.command import program, run


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
    """Exit code 1, and not before it has been waited for."""
    asyncio.run(_store(inbox, "7"))
    result = run("report", "8", "--wait", "0.01")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "no report of 8 has come\n"


@pytest.mark.parametrize(
    "args",
    [
        ("report", "7"),
        ("replay",),
        ("inbox", "counts"),
        ("inbox", "quarantine"),
        ("inbox", "reparse"),
        ("inbox", "purge", "--days", "1"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("form", ["{}", "sqlite:///{}"])
def test_an_inbox_that_is_not_there_is_not_made(
    inbox: str, args: tuple[str, ...], form: str
) -> None:
    """To read from a new one would always find nothing; exit code 2 says that its name is wrong."""
    result = run(*args, "--inbox", form.format(inbox))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no inbox" in result.stderr
    assert not list(Path(inbox).parent.iterdir())


READING = [("report", "7"), ("inbox", "counts"), ("inbox", "quarantine")]


@pytest.mark.parametrize("args", READING, ids=" ".join)
def test_reading_waits_for_nobody_who_writes(inbox: str, args: tuple[str, ...]) -> None:
    """Not even for somebody who never ends; and it writes nothing."""
    asyncio.run(_store(inbox, "7"))
    with closing(sqlite3.connect(inbox, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert run(*args).exit_code == 0


@pytest.mark.parametrize("args", [*READING, ("replay",), ("inbox", "reparse")], ids=" ".join)
def test_a_database_that_failed_is_no_report_that_has_not_come(
    inbox: str, args: tuple[str, ...]
) -> None:
    """Exit code 6, with the reason."""
    Path(inbox).write_bytes(b"no database" * 1000)
    result = run(*args)
    assert (result.exit_code, result.stdout) == (6, "")
    assert "the inbox's database failed" in result.stderr


@pytest.mark.long
def test_a_closed_output_is_told_apart_from_wrong_input(inbox: str) -> None:
    """Whatever was done is done; exit code 6, and no traceback."""
    asyncio.run(_store(inbox, "7"))
    for args in (("report", "7"), ("report", "7", "--json"), ("inbox", "counts")):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(  # noqa: S603 - our own program
            [*program(), *args], check=False, stdout=writing, stderr=subprocess.PIPE, text=True
        )
        os.close(writing)
        told = "ihuyi-voice: the output was closed before everything was written\n"
        assert (done.returncode, done.stderr) == (6, told)


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
    counts = {"pending": 1, "handled": 0, "dead": 0, "superseded": 0, "quarantined": 0}
    assert json.loads(told.stdout) == {"replayed": 0, "counts": counts}
