"""The shape of the code: sizes, names, imports and what a bare installation needs."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from statistics import median, quantiles

import attrs
import pytest

ROOT = Path(__file__).parent.parent
HOME = ROOT / "ihuyi_voice"
PACKAGE = sorted(HOME.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def source(path: Path) -> str:
    """Return what stands in a file."""
    return path.read_text(encoding="utf-8")


@attrs.frozen
class Shape:
    """What is looked at of a module; its tree is let go of.

    Attributes:
        is_documented: Whether it has a docstring.
        lengths: The lines of each of its functions, by their names.
        undocumented: Its functions without a docstring.
        imported: What it imports from modules, by the whole names.
        called: The functions that it calls by a bare name.
    """

    is_documented: bool
    lengths: Sequence[tuple[str, int]]
    undocumented: Sequence[str]
    imported: Sequence[str]
    called: frozenset[str]


@cache
def shape(path: Path) -> Shape:
    """Return the shape of a module; each file is parsed once."""
    module = ast.parse(source(path))
    nodes = [*ast.walk(module)]
    functions = [node for node in nodes if isinstance(node, Function)]
    calls = (node.func for node in nodes if isinstance(node, ast.Call))
    imports = (node for node in nodes if isinstance(node, ast.ImportFrom) and node.module)
    return Shape(
        is_documented=ast.get_docstring(module) is not None,
        lengths=[(each.name, length(each)) for each in functions],
        undocumented=[each.name for each in functions if not ast.get_docstring(each)],
        imported=[f"{node.module}.{alias.name}" for node in imports for alias in node.names],
        called=frozenset(func.id for func in calls if isinstance(func, ast.Name)),
    )


def length(function: Function) -> int:
    """Return the lines of a function without decorators and docstring."""
    body = function.body
    start = function.lineno
    documented = ast.get_docstring(function) is not None
    docstring = (body[0].end_lineno or 0) - body[0].lineno + 1 if documented else 0
    return (function.end_lineno or start) - start + 1 - docstring


def test_functions_are_short() -> None:
    """Median 8 lines at most, nine in ten under 25; only a table of options is longer than 40."""
    lengths = {(path.name, name): lines for path in PACKAGE for name, lines in shape(path).lengths}
    assert median(lengths.values()) <= 8
    assert quantiles(lengths.values(), n=10)[-1] < 25
    long = {name for name, lines in lengths.items() if lines > 40}
    options = {("client.py", "__init__"), ("app.py", "__init__"), ("send.py", "send")}
    assert long <= options  # one a line


def test_modules_are_of_one_sitting() -> None:
    """Under 400 lines each, with a docstring that names the duty."""
    assert not [path for path in PACKAGE if lines(path) >= 400]
    assert not [path for path in PACKAGE if not shape(path).is_documented]


def lines(*paths: Path) -> int:
    """Return how many lines these files have, and those in these folders."""
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py"))]
    return sum(len(source(file).splitlines()) for file in files)


def test_the_heart_is_tested_best() -> None:
    """For two lines of the calls and the client there are three of their tests."""
    tests = lines(ROOT / "tests" / "calls", ROOT / "tests" / "client")
    assert tests >= 1.5 * lines(HOME / "calls", HOME / "client.py")


def test_few_modules_lie_outside_a_room() -> None:
    """The client, the errors, the values and the reports; all else has its room."""
    floor = {path.stem for path in PACKAGE if path.parent == HOME}
    assert floor == {"__init__", "client", "errors", "models", "reports"}


def rooms() -> set[str]:
    """Return the rooms of the package."""
    return {path.parent.name for path in PACKAGE if path.parent.parent == HOME}


def test_the_folders_of_the_tests_are_the_rooms() -> None:
    """And beside them: what is told through the client alone, contracts, types, and helpers."""
    folders = {
        path.parent.relative_to(ROOT / "tests").parts[0]
        for path in TESTS
        if path.parent != ROOT / "tests"
    }
    assert rooms() - folders <= {"testing"}  # a plugin is tested by whoever uses it
    assert folders - rooms() - {"samples"} == {"client", "contracts", "support", "typing"}


LAZY = ("from typing import TYPE_CHECKING", "def __getattr__(name: str) -> object:")


def without_what_is_lazy(door: ast.Module) -> Iterator[ast.stmt]:
    """Yield a door's statements; what needs an extra is named for types, and fetched when asked."""
    for node in door.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from node.body
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "not TYPE_CHECKING":
            yield from without_what_is_lazy(ast.Module(node.body, []))
        elif not ast.unparse(node).startswith(LAZY):
            yield node


DOORS = [path for path in PACKAGE if path.name == "__init__.py"]


@pytest.mark.parametrize("path", DOORS, ids=lambda path: path.parent.name)
def test_the_door_of_a_room_only_re_exports(path: Path) -> None:
    """It defines nothing of its own, and re-exports nothing but what `__all__` names."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    body = [*without_what_is_lazy(tree)]
    imports = [node for node in body if isinstance(node, ast.ImportFrom)]
    promised = [node for node in body if isinstance(node, ast.Assign)]
    ordering = [
        node for node in body if isinstance(node, ast.Import)
    ]  # gives no name of the room's
    assert len(imports) + len(promised) + len(ordering) == len(body) - 1  # and the docstring
    names = [alias.asname or alias.name for node in imports for alias in node.names]
    told = [ast.unparse(node.targets[0]) for node in promised]
    assert told == (["__all__"] if names else [])
    assert sorted(names) == [name for node in promised for name in ast.literal_eval(node.value)]


def test_other_rooms_come_in_by_the_door() -> None:
    """What a room's door doesn't re-export is its own; constants are told by their modules."""
    doors = {door.parent.name for door in DOORS if "__all__" in source(door)}
    inside = [
        (path.name, name)
        for path in PACKAGE
        for name in shape(path).imported
        if (parts := name.split("."))[0] == HOME.name and len(parts) > 3
        if parts[1] in doors - {path.relative_to(HOME).parts[0]} and not parts[-1].isupper()
        if name != "ihuyi_voice.simulator.server.serving"  # which needs the extra
    ]
    assert not inside


def test_every_test_names_the_fact_that_it_proves() -> None:
    """In a docstring."""
    unnamed = [(path.name, name) for path in TESTS for name in shape(path).undocumented]
    assert not [(file, name) for file, name in unnamed if name.startswith("test_")]


def modules_with_public_names() -> list[str]:
    """Return the names of the modules that define `__all__`."""
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in PACKAGE
        if "\n__all__" in source(path)
    ]


def test_only_the_command_prints() -> None:
    """A library leaves its user's terminal alone."""
    printing = {path.parent.name for path in PACKAGE if "print" in shape(path).called}
    assert printing == {"cli"}


@pytest.mark.parametrize("name", modules_with_public_names())
def test_public_names_are_sorted_and_there(name: str) -> None:
    """What __all__ promises exists."""
    module = importlib.import_module(name)
    assert module.__all__ == sorted(module.__all__)
    assert all(hasattr(module, each) for each in module.__all__)


def test_nothing_relies_on_being_collected() -> None:
    """No __del__ anywhere."""
    assert not [path for path in PACKAGE if "__del__" in dict(shape(path).lengths)]


BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def without(program: str, *blocked: str) -> "subprocess.CompletedProcess[str]":
    """Run a program where none of these modules can be imported."""
    text = f"BLOCKED = {blocked}\n{BLOCKER}\n{program}"
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", text], check=False, capture_output=True, text=True, cwd=ROOT
    )


def test_the_blocker_blocks() -> None:
    """Or the tests that rely on it would prove nothing."""
    assert "No module named 'rich'" in without("import typer.main, rich.table", "rich").stderr


def extras() -> set[str]:
    """Return the modules that only an extra installs; h11 is httpx's own."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = project["optional-dependencies"].values()
    names = {re.split(r"[^\w-]", line)[0] for group in groups for line in group}
    core = {re.split(r"[^\w-]", line)[0] for line in project["dependencies"]}
    return {name.replace("-", "_") for name in names - core - {"h11", "ihuyi-voice"}}


def test_the_extras_are_known() -> None:
    """Those that matter most are among the modules that the next test blocks."""
    known = {"typer", "rich", "uvicorn", "respx", "pytest", "asyncpg", "redis"}
    assert known <= extras()


@pytest.mark.parametrize(
    "module",
    [
        "ihuyi_voice",
        "ihuyi_voice.simulator",
        "ihuyi_voice.cli",
        "ihuyi_voice.guards",
        "ihuyi_voice.protocol.pushes",
        "ihuyi_voice.pushes",
    ],
)
def test_the_core_needs_no_extra(module: str) -> None:
    """It imports where none of them is installed."""
    later = {"opentelemetry"}
    done = without(f"import {module}", *sorted(extras() | later))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("program", "extra"),
    [
        ("from ihuyi_voice.cli import main; main()", "ihuyi-voice[cli]"),
        ("import ihuyi_voice.simulator.server", "ihuyi-voice[simulator]"),
        ("from ihuyi_voice.guards import RedisGuard", "ihuyi-voice[redis]"),
    ],
)
def test_a_missing_extra_is_named(program: str, extra: str) -> None:
    """The error says what to install."""
    done = without(program, "typer", "uvicorn", "redis")
    assert done.returncode != 0
    assert extra in done.stderr
    assert "No module named" in done.stderr
