"""Where the parts of runs stand, and who holds them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from ihuyi_voice.ledger.entries import Status, statuses
from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.schema import STOPPED_RUN
from ihuyi_voice.ledger.sleepers import impatient
from ihuyi_voice.storage import Query, Row, Work

_LISTED: Final = (
    "SELECT r.id AS run, r.key, p.part, p.done, p.epoch, o.host, o.pid, {now} - o.beat_at AS age,"
    " {now} - p.opened_at AS held"
    " FROM {parts} p JOIN {runs} r ON r.id = p.run LEFT JOIN {owners} o ON o.id = p.owner"
    " WHERE p.part > 0"
)
_UNDONE: Final = (
    _LISTED + " AND r.account = :account AND p.done = 0 AND r.state = {OPEN_RUN}"
    " ORDER BY r.id, p.part"
)
_OF_RUN: Final = _LISTED + " AND p.run = :run ORDER BY p.part"
_REOPEN: Final = (
    "UPDATE {parts} SET done = 0 WHERE run = :run AND part > 0"
    " AND (done = 1 OR owner IS NOT NULL) AND EXISTS"
    " (SELECT 1 FROM {entries} e WHERE e.run = :run AND e.part = {parts}.part AND e.part > 0"
    " AND e.state IN ({OPEN}, {HELD}, {NOT_SENT}, {REFUSED}, {INTENT}))"
)
_COUNTS: Final = (
    "SELECT part, state, CASE WHEN state = {INTENT} THEN owner END AS owner, count(*) AS entries"
    " FROM {entries} WHERE run = :run GROUP BY 1, 2, 3"
)


@attrs.frozen
class PartInfo:
    """A part, as people see it.

    Attributes:
        run: The run's name.
        run_id: Its number in this ledger.
        part: The part's.
        done: Whether nothing of it is open or in flight.
        epoch: How often it was opened.
        owner: Who holds it, `host:pid`; None if nobody does.
        beat: The seconds since that one's last beat.
        alive: Whether that one lives.
        held: The seconds since it was opened; None if nobody has it.
    """

    run: str
    run_id: int
    part: int
    done: bool
    epoch: int
    owner: str | None
    beat: float | None
    alive: bool
    held: float | None = None


@attrs.frozen
class RunProgress:
    """Where a run stands that many work on.

    Attributes:
        counts: How many messages have which status; "OPEN" if they have none yet.
        by_part: The same, part by part.
        parts: Its parts, with whoever holds them.
        stopped: Whether it was stopped.
        cause: Why.
    """

    counts: Mapping[Status, int]
    by_part: Mapping[int, Mapping[Status, int]]
    parts: Sequence[PartInfo]
    stopped: bool
    cause: str | None

    @property
    def done(self) -> int:
        """How many parts are done."""
        return sum(part.done for part in self.parts)


def undone(owners: Owners, account: str) -> Work[list[PartInfo]]:
    """Return the parts of an account's runs that are not done, but for stopped runs."""
    rows = yield Query(owners.say(_UNDONE), {"account": account} | owners.now())
    return [_info(row, owners.timing.dead) for row in rows]


def progress(owners: Owners, run: Row) -> Work[RunProgress]:
    """Return where a run stands, whose row this is."""
    where = {"run": int(run["id"])} | owners.now()
    rows = yield Query(owners.say(_OF_RUN), where)
    parts = [_info(row, owners.timing.dead) for row in rows]
    by_part: dict[int, Counter[Status]] = {}
    rows = yield Query(owners.say(_COUNTS), where)
    for row, status in (yield from statuses(owners, rows)):
        by_part.setdefault(row["part"], Counter())[status] += row["entries"]
    counts = sum(by_part.values(), Counter[Status]())
    return RunProgress(counts, by_part, parts, run["state"] == STOPPED_RUN, run["cause"])


def reopen(owners: Owners, run: int) -> Work[None]:
    """Say that the parts with something that may be sent again are not done.

    Those that are held, too: whoever holds one may be about to say that it is.

    Raises:
        LedgerUnavailable: Somebody has one locked; see `sleepers`.
    """
    yield from impatient(owners, 1.0)
    yield Query(owners.say(_REOPEN), {"run": run})


def _info(row: Row, dead: float) -> PartInfo:
    owner = None if row["host"] is None else f"{row['host']}:{row['pid']}"
    alive = row["age"] is not None and abs(row["age"]) <= dead
    return PartInfo(
        row["key"],
        int(row["run"]),
        row["part"],
        bool(row["done"]),
        int(row["epoch"]),
        owner,
        row["age"],
        alive,
        None if owner is None else row["held"],
    )
