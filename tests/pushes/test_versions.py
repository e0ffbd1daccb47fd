"""Inboxes of earlier versions are brought to this one, with all that they hold."""

# ruff: noqa: S608 - the table is the test's own
# Some facts can only be seen from inside.
# pyright: reportPrivateUsage=false

import sqlite3
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ihuyi_voice.errors import InboxClosed
from ihuyi_voice.protocol import Push
from ihuyi_voice.pushes import InboxUnavailable, PushState
from ihuyi_voice.pushes.schema import schema_of
from ihuyi_voice.storage import Query, Work
from ihuyi_voice.storage.statements import DIALECTS
from tests.pushes.handlers import rows, store_of
from tests.pushes.support import Place, Recorder, audit, report, states
from tests.support.databases import drop

FORM = "application/x-www-form-urlencoded"
IN_AN_HOUR = time.time() + 3_600.0

# What version 1 executed when it made its table, in either database.
VERSION_1 = {
    "sqlite": """
CREATE TABLE {t} (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "key" VARCHAR(64) NOT NULL,
    kind VARCHAR(8) NOT NULL,
    subject VARCHAR(64) NOT NULL,
    rank BIGINT NOT NULL,
    body BLOB NOT NULL,
    charset VARCHAR(32) NOT NULL,
    received_at FLOAT NOT NULL,
    state VARCHAR(16) NOT NULL,
    tries INTEGER NOT NULL,
    due FLOAT NOT NULL,
    owner VARCHAR(32),
    error VARCHAR(500),
    UNIQUE ("key")
);
CREATE INDEX {t}_due ON {t} (state, due, seq);
CREATE INDEX {t}_subject ON {t} (kind, subject);
""",
    "postgresql": """
CREATE TABLE {t} (
    seq BIGSERIAL NOT NULL,
    key VARCHAR(64) NOT NULL,
    kind VARCHAR(8) NOT NULL,
    subject VARCHAR(64) NOT NULL,
    rank BIGINT NOT NULL,
    body BYTEA NOT NULL,
    charset VARCHAR(32) NOT NULL,
    received_at FLOAT(53) NOT NULL,
    state VARCHAR(16) NOT NULL,
    tries INTEGER NOT NULL,
    due FLOAT(53) NOT NULL,
    owner VARCHAR(32),
    error VARCHAR(500),
    PRIMARY KEY (seq),
    UNIQUE (key)
);
CREATE INDEX {t}_due ON {t} (state, due, seq);
CREATE INDEX {t}_subject ON {t} (kind, subject);
""",
}
COLUMNS = (
    "key kind subject rank body charset received_at state tries due owner error".split()  # noqa: SIM905 - reads better
)


def old_row(push: Push, state: str = "pending", **changes: Any) -> dict[str, Any]:
    """Return a push as version 1 stored it."""
    values = {
        "key": push.key,
        "kind": push.kind.value,
        "subject": push.subject,
        "rank": push.rank(0.0),
        "body": push.body,
        "charset": "",
        "received_at": 1.5e9,
        "state": state,
        "tries": 0 if state == "pending" else 1,
        "due": 1.5e9,
        "owner": None,
        "error": None,
    }
    return values | changes


async def make_version_1(place: Place, *pushes: dict[str, Any]) -> None:
    """Make an inbox as version 1 made it, without any help of ours."""
    values = [tuple(push[name] for name in COLUMNS) for push in pushes]
    adding = f"INSERT INTO {place.table} ({', '.join(COLUMNS)}) VALUES"
    if place.is_postgres:
        there = await asyncpg.connect(place.url)
        await there.execute(VERSION_1["postgresql"].format(t=place.table))
        places = ", ".join(f"${number}" for number in range(1, len(COLUMNS) + 1))
        await there.executemany(f"{adding} ({places})", values)
        await there.close()
    else:
        here = sqlite3.connect(place.url)
        here.executescript(VERSION_1["sqlite"].format(t=place.table))
        here.executemany(f"{adding} ({', '.join('?' * len(COLUMNS))})", values)
        here.commit()
        here.close()


async def test_an_inbox_of_version_1_is_taken_over(place: Place) -> None:
    """With pushes in every state; what was pending is handled, in its order, and once."""
    await make_version_1(
        place,
        old_row(report("1", second=10), "handled"),
        old_row(report("2"), charset="gbk"),
        old_row(report("3", -6, second=20)),
        old_row(report("3", -4, second=10)),
        old_row(report("4"), "dead", error="ValueError: no"),
        old_row(report("5", second=50), "handled"),
        old_row(report("5", second=10), "superseded"),
        old_row(report("6", second=50), "handled"),
        old_row(report("6", second=10)),  # which version 1 would have found to be too late
        old_row(report("7"), tries=1, due=IN_AN_HOUR, owner="0123456789abcdef"),
        old_row(report("8"), tries=2, due=IN_AN_HOUR, error="ValueError: no"),
        old_row(audit("2")),
    )
    handler, on_audit = Recorder(), Recorder()
    async with place.inbox() as inbox:
        await states(inbox, pending=6, handled=3, dead=1, superseded=2)
        inbox.handle(on_report=handler, on_audit=on_audit)
        await states(inbox, pending=2, handled=7, dead=1, superseded=2)
        assert await inbox.replay() == 1
        await states(inbox, pending=2, handled=8, dead=0, superseded=2)
        async with aclosing(inbox.reports(since=0)) as reports:
            values = [await anext(reports) for _ in range(8)]
    assert [each.code for each in handler.seen if each.voice_id == "3"] == [-4, -6]
    assert sorted(each.voice_id for each in handler.seen) == ["2", "3", "3", "4"]
    assert {each.voice_id: each.code for each in values} == {
        "1": 2,
        "2": 2,
        "3": -6,
        "4": 2,
        "5": 2,
        "6": 2,
        "7": 2,
        "8": 2,
    }


async def test_what_a_row_says_stays(place: Place) -> None:
    """Numbers, keys, places, bodies and errors; a charset becomes a Content-Type."""
    old = [old_row(report("1"), "dead", error="no"), old_row(report("2"), charset="gbk")]
    await make_version_1(place, *old)
    async with place.inbox() as inbox:
        found = [(await rows(inbox, subject))[0] for subject in ("1", "2")]
        await inbox.put(report("1"))
        await inbox.put(report("3"))
        ((third,),) = [await rows(inbox, "3")]
        await states(inbox, pending=3, dead=1)
    same = ("key", "kind", "subject", "rank", "body", "received_at", "state", "tries", "error")
    for row, before in zip(found, old, strict=True):
        assert {name: getattr(row, name) for name in same} == {name: before[name] for name in same}
    assert [row.content_type for row in found] == [FORM, f"{FORM}; charset=gbk"]
    assert [row.seq for row in (*found, third)] == [1, 2, 4]


async def test_a_claim_of_version_1_runs_out_when_it_would_have(place: Place) -> None:
    """And what failed then, is tried again when it would have been."""
    row = old_row(report("1"), tries=1, due=IN_AN_HOUR, owner="0123456789abcdef")
    await make_version_1(place, row)
    async with place.inbox() as inbox:
        (found,) = await rows(inbox, "1")
    assert (found.due, found.owner, found.tries) == (IN_AN_HOUR, "0123456789abcdef", 1)


async def test_an_empty_inbox_of_version_1_counts_from_one(place: Place) -> None:
    """Like a new one."""
    await make_version_1(place)
    async with place.inbox() as inbox:
        await inbox.put(report("1"))
        ((found,),) = [await rows(inbox, "1")]
    assert found.seq == 1


def test_however_much_is_stored_it_is_taken_over() -> None:
    """No statement that rewrites the table is given up after some seconds."""
    for dialect in DIALECTS.values():
        statements = [*schema_of("t").migrations[2](dialect)]
        assert statements
        assert all(isinstance(each, Query) and each.patient for each in statements)


async def test_an_inbox_of_a_newer_version_is_refused(place: Place) -> None:
    """In words, before anything is written."""
    async with place.inbox() as inbox:
        store = store_of(inbox)

        def work() -> Work[None]:
            newer = "UPDATE ihuyi_schema SET version = 3 WHERE name = :name"
            yield Query(newer, {"name": place.table})

        await store._database.write(work)
    with pytest.raises(InboxUnavailable, match="is of version 3, and this program knows up to 2"):
        await place.inbox().__aenter__()


async def test_a_table_that_lacks_a_column_is_refused(place: Place) -> None:
    """At opening, by its name, and not at each push."""
    async with place.inbox() as inbox:
        store = store_of(inbox)

        def work() -> Work[None]:
            yield Query(f"ALTER TABLE {store.table} RENAME COLUMN late TO later")

        await store._database.write(work)
    with pytest.raises(InboxUnavailable, match=f"table {place.table} lacks late"):
        await place.inbox().__aenter__()


async def test_what_a_newer_version_wrote_poisons_nothing(place: Place) -> None:
    """A state that this one doesn't know, in the counts and in a row."""
    async with place.inbox() as inbox:
        await inbox.put(report("1"))
        await inbox.put(report("2"))
        store = store_of(inbox)

        def work() -> Work[None]:
            changed = "SET state = 'frozen', due = NULL WHERE subject = '1'"
            yield Query(f"UPDATE {store.table} {changed}")
            yield Query(f"INSERT INTO {store.table.counts} VALUES ('frozen', 1)")
            yield Query(f"UPDATE {store.table.counts} SET pushes = 1 WHERE state = 'pending'")

        await store._database.write(work)
        assert await inbox.counts() == dict.fromkeys(PushState, 0) | {PushState.PENDING: 1}
        assert (await inbox.report_of("1", timeout=0)).voice_id == "1"
        reports = inbox.reports(since=0)
        assert [(await anext(reports)).voice_id for _ in range(2)] == ["1", "2"]
        inbox.handle(on_report=Recorder())
        await states(inbox, handled=1)


async def test_an_inbox_has_a_name_under_which_a_place_in_it_can_be_kept(place: Place) -> None:
    """The same for all who open it, in whatever process, and however often."""
    async with place.inbox() as inbox, place.inbox() as other:
        name = inbox.identity
        assert other.identity == name
    with pytest.raises(InboxClosed):
        assert inbox.identity
    async with inbox:
        assert inbox.identity == name


async def test_one_that_was_made_anew_at_the_same_place_has_another(
    place: Place, postgres_or_none: str | None
) -> None:
    """For its numbers begin again."""
    async with place.inbox() as inbox:
        name = inbox.identity
    if postgres_or_none is None:
        for each in Path(place.url).parent.glob(f"{Path(place.url).name}*"):
            each.unlink()
    else:
        await drop(place.url, place.table)
    async with place.inbox() as inbox:
        assert inbox.identity != name


async def test_one_of_an_earlier_version_keeps_its_name(place: Place) -> None:
    """What was marked under it holds: it is that of the place alone."""
    async with place.inbox() as inbox:
        first, store = inbox.identity, store_of(inbox)

        def forget() -> Work[None]:
            yield Query(f"DELETE FROM {store.table.counts} WHERE state = 'made'")

        await store._database.write(forget)
    async with place.inbox() as inbox:
        assert first.startswith(f"{inbox.identity}.")
        assert inbox.identity.startswith(f"{place.table}@")
        assert set(await inbox.counts()) == set(PushState)
