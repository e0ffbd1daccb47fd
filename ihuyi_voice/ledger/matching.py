"""Which report tells of which call: by the voice_id, or by number and time where that is certain.

A report whose voice_id no entry has, of a number that has an UNKNOWN entry, tells of that entry's
call if it can be of no other one: it is the only UNKNOWN entry of the number that was begun in the
time before the report, it has no other report that fits, and no call to the number is in flight.
What the dead have in flight is UNKNOWN here, whether somebody has buried them yet or not.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.inputs import normalise_mobile
from ihuyi_voice.ledger.entries import DEAD, also_of, report_of
from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.states import ACCEPTED_CODE, State, storable, within_reach
from ihuyi_voice.models import CHINA, DeliveryReport
from ihuyi_voice.storage import Many, Query, Row, Work

EARLY: Final = 60.0
"""So many seconds may the vendor's clock be behind."""
LATE: Final = 3 * 3_600.0
"""A report may come so many seconds after its call was begun."""

_STORE: Final = (
    "INSERT INTO {reports} (voice_id, mobile, code, talk_time, report_time, msg, seen_at)"
    " VALUES (:voice_id, :mobile, :code, :talk_time, :report_time, :msg, {now})"
    " ON CONFLICT (voice_id) DO UPDATE SET mobile = excluded.mobile, code = excluded.code,"
    " talk_time = excluded.talk_time, report_time = excluded.report_time, msg = excluded.msg"
)
_MARK: Final = (
    "INSERT INTO {marks} AS m (name, seq) VALUES (:name, :seq) ON CONFLICT (name)"
    " DO UPDATE SET seq = excluded.seq WHERE m.seq < excluded.seq"
)
_MARKED: Final = "SELECT seq FROM {marks} WHERE name = :name"
_CALLS: Final = (
    "SELECT e.id, e.run, e.key, e.mobile, e.begun_at, e.voice_id, e.also,"  # noqa: S608 - constants
    " CASE WHEN e.state = {INTENT} AND" + DEAD + " THEN {UNKNOWN} ELSE e.state END AS state"
    " FROM {entries} AS e{by_mobile} WHERE {among_mobiles} AND e.state >= {INTENT}"
)
_UNSURE: Final = (
    "SELECT e.mobile FROM {entries} AS e{by_state}"
    " WHERE e.run IN (SELECT id FROM {runs}) AND e.state IN ({INTENT}, {UNKNOWN})"
    " AND EXISTS (SELECT 1 FROM {reports} AS r WHERE r.mobile = e.mobile)"
)
_REPORTS: Final = "SELECT * FROM {reports}{by_number} WHERE {among_mobiles}"
_SETTLE: Final = (
    "UPDATE {entries}{by_key} SET state = {ACCEPTED}, voice_id = :voice_id, code = :code,"
    " kind = NULL, text = '', {told_now} WHERE run = :run AND key = :key"
    " AND state IN ({INTENT}, {UNKNOWN})"
)


@attrs.define
class Matched:
    """What came of looking at some numbers.

    Attributes:
        settled: The (run, key) that a report has settled.
        candidates: Those that several reports may be of, or whose report may be another's: the
            reports that fit, by (run, key).
        waiting: Numbers that have a report that nobody claims, and a call in flight.
        refused: Reports that the database can't take, and numbers that can't be looked at.
    """

    settled: list[tuple[int, str]] = attrs.field(factory=list[tuple[int, str]])
    candidates: dict[tuple[int, str], list[DeliveryReport]] = attrs.field(
        factory=dict[tuple[int, str], list[DeliveryReport]]
    )
    waiting: set[str] = attrs.field(factory=set[str])
    refused: int = 0

    def add(self, more: "Matched") -> None:
        """Add what came of looking at other numbers."""
        self.settled += more.settled
        self.candidates |= more.candidates
        self.waiting |= more.waiting
        self.refused += more.refused


def marked(owners: Owners, name: str) -> Work[int]:
    """Return up to which of its reports an inbox has been read."""
    rows = yield Query(owners.say(_MARKED), {"name": name})
    return int(rows[0]["seq"]) if rows else 0


def mark(owners: Owners, name: str, seq: int) -> Work[None]:
    """Note up to which of its reports an inbox has been read."""
    owners.now()  # a clock that fails is no report's fault
    yield Query(owners.say(_MARK), {"name": name, "seq": seq})


def store(owners: Owners, name: str, reports: Sequence[DeliveryReport], seq: int) -> Work[Matched]:
    """Keep reports, and settle what they tell of."""
    if reports:
        yield Many(owners.say(_STORE), [_columns(each) | owners.now() for each in reports])
    yield from mark(owners, name, seq)
    return (yield from match(owners, {_number(each.mobile) for each in reports}))


def unsure(owners: Owners) -> Work[list[str]]:
    """Return the numbers that have reports, and calls whose end nobody knows yet."""
    rows = yield Query(owners.say(_UNSURE))
    return list(dict.fromkeys(row["mobile"] for row in rows))


def match(owners: Owners, mobiles: Iterable[str], *, settling: bool = True) -> Work[Matched]:
    """Settle what reports of these numbers tell of, or only look."""
    found = Matched()
    calls = yield from _by_mobile(owners, _CALLS, mobiles)
    in_doubt = [mobile for mobile, rows in calls.items() if any(map(_is_unsure, rows))]
    reports = yield from _by_mobile(owners, _REPORTS, in_doubt)
    for mobile, told in reports.items():
        _match_one(calls[mobile], told, found)
    if settling and found.settled:
        now = owners.now()
        yield Many(owners.say(_SETTLE), [_claim(found, place) | now for place in found.settled])
    return found


def _match_one(calls: Sequence[Row], told: Sequence[Row], found: Matched) -> None:
    known = {row["voice_id"] for row in calls if row["voice_id"]}
    known.update(*map(also_of, calls))
    free = sorted((row for row in told if row["voice_id"] not in known), key=_arrival)
    in_doubt = [row for row in calls if _is_unsure(row)]
    fitting = {id(call): [row for row in free if _fits(call, row)] for call in in_doubt}
    in_flight = any(row["state"] == State.INTENT for row in calls)
    for call in in_doubt:
        if not (fits := fitting[id(call)]) or call["state"] != State.UNKNOWN:
            continue
        place = (call["run"], call["key"])
        found.candidates[place] = [report_of(row) for row in fits]
        claims = sum(fits[0] in others for others in fitting.values())
        if len(fits) == 1 and claims == 1 and not in_flight:
            found.settled.append(place)
    if in_flight and free:
        found.waiting.add(calls[0]["mobile"])


def _arrival(report: Row) -> tuple[float, str]:
    return report["seen_at"], report["voice_id"]


def _is_unsure(call: Row) -> bool:
    return call["state"] in {State.UNKNOWN, State.INTENT}


def _fits(call: Row, report: Row) -> bool:
    told_at = report["report_time"] or report["seen_at"]
    begun = call["begun_at"]
    return begun is not None and begun - EARLY <= told_at <= begun + LATE


def _claim(found: Matched, place: tuple[int, str]) -> dict[str, Any]:
    (report,) = found.candidates.pop(place)
    return {
        "run": place[0],
        "key": place[1],
        "voice_id": report.voice_id,
        "code": ACCEPTED_CODE,
    }


def _by_mobile(
    owners: Owners, template: str, mobiles: Iterable[str]
) -> Work[Mapping[str, list[Row]]]:
    named = [mobile for mobile in mobiles if mobile]
    found: dict[str, list[Row]] = defaultdict(list)
    if named:
        yield from owners.pinned()
        values = owners.say.dialect.values(named)
        given = {"mobiles": values, "dead": owners.timing.dead, **owners.now()}
        for row in (yield Query(owners.say(template), given)):
            found[row["mobile"]].append(row)
    return found


def _columns(report: DeliveryReport) -> dict[str, Any]:
    talked = report.talk_time
    return {
        "voice_id": storable(report.voice_id),
        "mobile": _number(report.mobile),
        "code": within_reach(report.code),
        "talk_time": None if talked is None else within_reach(talked),
        "report_time": _seconds(report.report_time),
        "msg": storable(report.msg),
    }


def _seconds(told_at: datetime | None) -> float | None:
    """Return a time that can be told in China's as well; None if it is at the end of all times."""
    try:
        return None if told_at is None else told_at.astimezone(CHINA).timestamp()
    except (OverflowError, ValueError, OSError):
        return None


def _number(mobile: str) -> str:
    """Return a number as entries have it, whatever the vendor writes before it."""
    try:
        return normalise_mobile(mobile)
    except InvalidRequest:
        return storable(mobile)
