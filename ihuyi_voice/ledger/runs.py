"""Runs: opened by one process at a time, taken over from the dead, stopped and resumed by anybody.

Opening raises the epoch of the part, by which everybody who held it before is fenced off, and makes
what they had in flight UNKNOWN, in one transaction. A part that a living owner holds is watched:
if its beat moves, the run is in use; if it doesn't until it is as old as the dead are, it is taken
over.
"""

import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import attrs

from ihuyi_voice.common.logs import tell
from ihuyi_voice.common.plain import is_storable
from ihuyi_voice.errors import InvalidRequest, RunInUse
from ihuyi_voice.ledger.commits import USED, stopped
from ihuyi_voice.ledger.owners import DIED, Owners
from ihuyi_voice.ledger.recall import recent
from ihuyi_voice.ledger.rows import KEYED, Book
from ihuyi_voice.ledger.schema import STOPPED_RUN
from ihuyi_voice.ledger.sleepers import impatient
from ihuyi_voice.ledger.states import kept
from ihuyi_voice.storage import Query, Row, Work

logger = logging.getLogger("ihuyi_voice.ledger")

_MOMENT: Final = 0.1  # seconds to wait for the lock of a part; then it is looked at again
_WHILE: Final = 1.0  # the same for those of a whole run

_MAKE: Final = (
    "INSERT INTO {runs} (account, key, options, state, created_at, used_at)"
    " VALUES (:account, :key, '', {OPEN_RUN}, {now}, 0)"
    " ON CONFLICT (account, key) DO NOTHING"
)
_FIND: Final = "SELECT * FROM {runs} WHERE account = :account AND key = :key"
_MAKE_PART: Final = (
    "INSERT INTO {parts} (run, part, epoch, state, done) VALUES (:run, :part, 0, :state, 0)"
    " ON CONFLICT (run, part) DO NOTHING"
)
_HELD: Final = (
    "SELECT p.epoch, p.owner, o.beat_at, o.host, o.pid, {now} AS now FROM {parts} p"
    " LEFT JOIN {owners} o ON o.id = p.owner WHERE p.run = :run AND p.part = :part"
)
_TAKE: Final = (
    "UPDATE {parts} SET epoch = epoch + 1, owner = :owner, opened_at = {now}, done = 0,"
    " state = (SELECT state FROM {runs} WHERE id = :run)"  # its own may have been missed
    " WHERE run = :run AND part = :part RETURNING epoch"
)
_IN_FLIGHT: Final = (
    "SELECT key FROM {entries}{by_state} WHERE run = :run AND part = :part AND state = {INTENT}"
)
_LOST: Final = (
    "UPDATE {entries}{by_key} SET state = {UNKNOWN}, kind = 'OutcomeUnknown', text = :text,"
    " at = {now} WHERE run = :run AND {among_keys} AND state = {INTENT} RETURNING 1"
)
_ANY: Final = "SELECT 1 AS found FROM {entries}{by_state} WHERE run = :run LIMIT 1"
_FREE: Final = (
    "UPDATE {parts} SET owner = NULL WHERE run = :run AND part = :part AND epoch = :epoch"
)
_SET: Final = "UPDATE {runs} SET state = :state, cause = :cause WHERE id = :run"
_SET_PARTS: Final = (
    "UPDATE {parts} SET state = :state WHERE run = :run"
    " AND part IN (SELECT part FROM {parts} WHERE run = :run{unlocked})"
)
_SET_REST: Final = (
    "UPDATE {parts} SET state = (SELECT state FROM {runs} WHERE id = :run) WHERE run = :run"
    " AND state <> (SELECT state FROM {runs} WHERE id = :run)"
)
_NAMED: Final = "SELECT * FROM {runs} WHERE key = :key ORDER BY account"

_ALL: Final = (
    "SELECT r.*, CASE WHEN EXISTS (SELECT 1 FROM {parts} p JOIN {owners} o ON o.id = p.owner"
    " WHERE p.run = r.id AND o.{alive})"
    " THEN 1 ELSE 0 END AS in_use FROM {runs} r ORDER BY r.used_at DESC, r.id DESC"
)


@attrs.frozen
class Opened:
    """A run that is ours.

    Attributes:
        book: Where its entries stand.
        is_new: Whether nothing was in it.
        has_recent: Whether its account may have had calls within a day.
        taken_over: Whether another owner had it, dead by now or insisted against.
        unknown: How many calls were in flight then, and are UNKNOWN now.
    """

    book: Book
    is_new: bool
    has_recent: bool
    taken_over: bool = False
    unknown: int = 0


@attrs.frozen
class RunInfo:
    """A run, as people see it.

    Attributes:
        account: Whose calls they are.
        key: Its name; "" for the keyed calls.
        stopped: Whether it was stopped; then nothing of it is sent until it is resumed.
        cause: Why it was stopped.
        in_use: Whether a living process works on it.
        created_at: When it was begun, aware and in UTC.
        used_at: When it was in use last, to the minute.
    """

    account: str
    key: str
    stopped: bool
    cause: str | None
    in_use: bool
    created_at: datetime
    used_at: datetime


@attrs.frozen
class Held:
    """A part that somebody who may be alive holds.

    Attributes:
        owner: Who.
        beat_at: The last beat.
        text: What a person is told of it.
    """

    owner: int
    beat_at: float
    text: str


ANYBODY: Final = Held(0, 0.0, "")
"""Stands for whoever holds a part."""


@attrs.frozen
class Runs:
    """What is asked of runs and parts.

    Attributes:
        owners: Who lives.
    """

    owners: Owners

    def ensured(self, account: str, key: str) -> Work[Row]:
        """Return the run's row, which is made if it is missing."""
        named = {"account": account, "key": key}
        rows = yield Query(self.owners.say(_FIND), named)
        if not rows:
            yield Query(self.owners.say(_MAKE), named | self.owners.now())
            rows = yield Query(self.owners.say(_FIND), named)
        return rows[0]

    def keyed(self, account: str) -> Work[Book]:
        """Return where the keyed calls of an account stand."""
        row = yield from self.ensured(account, KEYED)
        return Book(int(row["id"]), keyed=True)

    def open(
        self,
        account: str,
        key: str,
        part: int,
        owner: int,
        insist: Held | None,
        *,
        here: bool,
    ) -> Work[Opened | Held]:
        """Take a part of a run, or return who holds it.

        Args:
            account: Whose run it is.
            key: Its name.
            part: The part.
            owner: Who takes it.
            insist: Whose hold doesn't count, since their beat has not moved; ANYBODY's.
            here: Whether this very owner may hold it already, for somebody else of its process.

        Raises:
            RunInUse: It does.
            LedgerUnavailable: Somebody has it locked; see `sleepers`.
        """
        say, now = self.owners.say, self.owners.now()
        yield from impatient(self.owners, _MOMENT)
        recently = yield from recent(self.owners)
        row = yield from self.ensured(account, key)
        if row["options"] and not part:
            text = f"the run {key!r} was distributed: ihuyi_voice.workers works on its parts"
            raise InvalidRequest(text, field="run")
        where = {"run": int(row["id"]), "part": part}
        yield Query(say(_MAKE_PART), where | {"state": row["state"]})
        if row["state"] == STOPPED_RUN:
            raise stopped(row["cause"])
        if say.dialect.name == "postgresql":  # the outer side of a join can't be locked
            yield Query(
                say("SELECT 1 FROM {parts} WHERE run = :run AND part = :part FOR UPDATE"), where
            )
        (held,) = yield Query(say(_HELD), where | now)
        is_ours = held["owner"] == owner and held["beat_at"] is not None
        if here and is_ours and insist is not ANYBODY:
            raise RunInUse(f"{_text(held, row)}: this one, which has it open already")
        holder = _holder(held, row, owner, self.owners.timing.dead)
        if holder is not None and not _counts_not(holder, insist):
            return holder
        (taken,) = yield Query(say(_TAKE), where | {"owner": owner} | now)
        lost = yield from self._lost(where)
        yield Query(say(USED), where | now)
        is_new = not (yield Query(say(_ANY), where))
        book = Book(where["run"], part, int(taken["epoch"]))
        taken_over = held["owner"] not in {None, owner}
        return Opened(book, is_new, account in recently, taken_over, lost)

    def _lost(self, where: Mapping[str, int]) -> Work[int]:
        """Make what was in flight in a part UNKNOWN, and return how many they are.

        As a rule they are none; and PostgreSQL looks for them by several processes at once, unless
        that statement changes something.
        """
        say = self.owners.say
        keys = [row["key"] for row in (yield Query(say(_IN_FLIGHT), where))]
        if not keys:
            return 0
        yield from self.owners.pinned()
        given = {"run": where["run"], "keys": say.dialect.values(keys), "text": DIED}
        return len((yield Query(say(_LOST), given | self.owners.now())))

    def who_locks(self, account: str, key: str, part: int) -> Work[Held]:
        """Return who holds a part that could not be locked, dead or alive."""
        row = yield from self.named(key, account)
        where = {"run": int(row["id"]), "part": part}
        rows = yield Query(self.owners.say(_HELD), where | self.owners.now())
        holder = _holder(rows[0], row, 0, math.inf) if rows else None
        return holder or Held(0, 0.0, f"the run {key!r} is being opened or marked")

    def leave(self, book: Book) -> Work[None]:
        """Give a part up, if it is still ours."""
        where = {"run": book.run, "part": book.part, "epoch": book.epoch}
        yield Query(self.owners.say(_FREE), where)

    def mark(self, run: int, state: int, cause: str | None) -> Work[None]:
        """Stop a run, or let it go on, in all parts that nobody has locked.

        Raises:
            LedgerUnavailable: Somebody has the run locked; see `sleepers`.
        """
        yield from impatient(self.owners, _WHILE)
        said = kept(cause)  # the vendor's words may be in it, and must not keep a run going
        yield Query(self.owners.say(_SET), {"run": run, "state": state, "cause": said})
        yield Query(self.owners.say(_SET_PARTS), {"run": run, "state": state})

    def mark_parts(self, run: int) -> Work[None]:
        """Have all parts of a run as the run itself is.

        Raises:
            LedgerUnavailable: Somebody has one locked; see `sleepers`.
        """
        yield from impatient(self.owners, _WHILE)
        yield Query(self.owners.say(_SET_REST), {"run": run})

    def all(self) -> Work[list[RunInfo]]:
        """Return all runs, the last used first."""
        where = {"dead": self.owners.timing.dead, **self.owners.now()}
        return [_info(row) for row in (yield Query(self.owners.say(_ALL), where))]

    def named(self, key: str, account: str | None) -> Work[Row]:
        """Return the only run of this name, or that of this account.

        Raises:
            InvalidRequest: There is none, or several accounts have one.
        """
        if account is not None:
            check_account(account)
        rows: Sequence[Row] = ()
        if is_storable(key):  # else a database would fail as if it were away
            rows = yield Query(self.owners.say(_NAMED), {"key": key})
        found = [row for row in rows if account in {None, row["account"]}]
        if len(found) == 1:
            return found[0]
        if not found:
            whose = "" if account is None else f" of {account}"
            raise InvalidRequest(f"the ledger has no run {key!r}{whose}", field="run")
        names = ", ".join(row["account"] for row in found)
        raise InvalidRequest(f"several accounts have a run {key!r}: {names}", field="account")


def _info(row: Row) -> RunInfo:
    created, used = (datetime.fromtimestamp(row[at], UTC) for at in ("created_at", "used_at"))
    return RunInfo(
        row["account"],
        row["key"],
        row["state"] == STOPPED_RUN,
        row["cause"],
        bool(row["in_use"]),
        created,
        max(created, used),
    )


def _holder(held: Row, run: Row, owner: int, dead: float) -> Held | None:
    """Return who holds a part and may be alive."""
    if held["owner"] is None or held["beat_at"] is None or held["owner"] == owner:
        return None
    age = held["now"] - held["beat_at"]
    if abs(age) > dead:  # a beat that is to come is of before the clock was set back
        return None
    return Held(int(held["owner"]), float(held["beat_at"]), _text(held, run))


def _text(held: Row, run: Row) -> str:
    began, age = held["now"] - run["created_at"], held["now"] - held["beat_at"]
    return (
        f"the run {run['key']!r}, begun {began:.0f} s ago, is worked on by process {held['pid']}"
        f" on {held['host']}, whose last beat was {max(0.0, age):.1f} s ago"
    )


def _counts_not(holder: Held, insist: Held | None) -> bool:
    if insist is None or insist is ANYBODY:
        return insist is ANYBODY
    return (insist.owner, insist.beat_at) == (holder.owner, holder.beat_at)


async def watched(
    attempt: Callable[[Held | None], Awaitable[Opened | Held]],
    pause: Callable[[], Awaitable[object]],
    looks: int,
) -> Opened:
    """Take a part, watching whoever holds it.

    Args:
        attempt: Tries to take it, also from whom it is given.
        pause: Waits until the next look.
        looks: How often is looked at a beat that doesn't move.

    Raises:
        RunInUse: Its beat moved: it lives.
    """
    first = await attempt(None)
    if isinstance(first, Opened):
        return first
    tell(logger, logging.INFO, "%s; waiting to see whether it lives", first.text)
    for count in range(1, looks + 1):
        await pause()
        got = await attempt(first if count == looks else None)
        if isinstance(got, Opened):
            text = "%s: nothing was heard of it since, and the run goes on here"
            tell(logger, logging.WARNING, text, first.text)
            return got
        if (got.owner, got.beat_at) != (first.owner, first.beat_at):
            raise RunInUse(got.text)
    raise RunInUse(first.text)


def check_name(key: object) -> None:
    """Check the name of a run."""
    if not isinstance(key, str) or not key or not is_storable(key):
        raise InvalidRequest("a run needs a name", field="run")


def check_account(account: object) -> None:
    """Check the name of an account."""
    if not is_storable(account):
        raise InvalidRequest("an account is a text", field="account")
