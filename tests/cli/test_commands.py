"""The command, as a person and as a script use it, against a simulator in another thread."""

import asyncio
import csv
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from typer.testing import CliRunner, Result

from ihuyi_voice.cli.app import app
from ihuyi_voice.simulator import Fault, Simulator

KEY = "1q784322ba1d9bb88d50cf5cdfd89k7d"
TEMPLATE = "您的订单号是：【变量】。"
CONTENT = "您的订单号是：9633。"
MOBILE = "13900000000"


class Vendor:
    """A simulator that serves from a thread of its own, because the command owns the main one."""

    def __init__(self) -> None:
        self.simulator = Simulator(api_key=KEY, templates=[TEMPLATE], balance=856, limits=())
        self.url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with self.simulator.serve() as self.url:
            self._ready.set()
            await self._stop.wait()


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A vendor that the environment points to."""
    with Vendor() as served:
        monkeypatch.setenv("IHUYI_ACCOUNT", served.simulator.account)
        monkeypatch.setenv("IHUYI_API_KEY", KEY)
        monkeypatch.setenv("IHUYI_BASE_URL", served.url)
        yield served.simulator


def run(*args: str) -> Result:
    """Run the command; its key must never show."""
    logging.disable(logging.NOTSET)
    result = CliRunner().invoke(app, args)
    assert KEY not in result.output
    return result


def test_submit_prints_the_voice_id(vendor: Simulator) -> None:
    """For a person and for a program."""
    result = run("submit", MOBILE, CONTENT)
    assert result.exit_code == 0
    assert "accepted, voice_id 1684" in result.stdout
    result = run("submit", "13911111111", CONTENT, "--json")
    assert json.loads(result.stdout)["status"] == "ACCEPTED"
    assert vendor.balance == 854


def test_balance_prints_a_number(vendor: Simulator) -> None:
    """And nothing else."""
    assert run("balance").stdout == "856\n"
    assert json.loads(run("balance", "--json").stdout) == {"balance": 856}


def test_templates_are_added_deleted_and_tried_out(vendor: Simulator) -> None:
    """The check costs no call."""
    added = json.loads(run("template", "add", "a【变量】", "--json").stdout)["template_id"]
    assert "template_id" in run("template", "add", "b【变量】").stdout
    assert run("template", "delete", added).stdout == f"deleted {added}\n"
    assert run("template", "delete", added).exit_code == 3
    other = next(reversed(vendor.vendor.templates))
    assert json.loads(run("template", "delete", other, "--json").stdout) == {"deleted": other}
    asked = len(vendor.arrivals)
    assert "values: 9633" in run("template", "check", TEMPLATE, CONTENT).stdout
    checked = run("template", "check", TEMPLATE, CONTENT, "--json")
    assert json.loads(checked.stdout) == {"values": ["9633"]}
    refused = run("template", "check", TEMPLATE, "别的")
    assert (refused.exit_code, "4072" in refused.output) == (2, True)
    too_long = run("template", "check", TEMPLATE, CONTENT, "--max-value-length", "3")
    assert (too_long.exit_code, "40722" in too_long.output) == (2, True)
    assert len(vendor.arrivals) == asked


@pytest.mark.parametrize(
    ("fault", "args", "code", "shown"),
    [
        (None, ("12", CONTENT), 2, "InvalidRequest"),
        (None, (MOBILE, "x"), 3, "4072"),
        (Fault("code", code=4081), (MOBILE, CONTENT), 4, "RateLimited"),
        (Fault("disconnect_after"), (MOBILE, CONTENT), 5, "OutcomeUnknown"),
    ],
)
def test_each_family_of_errors_has_its_exit_code(
    vendor: Simulator, fault: Fault | None, args: tuple[str, str], code: int, shown: str
) -> None:
    """So that a script knows whether it may simply try again."""
    if fault is not None:
        vendor.add_fault(fault)
    result = run("submit", *args)
    assert result.exit_code == code
    assert shown in result.output
    assert MOBILE not in result.output
    told = json.loads(run("submit", *args, "--json").stdout)
    assert told["error"]
    assert told["message"]


def test_an_unreachable_vendor_is_safe_to_try_again(
    vendor: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 4."""
    monkeypatch.setattr("ihuyi_voice.retries.RetryPolicy.allows", _never)
    result = run("balance", "--base-url", "http://127.0.0.1:9/voice.php")
    assert result.exit_code == 4
    assert "never went out" in result.output


@pytest.mark.parametrize("missing", ["IHUYI_ACCOUNT", "IHUYI_API_KEY"])
def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """Exit code 2; the account may come as an option, the key may not."""
    for name in ("IHUYI_ACCOUNT", "IHUYI_API_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.delenv(missing)
    result = run("balance")
    assert result.exit_code == 2
    assert missing in result.output


@pytest.mark.parametrize(
    "args",
    [(), ("submit",), ("send",), ("demo",), ("balance",), ("template",), ("simulate",)],
)
def test_help_needs_no_manual(args: tuple[str, ...]) -> None:
    """Each command has its own."""
    result = run(*args, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.output
    if not args:
        assert "Exit codes" in result.output


def write(path: Path, text: str, encoding: str = "utf-8") -> str:
    """Write a recipients file and return its name."""
    file = path / "名单.csv"
    file.write_text(text, encoding=encoding)
    return str(file)


ROWS = f"手机号,订单,备注\n{MOBILE},1,a\n12,2,b\n13911111111,3,c\n13922222222,x y,d\n"
MAPPING = ("--column", "mobile=手机号", "--column", "1=订单", "--column", "reference=备注")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_send_sends_the_good_rows_and_reports_the_others(
    vendor: Simulator, tmp_path: Path, encoding: str
) -> None:
    """By their line, and each result is in the file asked for."""
    vendor.vendor.blacklist = frozenset({"13911111111"})
    out = tmp_path / "结果.csv"
    file = write(tmp_path, ROWS, encoding)
    result = run("send", file, "--template", TEMPLATE, *MAPPING, "--out", str(out))
    assert result.exit_code == 1
    assert "line 3: NOT_SENT: '12': a mobile has 11 digits" in result.output
    assert "line 5: NOT_SENT: value 1 has ' '" in result.output
    assert "line 4: REJECTED: Submit 4030" in result.output
    assert "黑名单" in result.stdout
    with out.open(encoding="utf-8-sig", newline="") as lines:
        rows = {row["line"]: row for row in csv.DictReader(lines)}
    statuses = {line: row["status"] for line, row in rows.items()}
    assert statuses == {"2": "ACCEPTED", "3": "NOT_SENT", "4": "REJECTED", "5": "NOT_SENT"}
    assert (rows["2"]["mobile"], rows["2"]["reference"]) == (MOBILE, "a")
    assert rows["4"]["code"] == "4030"
    assert vendor.rung() == {(MOBILE, "您的订单号是：1。"): 1}


def test_send_can_speak_to_programs(vendor: Simulator, tmp_path: Path) -> None:
    """Counts and codes on one line; exit code 0 if everything was accepted."""
    file = write(tmp_path, f"mobile,content\n{MOBILE},{CONTENT}\n")
    result = run("send", file, "--json", "--max-rate", "100")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["outcomes"]["ACCEPTED"] == 1
    assert told["codes"] == {"2": 1}


def test_send_shows_the_first_bad_rows_only(vendor: Simulator, tmp_path: Path) -> None:
    """A file full of them doesn't flood the screen."""
    file = write(tmp_path, "mobile,content\n" + "12,x\n" * 30)
    assert "… and 10 more" in run("send", file).output


@pytest.mark.parametrize(
    ("text", "args", "shown"),
    [
        ("phone\n1\n", (), "has no column 'mobile'"),
        ("mobile,a\n1,2\n", ("--template", TEMPLATE, "--column", "oops"), "write it as mobile="),
        (None, (), "No such file"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_at_once(
    vendor: Simulator, tmp_path: Path, text: str | None, args: tuple[str, ...], shown: str
) -> None:
    """Exit code 2, and nothing is sent."""
    file = write(tmp_path, text) if text is not None else str(tmp_path / "none.csv")
    result = run("send", file, *args)
    assert result.exit_code == 2
    assert shown in result.output.replace("\n", " ")
    assert not vendor.arrivals


def test_the_demo_shows_everything_at_once() -> None:
    """Outcomes, codes with their meaning, throughput, and the balance before and after."""
    result = run("demo", "--count", "60")
    assert result.exit_code == 0
    for shown in ("ACCEPTED", "提交成功", "4030", "黑名单", "a second", "balance before 1,000,000"):
        assert shown in result.output
    assert "line 14: NOT_SENT" in result.output
    told: dict[str, Any] = json.loads(run("demo", "--count", "60", "--json").stdout)
    assert told["outcomes"]["ACCEPTED"] == 53


def test_simulate_serves_until_it_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """It prints where it listens."""

    async def interrupted(_: asyncio.Event) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("asyncio.Event.wait", interrupted)
    monkeypatch.setattr("ihuyi_voice.simulator.server._ready", _ready)
    result = run("simulate", "--port", "0", "--template", TEMPLATE)
    assert "listening at http://127.0.0.1:" in result.stdout
    assert result.exit_code != 0


def _never(*_: object) -> bool:
    return False


async def _ready(*_: object) -> None:
    """Don't wait: the one who would be awaited is patched away."""
