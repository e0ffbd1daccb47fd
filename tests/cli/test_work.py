"""`send --distribute`, `work`, and a run that is followed, stopped and resumed by the command."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from ihuyi_voice.cli import following
from ihuyi_voice.ledger import Ledger, PartInfo, RunProgress
from ihuyi_voice.models import OutcomeStatus
from ihuyi_voice.simulator import Simulator
from tests.support.command import run
from tests.support.ready import ready_ledger
from tests.support.redis_servers import PrivateRedis

LIST = "mobile,content\n" + "".join(
    f"139{place:08d},您的订单号是：{place}。\n" for place in range(30)
)


@pytest.fixture
def ledger(postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where a ledger for many machines is, which the environment names."""
    with asyncio.Runner() as runner:
        lending = ready_ledger(postgres, queue=True, alone=True)
        url = runner.run(lending.__aenter__()).url
        monkeypatch.setenv("IHUYI_LEDGER", url)
        yield url
        runner.run(lending.__aexit__(None, None, None))


@pytest.fixture
def recipients(tmp_path: Path) -> str:
    """A list with two rows that can't be sent, and one that says what another does."""
    path = tmp_path / "list.csv"
    path.write_text(
        f"{LIST}12,您的订单号是：1。\n13900000000,您的订单号是：0。\n13,您的订单号是：1。\n",
        encoding="utf-8",
    )
    return str(path)


@pytest.mark.usefixtures("ledger")
def test_a_list_is_loaded_worked_on_and_followed(
    vendor: Simulator, recipients: str, private: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each number is called once, and a second load finds nothing new."""
    monkeypatch.setenv("IHUYI_GUARD", private.url)
    loaded = run("send", recipients, "--distribute", "--run", "nightly")
    assert loaded.exit_code == 1, loaded.output
    assert loaded.stdout == "33 rows: 30 new in nightly, which has 1 parts; 2 can't be sent\n"
    assert re.findall(r"^line (\d+): NOT_SENT", loaded.stderr, re.MULTILINE) == ["32", "34"]
    worked = run("work", "--until-done")
    assert worked.exit_code == 0, worked.output
    assert "part 1 of 'nightly' is done" in worked.stderr
    assert max(vendor.rung().values()) == 1
    assert len(vendor.rung()) == 30
    followed = run("ledger", "show", "nightly", "--follow")
    assert followed.exit_code == 0, followed.output
    assert followed.stdout == "1 of 1 parts done, 0 at work: ACCEPTED 30\n"
    told = json.loads(run("send", recipients, "--distribute", "--run", "nightly", "--json").stdout)
    assert (told["rows"], told["new"], told["same"], told["bad"]) == (33, 0, 1, 2)
    assert list(told["reasons"]) == ["32", "34"]


@pytest.mark.slow
@pytest.mark.usefixtures("ledger")
def test_a_run_is_stopped_with_a_reason_and_goes_on(
    vendor: Simulator, recipients: str, private: PrivateRedis
) -> None:
    """Nobody works on it meanwhile; the reason stands on the run, its numbers masked."""
    run("send", recipients, "--distribute", "--run", "nightly")
    stopped = run("ledger", "stop", "nightly", "--reason", "not 13912345678")
    assert (stopped.exit_code, stopped.stdout) == (0, "nightly is stopped\n")
    assert run("work", "--guard", private.url, "--until-done").exit_code == 0
    followed = run("ledger", "show", "nightly", "--follow")
    assert (followed.exit_code, followed.stdout.splitlines()[-1]) == (1, "stopped: not 139****5678")
    assert not vendor.rung()
    assert run("ledger", "resume", "nightly").stdout == "nightly may go on\n"
    assert run("work", "--guard", private.url, "--until-done").exit_code == 0
    assert len(vendor.rung()) == 30


@pytest.mark.parametrize(
    "args", [(), ("--ledger", "x.db", "--takeover"), ("--ledger", "x.db", "--out", "x.csv")]
)
@pytest.mark.usefixtures("vendor")
def test_distributing_goes_with_what_loads_a_list_alone(
    recipients: str, args: tuple[str, ...]
) -> None:
    """And it needs a ledger."""
    result = run("send", recipients, "--distribute", *args)
    assert result.exit_code == 2
    assert "--distribute needs --ledger" in result.stderr


def test_it_is_said_whose_run_it_is(recipients: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key is needed to load a list, but the account."""
    monkeypatch.delenv("IHUYI_ACCOUNT", raising=False)
    result = run("send", recipients, "--distribute", "--ledger", "x.db")
    assert (result.exit_code, "IHUYI_ACCOUNT" in result.stderr) == (2, True)


@pytest.mark.usefixtures("vendor")
def test_many_machines_need_postgresql(recipients: str, tmp_path: Path) -> None:
    """A file can't be shared; the error says so, before anything is sent."""
    path = str(tmp_path / "calls.db")
    for args in (("send", recipients, "--distribute"), ("work", "--guard", "redis://127.0.0.1")):
        result = run(*args, "--ledger", path)
        assert result.exit_code == 2
        assert "PostgreSQL" in result.stderr


def test_more_rows_than_are_shown_are_counted(
    ledger: str, vendor: Simulator, tmp_path: Path
) -> None:
    """The first twenty are named."""
    path = tmp_path / "bad.csv"
    path.write_text("mobile,content\n" + "12,a\n" * 25, encoding="utf-8")
    result = run("send", str(path), "--distribute", "--ledger", ledger)
    assert result.exit_code == 1
    assert len(re.findall(r"^line \d+", result.stderr, re.MULTILINE)) == 20
    assert "5" in result.stderr.splitlines()[-1]


@pytest.mark.usefixtures("vendor")
def test_a_key_of_another_message_is_told_by_its_line(ledger: str, tmp_path: Path) -> None:
    """The run keeps what it has."""
    path = tmp_path / "list.csv"
    for content, code in (("您好1", 0), ("您好2", 1)):
        path.write_text(f"mobile,content,reference\n13900000000,{content},a\n", encoding="utf-8")
        result = run("send", str(path), "--distribute", "--run", "nightly", "--ledger", ledger)
        assert result.exit_code == code, result.output
    assert "line 2: NOT_SENT: the key was used with another number or content" in result.stderr


def part(number: int, owner: str | None, *, alive: bool = True, done: bool = False) -> PartInfo:
    """Return a part of a run."""
    beat = None if owner is None else 0.5 if alive else 12.0
    return PartInfo("nightly", 1, number, done, 1, owner, beat, owner is not None and alive)


ACCEPTED = OutcomeStatus.ACCEPTED
PROGRESS = RunProgress(
    {ACCEPTED: 5_000, "OPEN": 35},
    {1: {ACCEPTED: 5_000}, 2: {"OPEN": 30}, 3: {"OPEN": 5}},
    [part(1, None, done=True), part(2, "a:1"), part(3, "b:2", alive=False),
     *(part(number, "a:1") for number in range(4, 18))],
    stopped=False, cause=None,
)  # fmt: skip


def test_the_view_shows_workers_with_their_parts_and_beats() -> None:
    """The dead are called so, and many parts are cut short."""
    screen = Console(width=100, record=True)
    screen.print(following.view(following.progress_values("nightly", PROGRESS)))
    shown = screen.export_text()
    assert "nightly: 1 of 17 parts done" in shown
    assert "ACCEPTED 5,000, OPEN 35" in shown
    assert re.search(r"│ a:1 +│ 0\.5 s ago +│ 2, 4, .*14, \+3 +│ 30 ", shown)
    assert re.search(r"│ b:2 +│ 12\.0 s ago, dead │ 3 +│ 5 ", shown)


async def test_a_terminal_has_one_view_that_is_kept_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a run of one process; it ends when nobody works on it any more."""
    screen = Console(force_terminal=True, record=True, width=100)
    monkeypatch.setattr(following, "console", screen)
    monkeypatch.setattr(following, "EVERY", 0.0)
    async with Ledger.open(tmp_path / "calls.db") as opened:
        async with opened.run("VM1", "r"):
            watching = asyncio.create_task(following.follow(opened, "r", None, as_json=False))
            await asyncio.wait({watching}, timeout=0.05)
            assert not watching.done()
        assert await watching == 0
    assert "r: 0 of 0 parts done" in screen.export_text()
