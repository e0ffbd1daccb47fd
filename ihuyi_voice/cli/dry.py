"""`send --dry-run`: what would be sent, what it would cost and how long it would take.

No request is made, unless the balance is asked for.
"""

from collections.abc import Iterable
from typing import Any, Final

import attrs

from ihuyi_voice.cli.course import Plan
from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.language import text
from ihuyi_voice.cli.listing import Keyed, Scratch
from ihuyi_voice.cli.output import print_json, say
from ihuyi_voice.cli.tally import Report, print_causes
from ihuyi_voice.common.redaction import mask_mobile, shown
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.guards import Limits, Window
from ihuyi_voice.inputs import BadRow, Recipient, check_rate, validate_content
from ihuyi_voice.models import OutcomeStatus

_SAMPLES: Final = 3
_AN_ANSWER: Final = 0.3  # seconds that the vendor takes, for want of a better word
_TABLE: Final = "CREATE TABLE numbers (mobile TEXT PRIMARY KEY, times INTEGER) WITHOUT ROWID"
_NOTE: Final = "INSERT INTO numbers VALUES (?, 1) ON CONFLICT DO UPDATE SET times = times + 1"
_HOW_OFTEN: Final = "SELECT times, COUNT(*) FROM numbers GROUP BY times"


@attrs.define
class Survey:
    """A list as it would be sent.

    Attributes:
        report: Its rows that can't be sent.
        rows: All of them.
        messages: Those that would be sent.
        same: Those that say the same as an earlier one.
        carried: Those that would be left as an earlier run left them.
        samples: The first messages.
        shortest: The shortest content, in characters.
        longest: The longest.
        repeated: Numbers that would be called several times.
        held: Messages whose numbers' limits would hold them back for too long.
        seconds: How long it would take.
    """

    report: Report = attrs.field(factory=Report)
    rows: int = 0
    messages: int = 0
    same: int = 0
    carried: int = 0
    samples: list[Recipient] = attrs.field(factory=list[Recipient])
    shortest: int = 0
    longest: int = 0
    repeated: int = 0
    held: int = 0
    seconds: float = 0.0

    @property
    def bad(self) -> int:
        """How many rows can't be sent."""
        return self.report.counts.total()

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        names = ("rows", "messages", "bad", "same", "carried", "shortest", "longest", "repeated")
        told: dict[str, Any] = {name: getattr(self, name) for name in names}
        texts = [{"line": row.line, "content": row.content} for row in self.samples]
        return told | {"held": self.held, "seconds": round(self.seconds, 1), "texts": texts}


def survey(plan: Plan) -> Survey:
    """Look at a whole list, and send nothing.

    Raises:
        VoiceError, OSError, ImportError: It is no list that can be sent.
    """
    found = Survey()
    if plan.max_rate is not None:
        check_rate("max_rate", plan.max_rate)
    with Scratch(_TABLE) as numbers:
        for each in plan.rows():
            row = _message(each, found)
            if row is not None:
                numbers.run(_NOTE, (row.mobile,))
        often: list[tuple[int, int]] = numbers.run(_HOW_OFTEN).fetchall()
    _foresee(found, often, plan)
    return found


def _message(each: Keyed, found: Survey) -> Recipient | None:
    """Count a row; return it if it would be sent."""
    row = each.row
    found.rows += 1
    found.same += bool(each.same_as) and each.earlier is None
    found.carried += each.earlier is not None
    if each.earlier is not None or each.same_as:
        return None
    fault = row.reason if isinstance(row, BadRow) else _fault(row.content)
    if isinstance(row, BadRow) or fault is not None:
        found.report.note(row.line, OutcomeStatus.NOT_SENT, fault or "")
        return None
    _measure(row, found)
    return row


def _fault(content: str) -> str | None:
    try:
        validate_content(content, None)
    except InvalidRequest as fault:
        return str(fault)
    return None


def _measure(row: Recipient, found: Survey) -> None:
    length = len(row.content)
    found.shortest = min(found.shortest, length) if found.messages else length
    found.longest = max(found.longest, length)
    found.messages += 1
    if len(found.samples) < _SAMPLES:
        found.samples.append(row)


def _foresee(found: Survey, often: Iterable[tuple[int, int]], plan: Plan) -> None:
    """Work out how long it would take, and what its numbers' limits would hold back."""
    windows = Limits().windows
    found.seconds = found.messages * _AN_ANSWER / plan.concurrency
    for times, numbers in often:
        seconds, held = waiting(times, windows, plan.max_wait)
        found.seconds = max(found.seconds, seconds)
        found.held += held * numbers
        found.repeated += numbers if times > 1 else 0
    if plan.max_rate is not None and found.messages:
        found.seconds = max(found.seconds, (found.messages - 1) / plan.max_rate)


def waiting(times: int, windows: Iterable[Window], max_wait: float) -> tuple[float, int]:
    """Return when the last of so many calls to one number may go, and how many may not.

    Args:
        times: How many there are.
        windows: The limits per number.
        max_wait: The longest that one may wait, in seconds from the beginning.
    """
    known, at = tuple(windows), list[float]()
    for place in range(times):
        ready = [at[-each.count] + each.seconds for each in known if place >= each.count]
        moment = max(ready, default=0.0)
        if moment > max_wait:
            return at[-1], times - place
        at.append(moment)
    return at[-1], 0


def tell(found: Survey, balance: int | None, *, as_json: bool) -> Exit:
    """Tell what would be sent; return the exit code."""
    short = balance is not None and balance < found.messages
    if as_json:
        print_json(found.to_dict() | {"balance": balance})
    else:
        print_causes(found.report)
        _say(found)
        if balance is not None:
            say("dry.short" if short else "dry.enough", balance=balance)
    return Exit.NOT_ALL if found.bad or found.held or short else Exit.DONE


def _say(found: Survey) -> None:
    say("dry.title")
    say("dry.rows", rows=found.rows, messages=found.messages, bad=found.bad, same=found.same)
    if found.carried:
        say("dry.carried", count=found.carried)
    for row in found.samples:
        content = shown(row.content)
        say("dry.text", line=row.line, mobile=mask_mobile(row.mobile), content=content)
    if found.messages:
        say("dry.length", shortest=found.shortest, longest=found.longest)
        say("dry.time", time=duration(found.seconds))
    if found.repeated:
        say("dry.repeated", count=found.repeated)
    if found.held:
        say("dry.held", count=found.held)
    say("dry.needed", count=found.messages)


def duration(seconds: float) -> str:
    """Return a length of time in words, to the two largest units."""
    whole = max(1, round(seconds))
    parts = (whole // 3600, whole % 3600 // 60, whole % 60)
    names = ("duration.hours", "duration.minutes", "duration.seconds")
    told = [text(name, count=part) for name, part in zip(names, parts, strict=True) if part]
    return " ".join(told[:2])
