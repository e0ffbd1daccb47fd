"""The entries of a run as people and programs see them: streamed, counted, settled by a person."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import attrs

from ihuyi_voice.common.plain import is_storable
from ihuyi_voice.errors import InvalidRequest, OutcomeUnknown, VoiceError
from ihuyi_voice.ledger.owners import DIED, Owners
from ihuyi_voice.ledger.states import (
    ACCEPTED_CODE,
    STATUS_OF,
    Ending,
    Open,
    State,
    ending_of,
    moment,
    storable,
)
from ihuyi_voice.models import CHINA, DeliveryReport, Message, OutcomeStatus
from ihuyi_voice.storage import Query, Row, Work

PAGE: Final = 500
OPEN: Final[Open] = "OPEN"
Status: TypeAlias = OutcomeStatus | Open

DEAD: Final = " NOT EXISTS (SELECT 1 FROM {owners} o WHERE o.id = e.owner AND o.{alive})"
# By state there is an index on SQLite, which knows no owners. Elsewhere one scan does both, and
# asks nothing of each row that would keep PostgreSQL from sharing it among processes.
_COUNTS: Final = {
    "sqlite": "SELECT state, NULL AS owner, count(*) AS entries FROM {entries}{by_state}"
    " WHERE run = :run AND state <> {INTENT} GROUP BY state"
    " UNION ALL SELECT state, owner, 1 FROM {entries}{by_state}"  # few: those in flight
    " WHERE run = :run AND state = {INTENT}",
    "postgresql": "SELECT state, CASE WHEN state = {INTENT} THEN owner END AS owner,"
    " count(*) AS entries FROM {entries} WHERE run = :run GROUP BY 1, 2",
}
_FIRST: Final = "SELECT min(id) AS id FROM {entries}{by_state} WHERE run = :run"
_SHOWN: Final = (
    "SELECT e.*, CASE WHEN e.state = {INTENT} AND"  # noqa: S608 - constants
    + DEAD
    + " THEN 1 ELSE 0 END AS dead,"
    " r.mobile AS r_mobile, r.code AS r_code, r.talk_time AS r_talk_time,"
    " r.report_time AS r_report_time, r.msg AS r_msg"
    " FROM {entries} AS e"
)
_TOLD: Final = " LEFT JOIN {reports} AS r ON r.voice_id = e.voice_id"
_ALL: Final = (
    _SHOWN + "{by_id}" + _TOLD + " WHERE e.run = :run AND e.id > :after ORDER BY e.id LIMIT :most"
)
_SOME: Final = {
    "sqlite": _SHOWN
    + "{by_state}"
    + _TOLD
    + " WHERE e.run = :run AND e.state = :states AND e.id > :after"
    " ORDER BY e.id LIMIT :most",
    "postgresql": _SHOWN
    + _TOLD
    + " WHERE e.run = :run AND e.state = ANY(:states) AND e.id > :after"
    " ORDER BY e.id LIMIT :most",
}
_ONE: Final = _SHOWN + "{by_key}" + _TOLD + " WHERE e.run = :run AND e.key = :key"
_LOCKED: Final = "SELECT 1 AS found FROM {entries}{by_key} WHERE run = :run AND key = :key{update}"
_DECIDE: Final = (
    "UPDATE {entries}{by_key} SET state = :state, voice_id = :voice_id, code = :code, kind = :kind,"
    " action = NULL, retry_at = NULL, text = :text, {told_now}"
    " WHERE run = :run AND key = :key AND state IN ({UNKNOWN}, {INTENT})"
)
_STATES_OF: Final[Mapping[Status, tuple[State, ...]]] = {
    OPEN: (State.OPEN, State.INTENT),
    OutcomeStatus.HELD: (State.HELD,),
    OutcomeStatus.NOT_SENT: (State.NOT_SENT,),
    OutcomeStatus.REJECTED: (State.REFUSED, State.REJECTED),
    OutcomeStatus.ACCEPTED: (State.ACCEPTED,),
    OutcomeStatus.UNKNOWN: (State.UNKNOWN, State.INTENT),
}
_BY_A_PERSON: Final = {
    OutcomeStatus.ACCEPTED: (State.ACCEPTED, None),
    OutcomeStatus.NOT_SENT: (State.NOT_SENT, "NotSent"),
}


@attrs.frozen
class Entry:
    """One message of a run, and what became of it.

    Attributes:
        key: Its name within the run.
        message: The message.
        status: Which of the five outcomes it has; OPEN if it has none yet.
        voice_id: The vendor's serial number, if it was accepted.
        at: When its call ended, or was begun or given up if nobody knows, aware and in UTC; if
            a report or a person told of it before anybody gave it up, that time.
        begun_at: When its last call was about to be made; None if none ever was.
        attempts: How many requests were begun for it.
        error: Why it was not accepted; None if it was, or is open.
        report: How its call ended, if the vendor has told.
        candidates: Of an UNKNOWN one: the reports that may be of its call.
        settled_at: When a person or a report said what had become of it; None if its own process
            did.
        also: The voice_ids of further calls to it: it was opened again by a person's word, and a
            process that had been asleep told later that its call had been accepted.
    """

    key: str
    message: Message
    status: Status
    voice_id: str | None
    at: datetime
    begun_at: datetime | None
    attempts: int
    error: VoiceError | None = None
    report: DeliveryReport | None = None
    candidates: tuple[DeliveryReport, ...] = ()
    settled_at: datetime | None = None
    also: tuple[str, ...] = ()


def counts(owners: Owners, run: int) -> Work[dict[Status, int]]:
    """Return how many entries of a run have each status."""
    found, _ = yield from counted(owners, run)
    return found


def counted(owners: Owners, run: int) -> Work[tuple[dict[Status, int], int]]:
    """Return the same; and how many died with their process in flight, and don't say so yet."""
    rows = yield Query(owners.say(_COUNTS[owners.say.dialect.name]), {"run": run})
    found: dict[Status, int] = dict.fromkeys(_STATES_OF, 0)
    died = 0
    for row, status in (yield from statuses(owners, rows)):
        found[status] += row["entries"]
        if status is OutcomeStatus.UNKNOWN and row["state"] == State.INTENT:
            died += row["entries"]
    return found, died


def statuses(owners: Owners, rows: Sequence[Row]) -> Work[list[tuple[Row, Status]]]:
    """Return counts by state, and by owner of what is in flight, each with the status it means."""
    living = yield from owners.living({row["owner"] for row in rows if row["owner"] is not None})
    dead = [row["state"] == State.INTENT and row["owner"] not in living for row in rows]
    return [
        (row, OutcomeStatus.UNKNOWN if died else plain_status(row))
        for row, died in zip(rows, dead, strict=True)
    ]


def passes_for(owners: Owners, status: Status | None) -> Sequence[Any]:
    """Return which states are read together, as `page` takes them: pass by pass.

    Raises:
        InvalidRequest: That is no status.
    """
    if status is None:
        return (None,)
    if not _is_among(status, _STATES_OF):
        raise InvalidRequest(f"{status!r:.40} is no status of an entry", field="status")
    states = [int(state) for state in _STATES_OF[status]]
    return states if owners.say.dialect.name == "sqlite" else (states,)


def _is_among(status: object, table: Mapping[Any, object]) -> bool:
    return isinstance(status, str) and status in table


def first_of(owners: Owners, run: int) -> Work[int]:
    """Return what comes before the first entry of a run."""
    (row,) = yield Query(owners.say(_FIRST), {"run": run})
    return (row["id"] or 1) - 1


def page(owners: Owners, run: int, states: object, after: int) -> Work[Sequence[Row]]:
    """Return the next entries, in the order in which they came into the ledger."""
    yield from owners.in_order()
    where = _where(owners, run) | {"after": after, "most": PAGE}
    if states is None:
        return (yield Query(owners.say(_ALL), where))
    some = owners.say(_SOME[owners.say.dialect.name])
    return (yield Query(some, where | {"states": states}))


def one(owners: Owners, run: int, key: str) -> Work[Row]:
    """Return an entry that is there."""
    (row,) = yield Query(owners.say(_ONE), _where(owners, run) | {"key": key})
    return row


def entry_of(row: Row, candidates: Iterable[DeliveryReport] = ()) -> Entry:
    """Return an entry of a row of `page`."""
    status = status_of(row)
    end = _end_of(row, status)
    return Entry(
        row["key"],
        Message(row["mobile"], row["content"], row["reference"]),
        status,
        row["voice_id"],
        _time(row["at"]),
        moment(row["begun_at"]),
        int(row["attempts"]),
        end if isinstance(end, VoiceError) else None,
        _joined(row),
        tuple(candidates),
        moment(row["settled_at"]),
        tuple(each for each in also_of(row) if each != row["voice_id"]),
    )


def also_of(row: Row) -> Sequence[str]:
    """Return the ids of calls that were accepted after their key had been opened again."""
    return [] if row["also"] is None else json.loads(row["also"])


def status_of(row: Row) -> Status:
    """Return the status that a row means: what the dead had in flight is UNKNOWN."""
    if row["state"] == State.INTENT and row["dead"]:
        return OutcomeStatus.UNKNOWN
    return plain_status(row)


def plain_status(row: Row) -> Status:
    """Return the status that a row means by its state alone."""
    return STATUS_OF.get(row["state"]) or OPEN


def _end_of(row: Row, status: Status) -> Ending | None:
    """Return how the call of an entry ended: that of the dead with them, buried yet or not."""
    if status is not OutcomeStatus.UNKNOWN or row["state"] != State.INTENT:
        return ending_of(row)
    died = OutcomeUnknown(DIED)
    died.attempts = int(row["attempts"])
    return died


def settle(
    owners: Owners, run: int, key: object, status: OutcomeStatus, voice_id: object
) -> Work[None]:
    """Write what a person says of an UNKNOWN entry.

    Raises:
        InvalidRequest: There is no such entry, or it is not UNKNOWN.
    """
    if not _is_among(status, _BY_A_PERSON):
        raise InvalidRequest("a person can say ACCEPTED or NOT_SENT", field="status")
    if not isinstance(voice_id, str | None):
        raise InvalidRequest("a voice_id is a text", field="voice_id")
    where = _where(owners, run) | {"key": key}
    rows: Sequence[Row] = ()
    if is_storable(key):
        yield Query(owners.say(_LOCKED), where)  # before it is looked at: it may end just now
        rows = yield Query(owners.say(_ONE), where)
    if not rows:
        raise InvalidRequest("the run has no entry of this key", field="key")
    found = status_of(rows[0])
    if found is not OutcomeStatus.UNKNOWN:
        raise InvalidRequest(f"the entry is {found}, and only UNKNOWN can be settled", field="key")
    state, kind = _BY_A_PERSON[status]
    said: dict[str, Any] = {
        "state": int(state),
        "kind": kind,
        "voice_id": None if voice_id is None else storable(voice_id),
        "code": None if kind else ACCEPTED_CODE,
        "text": "settled by a person" if kind else "",
    }
    yield Query(owners.say(_DECIDE), where | said)


def report_of(row: Row, prefix: str = "") -> DeliveryReport:
    """Return the report of a row of reports."""
    at, talked = row[f"{prefix}report_time"], row[f"{prefix}talk_time"]
    return DeliveryReport(
        row["voice_id"],
        int(row[f"{prefix}code"]),
        row[f"{prefix}mobile"],
        None if talked is None else int(talked),
        None if at is None else _in_china(at),
        row[f"{prefix}msg"],
    )


def _in_china(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, CHINA)
    except (OverflowError, ValueError, OSError):  # written by somebody else
        return None


def _joined(row: Row) -> DeliveryReport | None:
    return None if row["r_code"] is None else report_of(row, "r_")


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _where(owners: Owners, run: int) -> dict[str, Any]:
    return {"run": run, "dead": owners.timing.dead, **owners.now()}
