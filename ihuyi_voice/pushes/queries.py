"""What is asked of the table; each answer costs what it has in it, however much is stored."""

# ruff: noqa: S608 - the table's name is an identifier

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ihuyi_voice.pushes.claims import Stored
from ihuyi_voice.pushes.table import MADE, PushState, Table
from ihuyi_voice.storage import Query, Row, Work


class News(NamedTuple):
    """What was stored after something else.

    Attributes:
        push: The push.
        subject: Whose it is.
        late: Whether a later status of the same subject had been stored before.
    """

    push: Stored
    subject: str
    late: bool


def pushes(table: Table, seq: int, limit: int) -> Work[list[News]]:
    """Return what was stored after `seq`, in order."""
    rows = yield _stored_after(table, "seq, kind, subject, body, content_type, late", seq, limit)
    return [News(_push(row), row["subject"], row["late"] > 0) for row in rows]


def subjects(table: Table, seq: int, limit: int) -> Work[list[tuple[int, str, str]]]:
    """Return (seq, kind, subject) of what was stored after `seq`, in order."""
    rows = yield _stored_after(table, "seq, kind, subject", seq, limit)
    return [(row["seq"], row["kind"], row["subject"]) for row in rows]


def _stored_after(table: Table, columns: str, seq: int, limit: int) -> Query:
    return Query(
        f"SELECT {columns} FROM {table}{table.by_seq} WHERE seq > :seq ORDER BY seq LIMIT :limit",
        {"seq": seq, "limit": limit},
    )


def last_seq(table: Table) -> Work[int]:
    """Return the highest sequence number, 0 if the table is empty."""
    rows = yield Query(f"SELECT max(seq) AS last FROM {table}")
    return int(rows[0]["last"] or 0)


def newest(table: Table, kind: str, subjects: Iterable[str]) -> Work[dict[str, Stored]]:
    """Return of each subject the push that has the highest rank."""
    yield from table.pinned()
    rows = yield Query(
        f"SELECT n.seq, n.kind, n.subject, n.body, n.content_type"
        f" FROM {table.listed('subjects')} CROSS JOIN {table} AS n WHERE n.seq ="
        f" (SELECT o.seq FROM {table} AS o{table.by('subject')} WHERE o.kind = :kind"
        " AND o.subject = listed.value ORDER BY o.rank DESC, o.seq DESC LIMIT 1)",
        {"kind": kind, "subjects": table.values(subjects)},
    )
    return {row["subject"]: _push(row) for row in rows}


def ranked(table: Table, kind: str, subject: str, limit: int) -> Work[list[Stored]]:
    """Return the pushes of a subject, the highest rank first."""
    rows = yield Query(
        f"SELECT seq, kind, body, content_type FROM {table}{table.by('subject')}"
        " WHERE kind = :kind AND subject = :subject ORDER BY rank DESC, seq DESC LIMIT :limit",
        {"kind": kind, "subject": subject, "limit": limit},
    )
    return [_push(row) for row in rows]


def counts(table: Table) -> Work[dict[PushState, int]]:
    """Return how many pushes are in each state; of states that a newer version knows, nothing."""
    rows: Sequence[Row] = yield Query(f"SELECT state, pushes FROM {table.counts}")
    found = {row["state"]: int(row["pushes"]) for row in rows}
    return {state: found.get(state, 0) for state in PushState}


def made(table: Table) -> Work[int | None]:
    """Return the number by which a table that was made anew is known; None if it has none."""
    rows = yield Query(f"SELECT pushes FROM {table.counts} WHERE state = :made", {"made": MADE})
    return int(rows[0]["pushes"]) if rows else None


def _push(row: Row) -> Stored:
    return Stored(row["seq"], row["kind"], row["body"], row["content_type"])
