"""The tables, and how the statements about them are spelled.

- **runs**: one (account, key) each; the keyed calls of an account are its run "".
- **parts**: who works on a part of a run, under which epoch. A local run has one, part 0.
- **owners**: one a process and open ledger, with its last beat.
- **entries**: one (run, key) each; see `states` for what their columns say. `ticket` numbers the
  intents of one owner, so owner, epoch and ticket name one attempt. `at` is the time of the call,
  and `settled_at` that at which a person or a report said what had become of it. `also` names
  further calls of the same key: those that nobody knew of when it was opened again.
- **reports**: what the vendor told of calls; joined to entries by `voice_id`.
- **marks**: up to where each inbox has been read.

Which indexes there are was measured. On SQLite the state has one, by which a summary of a million
takes 30 ms, and what was in flight is found at once. On PostgreSQL it has none, and pages are left
half empty: then an update stays in its page and touches no index, at half of the server's work;
what is asked by state reads the run, a third of a second for a million.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import attrs

from ihuyi_voice.ledger.states import State
from ihuyi_voice.storage import Dialect, Query, Schema, Work

VERSION: Final = 2

OPEN_RUN: Final = 0
STOPPED_RUN: Final = 1
_DAY: Final = 86_400

_COLUMNS: Final = {
    "runs": "id account key options state cause created_at used_at",
    "parts": "run part epoch state done owner opened_at",
    "owners": "id host pid born_at beat_at",
    "entries": (
        "id run key part mobile content reference state epoch owner ticket attempts begun_at at"
        " retry_at voice_id code kind action text settled_at also"
    ),
    "reports": "voice_id mobile code talk_time report_time msg seen_at",
    "marks": "name seq",
}

_INDEXES: Final = ("entries_key", "entries_mobile", "entries_state", "reports_mobile")
_BY: Final = dict(zip(("by_key", "by_mobile", "by_state", "by_number"), _INDEXES, strict=True))
_AMONG: Final = {  # a column, and the parameter that has its values
    "among_keys": ("key", "keys"),
    "among_mobiles": ("mobile", "mobiles"),
    "among_owners": ("id", "owners"),
    "owned_among": ("owner", "owners"),
}
_TABLES: Final = (
    """CREATE TABLE {runs} (
        id {serial}, account TEXT NOT NULL, key TEXT NOT NULL, options TEXT NOT NULL,
        state SMALLINT NOT NULL, cause TEXT, created_at {real} NOT NULL, used_at {real} NOT NULL,
        UNIQUE (account, key))""",
    """CREATE TABLE {parts} (
        run BIGINT NOT NULL, part INTEGER NOT NULL, epoch BIGINT NOT NULL, state SMALLINT NOT NULL,
        done SMALLINT NOT NULL, owner BIGINT, opened_at {real}, PRIMARY KEY (run, part))""",
    """CREATE TABLE {owners} (
        id {serial}, host TEXT NOT NULL, pid BIGINT NOT NULL, born_at {real} NOT NULL,
        beat_at {real} NOT NULL)""",
    """CREATE TABLE {entries} (
        id {id}, run BIGINT NOT NULL, key TEXT NOT NULL, part INTEGER NOT NULL,
        mobile TEXT NOT NULL, content TEXT NOT NULL, reference TEXT, state SMALLINT NOT NULL,
        epoch BIGINT NOT NULL, owner BIGINT, ticket BIGINT NOT NULL, attempts INTEGER NOT NULL,
        begun_at {real}, at {real} NOT NULL, retry_at {real}, voice_id TEXT, code BIGINT,
        kind TEXT, action TEXT, text TEXT, settled_at {real}, also TEXT{primary}){stored}""",
    "CREATE UNIQUE INDEX {entries_key} ON {entries} (run, key)",
    "CREATE INDEX {entries_mobile} ON {entries} (mobile)",
    """CREATE TABLE {reports} (
        voice_id TEXT PRIMARY KEY, mobile TEXT NOT NULL, code BIGINT NOT NULL,
        talk_time BIGINT, report_time {real}, msg TEXT NOT NULL, seen_at {real} NOT NULL)
        """,
    "CREATE INDEX {reports_mobile} ON {reports} (mobile)",
    "CREATE TABLE {marks} (name TEXT PRIMARY KEY, seq BIGINT NOT NULL)",
)
_SINCE_2: Final = ("ADD COLUMN settled_at {real}", "ADD COLUMN also TEXT")
# By a person or a report; what nobody had given up till then had ended by then.
_ALIVE: Final = (  # a beat that is long to come is of before the clock was set back
    "beat_at BETWEEN {now} - CAST(:dead AS DOUBLE PRECISION)"
    " AND {now} + CAST(:dead AS DOUBLE PRECISION)"
)
_TOLD_NOW: Final = "settled_at = {now}, at = CASE WHEN state = {INTENT} THEN {now} ELSE at END"
_BY_STATE: Final = "CREATE INDEX {entries_state} ON {entries} (run, state)"

_SPELLED: Final = {
    "sqlite": {
        "id": "INTEGER PRIMARY KEY",
        "primary": "",
        "stored": "",
        "share": "",
        "key_share": "",
        "update": "",
        "unlocked": "",
        "by_id": " NOT INDEXED",
        "returning_key": "",  # each row of it would be a hand-over between threads
        "+": "+",
        "joined": "group_concat",
        "end": "char(31)",
    },
    "postgresql": {
        "id": "BIGSERIAL",
        "primary": ", PRIMARY KEY (run, id)",
        "stored": " WITH (fillfactor = 45)",
        "share": " FOR SHARE",
        "key_share": " FOR KEY SHARE",
        "update": " FOR UPDATE",
        "unlocked": " FOR NO KEY UPDATE SKIP LOCKED",
        "by_id": "",
        "returning_key": " RETURNING key",
        "+": "",
        "joined": "string_agg",
        "end": "chr(31)",
    },
}


class Spelling:
    """Says a statement for one database, one set of tables and one kind of clock.

    Attributes:
        dialect: The database's.
        prefix: What the tables' names begin with.
        words: What is said for each `{word}`.

    Args:
        dialect: The database's.
        prefix: What the tables' names begin with.
        own_clock: Whether the time is the parameter `:now`; else it is the database's.
    """

    def __init__(self, dialect: Dialect, prefix: str, *, own_clock: bool) -> None:
        self.dialect = dialect
        self.prefix = prefix
        now = _own_clock(dialect) if own_clock else dialect.clock
        self.words = {
            **{table: f'"{prefix}_{table}"' for table in _COLUMNS},
            **{name: f'"{prefix}_{name}"' for name in _INDEXES},
            **_SPELLED[dialect.name],
            "now": now,
            "alive": _ALIVE.format(now=now),
            "told_now": _TOLD_NOW.format(now=now, INTENT=int(State.INTENT)),
            **{state.name: f"{state:d}" for state in State},
            "OPEN_RUN": str(OPEN_RUN),
            "DAY": str(_DAY),
            "RECENTLY": str(_DAY + 300),
            **{word: _by(dialect, f"{prefix}_{index}") for word, index in _BY.items()},
            **{word: dialect.among(*given) for word, given in _AMONG.items()},
            "serial": dialect.serial,
            "real": dialect.real,
        }
        self._said: dict[str, str] = {}

    def __call__(self, template: str) -> str:
        """Return a statement whose `{words}` are said."""
        said = self._said.get(template)
        if said is None:
            said = self._said[template] = template.format_map(self.words)
        return said

    def schema(self, prefix: str) -> Schema:
        """Return the tables."""
        return Schema(
            name=f"{prefix}_ledger",
            version=VERSION,
            create=self._create,
            tables={
                f"{prefix}_{table}": frozenset(columns.split())
                for table, columns in _COLUMNS.items()
            },
            migrations={2: self._to_2},
        )

    def _to_2(self, _: Dialect) -> Work[None]:
        for column in _SINCE_2:
            yield Query(self("ALTER TABLE {entries} " + column), patient=True)

    def _create(self, dialect: Dialect) -> Sequence[str]:
        by_state = (_BY_STATE,) if dialect.name == "sqlite" else ()
        return [self(template) for template in (*_TABLES, *by_state)]


def _by(dialect: Dialect, index: str) -> str:
    """Return the words by which a planner can't but use an index, whatever it thinks of it."""
    return f' INDEXED BY "{index}"' if dialect.name == "sqlite" else ""


def _own_clock(dialect: Dialect) -> str:
    return ":now" if dialect.name == "sqlite" else "CAST(:now AS DOUBLE PRECISION)"


@attrs.frozen
class Timing:
    """How the living are told from the dead, in seconds.

    Attributes:
        beat: How often an owner beats.
        dead: An owner whose last beat is older is dead.
        look: How often a beat is looked at by who waits for it to move.
        sleep: How that one waits.
    """

    beat: float = 2.0
    dead: float = 10.0
    look: float = 0.5
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    @property
    def looks(self) -> int:
        """How often a beat that doesn't move is looked at."""
        return max(1, math.ceil(self.dead / self.look))
