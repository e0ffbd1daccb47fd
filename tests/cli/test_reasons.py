"""What the library says in English, the command says in Chinese; what it says new is found."""

import ast
import logging
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import ihuyi_voice
from ihuyi_voice.cli.language import Language, choose, text
from ihuyi_voice.cli.output import reporting
from ihuyi_voice.cli.reasons import in_chinese
from ihuyi_voice.cli.texts_reasons import TEXTS
from ihuyi_voice.inputs import tables
from ihuyi_voice.inputs.records import csv_records
from ihuyi_voice.simulator import Simulator
from tests.cli.test_language import CHINESE
from tests.support.command import MOBILE, run

HOME = Path(ihuyi_voice.__file__).parent
RAISED = {"InvalidRequest", "_wrong", "NotSent", "OutcomeUnknown", "GuardUnavailable", "RunStopped"}
PLACES = (  # whose errors people meet at the command, whatever they do
    *("inputs/numbers.py", "inputs/content.py", "inputs/recipients.py", "inputs/workbook.py"),
    *("inputs/tables.py", "inputs/templates.py", "inputs/columns.py", "http/sending.py"),
    *("calls/environment.py", "protocol/signing.py", "protocol/requests.py", "bulk/attempts.py"),
    *("calls/guarding.py", "guards/quiet_hours.py", "calls/submission.py"),
    *("storage/address.py", "storage/postgres.py"),
)
OF_PROGRAMS = (  # who gives such a thing writes a program, and reads its traceback
    "max_value_length is",
    "value 7",
    "zone must be",
    "clock is 7",
    "the clock says 7",
    "the guard gave",
    "a path or URL must be",
    "{path.name} is",
)


def raised(path: Path) -> Iterator[str]:
    """Yield what a module raises, with 7 filled in for whatever it fills in."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in RAISED and node.args:
            words = filled(node.args[0])
            if words:
                yield words


def filled(node: ast.expr) -> str:
    """Return a text with 7 in its gaps; empty for what is no text here."""
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(each.value) if isinstance(each, ast.Constant) else "7" for each in node.values
        )
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@pytest.mark.parametrize("name", PLACES)
def test_what_is_raised_has_its_chinese(name: str) -> None:
    """Every text of these modules, as it stands in the code today."""
    for words in raised(HOME / name):
        if words.startswith(OF_PROGRAMS) or not any(char.isalpha() for char in words):
            continue
        assert CHINESE.search(in_chinese(words)), words


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("no connection to [::1]:443", "10 秒内未能连接 [::1]:443"),
        ("no connection to the proxy p:80", "10 秒内未能连接代理 p:80"),
        ("no connection to v:443, or no TLS answer,", "10 秒内未能连接 v:443，或没有 TLS 应答"),
        (
            "no connection to the proxy p:80, or no TLS answer,",
            "10 秒内未能连接代理 p:80，或没有 TLS 应答",
        ),
        ("connected to v:443, but no TLS answer", "已连接 v:443，但 10 秒内没有 TLS 应答"),
        (
            "connected to the proxy p:80, but no TLS answer",
            "已连接代理 p:80，但 10 秒内没有 TLS 应答",
        ),
        (
            "connected to the proxy p:80, but no answer to CONNECT",
            "已连接代理 p:80，但 10 秒内没有对 CONNECT 的应答",
        ),
        (
            "the proxy p:80 connected to v:443, but no TLS answer",
            "代理 p:80 已连接 v:443，但 10 秒内没有 TLS 应答",
        ),
    ],
)
def test_a_step_that_took_too_long_has_its_chinese(english: str, chinese: str) -> None:
    """To the host itself, or through a proxy."""
    assert in_chinese(f"ConnectTimeout: {english} within 10 s") == f"连接超时：{chinese}"


@pytest.mark.parametrize("name", ["inputs/numbers.py"])
def test_every_reason_why_a_number_is_none_has_its_chinese(name: str) -> None:
    """They stand in tables and functions there, as sentences."""
    tree = ast.parse((HOME / name).read_text(encoding="utf-8"))
    quiet = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if id(node) in quiet | inside or not isinstance(node, ast.Constant | ast.JoinedStr):
            continue
        words = filled(node)
        if words.count(" ") > 2 and "[" not in words and "(?" not in words:
            assert CHINESE.search(in_chinese(words)), words


@pytest.mark.parametrize("what", [what for _, what in (*tables._STRANGE, *tables._IN_ZIPS)])  # pyright: ignore[reportPrivateUsage]
def test_what_a_file_is_that_is_no_table_has_its_chinese(what: str) -> None:
    """Whatever it turns out to be; what is called .pdf everywhere stays so."""
    assert CHINESE.search(in_chinese(what)) or what == "a PDF"


@pytest.mark.parametrize(
    "record", ['"1"2,x', "x" * 200_000 + ",y", '"never closed,x'], ids=lambda record: record[:9]
)
def test_what_is_wrong_with_a_record_has_its_chinese(record: str) -> None:
    """Also where the words are Python's."""
    (_, bad) = csv_records(["a,b\n", f"{record}\n"])
    assert bad.fault is not None
    assert CHINESE.search(in_chinese(bad.fault)), bad.fault


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("send", "没有.csv"), "没有这个文件或文件夹：'没有.csv'"),
        (("send", "."), "这是一个文件夹：'.'"),
        (("ledger", "runs", "--ledger", "没有.db"), "没有"),
    ],
    ids=str,
)
def test_what_the_system_says_is_said_in_chinese(args: tuple[str, ...], told: str) -> None:
    """The commonest of all: a file that isn't there."""
    result = run("--lang", "zh", *args)
    assert (result.exit_code, told in result.stderr) == (2, True), result.stderr
    assert "Errno" not in result.stderr


def test_each_text_of_the_table_is_recognised_as_itself() -> None:
    """No one before it takes it for its own."""
    for english, chinese in TEXTS.values():
        names = [name for _, name, _, _ in string.Formatter().parse(english) if name]
        values = {name: f"x{place}" for place, name in enumerate(names)}
        assert in_chinese(english.format(**values)) == chinese.format(**values), english


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("'12': a mobile has 11 digits, this has 2", "'12'：手机号应为 11 位，这里是 2 位"),
        (
            "the request never went out (ConnectError: [Errno 111] Connect call failed ('::1', 9))",
            "请求未能发出（连接失败：对方拒绝连接 ('::1', 9)）",
        ),
        (
            (
                "held back by the guard, nothing was sent: 此号码的提交频率已达上限; this number"
                " may not be called again yet; not before 2026-11-26 00:00:00 UTC [4080]"
            ),
            "本地暂缓，没有发送：此号码的提交频率已达上限（UTC 2026-11-26 00:00:00 之后可发）",
        ),
        (
            "Submit 4010: quiet hours until 08:00 [wait]",
            "Submit 4010：免打扰时段，到 08:00 为止",
        ),
        ("Brand new", "Brand new"),
        ("Brand: new: words", "Brand: new: words"),
        ("", ""),
    ],
)
def test_a_reason_inside_a_reason_is_said_too(english: str, chinese: str) -> None:
    """And what nobody knows stays as it is."""
    assert in_chinese(english) == chinese


def test_english_stays_as_the_library_says_it() -> None:
    """Also in the next command of the same process."""
    choose(Language.EN)
    assert text("error.system", reason="the content is empty").endswith("the content is empty")
    choose(Language.ZH)
    assert text("error.system", reason="the content is empty").endswith("内容为空")


def test_how_a_call_ended_is_told_once(
    vendor: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the command, in its language; the log's line of it would say it again, in English.

    So would the lines of a worker's engine, at length.
    """
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with reporting(as_json=False):
        logging.getLogger("ihuyi_voice.outcomes").warning("a call ended")
        logging.getLogger("procrastinate.worker").error("a job ended")
        logging.getLogger("psycopg.pool").warning("error connecting")
        logging.getLogger("ihuyi_voice").warning("something else")
    assert capsys.readouterr().err == "something else\n"
    told = run("--lang", "zh", "submit", MOBILE, "x").stderr.splitlines()
    assert [line[:4] for line in told] == ["平台拒绝", "处理办法"]


def test_errors_are_chinese_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong and what to do; the names of the environment's variables stay."""
    monkeypatch.delenv("IHUYI_ACCOUNT", raising=False)
    told = run("--lang", "zh", "balance")
    assert told.stderr == "输入有误（InvalidRequest）：没有设置环境变量 IHUYI_ACCOUNT\n"
