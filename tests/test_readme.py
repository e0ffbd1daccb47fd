"""README is a front door: two commands, two languages, short."""

import os
import re
import tomllib

from tests.docs.examples import README, ROOT

TEXT = README.read_text(encoding="utf-8")
COMMANDS = re.findall(r"```sh\n(.*?)\n```", TEXT, re.DOTALL)


def test_the_two_commands_stand_in_the_readme_one_line_each() -> None:
    """The second is what CI runs, word for word."""
    demo, tests = COMMANDS[:2]
    assert "\n" not in demo + tests
    assert demo.endswith("ihuyi-voice demo")
    assert tests.endswith("-m pytest -n auto")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert set(re.findall(r"\[(\w+)\]", demo + tests)) <= set(extras)


def test_both_halves_have_the_commands_and_fit_a_front_door() -> None:
    """Who reads Chinese needs no English half, and nobody reads 250 lines at a door."""
    english, chinese = TEXT.split("## 中文说明")
    assert len(TEXT.splitlines()) < 250
    for command in COMMANDS[:2]:
        assert command in english
        assert command in chinese


def test_ci_runs_that_command_with_the_long_proofs_and_measures_its_coverage() -> None:
    """By the environment alone, which the tests' own runs of pytest are spared."""
    script = (ROOT / ".ci" / "run").read_text()
    for line in ("export IHUYI_LONG_TESTS=1", 'export PYTEST_ADDOPTS="--cov"'):
        assert script.index(f"\n{line}\n") < script.index("\nbash -c ")
    assert "PYTEST_ADDOPTS" not in os.environ
