"""What a whole run came to, counted by the database: for a page that tells it to people.

Nothing here grows with the run: a million entries are counted where they lie, by whole scans
that return a few thousand rows at most.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

import attrs

from ihuyi_voice.ledger.entries import Entry, Status, counted
from ihuyi_voice.ledger.owners import DIED, Owners
from ihuyi_voice.ledger.states import STATUS_OF, State
from ihuyi_voice.storage import Query, Row, Work

_ANSWERED: Final = f"{State.ACCEPTED:d}, {State.REJECTED:d}, {State.REFUSED:d}"
_FATES: Final = (
    "SELECT fate, count(*) AS people FROM (SELECT min(CASE"  # noqa: S608 - constants
    f" WHEN e.state = {State.ACCEPTED:d} AND r.code = 2 THEN 0"
    f" WHEN e.state = {State.ACCEPTED:d} AND r.code IS NOT NULL THEN 1"
    f" WHEN e.state = {State.ACCEPTED:d} THEN 2"
    f" WHEN e.state IN ({State.UNKNOWN:d}, {State.INTENT:d}) THEN 3"
    f" WHEN e.state IN ({State.REFUSED:d}, {State.REJECTED:d}) THEN 4"
    " ELSE 5 END) AS fate"
    " FROM {entries} AS e LEFT JOIN {reports} AS r ON r.voice_id = e.voice_id"
    " WHERE e.run = :run GROUP BY e.mobile) AS each_person GROUP BY fate"
)
# A message has the vendor's code, or a reason; the commonest of each, in one scan.
_HAS_CODE: Final = f"code IS NOT NULL AND {{+}}state <> {State.HELD:d}"
_WORDS: Final = (
    "SELECT code, text, messages FROM (SELECT code, text, messages, row_number() OVER"  # noqa: S608 - constants
    " (PARTITION BY code IS NULL ORDER BY messages DESC, code, text) AS place FROM (SELECT"
    f" CASE WHEN {_HAS_CODE} THEN code END AS code,"
    " count(*) AS messages, max(text) AS text FROM {entries} WHERE run = :run"
    f" AND (text IS NOT NULL OR ({_HAS_CODE}))"
    f" GROUP BY 1, CASE WHEN NOT ({_HAS_CODE}) THEN text END) AS each_word) AS placed"
    " WHERE place <= :most ORDER BY place"
)
_ENDS: Final = (
    "SELECT r.code AS code, count(*) AS messages, max(r.msg) AS text"
    " FROM {entries} AS e JOIN {reports} AS r ON r.voice_id = e.voice_id"
    " WHERE e.run = :run GROUP BY r.code ORDER BY messages DESC, r.code LIMIT :most"
)
_TIME: Final = (
    "SELECT min(coalesce(begun_at, at)) AS begun, max(at) AS ended FROM {entries}"
    " WHERE run = :run AND begun_at IS NOT NULL"
)
# Two digits of each time are kept, so that there are a few hundred of them at most.
_TALLY: Final = (
    "SELECT slice, state, wait, count(*) AS messages FROM (SELECT state, CASE"  # noqa: S608 - constants
    " WHEN begun_at IS NOT NULL THEN {slice} END AS slice, CASE"
    f" WHEN begun_at IS NULL OR at < begun_at OR state NOT IN ({_ANSWERED})"
    " OR settled_at IS NOT NULL THEN NULL"
    " WHEN at - begun_at < 0.1 THEN {ms} WHEN at - begun_at < 1 THEN {cs} * 10"
    " WHEN at - begun_at < 10 THEN {ds} * 100 ELSE {s} * 1000 END AS wait"
    " FROM {entries} WHERE run = :run) AS each_message GROUP BY slice, state, wait"
)
_IN_MEMORY: Final = "SET LOCAL work_mem TO '64MB'"  # else a million people are counted on disk
_WHOLE: Final = {"sqlite": "CAST({0} AS INTEGER)", "postgresql": "CAST(floor({0}) AS BIGINT)"}
_SLICE: Final = "(at - CAST(:begun AS DOUBLE PRECISION)) / CAST(:span AS DOUBLE PRECISION)"
_UNITS: Final = {"ms": 1000, "cs": 100, "ds": 10, "s": 1}
_SPANS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200)
_DAY: Final = 86_400
_MOST_SLICES: Final = 40
_MOST_CODES: Final = 40
_MOST_REASONS: Final = 10


class Fate(StrEnum):
    """What a person has got of a run; of several, the first in this order counts.

    Attributes:
        ANSWERED: A call was answered.
        NOT_REACHED: A call was made and nobody answered it.
        AWAITED: A call was accepted, and its delivery report has not come.
        UNCERTAIN: Nobody knows whether a call was made.
        REFUSED: The vendor refused it.
        NOT_CALLED: Nothing has reached the vendor: held back, not sent, or not begun.
    """

    ANSWERED = "answered"
    NOT_REACHED = "not_reached"
    AWAITED = "awaited"
    UNCERTAIN = "uncertain"
    REFUSED = "refused"
    NOT_CALLED = "not_called"


@attrs.frozen
class CodeCount:
    """How often one code came.

    Attributes:
        code: The vendor's code.
        count: Messages.
        text: What the vendor wrote, as one of them has it.
    """

    code: int
    count: int
    text: str = ""


@attrs.frozen
class Slice:
    """A stretch of a run's time.

    Attributes:
        at: When it begins, in Unix seconds.
        ended: Messages that ended in it, by state.
        waits: How long their calls took, in seconds: pairs of a rounded time and how many took it,
            rising.
    """

    at: float
    ended: Mapping[str, int]
    waits: Sequence[tuple[float, int]] = ()

    def quantile(self, share: float) -> float | None:
        """Return the time within which this share of the calls had their answer, in seconds."""
        left = share * sum(count for _, count in self.waits)
        for seconds, count in self.waits:
            left -= count
            if left <= 0:
                return seconds
        return None


@attrs.frozen
class RunReport:
    """What a run came to.

    Attributes:
        account: Whose calls they are.
        run: Its name.
        states: Messages by status; OPEN are those in flight, too.
        people: Numbers by their fate.
        begun: When the first message was sent, in Unix seconds; None if none was.
        ended: When the last one got its outcome.
        codes: The vendor's answers, by code.
        reasons: Why messages have no answer of the vendor's, and how many; the commonest.
        ends: How calls ended, by the code of their delivery report.
        slices: The run's time, cut into stretches of the same length, without gaps.
        span: How long each is, in seconds.
        uncertain: The first of those whose end nobody knows.
    """

    account: str
    run: str
    states: Mapping[Status, int]
    people: Mapping[Fate, int]
    begun: float | None = None
    ended: float | None = None
    codes: Sequence[CodeCount] = ()
    reasons: Sequence[tuple[str, int]] = ()
    ends: Sequence[CodeCount] = ()
    slices: Sequence[Slice] = ()
    span: float = 0.0
    uncertain: Sequence[Entry] = ()


@attrs.frozen
class Reporting:
    """Counts one run, in one transaction that reads.

    Attributes:
        owners: How statements are spelled, and who lives.
        run: The run's id.
    """

    owners: Owners
    run: int

    def report(self, account: str, name: str) -> Work[RunReport]:
        """Return what the run came to.

        Args:
            account: Whose it is.
            name: The run's.
        """
        if self.owners.say.dialect.name == "postgresql":
            yield Query(_IN_MEMORY)
        states, died = yield from counted(self.owners, self.run)
        times = yield from self._rows(_TIME)
        begun, ended = times[0]["begun"], times[0]["ended"]
        time = None if begun is None else _Time.of(begun, ended)
        tally = yield from self._tally(time)
        people = yield from self._people()
        words = yield from self._rows(_WORDS, most=_MOST_CODES)
        codes = [_code(row) for row in words if row["code"] is not None]
        reasons = _reasons(words, died)
        ends = [_code(row) for row in (yield from self._rows(_ENDS, most=_MOST_CODES))]
        return RunReport(
            account, name, states, people, begun, ended, codes, reasons, ends,
            tally.slices(time), 0.0 if time is None else time.span,
        )  # fmt: skip

    def _rows(self, template: str, **parameters: float) -> Work[list[Row]]:
        return (yield Query(self.owners.say(template), {"run": self.run, **parameters}))

    def _tally(self, time: "_Time | None") -> Work["_Tally"]:
        whole = _WHOLE[self.owners.say.dialect.name]
        words = {name: whole.format(f"(at - begun_at) * {per}") for name, per in _UNITS.items()}
        words["slice"] = whole.format(_SLICE)
        template = _TALLY
        for name, spelled in words.items():
            template = template.replace(f"{{{name}}}", spelled)
        first, span = (0.0, 1.0) if time is None else (time.first, time.span)
        tally = _Tally()
        for row in (yield from self._rows(template, begun=first, span=span)):
            tally.note(row)
        return tally

    def _people(self) -> Work[Mapping[Fate, int]]:
        rows = yield from self._rows(_FATES)
        fates = list(Fate)
        return {fates[row["fate"]]: row["people"] for row in rows}


def _code(row: Row) -> CodeCount:
    return CodeCount(row["code"], row["messages"], row["text"] or "")


def _reasons(words: Sequence[Row], died: int) -> Sequence[tuple[str, int]]:
    """Return the commonest reasons; so many entries died in flight, and don't say so yet."""
    found = Counter({row["text"]: row["messages"] for row in words if row["code"] is None})
    if died:
        found[DIED] += died
    return found.most_common(_MOST_REASONS)


@attrs.frozen
class _Time:
    """How a run's time is cut.

    Attributes:
        first: Where the first slice begins: at a whole second, minute, hour or day.
        span: How long each is, in seconds.
        count: How many there are.
    """

    first: float
    span: float
    count: int

    @classmethod
    def of(cls, begun: float, ended: float) -> "_Time":
        span = span_of(ended - begun)
        first = begun // span * span
        return cls(first, span, int((ended - first) // span) + 1)


@attrs.define(eq=False)
class _Tally:
    """Messages by the slice in which they ended, and how long they took."""

    _ended: defaultdict[int, Counter[str]] = attrs.field(factory=lambda: defaultdict(Counter))
    _waits: defaultdict[int, Counter[int]] = attrs.field(factory=lambda: defaultdict(Counter))

    def note(self, row: Row) -> None:
        """Count some messages of one kind."""
        status = STATUS_OF.get(row["state"])
        if row["slice"] is None or status is None:  # never begun, or in flight
            return
        self._ended[row["slice"]][status.value] += row["messages"]
        if row["wait"] is not None:
            self._waits[row["slice"]][row["wait"]] += row["messages"]

    def slices(self, time: _Time | None) -> list[Slice]:
        """Return all slices, the empty ones, too."""
        if time is None:
            return []
        return [
            Slice(
                time.first + time.span * place,
                self._ended[place],
                [(wait / 1000, count) for wait, count in sorted(self._waits[place].items())],
            )
            for place in range(time.count)
        ]


def span_of(seconds: float) -> float:
    """Return the length of a stretch, so that few enough make up the whole."""
    fitting = (span for span in _SPANS if seconds / span < _MOST_SLICES)
    return float(next(fitting, _DAY * max(1, -(-seconds // (_DAY * _MOST_SLICES)))))
