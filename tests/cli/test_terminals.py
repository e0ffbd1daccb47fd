"""At real terminals, wide and narrow ones, without colours, and at none."""

import re
import subprocess
import sys
import unicodedata

import pytest

from ihuyi_voice.simulator import Simulator
from tests.support.command import CONTENT, MOBILE, program
from tests.support.terminal import at_terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no pseudo-terminals")

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
STEERING = re.compile(r"\x1b")


def width(line: str) -> int:
    """Return how many columns a line takes, whose Chinese letters take two each."""
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in line)


@pytest.mark.parametrize(
    ("lang", "columns"),
    [
        pytest.param("en", 200, marks=pytest.mark.long),
        ("en", 80),
        pytest.param("en", 48, marks=pytest.mark.long),
        pytest.param("zh", 200, marks=pytest.mark.long),
        pytest.param("zh", 80, marks=pytest.mark.long),
        ("zh", 48),
    ],
)
def test_the_help_fits_the_terminal(lang: str, columns: int) -> None:
    """No line is longer than it is wide, in either language; and there are colours."""
    for args in ((), ("send",), ("simulate",)):
        code, shown = at_terminal([*program(), "--lang", lang, *args, "-h"], columns=columns)
        assert code == 0
        assert COLOURS.search(shown)
        lines = COLOURS.sub("", shown).splitlines()
        assert max(map(width, lines)) <= columns


@pytest.mark.slow
def test_check_says_how_it_stands_in_colours(vendor: Simulator) -> None:
    """Green for what is right; with NO_COLOR, or a terminal that has none, the words alone."""
    code, shown = at_terminal([*program(), "check"], columns=60)
    assert code == 0
    assert "\x1b[32mok" in shown
    for environ in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        code, shown = at_terminal([*program(), "check"], columns=60, environ=environ)
        assert (code, STEERING.search(shown)) == (0, None)
        assert "ok    key: the vendor takes it" in shown


def test_errors_are_told_at_the_terminal(vendor: Simulator) -> None:
    """In words that a narrow one takes whole."""
    command = [*program(), "--lang", "zh", "submit", MOBILE, "x"]
    code, shown = at_terminal(command, columns=30, environ={"NO_COLOR": "1"})
    assert code == 3
    assert "处理办法：" in shown.replace("\r\n", "")


@pytest.mark.parametrize(
    "args",
    [
        ("check",),
        pytest.param(("submit", MOBILE, CONTENT), marks=pytest.mark.long),
        pytest.param(("--help",), marks=pytest.mark.long),
    ],
    ids=str,
)
def test_where_there_is_no_terminal_nothing_steers_one(
    vendor: Simulator, args: tuple[str, ...]
) -> None:
    """A file or a pipe gets words alone."""
    done = subprocess.run(  # noqa: S603 - our own program
        [*program(), *args], check=False, capture_output=True, stdin=subprocess.DEVNULL, text=True
    )
    assert done.returncode == 0
    assert not STEERING.search(done.stdout + done.stderr)
