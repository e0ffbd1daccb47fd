"""The command speaks English and Chinese, from one table, and says no word that isn't in it."""

import ast
import re
import string
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer import rich_utils

from ihuyi_voice import (
    InvalidRequest,
    LedgerUnavailable,
    NotSent,
    Operation,
    OutcomeUnknown,
    RateLimited,
    RunStopped,
    VendorError,
    VoiceError,
)
from ihuyi_voice.cli import language, speech
from ihuyi_voice.cli.language import Language, choose, language_first, language_of, text, word
from ihuyi_voice.cli.texts import TEXTS
from ihuyi_voice.cli.verdicts import advice, key_of
from ihuyi_voice.common import redaction
from ihuyi_voice.models import Action, DeliveryStatus, OutcomeStatus
from ihuyi_voice.protocol.codes import TABLES
from ihuyi_voice.pushes import PushState
from ihuyi_voice.simulator import Simulator
from tests.cli.test_usage import COMMANDS
from tests.support.command import CONTENT, MOBILE, run

ROOM = Path(language.__file__).parent
SOURCES = sorted(path for path in ROOM.glob("*.py") if not path.name.startswith("texts"))
PAGE = (ROOM / "page.html").read_text(encoding="utf-8")
SAYING = {
    *("say", "complain", "text", "word", "table", "print", "exit", "InvalidRequest"),
    *("progress_bar", "add_row", "Table", "Text", "add_task"),
}
HELPING = {"help", "short_help", "epilog", "title", "prompt", "rich_help_panel"}
DATA = {  # of the demo
    "您的订单号是：【变量】。已由【变量】发出，请注意查收。",
    *("not a number", "顺风快递", "圆通快递", "中通快递"),
}
PARTS = {part for key in TEXTS for part in (key.partition(".")[0], key.rpartition(".")[2])}
CHINESE = re.compile(r"[\u4e00-\u9fff]")
SQL = re.compile(r"PRAGMA |CREATE TABLE |INSERT (OR REPLACE )?INTO |SELECT [\w, ()*]+ FROM ")
SENTENCE = re.compile(r"[\u4e00-\u9fff]|[A-Za-z]{2,}[,;:.]? [A-Za-z]{2,}")


def fields(words: str) -> list[tuple[str | None, str | None]]:
    """Return the names in braces and how each is written, in alphabetical order."""
    parts = string.Formatter().parse(words)
    return sorted((name, spec) for _, name, spec, _ in parts if name is not None)


def test_every_text_is_there_in_both_languages() -> None:
    """With the same values to fill in, written alike; and help and errors really are Chinese."""
    for key, (english, chinese) in TEXTS.items():
        assert english.strip(), key
        assert chinese.strip(), key
        if key.startswith("reason."):  # which may leave out what nobody needs
            assert set(fields(chinese)) <= set(fields(english)), key
        elif key != "error.voice":  # which names the family beside the class
            assert fields(english) == fields(chinese), key
        if key.endswith(".help"):
            assert CHINESE.search(chinese), key


def test_the_family_of_an_error_is_said_in_chinese_beside_its_name() -> None:
    """The one text whose braces differ: in English the class's name says it already."""
    english, chinese = TEXTS["error.voice"]
    assert set(fields(chinese)) - set(fields(english)) == {("family", "")}


def literals(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield the strings of a module but its docstrings, and whether each is said to a user."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {id(each) for node in ast.walk(tree) for each in told(node)}
    quiet = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in quiet:
            yield node.value, id(node) in said


def told(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the parts of a call that a user gets to see, pieces of f-strings included."""
    if not isinstance(node, ast.Call):
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    shown = [each.value for each in node.keywords if each.arg in HELPING]
    for argument in shown + (node.args[:1] if name in SAYING else []):
        pieces = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
        yield from pieces


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_word_stands_outside_the_table(path: Path) -> None:
    """What is printed, raised or given as help is a key, and no other string is a sentence."""
    for literal, said in literals(path):
        if said and re.search(r"\w", literal):
            assert literal in TEXTS or literal.strip(".") in PARTS, literal
        assert not SENTENCE.search(literal) or literal in DATA or SQL.match(literal), literal


def test_words_outside_the_table_would_be_found(tmp_path: Path) -> None:
    """Or the test before this one would prove nothing."""
    path = tmp_path / "x.py"
    path.write_text('"""Doc string."""\nsay("oops", a=1)\nOption(help="Help")\nprint(f"a{b}")\n')
    assert [value for value, said in literals(path) if said] == ["oops", "Help", "a"]
    assert SENTENCE.search("two words")
    assert SENTENCE.search("模板")


def test_no_word_stands_in_the_page_itself() -> None:
    """Between its tags there is only what the table says, and what is filled in."""
    bare = re.sub(r"{{.*?}}|{%.*?%}|<.*?>", "", PAGE, flags=re.DOTALL)
    assert not re.search(r"\w", bare)


def test_every_text_is_used() -> None:
    """By its key in the code, or as one of a family of words."""
    used = {literal for path in SOURCES for literal, _ in literals(path)}
    used.update(re.findall(r'"([a-z_.]+)"', PAGE))
    families = (
        "outcome",
        "again",
        "action",
        "end",
        "cause",
        "advice",
        "exit",
        "state",
        "family",
        "typer",
        "fate",
        "todo",
        "run",
        *("mark", "thing", "check", "next", "reason"),
    )
    unused = [key for key in TEXTS if key not in used and key.partition(".")[0] not in families]
    commands = {".".join((*command, "help")) for command in COMMANDS}
    commands |= {f"{group}.help" for group, *_ in COMMANDS}
    assert set(unused) == {key for key in unused if key in commands}


def test_every_value_that_is_shown_has_its_word() -> None:
    """Outcomes, actions, ends of calls and states of pushes."""
    for status in OutcomeStatus:
        assert {f"outcome.{status}", f"again.{status}"} <= set(TEXTS)
    assert {f"action.{action.value}" for action in Action} <= set(TEXTS)
    ends = {f"end.{status}" for status in DeliveryStatus if status is not DeliveryStatus.UNLISTED}
    assert ends <= set(TEXTS)
    assert {f"state.{state}" for state in PushState} <= set(TEXTS)


def test_a_value_without_a_word_is_shown_as_it_is() -> None:
    """Newer versions of other rooms may know more than the table."""
    assert word("state", "brand_new") == "brand_new"


@pytest.mark.parametrize(
    ("args", "environ", "spoken"),
    [
        ((), {}, "en"),
        (("--lang", "zh", "balance"), {"IHUYI_LANG": "en"}, "zh"),
        (("--lang=en", "balance"), {"IHUYI_LANG": "zh"}, "en"),
        (("submit", "--lang", "zh"), {}, "zh"),
        (("submit", "x", "--lang=zh"), {}, "zh"),
        (("submit", "--", "--lang", "zh"), {}, "en"),
        (("--lang",), {}, "en"),
        (("--lang", "fr", "balance"), {"LANG": "zh_CN"}, "zh"),
        ((), {"IHUYI_LANG": "zh"}, "zh"),
        ((), {"IHUYI_LANG": "zh_CN", "LANG": "C"}, "zh"),
        ((), {"IHUYI_LANG": "en", "LANG": "zh_CN.UTF-8"}, "en"),
        ((), {"IHUYI_LANG": "", "LANG": "zh_CN.UTF-8"}, "zh"),
        ((), {"LANG": "zh_TW.UTF-8"}, "zh"),
        ((), {"LC_MESSAGES": "zh_CN", "LANG": "en_GB.UTF-8"}, "zh"),
        ((), {"LC_ALL": "C", "LC_MESSAGES": "zh_CN", "LANG": "zh_CN"}, "en"),
        ((), {"LC_ALL": "", "LANG": "ZH_cn"}, "zh"),
        ((), {"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_the_language_is_asked_for_or_the_environments(
    args: tuple[str, ...], environ: dict[str, str], spoken: str
) -> None:
    """First --lang, wherever it stands, then IHUYI_LANG, then the locale; English otherwise."""
    assert language_of(language_first(args), environ) is Language(spoken)


@pytest.mark.parametrize(
    ("setting", "spoken"),
    [("Chinese (Simplified)_China.936", "zh"), ("zh-CN", "zh"), ("German_Germany.1252", "en")],
)
def test_where_no_variable_says_it_the_systems_setting_does(
    monkeypatch: pytest.MonkeyPatch, setting: str, spoken: str
) -> None:
    """Windows has no such variables."""

    def set_already(_: int) -> str:
        return setting

    monkeypatch.setattr("locale.setlocale", set_already)
    assert language_of((), {}) is Language(spoken)
    assert language_of((), {"LANG": "C"}) is Language.EN


@given(st.text())
def test_what_is_filled_in_never_breaks_a_text(value: str) -> None:
    """Braces, percent signs and control characters of others stay what they are."""
    shown = text("error.system", reason=value)
    assert shown == f"ihuyi-voice: {redaction.shown(value)}"


@pytest.mark.parametrize("args", [(), ("template",), ("inbox",), *COMMANDS], ids=" ".join)
@pytest.mark.parametrize("columns", [80, 100, 33])
def test_help_is_chinese_altogether(
    monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], columns: int
) -> None:
    """No English text of the table is left in it, and nothing is cut off at 80 columns or more."""
    monkeypatch.setenv("COLUMNS", str(columns))
    result = run("--lang", "zh", *args, "--help")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "用法：" in result.stdout
    assert columns < 80 or "显示本帮助并退出。" in result.stdout
    assert columns < 80 or "…" not in result.stdout
    shown = " ".join(re.sub(r"[│─╭╮╰╯]", " ", result.stdout).split())
    english = (words for key, (words, _) in TEXTS.items() if key.endswith((".help", "_TITLE")))
    assert not [words for words in english if words in shown]


def test_the_next_command_in_the_same_process_may_speak_another_language() -> None:
    """The choice is of one run; the framework's headings change with it."""
    assert "╭─ 选项 ─" in run("--lang", "zh", "balance", "--help").stdout
    assert "╭─ Options ─" in run("balance", "--help").stdout
    assert "环境变量 IHUYI_ACCOUNT" in run("--lang", "zh", "balance", "--help").stdout


def test_the_frameworks_headings_are_known() -> None:
    """A version that names them otherwise would speak English among Chinese."""
    for key in TEXTS:
        name = key.removeprefix("typer.")
        if name.isupper():
            assert hasattr(rich_utils, name)


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        (("nonsense",), "没有命令 'nonsense'。"),
        (("balance", "--nonsense"), "没有选项 --nonsense"),
        (("demo", "--coun", "30"), "没有选项 --coun（是否想用：--count, --json）"),
        (("submit", MOBILE), "缺少参数 'content'。"),
        (("submit", MOBILE, "x", "y"), "多余的参数（y）"),
        (("submit", MOBILE, "x", "--max-wait"), "选项 '--max-wait' 需要一个值。"),
        (("submit", MOBILE, "x", "--max-wait", "-1"), "'--max-wait' 的值有误：不应小于 0"),
        (("submit", MOBILE, "x", "--max-wait", "y"), "'--max-wait' 的值有误：应为数字"),
        (("simulate", "--port", "65536"), "'--port' 的值有误：不应大于 65535"),
        (("simulate", "--port", "x"), "'--port' 的值有误：应为整数"),
        (("balance", "--json=1"), "选项 '--json' 不带值。"),
    ],
    ids=str,
)
def test_wrong_usage_is_told_in_chinese(args: tuple[str, ...], shown: str) -> None:
    """In the framework's place, and with its exit code."""
    result = run("--lang", "zh", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert shown in result.stderr
    assert "╭─ 错误 ─" in result.stderr
    assert not re.search("Usage|Try|Error", result.stderr)


def test_a_language_that_is_not_spoken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the language of the environment."""
    result = run("--lang", "fr", "balance")
    assert (result.exit_code, "'fr'" in result.stderr) == (2, True)
    monkeypatch.setenv("IHUYI_LANG", "zh")
    assert "'--lang' 的值有误" in run("--lang", "fr", "balance").stderr


def test_what_the_framework_says_otherwise_is_shown_as_it_is() -> None:
    """In its own English, harmless."""
    assert speech.translate("typer.error.", "Brand new\n\t\x1b[2J") == "Brand new\n    \\x1b[2J"


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        (
            "Invalid value for '-x': -1 is not in the range x>=0.",
            "'-x' 的值有误：-1 不在 x>=0 之内",
        ),
        ("Invalid value for '-x': 'a' is not a valid integer.", "'-x' 的值有误：'a' 不是整数"),
        ("Invalid value for '-x': 'a' is not a valid float.", "'-x' 的值有误：'a' 不是数字"),
        ("Missing command.", "缺少命令。"),
        ("Missing option '-x'.", "缺少选项 '-x'。"),
    ],
)
def test_what_older_frameworks_say_is_translated(english: str, chinese: str) -> None:
    """They word some errors otherwise."""
    choose(Language.ZH)
    assert speech.translate("typer.error.", english) == chinese
    choose(Language.EN)
    assert speech.translate("typer.error.", english) == english


def test_answers_and_errors_are_chinese_too(vendor: Simulator) -> None:
    """The name of an error stays, for those who search for it."""
    assert run("--lang", "zh", "submit", MOBILE, CONTENT).stdout.startswith("已受理，voice_id ")
    refused = run("--lang", "zh", "submit", MOBILE, "x")
    assert refused.exit_code == 3
    assert refused.stderr.startswith("平台拒绝（TemplateMismatch）：Submit 4072：")
    wrong = run("--lang", "zh", "submit", "12", CONTENT)
    assert (wrong.exit_code, wrong.stderr[:21]) == (2, "输入有误（InvalidRequest）：")


def test_json_is_the_same_in_every_language(vendor: Simulator) -> None:
    """Programs read it."""
    assert run("--lang", "zh", "balance", "--json").stdout == run("balance", "--json").stdout


def test_every_code_of_the_vendors_says_what_to_do_next() -> None:
    """In both languages, each operation's own; one that is in no table has its words, too."""
    for operation, table in TABLES.items():
        for code in table:
            key = key_of(code, operation)
            assert key != "next.unlisted"
            assert CHINESE.search(TEXTS[key][1])
    assert key_of(408, Operation.ADD_TEMPLATE) == "next.AddTemplate.408"
    assert key_of(408) == "advice.408"
    assert key_of(12_345) == "next.unlisted"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            VendorError(405, "x", Operation.BALANCE, Action.STOP),
            "检查 IHUYI_ACCOUNT 和 IHUYI_API_KEY",
        ),
        (NotSent("x"), "检查网络"),
        (OutcomeUnknown("x"), "等待回执"),
        (InvalidRequest("x"), ""),
        (LedgerUnavailable("x"), ""),
        (RunStopped("x"), "检查网络"),
        (VoiceError("x"), ""),
    ],
    ids=repr,
)
def test_an_error_says_what_to_do_next(error: VoiceError, told: str) -> None:
    """By its code or its family; where its own words say it, nothing is added."""
    choose(Language.ZH)
    assert told in advice(error)
    assert bool(advice(error)) == bool(told)


def test_what_is_held_back_says_until_when() -> None:
    """In this machine's time."""
    held = RateLimited(4081, "x", Operation.SUBMIT, Action.WAIT)
    held.source = "guard"
    assert advice(held) == ""
    held.retry_at = datetime(2026, 11, 26, 1, 2, 3, tzinfo=UTC)
    assert advice(held).startswith("send it again after 2026-11-2")
