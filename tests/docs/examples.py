"""The examples that stand in README and on the pages, each with the place where it stands."""

import ast
import re
from pathlib import Path
from types import ModuleType
from typing import Final

import attrs

from tests.support.long import few_or_many

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted((ROOT / "ihuyi_voice" / "docs").glob("*/*.md"))
README: Final = ROOT / "README.md"
MANY: Final = few_or_many(25, 1000)
"""How many messages an example has that shows a thousand."""


@attrs.frozen
class Example:
    """A fenced block of code."""

    language: str
    code: str
    place: str

    def execute(self) -> ModuleType:
        """Run it as a module, and return that; a thousand calls are few ones in a short run."""
        module = ModuleType("example")
        exec(compile(shortened(self.code), self.place, "exec"), module.__dict__)  # noqa: S102 - our own pages
        return module


def shortened(code: str) -> str:
    """Return an example with as many messages as there is time for."""
    return code.replace("range(1000)", f"range({MANY})")


def without_comments(code: str) -> str:
    """Return what two examples have in common that differ in their comments."""
    return ast.unparse(ast.parse(code))


def examples(*paths: Path, language: str) -> list[Example]:
    """Return the blocks of a language, in the order in which they stand."""
    return [
        Example(
            language,
            found[1],
            f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, found.start()) + 2}",
        )
        for path in paths
        for text in [path.read_text(encoding="utf-8")]
        for found in re.finditer(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    ]
