"""Docstrings are written for who reads the code; Sphinx reads them as reStructuredText.

Two habits differ: code stands indented behind a colon, and lists need no empty line before them.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_BULLET = "- "


def _starts_code(lines: list[str], at: int) -> bool:
    line, following = lines[at], lines[at + 1 : at + 3]
    return (
        line.endswith(":")
        and not line.endswith("::")
        and len(following) == len(("empty", "code"))
        and not following[0]
        and following[1].startswith(" " * (len(line) - len(line.lstrip()) + 4))
    )


def _code(lines: list[str]) -> Iterator[str]:
    for at, line in enumerate(lines):
        yield line + ":" if _starts_code(lines, at) else line


def _lists(lines: Iterable[str]) -> Iterator[str]:
    for before, line in pairwise(["", *lines]):
        begins = line.lstrip().startswith(_BULLET)
        if begins and before.strip() and not before.lstrip().startswith((_BULLET, "  ")):
            yield ""
        yield line


def mend(*arguments: Any) -> None:
    """Make a docstring's lines, the last argument, what Sphinx understands."""
    lines: list[str] = arguments[-1]
    lines[:] = list(_lists(list(_code(lines))))


def setup(app: "Sphinx") -> dict[str, Any]:
    """Mend each docstring before anything else reads it."""
    app.connect("autodoc-process-docstring", mend, priority=100)
    return {"parallel_read_safe": True}
