"""Claims: pushes that a dispatcher has to handle until its lease runs out, and what came of them.

There are two lanes for each kind: pushes that are new, in the order of their arrival, and those
that are due again, the longest due first. Either gets half of the room if both need it: so neither
do a million failures hold up what is new, nor the other way round.
"""

# ruff: noqa: S608 - the table's name is an identifier

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from secrets import token_hex
from typing import Final, NamedTuple

import attrs

from ihuyi_voice.pushes.subjects import arranged, due_at_once, next_of, released
from ihuyi_voice.pushes.table import ASIDE, PushState, Table
from ihuyi_voice.storage import Many, Query, Row, Work

_UNHEARD: Final = "nothing was heard of its last handler"
_DAY: Final = 86_400.0  # seconds; other processes may have other options, but not by so much
_CHUNK: Final = 500  # of the dead that are replayed in one transaction


class Stored(NamedTuple):
    """A push as the table has it."""

    seq: int
    kind: str
    body: bytes
    content_type: str


class Terms(NamedTuple):
    """On what terms pushes are claimed: for how many seconds, how often, with what pauses at most.

    What is due `far` from now was put off by a clock that has been set back since.
    """

    lease: float
    max_tries: int
    max_pause: float = 0.0

    @property
    def far(self) -> float:
        """Seconds that no lease or pause lasts."""
        return _DAY + max(self.lease, self.max_pause)


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
        pause: Seconds until it may be claimed again, if it is PENDING, by the database's clock.
        error: Why it failed.
        counts: Whether the try counts; an interrupted one does not, and is due at once.
    """

    claim: Claim
    state: PushState
    pause: float = 0.0
    error: str | None = None
    counts: bool = True


def judged(table: Table, verdicts: Collection[Verdict]) -> Work[None]:
    """End claims; those that have run out and were taken over stay as they are."""
    if not verdicts:
        return
    by_claim = {(each.claim.push.seq, each.claim.owner): each for each in reversed([*verdicts])}
    rows = yield Query(
        f"SELECT n.seq, n.owner, {next_of(table)} AS next FROM {table} AS n"
        f" WHERE {table.among('n.seq')}",
        {"seqs": table.values({seq for seq, _ in by_claim})},
    )
    ours = {
        row["seq"]: by_claim[row["seq"], row["owner"]]
        for row in rows
        if (row["seq"], row["owner"]) in by_claim
    }
    yield from _handled(table, [seq for seq, each in ours.items() if _is_handled(each)])
    yield from _failed(table, [each for each in ours.values() if not _is_handled(each)])
    ended = {seq for seq, each in ours.items() if each.state is not PushState.PENDING}
    yield from due_at_once(table, (row["next"] for row in rows if row["seq"] in ended))
    counts = Counter(each.state for each in ours.values())
    counts[PushState.PENDING] -= len(ours)
    yield from table.counted(counts)


def _is_handled(verdict: Verdict) -> bool:
    return verdict.state is PushState.HANDLED


def _handled(table: Table, seqs: Sequence[int]) -> Work[None]:
    if seqs:
        yield Query(
            f"UPDATE {table} SET state = '{PushState.HANDLED}', due = NULL, owner = NULL,"
            f" error = NULL WHERE {table.among('seq')}",
            {"seqs": table.values(seqs)},
        )


def _failed(table: Table, verdicts: Sequence[Verdict]) -> Work[None]:
    if verdicts:
        real = table.dialect.real
        yield Many(
            f"UPDATE {table} SET state = :state, owner = NULL, error = :error,"
            " tries = tries - :uncounted, due = CASE WHEN :fresh = 1 THEN 0"
            f" ELSE {table.dialect.clock} + CAST(:pause AS {real}) END WHERE seq = :seq",
            [_failure(verdict) for verdict in verdicts],
        )


def _failure(verdict: Verdict) -> dict[str, object]:
    pending = verdict.state is PushState.PENDING
    return {
        "seq": verdict.claim.push.seq,
        "state": verdict.state.value,
        "error": verdict.error,
        "uncounted": int(not verdict.counts),
        "fresh": int(pending and not verdict.counts),
        "pause": verdict.pause if pending else None,
    }


def claimed(table: Table, room: Mapping[str, int], terms: Terms) -> Work[list[Claim]]:
    """Claim of each kind as many pushes as there is room for; what was tried too often is DEAD."""
    wanted = {kind: count for kind, count in room.items() if count > 0}
    claims: list[Claim] = []
    while wanted and not claims:
        rows = yield from _due(table, wanted, terms.far)
        if not rows:
            break
        owner = token_hex(8)
        spent = [row["seq"] for row in rows if row["tries"] >= terms.max_tries]
        claims = [
            Claim(Stored(row["seq"], row["kind"], row["body"], row["content_type"]), owner, tries)
            for row in rows
            if (tries := row["tries"] + 1) <= terms.max_tries
        ]
        yield from _dead(table, spent)
        yield from _taken(table, claims, owner, terms.lease)
    return claims


def _due(table: Table, wanted: Mapping[str, int], far: float) -> Work[list[Row]]:
    lanes: list[str] = []
    parameters: dict[str, object] = {"far": far}
    clock, real = table.dialect.clock, table.dialect.real
    put_off = f"due > (SELECT {clock} + CAST(:far AS {real}))"
    for place, (kind, count) in enumerate(sorted(wanted.items())):
        parameters |= {f"kind{place}": kind, f"room{place}": count}
        # The clock in a query of its own: PostgreSQL looks for no function's result in an index.
        for due in (f"due > 0 AND due <= (SELECT {clock})", "due <= 0", put_off):
            lane = (
                f"SELECT seq, kind, body, content_type, tries, due FROM {table}{table.by('due')}"
                f" WHERE kind = :kind{place} AND {due} ORDER BY due, seq LIMIT :room{place}"
            )
            lanes.append(f"SELECT * FROM ({lane}) AS lane{len(lanes)}")
    rows = yield Query(" UNION ALL ".join(lanes), parameters)
    return [row for kind, count in wanted.items() for row in _shared(rows, kind, count)]


def _shared(rows: Iterable[Row], kind: str, room: int) -> list[Row]:
    """Return which rows of a kind get the room."""
    of_kind = [row for row in rows if row["kind"] == kind]
    again = [row for row in of_kind if row["due"] > 0]
    fresh = [row for row in of_kind if row["due"] <= 0]
    return [*again[: max((room + 1) // 2, room - len(fresh))], *fresh][:room]


def _dead(table: Table, seqs: Sequence[int]) -> Work[None]:
    if seqs:
        yield Query(
            f"UPDATE {table} SET state = '{PushState.DEAD}', due = NULL, owner = NULL,"
            f" error = '{_UNHEARD}' WHERE {table.among('seq')}",
            {"seqs": table.values(seqs)},
        )
        yield from released(table, seqs)
        yield from table.counted({PushState.DEAD: len(seqs), PushState.PENDING: -len(seqs)})


def _taken(table: Table, claims: Sequence[Claim], owner: str, lease: float) -> Work[None]:
    if claims:
        yield Query(
            f"UPDATE {table} SET owner = :owner, tries = tries + 1, due = {_end(table)}"
            f" WHERE {table.among('seq')}",
            {
                "owner": owner,
                "lease": lease,
                "seqs": table.values(claim.push.seq for claim in claims),
            },
        )


def renewed(table: Table, claims: Collection[Claim], lease: float) -> Work[list[Claim]]:
    """Let claims run out so many seconds from now; return those that are still ours."""
    seqs = table.values(claim.push.seq for claim in claims)
    rows = yield Query(f"SELECT seq, owner FROM {table} WHERE {table.among('seq')}", {"seqs": seqs})
    owners = {row["seq"]: row["owner"] for row in rows}
    ours = [claim for claim in claims if owners.get(claim.push.seq) == claim.owner]
    if ours:
        yield Query(
            f"UPDATE {table} SET due = {_end(table)} WHERE {table.among('seq')}",
            {"lease": lease, "seqs": table.values(claim.push.seq for claim in ours)},
        )
    return ours


def _end(table: Table) -> str:
    return f"{table.dialect.clock} + CAST(:lease AS {table.dialect.real})"


def replayed(table: Table, after: int) -> Work[list[int]]:
    """Let some of the dead, of higher numbers than `after`, be pending again; return those."""
    yield from table.pinned()
    rows = yield Query(
        f"SELECT seq FROM {table}{table.by('aside')} WHERE state = '{PushState.DEAD}' AND {ASIDE}"
        " AND seq > :after ORDER BY seq LIMIT :chunk",
        {"after": after, "chunk": _CHUNK},
    )
    seqs = [row["seq"] for row in rows]
    if not seqs:
        return seqs
    yield Query(
        f"UPDATE {table} SET state = '{PushState.PENDING}', tries = 0, owner = NULL, due = NULL"
        f" WHERE {table.among('seq')}",
        {"seqs": table.values(seqs)},
    )
    late = yield from arranged(table, seqs, replayed=True)
    changes = {PushState.PENDING: len(seqs) - late, PushState.SUPERSEDED: late}
    yield from table.counted(changes | {PushState.DEAD: -len(seqs)})
    return seqs
