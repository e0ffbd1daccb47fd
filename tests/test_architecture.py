"""The shape of the code: sizes, names, imports and what a bare installation needs."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = sorted((ROOT / "ihuyi_voice").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    """Yield every function of a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node


def length(function: Function) -> int:
    """Return the lines of a function without decorators and docstring."""
    body = function.body
    start = function.lineno
    documented = ast.get_docstring(function) is not None
    docstring = (body[0].end_lineno or 0) - body[0].lineno + 1 if documented else 0
    return (function.end_lineno or start) - start + 1 - docstring


def test_functions_are_short() -> None:
    """Median 8 lines at most, nine in ten under 25; only a table of options is longer than 40."""
    lengths = {(path.name, each.name): length(each) for path in PACKAGE for each in functions(path)}
    assert median(lengths.values()) <= 8
    assert quantiles(lengths.values(), n=10)[-1] < 25
    long = {name for name, lines in lengths.items() if lines > 40}
    assert long <= {("client.py", "__init__"), ("app.py", "__init__")}  # options, one a line


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: path.name)
def test_modules_are_of_one_sitting(path: Path) -> None:
    """Under 400 lines each, with a docstring that names the duty."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 400
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_every_test_names_the_fact_that_it_proves(path: Path) -> None:
    """In a docstring."""
    missing = [
        each.name
        for each in functions(path)
        if each.name.startswith("test_") and not ast.get_docstring(each)
    ]
    assert not missing


@pytest.mark.parametrize(
    "name",
    ["", ".guards", ".pool", ".simulator"],
)
def test_public_names_are_sorted_and_there(name: str) -> None:
    """What __all__ promises exists."""
    module = importlib.import_module(f"ihuyi_voice{name}")
    assert module.__all__ == sorted(module.__all__)
    assert all(hasattr(module, each) for each in module.__all__)


def test_nothing_relies_on_being_collected() -> None:
    """No __del__ anywhere."""
    assert not [path for path in PACKAGE if any(f.name == "__del__" for f in functions(path))]


@pytest.mark.parametrize("module", ["ihuyi_voice", "ihuyi_voice.simulator", "ihuyi_voice.cli"])
def test_the_core_needs_no_extra(module: str) -> None:
    """It imports where none of them is installed."""
    program = (
        "import sys\n"
        "for name in ('typer', 'rich', 'uvicorn', 'sqlalchemy', 'aiosqlite', 'asyncpg'):\n"
        "    sys.modules[name] = None\n"
        f"import {module}\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 - our own program


@pytest.mark.parametrize(
    ("program", "extra"),
    [
        ("from ihuyi_voice.cli import main; main()", "ihuyi-voice[cli]"),
        ("import ihuyi_voice.simulator.server", "ihuyi-voice[simulator]"),
    ],
)
def test_a_missing_extra_is_named(program: str, extra: str) -> None:
    """The error says what to install."""
    blocked = "import sys; sys.modules['typer'] = sys.modules['uvicorn'] = None; "
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", blocked + program], check=False, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert extra in done.stderr
