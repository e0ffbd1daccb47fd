"""Every block of code in README and on the pages runs; every command in them exists."""

import asyncio
import re
import shlex
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main

from ihuyi_voice.cli.app import app
from ihuyi_voice.simulator import Simulator
from tests.docs.examples import PAGES, README, ROOT, Example, examples, without_comments

# The two languages share most of their code: what is the same runs once.
_ALL = {
    without_comments(block.code): block for block in examples(README, *PAGES, language="python")
}.values()
_TESTS = [block for block in _ALL if re.search(r"^(async )?def test_", block.code, re.MULTILINE)]
PYTHON = [block for block in _ALL if block not in _TESTS]
SHELL = examples(README, *PAGES, language="sh")
COMMANDS = [
    pytest.param(line[line.index("ihuyi-voice ") :], id=f"{block.place}:{line[:60]}")
    for block in SHELL
    for line in block.code.replace("\\\n", " ").splitlines()
    if re.match(r"(\$ )?(\w+=\S+ )*ihuyi-voice ", line)
]
INLINE = sorted(
    {
        " ".join(code.split())
        for page in (README, *PAGES)
        for code in re.findall(r"`(ihuyi-voice [^`]+)`", page.read_text(encoding="utf-8"))
    }
)

# What a page shows as a test is one of ours, with the fixtures that a user's would have.
for _block in _TESTS:
    _place = re.sub(r"\W+", "_", _block.place)
    globals().update(
        (f"test_{_place}_{name}", made)
        for name, made in vars(_block.execute()).items()
        if name.startswith("test_")
    )


async def _start_and_stop(module: ModuleType) -> None:
    """Enter what a server would enter, and leave it."""
    for name in ("app", "receiver"):
        web: Any = getattr(module, name, None)
        if hasattr(web, "router"):
            async with web.router.lifespan_context(web):
                pass


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.place)
def test_a_block_of_python_runs(
    block: Example, vendor: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As a program, or as an application that starts and ends."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IHUYI_PUSH_TOKEN", "s3cret")
    asyncio.run(_start_and_stop(block.execute()))
    assert vendor.account


@pytest.mark.parametrize("line", [*COMMANDS, *INLINE])
def test_a_command_and_its_options_exist(line: str) -> None:
    """A page can't name an option that is gone."""
    commands: list[Any] = [typer.main.get_command(app)]
    words = shlex.split(line, comments=True)[1:]
    for word in words:
        within = getattr(commands[-1], "commands", {})
        if "|" in word and within:  # one of several
            assert set(word.split("|")) <= set(within)
        elif word in within:
            commands.append(within[word])
    whole = [getattr(command, "loaded", lambda command=command: command)() for command in commands]
    known = {name for command in whole for option in command.params for name in option.opts}
    given = {word.split("=")[0] for word in words if word.startswith("--")}
    assert given <= known | {"--help", "--version"}


def test_each_extra_that_is_named_exists() -> None:
    """In every `pip install` of every page."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    pages = " ".join(path.read_text(encoding="utf-8") for path in (README, *PAGES))
    named = {
        name for found in re.findall(r"ihuyi-voice\[([\w,]+)\]", pages) for name in found.split(",")
    }
    assert named <= set(extras)
