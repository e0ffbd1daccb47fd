"""What is done with the table of pushes, statement by statement; the same on both databases.

A push is PENDING until its handler has returned (HANDLED), until it has failed too often (DEAD), or
until it is due and a later push of the same subject has been given to the handler before
(SUPERSEDED: to hand it over now would move a status backwards). Claimed by a worker, it stays
PENDING and is due again when the claim's lease has run out. A push is not claimed while an
earlier one of its subject is PENDING, so per subject there is one handler at a time, in order.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from secrets import token_hex
from typing import Any, Final, NamedTuple

import attrs

try:
    from sqlalchemy import (
        BigInteger,
        Column,
        ColumnElement,
        Float,
        Index,
        Integer,
        LargeBinary,
        MetaData,
        String,
        Table,
        and_,
        bindparam,
        exists,
        func,
        or_,
        select,
        update,
    )
    from sqlalchemy.dialects import postgresql, sqlite
    from sqlalchemy.ext.asyncio import AsyncConnection
except ImportError as exc:
    raise ImportError("receiving pushes needs an extra: pip install 'ihuyi-voice[pushes]'") from exc

from ihuyi_voice.protocol.pushes import Push

_INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_ID = BigInteger().with_variant(Integer(), "sqlite")


class PushState(StrEnum):
    """What has become of a stored push.

    Attributes:
        PENDING: Its handler is still to be called, or to be called again.
        HANDLED: Its handler returned.
        DEAD: Its handler failed too often; `Inbox.replay` makes it PENDING again.
        SUPERSEDED: It came when a later status of the same call had been handled already.
    """

    PENDING = "pending"
    HANDLED = "handled"
    DEAD = "dead"
    SUPERSEDED = "superseded"


class Stored(NamedTuple):
    """A push as the table has it."""

    seq: int
    body: bytes
    charset: str


class Terms(NamedTuple):
    """On what terms pushes are claimed: for how many seconds, and how often at most."""

    lease: float
    max_tries: int


@attrs.frozen
class Claim:
    """A push that is ours to handle until the lease runs out.

    Attributes:
        push: The push.
        owner: Whose claim it is, a name of its own for each turn.
        tries: How often it has been claimed, this time included.
    """

    push: Stored
    owner: str
    tries: int


@attrs.frozen
class Verdict:
    """What came of a claim.

    Attributes:
        claim: The claim that ends.
        state: What the push becomes.
        due: When it may be claimed again, if it is PENDING, in Unix seconds.
        error: Why it failed.
        counts: Whether the try counts; an interrupted one does not.
    """

    claim: Claim
    state: PushState
    due: float = 0.0
    error: str | None = None
    counts: bool = True


def push_row(push: Push, now: float) -> dict[str, Any]:
    """Return the row of a push that arrives now (Unix seconds)."""
    return {
        "key": push.key,
        "kind": push.kind.value,
        "subject": push.subject,
        "rank": push.rank(now),
        "body": push.body,
        "charset": push.charset,
        "received_at": now,
        "state": PushState.PENDING.value,
        "tries": 0,
        "due": now,
    }


def _make_table(name: str) -> Table:
    return Table(
        name,
        MetaData(),
        Column("seq", _ID, primary_key=True, autoincrement=True),
        Column("key", String(64), nullable=False, unique=True),
        Column("kind", String(8), nullable=False),
        Column("subject", String(64), nullable=False),
        Column("rank", BigInteger, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("charset", String(32), nullable=False),
        Column("received_at", Float(53), nullable=False),
        Column("state", String(16), nullable=False),
        Column("tries", Integer, nullable=False),
        Column("due", Float(53), nullable=False),
        Column("owner", String(32)),
        Column("error", String(500)),
        Index(f"{name}_due", "state", "due", "seq"),
        Index(f"{name}_subject", "kind", "subject"),
        sqlite_autoincrement=True,  # a number is never used twice, also after deletions
    )


class Store:
    """The statements; each runs on the connection it is given.

    Args:
        table: The table's name.
        dialect: `sqlite` or `postgresql`.
    """

    def __init__(self, table: str, dialect: str) -> None:
        self.table = _make_table(table)
        insert = _INSERTS[dialect](self.table)
        self._insert = insert.on_conflict_do_nothing(index_elements=[self.table.c.key])
        self._due = self._select_due()
        self._judge = self._update_judged()

    async def create(self, on: AsyncConnection) -> None:
        """Create the table where it is missing."""
        await on.run_sync(self.table.metadata.create_all)

    async def insert(self, on: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
        """Store pushes; those that are there already stay as they are."""
        await on.execute(self._insert, rows)

    async def claim(
        self, on: AsyncConnection, kinds: Iterable[str], limit: int, now: float, terms: Terms
    ) -> list[Claim]:
        """Claim up to `limit` pushes that are due, the longest due first.

        Those that can't be handled any more are marked on the way.
        """
        claims: list[Claim] = []
        while not claims:
            asked = {"kinds": list(kinds), "now": now, "limit": limit}
            rows = (await on.execute(self._due, asked)).all()
            if not rows:
                break
            stale = [row.seq for row in rows if row.stale]
            spent = [row.seq for row in rows if not row.stale and row.tries >= terms.max_tries]
            owner = token_hex(8)
            claims = [
                Claim(Stored(row.seq, row.body, row.charset), owner, row.tries + 1)
                for row in rows
                if not row.stale and row.tries < terms.max_tries
            ]
            await self._mark(on, stale, PushState.SUPERSEDED, None)
            await self._mark(on, spent, PushState.DEAD, "nothing was heard of its last handler")
            await self._take(on, claims, now + terms.lease)
        return claims

    async def _mark(
        self, on: AsyncConnection, seqs: list[int], state: PushState, error: str | None
    ) -> None:
        if seqs:
            here = self.table.c.seq.in_(seqs)
            await on.execute(update(self.table).where(here).values(state=state.value, error=error))

    async def _take(self, on: AsyncConnection, claims: list[Claim], until: float) -> None:
        if claims:
            t = self.table
            here = t.c.seq.in_([claim.push.seq for claim in claims])
            taken = {"owner": claims[0].owner, "due": until, "tries": t.c.tries + 1}
            await on.execute(update(t).where(here).values(taken))

    async def judge(self, on: AsyncConnection, verdicts: Iterable[Verdict]) -> None:
        """End claims; those that have run out and were taken over stay as they are."""
        rows = [
            {
                "of_seq": verdict.claim.push.seq,
                "of_owner": verdict.claim.owner,
                "new_state": verdict.state.value,
                "new_due": verdict.due,
                "new_error": verdict.error,
                "uncounted": 0 if verdict.counts else 1,
            }
            for verdict in verdicts
        ]
        if rows:
            await on.execute(self._judge, rows)

    async def replay(self, on: AsyncConnection, now: float) -> int:
        """Make the dead pending again and return how many they were."""
        dead = self.table.c.state == PushState.DEAD.value
        fresh = {"state": PushState.PENDING.value, "tries": 0, "due": now, "owner": None}
        return (await on.execute(update(self.table).where(dead).values(fresh))).rowcount

    async def counts(self, on: AsyncConnection) -> dict[PushState, int]:
        """Return how many pushes are in each state."""
        state = self.table.c.state
        rows = (await on.execute(select(state, func.count()).group_by(state))).all()
        return dict.fromkeys(PushState, 0) | {PushState(name): count for name, count in rows}

    async def last_seq(self, on: AsyncConnection) -> int:
        """Return the highest sequence number, 0 if the table is empty."""
        return int((await on.execute(select(func.max(self.table.c.seq)))).scalar() or 0)

    async def subjects_after(
        self, on: AsyncConnection, seq: int, limit: int
    ) -> list[tuple[int, str, str]]:
        """Return (seq, kind, subject) of what was stored after `seq`, in order."""
        t = self.table
        asked = select(t.c.seq, t.c.kind, t.c.subject).where(t.c.seq > seq)
        rows = await on.execute(asked.order_by(t.c.seq).limit(limit))
        return [(row.seq, row.kind, row.subject) for row in rows]

    async def newest(self, on: AsyncConnection, kind: str, subject: str) -> Stored | None:
        """Return the push of a subject that has the highest rank."""
        t = self.table
        asked = self._stored().where(t.c.kind == kind, t.c.subject == subject)
        row = (await on.execute(asked.order_by(t.c.rank.desc(), t.c.seq.desc()).limit(1))).first()
        return None if row is None else Stored(*row)

    async def after(self, on: AsyncConnection, kind: str, seq: int, limit: int) -> list[Stored]:
        """Return pushes of a kind stored after `seq`, in order.

        One that came after a later status of the same subject is left out.
        """
        t, other = self.table, self.table.alias()
        late = exists().where(_same(other, t), other.c.rank > t.c.rank, other.c.seq < t.c.seq)
        asked = self._stored().where(t.c.kind == kind, t.c.seq > seq, ~late)
        rows = await on.execute(asked.order_by(t.c.seq).limit(limit))
        return [Stored(*row) for row in rows]

    def _stored(self) -> Any:  # noqa: ANN401 - Select's parameters differ among versions
        t = self.table
        return select(t.c.seq, t.c.body, t.c.charset)

    def _select_due(self) -> Any:  # noqa: ANN401 - Select's parameters differ among versions
        t, older, newer = self.table, self.table.alias(), self.table.alias()
        pending = PushState.PENDING.value
        earlier = or_(
            older.c.rank < t.c.rank, and_(older.c.rank == t.c.rank, older.c.seq < t.c.seq)
        )
        blocked = exists().where(_same(older, t), older.c.state == pending, earlier)
        stale = exists().where(_same(newer, t), newer.c.rank > t.c.rank, newer.c.tries > 0)
        return (
            select(t.c.seq, t.c.body, t.c.charset, t.c.tries, stale.label("stale"))
            .where(t.c.state == pending, t.c.due <= bindparam("now"), ~blocked)
            .where(t.c.kind.in_(bindparam("kinds", expanding=True)))
            .order_by(t.c.due, t.c.seq)
            .limit(bindparam("limit"))
        )

    def _update_judged(self) -> Any:  # noqa: ANN401 - SQLAlchemy's Update
        t = self.table
        judged: dict[str, Any] = {
            "state": bindparam("new_state"),
            "due": bindparam("new_due"),
            "error": bindparam("new_error"),
            "tries": t.c.tries - bindparam("uncounted"),
            "owner": None,
        }
        ours = and_(t.c.seq == bindparam("of_seq"), t.c.owner == bindparam("of_owner"))
        return update(t).where(ours).values(judged)


def _same(other: Any, t: Table) -> ColumnElement[bool]:  # noqa: ANN401 - an alias of the table
    return and_(other.c.kind == t.c.kind, other.c.subject == t.c.subject)
