"""The store: the table of pushes and everything asked of it; the same on both databases.

A push is PENDING until its handler has returned (HANDLED), until it has failed too often (DEAD), or
until it is due and a later push of the same subject has been given to the handler before
(SUPERSEDED: to hand it over now would move a status backwards). Claimed by a dispatcher, it stays
PENDING and is due again when the claim's lease has run out. A push is not claimed while an
earlier one of its subject is PENDING, so per subject there is one handler at a time, in order.

Its database is its own: what others see of it are these methods, and InboxUnavailable.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from secrets import token_hex
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import attrs

# First, for it names the extra that is missing:
from ihuyi_voice.storage import Address, Database, GroupCommit, ToldAs

# isort: split
from sqlalchemy import (
    ColumnElement,
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

from ihuyi_voice.errors import InboxClosed, InboxUnavailable
from ihuyi_voice.protocol import Push
from ihuyi_voice.pushes.table import PushState, make_table, push_row

_INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_as_inbox: Final = ToldAs(InboxUnavailable, InboxClosed, whose="the inbox")


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


class Store:
    """Pushes in a table; every method raises InboxUnavailable if the database says no.

    Args:
        address: Where the database is.
        table: The table's name; it is created if it is missing.
    """

    def __init__(self, address: Address, table: str) -> None:
        self.table = make_table(table)
        self._database = Database(address, lock=table)
        self._commits = GroupCommit[dict[str, Any], None](self._store)
        self._listeners: list[Callable[[], None]] = []
        insert = _INSERTS[address.dialect](self.table)
        self._insertion = insert.on_conflict_do_nothing(index_elements=[self.table.c.key])
        self._due = self._select_due()
        self._judgement = self._update_judged()

    async def __aenter__(self) -> Self:
        """Connect, and create the table if it is missing."""
        try:
            with _as_inbox:
                await self._database.open()
                await self._database.write(lambda on: on.run_sync(self.table.metadata.create_all))
        except BaseException:
            await self._database.close()
            raise
        self._commits.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write what has been put, and disconnect."""
        try:
            await self.flush()
        finally:
            await self._database.close()

    def listen(self, listener: Callable[[], None]) -> None:
        """Have a function called after each commit of pushes; it must not raise."""
        self._listeners.append(listener)

    async def put(self, push: Push, now: float) -> None:
        """Return once a push that arrives now (Unix seconds) is stored durably.

        If it is there already, that one stays as it is. It is stored even if this is cancelled.
        """
        with _as_inbox:
            await self._commits.put(push_row(push, now))

    async def flush(self) -> None:
        """Take no more pushes, and return once those that were put have been written."""
        await self._commits.close()

    async def turn(
        self,
        verdicts: Collection[Verdict],
        kinds: Iterable[str],
        limit: int,
        now: float,
        terms: Terms,
    ) -> list[Claim]:
        """End claims, and claim up to `limit` pushes that are due, the longest due first.

        Claims that have run out and were taken over stay as they are. A machine that dies may
        forget the whole turn. A turn that is cancelled is taken all the same.

        Args:
            verdicts: What came of claims.
            kinds: Of which kinds pushes are claimed.
            limit: How many at most.
            now: Unix time in seconds.
            terms: How they are claimed.
        """

        async def work(on: AsyncConnection) -> list[Claim]:
            await self._judge(on, verdicts)
            return await self._claim(on, kinds, limit, now, terms) if limit else []

        with _as_inbox:
            return await self._database.write(work, durable=False)

    async def replay(self, now: float) -> int:
        """Make the dead pending again, due at once, and return how many they were."""
        dead = self.table.c.state == PushState.DEAD.value
        fresh = {"state": PushState.PENDING.value, "tries": 0, "due": now, "owner": None}
        revived = update(self.table).where(dead).values(fresh)

        async def work(on: AsyncConnection) -> int:
            return (await on.execute(revived)).rowcount

        with _as_inbox:
            return await self._database.write(work)

    async def counts(self) -> dict[PushState, int]:
        """Return how many pushes are in each state."""
        state = self.table.c.state
        rows = await self._rows(select(state, func.count()).group_by(state))
        return dict.fromkeys(PushState, 0) | {PushState(name): count for name, count in rows}

    async def last_seq(self) -> int:
        """Return the highest sequence number, 0 if the table is empty."""
        (row,) = await self._rows(select(func.max(self.table.c.seq)))
        return int(row[0] or 0)

    async def subjects_after(self, seq: int, limit: int) -> list[tuple[int, str, str]]:
        """Return (seq, kind, subject) of what was stored after `seq`, in order."""
        t = self.table
        asked = select(t.c.seq, t.c.kind, t.c.subject).where(t.c.seq > seq)
        rows = await self._rows(asked.order_by(t.c.seq).limit(limit))
        return [(row.seq, row.kind, row.subject) for row in rows]

    async def newest(self, kind: str, subject: str) -> Stored | None:
        """Return the push of a subject that has the highest rank."""
        t = self.table
        asked = self._stored().where(t.c.kind == kind, t.c.subject == subject)
        rows = await self._rows(asked.order_by(t.c.rank.desc(), t.c.seq.desc()).limit(1))
        return Stored(*rows[0]) if rows else None

    async def after(self, kind: str, seq: int, limit: int) -> list[Stored]:
        """Return pushes of a kind stored after `seq`, in order.

        One that came after a later status of the same subject is left out.
        """
        t, other = self.table, self.table.alias()
        late = exists().where(_same(other, t), other.c.rank > t.c.rank, other.c.seq < t.c.seq)
        asked = self._stored().where(t.c.kind == kind, t.c.seq > seq, ~late)
        return [Stored(*row) for row in await self._rows(asked.order_by(t.c.seq).limit(limit))]

    async def _rows(self, asked: Any) -> Sequence[Any]:  # noqa: ANN401 - a Select
        async def work(on: AsyncConnection) -> Sequence[Any]:
            return (await on.execute(asked)).all()

        with _as_inbox:
            return await self._database.read(work)

    async def _store(self, rows: Sequence[dict[str, Any]]) -> Sequence[None]:
        await self._database.write(partial(self._insert, rows=rows))
        for listener in self._listeners:
            listener()
        return [None] * len(rows)

    async def _insert(self, on: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
        await on.execute(self._insertion, rows)

    async def _claim(
        self, on: AsyncConnection, kinds: Iterable[str], limit: int, now: float, terms: Terms
    ) -> list[Claim]:
        """Claim what is due; what can't be handled any more is marked on the way."""
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

    async def _judge(self, on: AsyncConnection, verdicts: Iterable[Verdict]) -> None:
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
            await on.execute(self._judgement, rows)

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
