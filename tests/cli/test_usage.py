"""The command as such: its help, wrong usage, and how it is started."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ihuyi_voice.cli import main
from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.language import text
from ihuyi_voice.simulator import Simulator
from tests.support.command import CONTENT, MOBILE, PROGRAM, program, run

COMMANDS = (
    ("demo",),
    ("check",),
    ("submit",),
    ("balance",),
    ("send",),
    ("receive",),
    ("report",),
    ("replay",),
    ("simulate",),
    ("template", "add"),
    ("template", "delete"),
    ("template", "check"),
    ("inbox", "counts"),
    ("inbox", "purge"),
    ("inbox", "quarantine"),
    ("inbox", "reparse"),
    ("ledger", "runs"),
    ("ledger", "show"),
    ("ledger", "csv"),
    ("ledger", "html"),
    ("ledger", "unknown"),
    ("ledger", "settle"),
    ("ledger", "reconcile"),
    ("ledger", "stop"),
    ("ledger", "resume"),
    ("work",),
)


def test_the_key_is_no_option() -> None:
    """Options show in the list of processes and in the shell's history."""
    for command in COMMANDS:
        if command != ("simulate",):
            assert "key" not in run(*command, "--help").output.lower()


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_help_needs_no_manual(args: tuple[str, ...]) -> None:
    """Each command says what it does and has each option explained."""
    result = run(*args, "--help")
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"Usage: root {' '.join(args)} [OPTIONS]" in result.stdout
    options = [line for line in result.stdout.splitlines() if re.match(r"│ \*? *--", line)]
    assert options
    assert not [line for line in options if re.fullmatch(r"│ \*? *--\S+ +(<.+>)? *│", line)]


def test_the_help_of_all_names_commands_variables_and_exit_codes() -> None:
    """So that nobody needs another page to begin."""
    shown = " ".join(run("--help").stdout.split())
    for name, *_ in COMMANDS:
        assert f" {name} " in shown
    assert "IHUYI_ACCOUNT and IHUYI_API_KEY" in shown
    assert " ".join(text("app.help").split()) in shown


@pytest.mark.parametrize("args", [(), ("template",), ("inbox",)])
def test_no_arguments_show_the_help(args: tuple[str, ...]) -> None:
    """As wrong usage, exit code 2."""
    result = run(*args)
    assert (result.exit_code, "Usage" in result.output) == (2, True)


@pytest.mark.parametrize(
    "args",
    [
        ("nonsense",),
        ("submit", MOBILE),
        ("balance", "--nonsense"),
        ("submit", MOBILE, CONTENT, "--max-wait", "-1"),
        ("send", "x.csv", "--concurrency", "0"),
        ("demo", "--count", "19"),
        ("simulate", "--port", "65536"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_without_a_traceback(args: tuple[str, ...]) -> None:
    """Exit code 2, on stderr."""
    result = run(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_console_script_runs(vendor: Simulator) -> None:
    """In a process of its own, from the environment alone, on stdout and nothing on stderr."""
    done = subprocess.run(  # noqa: S603 - our own program
        [*program(), "balance", "--json"], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, '{"balance": 856}\n', "")


def test_main_is_the_app(monkeypatch: pytest.MonkeyPatch, vendor: Simulator) -> None:
    """It takes its arguments from the command line and ends with the exit code."""
    monkeypatch.setattr(sys, "argv", ["ihuyi-voice", "submit", "12", CONTENT])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the line that installs it, what could not be imported, and an exit code of its own."""
    monkeypatch.setitem(sys.modules, "ihuyi_voice.cli.app", None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 8
    assert re.search(r"pip install 'ihuyi-voice\[cli\]' \(.*cli.app", capsys.readouterr().err)


def test_a_missing_extra_is_named_in_chinese(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The language is known before anything is loaded."""
    monkeypatch.setitem(sys.modules, "ihuyi_voice.cli.app", None)
    monkeypatch.setattr(sys, "argv", ["ihuyi-voice", "--lang", "zh", "demo"])
    with pytest.raises(SystemExit):
        main()
    assert "需要附加组件：pip install 'ihuyi-voice[cli]'" in capsys.readouterr().err


@pytest.mark.parametrize("args", [(), *COMMANDS], ids=" ".join)
def test_every_help_ends_with_the_table_of_exit_codes(
    monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    """The same one, a line a code, in both languages."""
    monkeypatch.setenv("COLUMNS", "100")
    for language, first in (("en", "0: done"), ("zh", "0：完成")):
        shown = run("--lang", language, *args, "--help").stdout
        found = re.findall(r"^ (\d+)[:：] ?\S", shown, re.MULTILINE)
        assert found == [str(code.value) for code in Exit]
        assert first in shown


LOADED = """
import sys
from ihuyi_voice.cli import main
from ihuyi_voice.cli.exits import Exit
try:
    main()
finally:
    print("loaded", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize(
    "args",
    [
        ("receive",),
        *(
            pytest.param(each, marks=pytest.mark.long)
            for each in ((), ("demo",), ("send",), ("simulate",))
        ),
    ],
    ids=str,
)
def test_help_loads_no_extra_that_it_does_not_need(args: tuple[str, ...]) -> None:
    """Databases and servers load slowly; help is what a beginner asks for again and again."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", LOADED, *args, "--help"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0
    loaded = done.stdout.splitlines()[-1].split()
    assert {"loaded", "typer", "rich"} <= set(loaded)
    unwanted = {"sqlalchemy", "aiosqlite", "asyncpg", "uvicorn", "respx", "fastapi", "redis"}
    assert not unwanted & set(loaded)


@pytest.mark.slow
def test_a_terminal_without_chinese_letters_loses_nothing() -> None:
    """What it can't write is spelled out; the command goes on."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict", "IHUYI_LANG": "zh"}
    done = subprocess.run(  # noqa: S603 - our own program
        [*PROGRAM, "template", "check", "今天停水", "今天停水"],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    told = "符合模板；变量：无".encode("unicode_escape").decode()
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{told}\n", "")


@pytest.mark.parametrize("more", [(), ("--json",)], ids=str)
@pytest.mark.parametrize("args", [("balance",), ("submit", MOBILE, CONTENT), ("check",)], ids=str)
def test_a_vendor_that_is_forbidden_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], more: tuple[str, ...]
) -> None:
    """By IHUYI_FORBID_NETWORK, or a plugin; nothing was sent, and a setting is wrong."""
    monkeypatch.setenv("IHUYI_ACCOUNT", "VM1")
    monkeypatch.setenv("IHUYI_API_KEY", "key")
    monkeypatch.delenv("IHUYI_BASE_URL", raising=False)
    for lang, words in (("en", "the vendor's real host"), ("zh", "禁止连接供应商的主机")):
        result = run("--lang", lang, *args, *more)
        assert result.exit_code == 2, result.output
        if more:
            assert json.loads(result.stdout)["error"] == "NetworkForbidden"
        else:
            assert (result.stdout, words in result.stderr) == ("", True)


def test_a_run_to_a_vendor_that_is_forbidden_is_told_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its rows are NOT_SENT, and no traceback stands below them."""
    monkeypatch.setenv("IHUYI_ACCOUNT", "VM1")
    monkeypatch.setenv("IHUYI_API_KEY", "key")
    monkeypatch.delenv("IHUYI_BASE_URL", raising=False)
    file, out = tmp_path / "a.csv", tmp_path / "out.csv"
    file.write_text(f"mobile,content\n{MOBILE},{CONTENT}\n", encoding="utf-8")
    result = run("send", str(file), "--out", str(out))
    assert (result.exit_code, result.exception) == (1, None) or isinstance(
        result.exception, SystemExit
    )
    assert "NOT_SENT" in out.read_text(encoding="utf-8-sig")
    assert "the vendor's real host" in result.stderr


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (("send", "nothing.csv", "--json"), "FileNotFoundError"),
        (("send", ".", "--json"), "IsADirectoryError"),
        (("ledger", "runs", "--ledger", "nothing.db", "--json"), "InvalidRequest"),
        (("report", "7", "--inbox", "nothing.db", "--json"), "InvalidRequest"),
        (("send", "nothing.csv", "--column", "x", "--json"), "InvalidRequest"),
    ],
    ids=str,
)
def test_a_program_is_told_of_any_error_as_json(
    vendor: Simulator, args: tuple[str, ...], error: str
) -> None:
    """One document on one line, and nothing else."""
    result = run(*args)
    assert (result.exit_code, result.stderr) == (2, "")
    told = json.loads(result.stdout)
    assert (told["error"], bool(told["message"])) == (error, True)
