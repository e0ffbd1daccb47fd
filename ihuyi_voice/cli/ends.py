"""How the rows of a list have ended, by line: in memory, and on the disk once they are many."""

import json
from typing import Final, Self

from ihuyi_voice.cli.listing import scratch
from ihuyi_voice.cli.told import Told

_TABLE: Final = "CREATE TABLE ends (line INTEGER PRIMARY KEY, result TEXT)"


class Ends:
    """How rows have ended, on the disk once they are many."""

    def __init__(self) -> None:
        self._known = scratch()
        self._known.execute(_TABLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._known.close()

    def __call__(self, told: Told) -> None:
        """Keep a row's end."""
        row = told.row.line, json.dumps(told.result)
        self._known.execute("INSERT OR REPLACE INTO ends VALUES (?, ?)", row)

    def of(self, line: int) -> tuple[str, ...] | None:
        """Return how the row of a line has ended; None if it hasn't."""
        found = self._known.execute("SELECT result FROM ends WHERE line = ?", (line,)).fetchone()
        return None if found is None else tuple(json.loads(found[0]))
