"""Versions of the table: made anew, or brought here from version 1, the one before versions."""

# ruff: noqa: S608 - the table's name is an identifier

import secrets
from collections.abc import Sequence
from typing import Final

from ihuyi_voice.pushes.table import COLUMNS, MADE, PushState, Table
from ihuyi_voice.storage import Dialect, Query, Schema, Work

_VERSION: Final = 2
_FORM: Final = "application/x-www-form-urlencoded"
_KEPT: Final = "seq, key, kind, subject, rank, body, received_at, state, tries, owner, error"


def schema_of(name: str) -> Schema:
    """Return the schema of the table of this name."""

    def create(dialect: Dialect) -> Sequence[str]:
        table = Table(name, dialect)
        return (*table.definition(), *table.indexes(), _no_counts(table), _made(table))

    def to_version_2(dialect: Dialect) -> Work[None]:
        table = Table(name, dialect)
        for statement in _to_version_2(table, Table(f"{name}_v1", dialect)):
            yield Query(statement, patient=True)  # a year's pushes take minutes

    tables = {name: COLUMNS, f"{name}_counts": frozenset({"state", "pushes"})}
    return Schema(name, _VERSION, create, tables, {2: to_version_2})


def _to_version_2(table: Table, old: Table) -> Sequence[str]:
    """Return what copies the rows into a new table: SQLite changes no column in place."""
    subjects, *others = table.indexes()
    return (
        f"ALTER TABLE {table} RENAME TO {old}",
        *table.definition(),
        _copy(table, old),
        f"DROP TABLE {old}",  # with its indexes, whose names are wanted again
        subjects,
        *_order(table),
        *others,
        f"INSERT INTO {table.counts} SELECT state, count(*) FROM {table} GROUP BY state",
        _no_counts(table),
        *_sequence(table),
    )


def _copy(table: Table, old: Table) -> str:
    # What was claimed or backs off stays so, by the clock that set it; the rest is due at once.
    return (
        f"INSERT INTO {table} ({_KEPT}, content_type, due) SELECT {_KEPT},"
        f" CASE WHEN charset = '' THEN '{_FORM}' ELSE '{_FORM}; charset=' || charset END,"
        f" CASE WHEN state = 'pending' THEN CASE WHEN tries = 0 THEN 0 ELSE due END END FROM {old}"
    )


def _order(table: Table) -> Sequence[str]:
    """Return what says of the pushes of each subject which one is late, and which one is next."""
    other = f"EXISTS (SELECT 1 FROM {table} o WHERE o.kind = t.kind AND o.subject = t.subject AND "
    earlier = "(o.rank < t.rank OR (o.rank = t.rank AND o.seq < t.seq))"
    later = "o.rank > t.rank AND"
    pending = "state = 'pending'"
    here = f"UPDATE {table} AS t SET"
    return (
        f"{here} late = 1 WHERE {other} {later} o.seq < t.seq)",
        f"{here} state = 'superseded', due = NULL WHERE {pending} AND {other} {later} o.tries > 0)",
        f"{here} due = NULL WHERE {pending} AND {other} o.state = 'pending' AND {earlier})",
    )


def _sequence(table: Table) -> Sequence[str]:
    if table.dialect.name == "sqlite":  # which takes what was inserted into account
        return ()
    sequence = f"pg_get_serial_sequence('{table}', 'seq')"
    return (f"SELECT setval({sequence}, COALESCE((SELECT max(seq) FROM {table}), 0) + 1, false)",)


def _made(table: Table) -> str:
    """Return what gives a new table a number of its own; older ones have none."""
    return f"INSERT INTO {table.counts} (state, pushes) VALUES ('{MADE}', {secrets.randbits(62)})"


def _no_counts(table: Table) -> str:
    values = ", ".join(f"('{state}', 0)" for state in PushState)
    return f"INSERT INTO {table.counts} (state, pushes) VALUES {values} ON CONFLICT DO NOTHING"
