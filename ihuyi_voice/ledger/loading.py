"""Loading a list into a run of many parts, on PostgreSQL.

The list is copied into a table of its own first, a few thousand rows at a time, for nobody knows
how long it is, and so how many parts there are to be. Then it is moved into the entries, again a
few thousand at a time, in its order: so messages to one number keep theirs. A key that is there
already stays as it is. A load that died is begun anew: the run remembers its table, which is
dropped then, and how many parts it has, if that was settled.

The fence: each step asks whether the run still knows this load. So of two that load one run at a
time, the later goes on, and the earlier is told.
"""

import json
import zlib
from collections.abc import Sequence
from typing import Any, Final

import attrs

from ihuyi_voice.errors import InvalidRequest, LedgerUnavailable, RunInUse
from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.progress import reopen
from ihuyi_voice.ledger.rows import Book
from ihuyi_voice.ledger.runs import Runs, check_name
from ihuyi_voice.ledger.states import kept
from ihuyi_voice.models import Draft
from ihuyi_voice.storage import Copy, Query, Row, Work

STEP: Final = 5_000
"""So many rows are copied, or moved, in one transaction."""

_COLUMNS: Final = ("place", "hash", "key", "mobile", "content", "reference")
_TURN: Final = "SELECT * FROM {runs} WHERE id = :run{update}"
_REMEMBER: Final = "UPDATE {runs} SET options = :options WHERE id = :run"
_LOCAL: Final = (
    "SELECT 1 AS found FROM {entries} WHERE run = :run AND part = 0"
    " UNION ALL SELECT 1 FROM {parts} WHERE run = :run AND part = 0 LIMIT 1"
)
_TABLE: Final = (
    "CREATE UNLOGGED TABLE {table} (place BIGINT PRIMARY KEY, hash BIGINT NOT NULL,"
    " key TEXT NOT NULL, mobile TEXT NOT NULL, content TEXT NOT NULL, reference TEXT)"
)
_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtextextended('ihuyi_schema', 0))"
_IS_THERE: Final = "SELECT CAST(to_regclass(:name) AS TEXT) AS found"
_INDEX: Final = (
    "CREATE INDEX IF NOT EXISTS {entries_part} ON {entries} (run, part, id) WHERE part > 0"
)
_COUNT: Final = "SELECT count(*) AS rows FROM {table}"
_PARTS: Final = (
    "INSERT INTO {parts} (run, part, epoch, state, done) SELECT CAST(:run AS BIGINT), n, 0,"
    " (SELECT state FROM {runs} WHERE id = :run), 1 FROM generate_series(1, CAST(:n AS INTEGER)) n"
    " ON CONFLICT (run, part) DO NOTHING"
)
_STEP_OF: Final = " WHERE s.place > :after AND s.place <= :until"
_MOVE: Final = (
    "WITH moved AS ("  # noqa: S608 - constants
    "INSERT INTO {entries} (run, key, part, mobile, content, reference, state,"
    " epoch, ticket, attempts, at) SELECT CAST(:run AS BIGINT), key,"
    " CAST(1 + hash % CAST(:parts AS BIGINT) AS INTEGER), mobile, content, reference, {OPEN}, 0, 0,"
    " 0, {now} FROM {table} s" + _STEP_OF + " ORDER BY place"
    " ON CONFLICT (run, key) DO NOTHING RETURNING part)"
    " SELECT count(*) AS rows FROM moved"
)
_OTHERS: Final = (
    "SELECT s.place FROM {table} s"  # noqa: S608 - constants
    " JOIN {entries} e ON e.run = :run AND e.key = s.key"
    + _STEP_OF
    + " AND (e.mobile <> s.mobile OR e.content <> s.content) ORDER BY s.place"
)


@attrs.frozen
class Load:
    """One load of a list into a run.

    Attributes:
        book: The run; of no part.
        table: Where the list is, until it is in the entries.
        size: About how many messages a part is to have.
    """

    book: Book
    table: str
    size: int


@attrs.frozen
class Loading:
    """What is asked of the tables while a list is loaded.

    Attributes:
        owners: How statements are spelled.
        prefix: What the names of tables begin with.
    """

    owners: Owners
    prefix: str

    def begin(self, account: str, key: str, size: int, token: str) -> Work[Load]:
        """Begin a load, in place of any other of this run.

        Raises:
            InvalidRequest: The run is a local one.
        """
        check_name(key)
        row = yield from Runs(self.owners).ensured(account, key)
        run = int(row["id"])
        (row,) = yield Query(self._say(_TURN), {"run": run})
        if not row["options"] and (yield Query(self._say(_LOCAL), {"run": run})):
            raise InvalidRequest(f"the run {key!r} was begun by one process alone", field="run")
        options = json.loads(row["options"] or '{"parts": 0}')
        if options.get("table"):
            yield Query(f'DROP TABLE IF EXISTS "{options["table"]}"')
        load = Load(Book(run), f"{self.prefix}_load_{token}", size)
        yield Query(self._say(_TABLE, load))
        yield from self._indexed()
        yield from self._remember(load, options | {"table": load.table})
        return load

    def add(self, load: Load, drafts: Sequence[tuple[int, Draft]]) -> Work[None]:
        """Copy a few more rows of the list, each with its number.

        Raises:
            RunInUse: A later load has begun.
        """
        yield from self._fence(load)
        rows = [
            (place, _hash(each.mobile), each.key, each.mobile, each.content, kept(each.reference))
            for place, each in drafts
        ]
        yield Copy(load.table, _COLUMNS, rows)

    def divide(self, load: Load, rows: int) -> Work[int]:
        """Settle how many parts there are, once the whole list of so many rows was copied.

        Raises:
            LedgerUnavailable: Rows were lost, for the server crashed meanwhile.
        """
        options = yield from self._fence(load)
        (found,) = yield Query(self._say(_COUNT, load))
        if found["rows"] != rows:
            raise LedgerUnavailable("the ledger's server lost a list that was being loaded")
        parts = int(options["parts"]) or max(1, -(-rows // load.size))
        yield Query(self._say(_PARTS), {"run": load.book.run, "n": parts})
        yield from self._remember(load, options | {"parts": parts})
        return parts

    def move(self, load: Load, parts: int, after: int) -> Work[tuple[int, list[int]]]:
        """Move the rows of one step; return how many were new, and which have others' keys."""
        yield from self._fence(load)
        step = {"run": load.book.run, "after": after, "until": after + STEP}
        moved = step | {"parts": parts} | self.owners.now()
        (row,) = yield Query(self._say(_MOVE, load), moved)
        others = yield Query(self._say(_OTHERS, load), step)
        return int(row["rows"]), [int(other["place"]) for other in others]

    def end(self, load: Load) -> Work[None]:
        """Open the parts that have something to do, and forget the load."""
        options = yield from self._fence(load)
        yield from reopen(self.owners, load.book.run)
        yield Query(self._say("DROP TABLE {table}", load))
        yield from self._remember(load, {"parts": options["parts"]})

    # ---

    def _indexed(self) -> Work[None]:
        # Asked first: the statement waits for all writers, even if there is nothing to do.
        name = f'"{self.prefix}_entries_part"'
        if (yield Query(_IS_THERE, {"name": name}))[0]["found"] is None:
            yield Query(_ONE_AT_A_TIME)
            yield Query(self._say(_INDEX))

    def _fence(self, load: Load) -> Work[dict[str, Any]]:
        rows: list[Row] = yield Query(self._say(_TURN), {"run": load.book.run})
        options: dict[str, Any] = json.loads(rows[0]["options"])
        if options.get("table") != load.table:
            raise RunInUse("the run is being loaded by another process, which began later")
        return options

    def _remember(self, load: Load, options: dict[str, Any]) -> Work[None]:
        said = {"run": load.book.run, "options": json.dumps(options)}
        yield Query(self._say(_REMEMBER), said)

    def _say(self, template: str, load: Load | None = None) -> str:
        table = "" if load is None else f'"{load.table}"'
        index = f'"{self.prefix}_entries_part"'
        said = template.replace("{table}", table).replace("{entries_part}", index)
        return self.owners.say(said) if load is None else said.format_map(self.owners.say.words)


def _hash(mobile: str) -> int:
    """Return a number of a phone's, the same in every process and version."""
    return zlib.crc32(mobile.encode())
