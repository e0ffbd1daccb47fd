"""A type checker accepts what users rightly write, and tells them of what they get wrong."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
IGNORED = re.compile(r"  # type: ignore\[([a-z-]+)\]")
TOLD = re.compile(r":(\d+): error: .*\[([a-z-]+)\]$", re.MULTILINE)


def mypy(path: Path) -> "subprocess.CompletedProcess[str]":
    """Run mypy with the project's own settings over one file, and report on that alone."""
    command = [sys.executable, "-m", "mypy", "--follow-imports=silent", str(path)]
    return subprocess.run(  # noqa: S603 - our own files
        command, check=False, capture_output=True, text=True, cwd=HERE.parent.parent
    )


@pytest.mark.long
@pytest.mark.parametrize("name", ["right_uses.py", "wrong_uses.py"])
def test_uses_have_the_types_that_they_say(name: str) -> None:
    """Every `assert_type` holds, and every mistake that is marked as one is one."""
    done = mypy(HERE / name)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.long
def test_each_mistake_is_told_where_it_is_made(tmp_path: Path) -> None:
    """Without its marks, the file of wrong uses has just these errors, line by line."""
    text = (HERE / "wrong_uses.py").read_text(encoding="utf-8")
    marks = [
        (str(number), *mark.groups())
        for number, line in enumerate(text.splitlines(), 1)
        for mark in IGNORED.finditer(line)
    ]
    path = tmp_path / "wrong_uses.py"
    path.write_text(IGNORED.sub("", text), encoding="utf-8")
    assert TOLD.findall(mypy(path).stdout) == marks
    assert len(marks) > 30
