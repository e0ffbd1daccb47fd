"""`send --ledger` and the group `ledger` over PostgreSQL, and a ledger that fails in mid-run."""

import asyncio
import csv
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Thread
from typing import Any, Final

import asyncpg
import pytest

from ihuyi_voice.protocol import parse_push
from ihuyi_voice.pushes import Inbox
from ihuyi_voice.simulator import Fault, Simulator
from tests.cli.test_resuming import results, rung_twice, statuses, write
from tests.pushes.support import FORM, report_form
from tests.support.command import run
from tests.support.databases import drop_database, new_database
from tests.support.ready import ready_ledger
from tests.support.servers import free_port

CHINA: Final = timezone(timedelta(hours=8))


def execute(url: str, statement: str) -> None:
    """Execute a statement on a connection of its own."""

    async def main() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(main())


@pytest.fixture
def address(postgres: str) -> Iterator[str]:
    """Yield the URL of a database of the test's own."""
    url = asyncio.run(new_database(postgres))
    yield url
    asyncio.run(drop_database(postgres, url))


@pytest.fixture
def ready(postgres: str) -> Iterator[str]:
    """Yield the URL of a database with an empty ledger."""
    with asyncio.Runner() as runner:
        lending = ready_ledger(postgres, queue=True, alone=True)
        yield runner.run(lending.__aenter__()).url
        runner.run(lending.__aexit__(None, None, None))


def send(folder: Path, ledger: str, *args: str) -> tuple[int, str, str]:
    """Run the command; return its exit code and what it said."""
    file, out = folder / "名单.csv", folder / "out.csv"
    result = run("send", str(file), "--ledger", ledger, "--out", str(out), *args)
    return result.exit_code, result.stdout, result.stderr


def lines(*args: str) -> list[Any]:
    """Run a command that writes JSON, a line each."""
    result = run(*args, "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_run_is_sent_and_told_of(
    vendor: Simulator, tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, and then it says so; every command of the group knows the run."""
    monkeypatch.setenv("IHUYI_LEDGER", address)
    vendor.add_fault(Fault("disconnect_after", times=1))
    write(tmp_path, 12)
    code, _, _ = send(tmp_path, address)
    assert (code, statuses(tmp_path / "out.csv")) == (1, {"ACCEPTED": 11, "UNKNOWN": 1})
    assert send(tmp_path, address)[0] == 7
    assert len(vendor.arrivals) == 12
    (told,) = [each for each in lines("ledger", "runs") if each["run"] == "名单.csv"]
    assert (told["outcomes"]["ACCEPTED"], told["outcomes"]["UNKNOWN"]) == (11, 1)
    (shown,) = lines("ledger", "show", "名单.csv")
    assert shown["outcomes"] == told["outcomes"]
    page, table = tmp_path / "report.html", tmp_path / "ledger.csv"
    assert run("ledger", "html", "名单.csv", "--out", str(page)).exit_code == 0
    assert "<svg" in page.read_text(encoding="utf-8")
    assert run("ledger", "csv", "名单.csv", "--out", str(table)).exit_code == 0
    assert Counter(row["status"] for row in results(table)) == {"ACCEPTED": 11, "UNKNOWN": 1}
    assert not rung_twice(vendor)


@pytest.mark.slow
def test_what_is_uncertain_is_settled(
    vendor: Simulator, tmp_path: Path, ready: str, inbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One by its delivery report, one by a person; what was not sent is sent the next time."""
    monkeypatch.setenv("IHUYI_LEDGER", ready)
    vendor.add_fault(Fault("disconnect_after", times=2))
    write(tmp_path, 6)
    assert send(tmp_path, ready)[0] == 1
    unsure = lines("ledger", "unknown", "名单.csv", "--numbers")
    assert len(unsure) == 2
    asyncio.run(report(inbox, unsure[0]["mobile"]))
    (told,) = lines("ledger", "reconcile", "--inbox", inbox)
    assert [each["key"] for each in told["settled"]] == [unsure[0]["key"]]
    assert told["ambiguous"] == []
    result = run("ledger", "settle", "名单.csv", unsure[1]["key"], "not_sent")
    assert result.exit_code == 0, result.output
    assert run("ledger", "unknown", "名单.csv").stdout == "nothing is uncertain\n"
    assert send(tmp_path, ready)[0] == 0
    assert statuses(tmp_path / "out.csv") == {"ACCEPTED": 6}
    assert len(vendor.arrivals) == 7


async def report(inbox: str, mobile: str) -> None:
    """Store a report of a call to a number."""
    form = report_form("7", 2, report_time=f"{datetime.now(CHINA):%Y-%m-%d %H:%M:%S}")
    form = form.replace(b"13900000000", mobile.encode())
    async with Inbox.open(inbox) as reports:
        await reports.put(parse_push(form, FORM))


def when_arrived(vendor: Simulator, count: int, strike: Callable[[], object]) -> Thread:
    """Do something as soon as so many requests have arrived, while the command runs."""

    def wait() -> None:
        while len(vendor.arrivals) < count:
            time.sleep(0.001)  # leaves the interpreter to the command
        strike()

    thread = Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.slow
def test_a_file_that_goes_away_in_mid_run_is_told_and_nothing_is_lost(
    vendor: Simulator, tmp_path: Path
) -> None:
    """Exit code 6; what was answered and is written nowhere stands on stderr; then it goes on."""
    vendor.latency = 0.05
    ledger = tmp_path / "n.db"
    write(tmp_path, 60)
    thread = when_arrived(vendor, 20, lambda: ledger.rename(tmp_path / "away"))
    code, said, complained = send(tmp_path, str(ledger), "--concurrency", "10", "--json")
    thread.join()
    assert code == 6
    assert "the ledger" in said
    unsaved = [line for line in complained.splitlines() if line.startswith("known nowhere else")]
    assert unsaved
    assert all("ACCEPTED" in line for line in unsaved)
    assert json.loads(said.splitlines()[-1])["exit_code"] == 6
    vendor.latency = 0.0
    (tmp_path / "away").rename(ledger)
    code, _, _ = send(tmp_path, str(ledger), "--force", "--takeover")
    assert code in {0, 1}
    found = statuses(tmp_path / "out.csv")
    assert set(found) <= {"ACCEPTED", "UNKNOWN"}
    assert found["UNKNOWN"] <= len(unsaved)
    assert not rung_twice(vendor)


@pytest.mark.slow
def test_a_postgresql_that_goes_away_in_mid_run_is_told(
    vendor: Simulator, tmp_path: Path, address: str, postgres: str
) -> None:
    """Exit code 6, in words; nobody is called whose intent could not be written."""
    vendor.latency = 0.05
    write(tmp_path, 60)
    name = address.rpartition("/")[2]

    def strike() -> None:
        execute(postgres, f"ALTER DATABASE {name} RENAME TO {name}_away")

    def cut_off() -> None:
        execute(postgres, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
        execute(postgres, f"{end}'{name}'")
        strike()

    thread = when_arrived(vendor, 20, cut_off)
    code, _, complained = send(tmp_path, address, "--concurrency", "10")
    thread.join()
    assert code == 6
    assert "the ledger's database failed" in complained
    # Nobody can ask which of them are written by now, and most of them are.
    unsaved = [line for line in complained.splitlines() if "known nowhere else" in line]
    assert unsaved
    assert all(line.startswith("may be known nowhere else: line ") for line in unsaved)
    vendor.latency = 0.0
    execute(postgres, f"ALTER DATABASE {name}_away RENAME TO {name}")
    execute(postgres, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert send(tmp_path, address, "--force", "--takeover")[0] in {0, 1}
    assert statuses(tmp_path / "out.csv").total() == 60
    assert not rung_twice(vendor)


@pytest.mark.slow
def test_a_vendor_that_cannot_be_reached_ends_a_run_that_goes_on_later(
    vendor: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The breaker's exit code is 4: so many in a row were not sent."""
    write(tmp_path, 200)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("IHUYI_BASE_URL", f"http://127.0.0.1:{free_port()}/")
        code, said, _ = send(tmp_path, str(tmp_path / "n.db"), "--concurrency", "5")
    assert code == 4
    assert "goes on when the same command is run again" in said
    found = results(tmp_path / "out.csv")
    assert {row["status"] for row in found} == {"NOT_SENT"}
    assert send(tmp_path, str(tmp_path / "n.db"))[0] == 0
    assert len(vendor.arrivals) == 200


def test_a_list_joined_with_its_run_keeps_its_columns(
    vendor: Simulator, tmp_path: Path, ready: str
) -> None:
    """From PostgreSQL as from a file."""
    file, table = write(tmp_path, 3), tmp_path / "joined.csv"
    assert send(tmp_path, ready)[0] == 0
    args = ("--ledger", ready, "--recipients", str(file), "--out", str(table))
    assert run("ledger", "csv", "名单.csv", *args).exit_code == 0
    with table.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["姓名"] for row in rows] == ["张0", "张1", "张2"]
    assert len({row["voice_id"] for row in rows}) == len(vendor.arrivals) == 3
