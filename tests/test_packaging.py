"""Wheel and source archive: what belongs into them is in them, and nothing else."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both, once."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    done = subprocess.run(  # noqa: S603 - our own words
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> set[str]:
    """Return the names in the wheel."""
    (path,) = built.glob("*.whl")
    return set(zipfile.ZipFile(path).namelist())


def test_the_wheel_has_the_package_and_no_documentation(wheel: set[str]) -> None:
    """The typed package, its page's template and style; no test, no page of the site."""
    assert {"ihuyi_voice/py.typed", "ihuyi_voice/cli/page.html", "ihuyi_voice/client.py"} <= wheel
    strays = {name for name in wheel if not name.startswith(("ihuyi_voice/", "ihuyi_voice-"))}
    assert strays == set()
    assert not [name for name in wheel if name.startswith("ihuyi_voice/docs/")]


def test_the_text_of_the_licence_is_inside(wheel: set[str]) -> None:
    """Where tools look for it."""
    assert any(name.endswith(".dist-info/licenses/ihuyi_voice/LICENSE") for name in wheel)


def test_the_source_archive_has_what_its_tests_need(built: Path) -> None:
    """Tests, benchmarks and pages."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"tests/conftest.py", "benchmarks/__main__.py", "ihuyi_voice/docs/conf.py"} <= names
    assert {"README.md", "CHANGELOG.md", "pyproject.toml"} <= names


def test_the_classifiers_tell_no_more_than_is_tested() -> None:
    """A Python that no classifier names may work, too."""
    lowest = PROJECT["requires-python"].removeprefix(">=")
    named = {line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line}
    assert lowest in named
