"""How pushes come into the table: the vendor's three tries of one as one row.

A try has the key of an earlier push, and arrives within the window. What has the same key and comes
weeks later is news: the same audit a second time. It is stored, and the earlier one's key is
changed, so that keys stay unique and need no second column to be found by.
"""

# ruff: noqa: S608 - the table's name is an identifier

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from secrets import token_hex
from typing import Any, Final, TypeAlias

from ihuyi_voice.protocol import Push, RawPush
from ihuyi_voice.pushes.subjects import arranged
from ihuyi_voice.pushes.table import WAITS, PushState, Table
from ihuyi_voice.storage import Many, Query, Row, Work

UNREAD: Final = "unread"
"""The kind of what is quarantined."""

_CHUNK: Final = 500  # pushes a statement
Arrival: TypeAlias = dict[str, Any]


def arrival(push: Push, now: float) -> Arrival:
    """Return the row of a push that arrives now (Unix seconds)."""
    return {
        "key": push.key,
        "kind": push.kind.value,
        "subject": push.subject,
        "rank": push.rank(now),
        "body": push.body,
        "content_type": _storable(push.content_type),
        "received_at": now,
        "state": PushState.PENDING.value,
        "error": None,
    }


def raw_arrival(raw: RawPush, now: float) -> Arrival:
    """Return the row of what can't be read and arrives now (Unix seconds)."""
    content_type = _storable(raw.content_type)
    return {
        "key": sha256(raw.body + b"\0" + content_type.encode()).hexdigest(),
        "kind": UNREAD,
        "subject": "",
        "rank": 0,
        "body": raw.body,
        "content_type": content_type,
        "received_at": now,
        "state": PushState.QUARANTINED.value,
        "error": _storable(raw.reason),
    }


def _storable(text: str) -> str:
    # PostgreSQL takes no NUL, and neither database takes half a surrogate pair.
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def stored(table: Table, arrivals: Sequence[Arrival], window: float) -> Work[None]:
    """Store what is no try of an earlier push within so many seconds."""
    for start in range(0, len(arrivals), _CHUNK):
        yield from _stored(table, arrivals[start : start + _CHUNK], window)


def _stored(table: Table, arrivals: Sequence[Arrival], window: float) -> Work[None]:
    keys = table.values({arrival["key"] for arrival in arrivals})
    rows = yield Query(_known(table), {"keys": keys})
    found: dict[Any, Row] = {row["key"]: row for row in rows}
    last = found.pop(None)["seq"] or 0  # of the row without a key
    news, passed = _news(arrivals, found, window)
    if passed:
        yield Query(
            f"UPDATE {table} SET key = key || ':' || CAST(seq AS TEXT) WHERE {table.among('seq')}",
            {"seqs": table.values(passed)},
        )
    if news:
        yield Many(_insertion(table), news)
        yield from _crowded(table, last, news)


def _known(table: Table) -> str:
    """Return the query for the keys that are there, and, without a key, for the last number."""
    return (
        f"SELECT k.key, k.seq, k.received_at FROM {table.listed('keys')} CROSS JOIN {table} AS k"
        f" WHERE k.key = listed.value UNION ALL SELECT NULL, max(seq), NULL FROM {table}"
    )


def _news(
    arrivals: Sequence[Arrival], found: Mapping[str, Row], window: float
) -> tuple[list[Arrival], list[int]]:
    """Return what is no try, and the numbers of those whose keys are taken by what is news."""
    news: dict[str, Arrival] = {}
    passed: list[int] = []
    for arrival in arrivals:
        key = arrival["key"]
        earlier = news.get(key) or found.get(key)
        if earlier is not None and abs(arrival["received_at"] - earlier["received_at"]) < window:
            continue
        if key in news:
            news[f"{key}:{token_hex(8)}"] = news.pop(key)
        elif key in found:
            passed.append(found[key]["seq"])
        news[key] = arrival
    return [arrival | {"key": key} for key, arrival in news.items()], passed


def _insertion(table: Table) -> str:
    # A push whose subject has others is not due before `arranged` says so.
    names = ("key", "kind", "subject", "rank", "body", "content_type", "received_at", "state")
    return (
        f"INSERT INTO {table} ({', '.join(names)}, error, due)"
        f" VALUES ({', '.join(f':{name}' for name in names)}, :error,"
        f" CASE WHEN :state = '{PushState.PENDING}' AND (SELECT o.seq"
        f" FROM {table} AS o{table.by('subject')} WHERE o.kind = :kind AND o.subject = :subject"
        " ORDER BY o.rank DESC LIMIT 1) IS NULL THEN 0 END)"
    )


def _crowded(table: Table, last: int, news: Sequence[Arrival]) -> Work[None]:
    rows = yield Query(
        f"SELECT new.seq FROM (SELECT * FROM {table}{table.by_seq} WHERE seq > :last"
        f" ORDER BY seq LIMIT :count) AS new WHERE {WAITS}",
        {"last": last, "count": len(news)},
    )
    seqs = [row["seq"] for row in rows]
    superseded = (yield from arranged(table, seqs, replayed=False)) if seqs else 0
    counts = Counter(PushState(arrival["state"]) for arrival in news)
    counts[PushState.PENDING] -= superseded
    counts[PushState.SUPERSEDED] += superseded
    yield from table.counted(counts)
