"""The table of pushes: what a row says, and which indexes answer what is asked of it.

What is asked must cost the same however much is stored or pending. So whatever is looked for has an
index of its own, which holds nothing else: what may be claimed, what waits behind it, what is dead
or quarantined, what may be purged; and how many there are of each state is kept, not counted. No
statistics are needed to find these indexes, nor can old ones hide them: SQLite is told which one to
use, and PostgreSQL is kept from whatever else it may think of (`Table.pinned`).

`due` is the heart of it. It is NULL unless the push may be claimed, and per subject there is one
such push at most: the first of its pending ones, its *head*. The others wait with `due` NULL until
the head has ended. A head is due at 0 when it is new, so at once whatever any clock says, and later
at a time by the database's own clock: the end of a claim's lease, or of the pause after a failure.
"""

# ruff: noqa: S608 - the table's name is an identifier

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

import attrs

from ihuyi_voice.storage import Dialect, Query, Work

_PIN: Final = (
    "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true),"
    " set_config('enable_bitmapscan', 'off', true), set_config('enable_hashjoin', 'off', true),"
    " set_config('enable_mergejoin', 'off', true)"
)


class PushState(StrEnum):
    """What has become of a stored push.

    Attributes:
        PENDING: Its handler is still to be called, or to be called again.
        HANDLED: Its handler returned.
        DEAD: Its handler failed too often; `Inbox.replay` makes it PENDING again.
        SUPERSEDED: It came when a later status of the same call had been handled already.
        QUARANTINED: It can't be understood; it is kept as it came, see `Inbox.quarantined`.
    """

    PENDING = "pending"
    HANDLED = "handled"
    DEAD = "dead"
    SUPERSEDED = "superseded"
    QUARANTINED = "quarantined"


_TEXTS: Final = ("key", "kind", "subject", "content_type", "state", "owner", "error")
_NUMBERS: Final = ("seq", "rank", "received_at", "late", "tries", "due")
COLUMNS: Final = frozenset({*_TEXTS, *_NUMBERS, "body"})

MADE: Final = "made"
"""Among the counts: a number of the table's own, by which one that was made anew is known.

Tables that were made by earlier versions have none.
"""

# Written as they are in the indexes: SQLite compares the text of a condition.
WAITS: Final = "state = 'pending' AND due IS NULL"
ASIDE: Final = "state IN ('dead', 'quarantined')"
DONE: Final = "state IN ('handled', 'superseded')"


@attrs.frozen
class Table:
    """The table in one of the two dialects, and the parts that its statements are made of.

    Attributes:
        name: Its name.
        dialect: How the database spells.
    """

    name: str
    dialect: Dialect

    def __str__(self) -> str:
        """Return its name as statements have it: any identifier, even `order`."""
        return f'"{self.name}"'

    @property
    def counts(self) -> str:
        """The table of how many pushes are in each state."""
        return self.index("counts")

    def index(self, name: str) -> str:
        """Return the name of one of its indexes."""
        return f'"{self.name}_{name}"'

    def by(self, index: str) -> str:
        """Return what makes SQLite use one of the indexes, or fail."""
        return f" INDEXED BY {self.index(index)}" if self.dialect.name == "sqlite" else ""

    @property
    def by_seq(self) -> str:
        """What keeps SQLite from all indexes but the primary key."""
        return " NOT INDEXED" if self.dialect.name == "sqlite" else ""

    def listed(self, name: str) -> str:
        """Return the values of a parameter as rows `listed.value` (texts)."""
        if self.dialect.name == "sqlite":
            return f"json_each(:{name}) AS listed"
        return f"unnest(CAST(:{name} AS TEXT[])) AS listed (value)"

    def among(self, column: str, name: str = "seqs") -> str:
        """Return the condition that a column has one of the values of a parameter."""
        return self.dialect.among(column, name)

    def values(self, given: Iterable[str | int]) -> object:
        """Return values as such a parameter."""
        return self.dialect.values(given)

    def pinned(self) -> Work[None]:
        """Keep PostgreSQL to the indexes for this transaction, whatever its statistics say."""
        if self.dialect.name == "postgresql":
            yield Query(_PIN)

    def definition(self) -> Sequence[str]:
        """Return the statements that make the table."""
        columns = {
            "seq": self.dialect.serial,
            "key": "TEXT NOT NULL UNIQUE",
            "kind": "TEXT NOT NULL",
            "subject": "TEXT NOT NULL",
            "rank": "BIGINT NOT NULL",
            "body": f"{self.dialect.blob} NOT NULL",
            "content_type": "TEXT NOT NULL",
            "received_at": f"{self.dialect.real} NOT NULL",
            "late": "INTEGER NOT NULL DEFAULT 0",
            "state": "TEXT NOT NULL",
            "tries": "INTEGER NOT NULL DEFAULT 0",
            "due": self.dialect.real,
            "owner": "TEXT",
            "error": "TEXT",
        }
        defined = ", ".join(f"{name} {what}" for name, what in columns.items())
        return (
            f"CREATE TABLE {self} ({defined})",
            f"CREATE TABLE {self.counts} (state TEXT PRIMARY KEY, pushes BIGINT NOT NULL)",
        )

    def indexes(self) -> Sequence[str]:
        """Return the statements that make its indexes."""
        made = {
            "subject": "(kind, subject, rank, seq)",
            "due": "(kind, due, seq) WHERE due IS NOT NULL",
            "head": "(kind, subject) WHERE due IS NOT NULL",
            "waiting": f"(kind, subject, rank, seq) WHERE {WAITS}",
            "aside": f"(state, seq) WHERE {ASIDE}",
            "done": f"(received_at, seq) WHERE {DONE}",
        }
        return [
            f"CREATE {'UNIQUE ' * (name == 'head')}INDEX {self.index(name)} ON {self} {what}"
            for name, what in made.items()
        ]

    def counted(self, changes: dict[PushState, int]) -> Work[None]:
        """Keep the counts: add to each state what is said, which may be negative."""
        changed = {state: change for state, change in changes.items() if change}
        if changed:
            cases = " ".join(
                f"WHEN '{state}' THEN CAST(:{state} AS BIGINT)" for state in sorted(changed)
            )
            among = ", ".join(f"'{state}'" for state in sorted(changed))
            yield Query(
                f"UPDATE {self.counts} SET pushes = pushes + CASE state {cases} END"
                f" WHERE state IN ({among})",
                {state.value: change for state, change in changed.items()},
            )
