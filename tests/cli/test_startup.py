"""What is loaded, and when: the help needs no HTTP, and no command loads an extra beforehand."""

import ast
import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import ihuyi_voice
from ihuyi_voice.cli import app as app_module
from ihuyi_voice.cli import ledger, work
from ihuyi_voice.common.doors import HOMES
from tests.cli.test_usage import COMMANDS
from tests.support.command import run

HEAVY = {
    *("httpx", "httptools", "lxml", "tenacity", "uvicorn", "asyncpg", "redis", "openpyxl"),
    *("jinja2", "pygal", "procrastinate", "opentelemetry", "sqlite3"),
}
LOADED = "import sys, json; print(json.dumps(sorted(sys.modules)))"
HELP = """
import sys
from ihuyi_voice.cli import main
sys.argv = ["ihuyi-voice", *sys.argv[1:]]
try:
    main()
except SystemExit:
    pass
"""


def loaded(program: str, *args: str) -> set[str]:
    """Run a program; return the modules that it has loaded."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", f"{program}\n{LOADED}", *args],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_package_loads_nothing_before_it_is_asked() -> None:
    """Neither HTTP nor XML; nor does an error or a value."""
    assert not loaded("import ihuyi_voice") & (HEAVY | {"asyncio", "attrs"})
    assert not loaded("from ihuyi_voice import NotSent, Message, VendorError") & HEAVY


@pytest.mark.slow
def test_the_client_loads_what_it_needs_only_when_it_does() -> None:
    """A first reply in the usual form needs no XML parser, and a call that succeeds no retries."""
    there = loaded("from ihuyi_voice import VoiceClient; VoiceClient('a', 'b')")
    assert there >= {"httpx", "httptools"}
    assert not there & (HEAVY - {"httpx", "httptools"})


@pytest.mark.parametrize(
    "args",
    [
        ("--help",),
        *(pytest.param(each, marks=pytest.mark.long) for each in (("-h",), ("--version",))),
        ("ledger", "--help"),
    ],
)
def test_the_help_of_all_loads_no_command(args: tuple[str, ...]) -> None:
    """So that it is there at once."""
    there = loaded(HELP, *args)
    assert not there & HEAVY
    assert "ihuyi_voice.client" not in there


@pytest.mark.parametrize(
    "command",
    [
        ("send",),
        *(
            pytest.param(each, marks=pytest.mark.long)
            for each in (("receive",), ("simulate",), ("ledger", "html"), ("check",))
        ),
    ],
    ids=str,
)
def test_no_command_loads_an_extra_for_its_help(command: tuple[str, ...]) -> None:
    """Each is loaded when it is needed, typer and rich apart."""
    extras = {"uvicorn", "asyncpg", "redis", "openpyxl", "jinja2", "pygal", "procrastinate"}
    assert not loaded(HELP, *command, "--help") & extras


def test_every_command_is_at_home_where_the_table_says() -> None:
    """Its module has its function, and the groups have all of their commands."""
    tables = {"": app_module.COMMANDS} | app_module.GROUPS
    homes = {
        tuple(filter(None, (group, name))): home
        for group, table in tables.items()
        for name, home in table.items()
    }
    assert set(homes) == set(COMMANDS)
    for module, function in homes.values():
        assert callable(getattr(import_module(f"ihuyi_voice.cli.{module}"), function))
    assert set(app_module.GROUPS["ledger"]) == {*ledger.COMMANDS, *work.OF_LEDGER}


def test_the_public_names_are_at_home_where_the_types_say() -> None:
    """What type checkers read and what is imported is the same."""
    tree = ast.parse(Path(ihuyi_voice.__file__).read_text(encoding="utf-8"))
    typed = {
        (node.module or "").removeprefix("ihuyi_voice."): {alias.name for alias in node.names}
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ihuyi_voice.")
    }
    del typed["common.doors"]
    assert typed == {room: set(names) for room, names in HOMES.items()}
    assert sorted(name for names in HOMES.values() for name in names) == ihuyi_voice.__all__


@pytest.mark.slow
def test_a_name_that_is_none_is_told() -> None:
    """As of any module; rooms are found as ever."""
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        ihuyi_voice.Nonsense  # type: ignore[attr-defined]  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnusedExpression] - it is none
    done = loaded("import ihuyi_voice; ihuyi_voice.errors.NotSent; from ihuyi_voice import *")
    assert "ihuyi_voice.client" in done


@pytest.mark.parametrize("args", [("--version",), ("-V",)])
def test_the_version_is_told(args: tuple[str, ...]) -> None:
    """On one line."""
    assert run(*args).stdout == f"ihuyi-voice {version('ihuyi-voice')}\n"


@pytest.mark.parametrize("args", [(), ("balance",), ("ledger",), ("ledger", "show")], ids=str)
def test_the_short_form_of_help_is_the_same(args: tuple[str, ...]) -> None:
    """At every command."""
    short, long = run(*args, "-h"), run(*args, "--help")
    assert (short.exit_code, short.stdout) == (0, long.stdout)


def test_the_language_may_stand_behind_the_command() -> None:
    """Where most people write it; a language that is none is told there, too."""
    before, after = run("--lang", "zh", "balance", "-h"), run("balance", "-h", "--lang", "zh")
    assert before.stdout == after.stdout
    assert "用法" in run("ledger", "show", "--lang=zh", "-h").stdout
    wrong = run("balance", "--lang", "fr")
    assert (wrong.exit_code, "'fr'" in wrong.stderr) == (2, True)
    assert run("balance", "--lang").exit_code == 2


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("ihuyi-voice ", {"send", "check", "ledger"}),
        pytest.param("ihuyi-voice ledger ", {"show", "runs"}, marks=pytest.mark.long),
        pytest.param("ihuyi-voice check --js", {"--json"}, marks=pytest.mark.long),
        ("ihuyi-voice simulate --ver", {"--verbose"}),
    ],
)
def test_a_shell_completes_the_command(typed: str, found: set[str]) -> None:
    """Commands, groups and the options of those that are loaded for it."""
    environment = os.environ | {
        "_IHUYI_VOICE_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split(" ")) - 1),
    }
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", HELP], check=False, capture_output=True, text=True, env=environment
    )
    assert found <= {line.split(",")[-1] for line in done.stdout.split()}, done.stderr


def test_the_completion_is_printed_in_words() -> None:
    """Its options are in the user's language."""
    assert "为当前 shell 安装命令补全" in run("--lang", "zh", "--help").stdout
