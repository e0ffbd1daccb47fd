"""`send --dry-run`: what would be sent, without a request."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihuyi_voice.cli import dry, once
from ihuyi_voice.cli.course import Plan
from ihuyi_voice.cli.language import Language, choose
from ihuyi_voice.guards import Limits
from ihuyi_voice.inputs import RecipientsFile
from ihuyi_voice.models import OutcomeStatus
from ihuyi_voice.simulator import Simulator
from tests.support.command import MOBILE, run
from tests.support.vendor import in_process
from tests.support.virtual_time import loop_time, run_virtual

TEMPLATE = ("--template", "您好{姓名}，您的订单{订单}已发出。")


def write(folder: Path, *rows: str) -> str:
    """Write a list of these rows."""
    file = folder / "名单.csv"
    file.write_text("\n".join(("姓名,手机号,订单", *rows)) + "\n", encoding="utf-8")
    return str(file)


ROWS = (
    f"张茜,{MOBILE},9633",
    "李四,13900000001,9634",
    "王五,1390000,9635",
    f"张茜,{MOBILE},9633",
    f"张茜,{MOBILE},9700",
)


def test_it_says_what_would_be_sent_and_sends_nothing(vendor: Simulator, tmp_path: Path) -> None:
    """Rows, bad rows, duplicates, three texts, length, time and balance; no key is needed."""
    result = run("send", write(tmp_path, *ROWS), *TEMPLATE, "--dry-run")
    assert result.exit_code == 1  # there is a bad row
    assert result.stdout.splitlines() == [
        "A dry run: nothing was sent.",
        "5 rows: 3 messages, 1 that can't be sent, 1 that say the same as a row before",
        "line 2, 139****0000: 您好张茜，您的订单9633已发出。",
        "line 3, 139****0001: 您好李四，您的订单9634已发出。",
        "line 6, 139****0000: 您好张茜，您的订单9700已发出。",
        "length: 17 to 17 characters",
        "time: about 1 s",
        "1 numbers are called several times, and wait for their limits",
        "balance needed: 3, one a message",
    ]
    assert result.stderr == "line 4: NOT_SENT: '139****0': a mobile has 11 digits, this has 7\n"
    assert not vendor.arrivals


def test_it_says_so_in_chinese(vendor: Simulator, tmp_path: Path) -> None:
    """For the person who sends."""
    file = write(tmp_path, *ROWS)
    shown = run("--lang", "zh", "send", file, *TEMPLATE, "--dry-run").stdout
    assert shown.startswith("试运行：没有发送。\n")
    assert "共 5 行：将发送 3 条，1 行无法发送，1 行与前面的行相同\n" in shown
    assert "所需条数：3，每条通知一条" in shown


@pytest.mark.parametrize(("balance", "code", "shown"), [(856, 0, "enough"), (1, 1, "not enough")])
def test_the_balance_is_asked_for_where_that_is_wanted(
    vendor: Simulator, tmp_path: Path, balance: int, code: int, shown: str
) -> None:
    """By the one request that it makes then."""
    vendor.vendor.balance = balance
    result = run("send", write(tmp_path, *ROWS[:2]), *TEMPLATE, "--dry-run", "--ask-balance")
    assert (result.exit_code, f"balance: {balance}, {shown}" in result.stdout) == (code, True)
    assert [arrival.operation for arrival in vendor.arrivals] == ["GetNum"]
    alone = run("send", write(tmp_path, *ROWS[:2]), *TEMPLATE, "--ask-balance")
    assert (alone.exit_code, "needs --dry-run" in alone.stderr) == (2, True)


def test_programs_get_it_on_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without an account in the environment."""
    monkeypatch.delenv("IHUYI_ACCOUNT", raising=False)
    result = run("send", write(tmp_path, *ROWS), *TEMPLATE, "--dry-run", "--json")
    told = json.loads(result.stdout)
    texts = told.pop("texts")
    assert texts[0] == {"line": 2, "content": "您好张茜，您的订单9633已发出。"}
    assert told == {
        "rows": 5, "messages": 3, "bad": 1, "same": 1, "carried": 0, "shortest": 17,
        "longest": 17, "repeated": 1, "held": 0, "seconds": 1.0, "balance": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        (("--template", "您好{名字}。"), "no column '名字'"),
        (("--max-rate", "0"), "max_rate is 0.0"),
        (("--max-rate", "1e-9"), "max_rate is 1e-09, slower than one a day (0.0000116)"),
        (("--template", "今天停水", "--column", "1=姓名"), "there is no 【变量】 in the template"),
    ],
)
def test_what_is_wrong_is_told_as_when_it_is_sent(
    tmp_path: Path, args: tuple[str, ...], shown: str
) -> None:
    """With its exit code."""
    options = args if "--template" in args else (*TEMPLATE, *args)
    result = run("send", write(tmp_path, *ROWS), *options, "--dry-run")
    assert (result.exit_code, shown in result.stderr) == (2, True)


@pytest.mark.parametrize(
    "options", [("--dry-run",), (), ("--ledger", "{folder}/n.db")], ids=["dry", "once", "ledger"]
)
def test_a_template_that_is_no_text_costs_rows_and_no_traceback(
    vendor: Simulator, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """As from a terminal of another encoding, whose bytes come as such characters."""
    more = [each.format(folder=tmp_path) for each in options]
    result = run("send", write(tmp_path, ROWS[0]), "--template", "您好\udcff{姓名}", *more)
    assert (result.exit_code, "the character U+DCFF at place 3" in result.stderr) == (1, True)
    assert not vendor.arrivals


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 3), max_size=30),
    st.sampled_from([0.0, 1.0, 59.0, 60.0, 120.0, 200_000.0]),
)
def test_the_time_and_what_is_held_are_as_foretold(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], max_wait: float
) -> None:
    """By running it, on virtual time, with a vendor that answers at once."""
    folder = tmp_path_factory.mktemp("dry")
    file = folder / "a.csv"
    rows = (f"1390000000{number},{place}\n" for place, number in enumerate(numbers))
    file.write_text("mobile,content\n" + "".join(rows), encoding="utf-8")
    plan = Plan(RecipientsFile(file), max_wait=max_wait)
    found = dry.survey(plan)

    async def main() -> tuple[int, float]:
        async with in_process(Simulator(clock=loop_time)) as client:
            course = await once.go(client, plan, hidden=True)
        return course.report.counts[OutcomeStatus.HELD], course.report.seconds

    held, seconds = run_virtual(main())
    assert (found.messages, found.held) == (len(numbers), held)
    assert abs(found.seconds - seconds) < 1.5


def test_the_waits_are_those_of_the_limits() -> None:
    """One a second, three a minute, ten a day."""
    windows = Limits().windows
    assert [dry.waiting(times, windows, 120.0) for times in (1, 2, 3, 4, 7, 8, 1_000_000)] == [
        (0.0, 0), (1.0, 0), (2.0, 0), (60.0, 0), (120.0, 0), (120.0, 1), (120.0, 999_993),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [(0.2, "1 s", "1 秒"), (61, "1 min 1 s", "1 分 1 秒"), (7262, "2 h 1 min", "2 小时 1 分")],
)
def test_times_are_told_in_words(seconds: float, english: str, chinese: str) -> None:
    """To the two largest units."""
    choose(Language.EN)
    assert dry.duration(seconds) == english
    choose(Language.ZH)
    assert dry.duration(seconds) == chinese
