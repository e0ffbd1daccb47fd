"""Projects of users, in folders of their own, whose tests run in processes of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import attrs

ROOT = Path(__file__).parent.parent.parent
PLUGIN = "ihuyi_voice.testing.plugin"
OTHERS = {
    "asyncio": "pytest_asyncio.plugin",
    "anyio": "anyio.pytest_plugin",
    "respx": "respx.plugin",
    "httpx_mock": "pytest_httpx",
}
_COUNTS = re.compile(r"(\d+) (passed|failed|errors?)")
_FREE = {"IHUYI_FORBID_NETWORK", "IHUYI_ACCOUNT", "IHUYI_API_KEY", "IHUYI_BASE_URL"}


@attrs.frozen
class Ran:
    """What came of a project's tests.

    Attributes:
        counts: How many passed, failed and so on.
        output: What pytest printed.
    """

    counts: dict[str, int]
    output: str


def ran(folder: Path, tests: str, *plugins: str, options: tuple[str, ...] = ()) -> Ran:
    """Run the tests of a new project with just these plugins and ours; warnings are errors."""
    (folder / "test_project.py").write_text(dedent(tests), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    named = [part for name in plugins for part in ("-p", OTHERS[name])]
    settings = [
        part
        for name in plugins
        if name == "asyncio"
        for part in ("-o", "asyncio_default_fixture_loop_scope=function")
    ]
    command = ["-m", "pytest", "-p", PLUGIN, *named, *settings, "-W", "error", "-q"]
    command += ["--strict-markers", "-p", "no:cacheprovider", *options]
    return _counted(python(folder, *command))


def python(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run Python in a folder, without the plugins that are installed here."""
    environment = {name: value for name, value in os.environ.items() if name not in _FREE}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(  # noqa: S603 - our own programs
        [sys.executable, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
    )


def _counted(done: "subprocess.CompletedProcess[str]") -> Ran:
    output = done.stdout + done.stderr
    lines = done.stdout.strip().splitlines() or [""]
    found = _COUNTS.findall(lines[-1])
    return Ran({kind.rstrip("s"): int(number) for number, kind in found}, output)
