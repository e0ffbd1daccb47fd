"""Whose turn it is among the pushes of one subject (a call, or a template).

The first of the pending ones, by rank and then by arrival, is the head: the only one that is due.
When it ends, the next one is. A push that arrives before a head that no handler has been given yet
takes its place; one that arrives after a later status was given to a handler is SUPERSEDED, for to
hand it over now would move a status backwards. Nearly every subject has one push, and comes here
never.
"""

# ruff: noqa: S608 - the table's name is an identifier

from collections.abc import Iterable, Sequence

from ihuyi_voice.pushes.table import WAITS, PushState, Table
from ihuyi_voice.storage import Query, Row, Work


def next_of(table: Table) -> str:
    """Return an expression: which push of the subject of `n` is the first of those that wait."""
    return (
        f"(SELECT w.seq FROM {table} AS w{table.by('waiting')} WHERE w.kind = n.kind"
        f" AND w.subject = n.subject AND w.{WAITS.replace('due', 'w.due')}"
        " ORDER BY w.rank, w.seq LIMIT 1)"
    )


def released(table: Table, seqs: Sequence[int]) -> Work[None]:
    """Let the next of each subject be due whose head was one of these, and has ended."""
    if seqs:
        rows = yield Query(
            f"SELECT {next_of(table)} AS next FROM {table} AS n WHERE {table.among('n.seq')}",
            {"seqs": table.values(seqs)},
        )
        yield from due_at_once(table, (row["next"] for row in rows))


def due_at_once(table: Table, seqs: Iterable[int | None]) -> Work[None]:
    """Let these be heads that are due at once; whoever was the head of their subject isn't."""
    yield from _changed(table, "due = 0", {seq for seq in seqs if seq is not None})


def arranged(table: Table, seqs: Sequence[int], *, replayed: bool) -> Work[int]:
    """Find the place of pushes that are pending and not due yet; return how many come too late.

    Args:
        table: The table.
        seqs: These.
        replayed: Whether they were dead; then the dead are no later status, for their turn comes.
    """
    facts = yield Query(_facts(table, replayed=replayed), {"seqs": table.values(seqs)})
    superseded = {fact["seq"] for fact in facts if fact["overtaken"] is not None}
    yield from _changed(table, f"state = '{PushState.SUPERSEDED}'", superseded)
    if not replayed:
        late = {fact["seq"] for fact in facts if fact["preceded"] is not None}
        yield from _changed(table, "late = 1", late)
    heads = yield from _heads(table, {fact["head"] for fact in facts} - {None})
    firsts = _firsts(fact for fact in facts if fact["seq"] not in superseded)
    promoted = [fact for fact in firsts if _is_before(fact, heads.get(fact["head"]))]
    yield from _changed(table, "due = NULL", {fact["head"] for fact in promoted} - {None})
    yield from due_at_once(table, (fact["seq"] for fact in promoted))
    return len(superseded)


def _facts(table: Table, *, replayed: bool) -> str:
    of_subject = "WHERE o.kind = n.kind AND o.subject = n.subject AND"
    later = f"(SELECT o.seq FROM {table} AS o{table.by('subject')} {of_subject} o.rank > n.rank"
    alive = f" AND o.state <> '{PushState.DEAD}'" if replayed else ""
    return (
        f"SELECT n.seq, n.kind, n.subject, n.rank,"
        f" {later} AND o.tries > 0{alive} ORDER BY o.rank DESC LIMIT 1) AS overtaken,"
        f" {later} AND o.seq < n.seq ORDER BY o.rank DESC LIMIT 1) AS preceded,"
        f" (SELECT o.seq FROM {table} AS o{table.by('head')} {of_subject} o.due IS NOT NULL)"
        f" AS head FROM {table} AS n WHERE {table.among('n.seq')}"
    )


def _heads(table: Table, seqs: set[int]) -> Work[dict[int, Row]]:
    if not seqs:
        return {}
    rows = yield Query(
        f"SELECT seq, rank, tries FROM {table} WHERE {table.among('seq')}",
        {"seqs": table.values(seqs)},
    )
    return {row["seq"]: row for row in rows}


def _firsts(facts: Iterable[Row]) -> list[Row]:
    firsts: dict[tuple[str, str], Row] = {}
    for fact in sorted(facts, key=lambda fact: (fact["rank"], fact["seq"])):
        firsts.setdefault((fact["kind"], fact["subject"]), fact)
    return list(firsts.values())


def _is_before(fact: Row, head: Row | None) -> bool:
    if head is None:
        return True
    given = head["tries"] > 0
    return not given and (fact["rank"], fact["seq"]) < (head["rank"], head["seq"])


def _changed(table: Table, change: str, seqs: set[int]) -> Work[None]:
    if seqs:
        yield Query(
            f"UPDATE {table} SET {change} WHERE {table.among('seq')}",
            {"seqs": table.values(seqs)},
        )
