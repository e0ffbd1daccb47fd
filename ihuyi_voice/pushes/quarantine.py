"""What can't be read: kept as it came, until a newer version of this program reads it."""

# ruff: noqa: S608 - the table's name is an identifier

from datetime import UTC, datetime
from typing import Final

import attrs

from ihuyi_voice.common.redaction import excerpt, mask_numbers
from ihuyi_voice.protocol import PushKind
from ihuyi_voice.pushes.arrivals import Arrival, stored
from ihuyi_voice.pushes.table import ASIDE, PushState, Table
from ihuyi_voice.storage import Query, Row, Work

_CHUNK: Final = 100


@attrs.frozen
class Quarantined:
    """A push that can't be read, as it came.

    Attributes:
        seq: Its number in the inbox.
        received_at: When it arrived, aware and in UTC.
        reason: What is wrong with it.
        body: The body as it came; the repr masks the numbers in its beginning.
        content_type: Its Content-Type, empty if there was none.
    """

    seq: int
    received_at: datetime
    reason: str = attrs.field(repr=mask_numbers)
    body: bytes = attrs.field(repr=excerpt)
    content_type: str = ""


def quarantined(table: Table, after: int) -> Work[list[Quarantined]]:
    """Return some of what is quarantined and has a higher number than `after`, in order."""
    yield from table.pinned()
    rows = yield Query(
        f"SELECT seq, received_at, error, body, content_type FROM {table}{table.by('aside')}"
        f" WHERE state = '{PushState.QUARANTINED}' AND {ASIDE} AND seq > :after"
        " ORDER BY seq LIMIT :chunk",
        {"after": after, "chunk": _CHUNK},
    )
    return [_quarantined(row) for row in rows]


def _quarantined(row: Row) -> Quarantined:
    received_at = datetime.fromtimestamp(row["received_at"], UTC)
    return Quarantined(
        row["seq"], received_at, row["error"] or "", row["body"], row["content_type"]
    )


def freed(table: Table, seq: int, push: Arrival, window: float) -> Work[int]:
    """Let what was quarantined under a number be an ordinary push; return 1 if it still was.

    It is stored anew, so that whoever iterates over pushes sees it, too.
    """
    yield from table.pinned()
    here = f"seq = :seq AND state = '{PushState.QUARANTINED}'"
    rows = yield Query(f"SELECT seq FROM {table} WHERE {here}", {"seq": seq})
    if rows:
        yield Query(f"DELETE FROM {table} WHERE {here}", {"seq": seq})
        yield from table.counted({PushState.QUARANTINED: -1})
        placed = yield from _placed(table, seq, push, window)
        yield from stored(table, [placed], window)
    return len(rows)


def _placed(table: Table, seq: int, push: Arrival, window: float) -> Work[Arrival]:
    """Return a push that comes late, so that it takes nothing from what came after it."""
    newer = yield Query(
        f"SELECT seq FROM {table} WHERE key = :key AND received_at >= :until",
        {"key": push["key"], "until": push["received_at"] + window},
    )
    if newer:  # whose own tries are known by the key
        push = push | {"key": f"{push['key']}:{seq}"}
    if push["kind"] == PushKind.AUDIT:  # which keep the order of their arrival, not of their times
        after = yield Query(
            f"SELECT seq FROM {table}{table.by('subject')} WHERE kind = :kind"
            " AND subject = :subject AND received_at > :received_at ORDER BY rank DESC LIMIT 1",
            {name: push[name] for name in ("kind", "subject", "received_at")},
        )
        push = push | {"rank": push["rank"] - len(after)}
    return push
