"""What the plugin costs those who don't use it: nothing of ours is imported but the block."""

import json
import tomllib
from pathlib import Path

import pytest

from tests.testing.projects import PLUGIN, ROOT, python, ran

# Of Python's own; up to 3.12 pytest brings it.
SOCKET = {"_socket", "array", "socket"}
LOADED = """
import json, sys
import {module}
print(json.dumps(sorted(sys.modules)))
"""
ITS_OWN = {
    "ihuyi_voice.common",
    "ihuyi_voice.common.network",
    "ihuyi_voice.testing",
    "ihuyi_voice.testing.plugin",
}


def loaded(folder: Path, module: str) -> set[str]:
    """Return the modules that a process has which imported this one."""
    return set(json.loads(python(folder, "-c", LOADED.format(module=module)).stdout))


def test_it_imports_nothing_of_ours_but_the_block(tmp_path: Path) -> None:
    """And nothing of others', beside what pytest brings."""
    here = loaded(tmp_path, PLUGIN)
    assert {name for name in here if name.startswith("ihuyi_voice")} == {"ihuyi_voice"} | ITS_OWN
    assert here - loaded(tmp_path, "pytest") - {"ihuyi_voice"} - ITS_OWN - SOCKET == set()


UNUSED = """
import sys

def test_nothing_of_the_kit_is_here():
    heavy = {"ihuyi_voice.testing.kit", "ihuyi_voice.simulator.server", "uvicorn", "respx"}
    assert not heavy & set(sys.modules)
"""


def test_a_suite_that_uses_no_fixture_has_nothing_of_the_kit(tmp_path: Path) -> None:
    """Start-up and coverage don't suffer."""
    done = ran(tmp_path, UNUSED)
    assert done.counts == {"passed": 1}, done.output


def test_it_is_an_entry_point_of_pytest() -> None:
    """Under the module's own name, so that to name it once more with `-p` does no harm."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {PLUGIN: PLUGIN}


@pytest.mark.slow
def test_its_fixtures_and_its_mark_are_told(tmp_path: Path) -> None:
    """By `pytest --fixtures` and `pytest --markers`."""
    told = ran(tmp_path, "def test_it(): pass", options=("--fixtures",)).output
    for name in ("ihuyi_simulator", "ihuyi_client", "ihuyi_clock"):
        assert name in told
    assert "_ihuyi" not in told
    assert "@pytest.mark.ihuyi(**options)" in ran(tmp_path, "", options=("--markers",)).output


WITHOUT = """
import sys
sys.modules["uvicorn"] = None

def test_it(ihuyi_simulator):
    pass
"""


@pytest.mark.slow
def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    """What to install stands in the error."""
    done = ran(tmp_path, WITHOUT)
    assert done.counts == {"error": 1}
    assert "pip install 'ihuyi-voice[simulator]'" in done.output


BLOCKED = """
import os
from ihuyi_voice.common import network

def test_it():
    assert not network.is_forbidden()
"""


@pytest.mark.parametrize("kept", [True, False])
def test_it_can_be_left_out(tmp_path: Path, *, kept: bool) -> None:
    """For the few tests that are meant to reach the vendor: `-p no:…`."""
    options = () if kept else ("-p", f"no:{PLUGIN}")
    done = ran(tmp_path, BLOCKED, options=options)
    assert done.counts == ({"failed": 1} if kept else {"passed": 1}), done.output
