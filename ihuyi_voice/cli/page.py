"""A run on one page of HTML, for a manager with a phone and for an engineer.

It stands alone: no script, no font, no picture, nothing from any network, and a policy (CSP) by
which a browser refuses all of them, down to the digest of each style. What is filled in is escaped
by jinja2.
"""

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import attrs
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ihuyi_voice.cli import charts
from ihuyi_voice.cli.language import spoken, text, word
from ihuyi_voice.cli.tally import meaning
from ihuyi_voice.common.redaction import mask_mobile, mask_numbers, shown
from ihuyi_voice.ledger import Entry, Fate, RunReport, Slice, Status
from ihuyi_voice.models import CHINA, DELIVERY_STATUSES, Action, OutcomeStatus
from ihuyi_voice.protocol.codes import SUBMIT, SUCCESS

_STYLES: Final = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL)
_POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; style-src {styles}"
_MADE: Final = b'<meta name="generator" content="ihuyi-voice">'
_HEAD: Final = 4096  # bytes in which that stands
_CALLED: Final = (Fate.ANSWERED, Fate.NOT_REACHED, Fate.AWAITED)
_OPEN: Final[tuple[Status, ...]] = ("OPEN", OutcomeStatus.HELD, OutcomeStatus.NOT_SENT)
_STATES: Final[tuple[Status, ...]] = (*OutcomeStatus, "OPEN")
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


@attrs.frozen
class _Row:
    """A row of a table: a colour or none, cells, and how many of all it is."""

    cells: Sequence[str]
    count: int
    share: float = 0.0
    colour: str = ""


def render(report: RunReport, now: datetime) -> str:
    """Return the page of a run, as made at `now`, in the language that is spoken."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    words: dict[str, Any] = {"t": text, "tell": _told}
    environment.globals.update(words)
    css = _part("page.css")
    drawn = _charts(report)
    return environment.from_string(_part("page.html")).render(
        run=report,
        language=spoken().value,
        css=Markup(css),  # noqa: S704 - ours
        policy=_policy([f"<style>{css}</style>", *drawn.values()]),
        charts={name: Markup(svg) for name, svg in drawn.items()},  # noqa: S704 - escaped by lxml
        made=_when(now.timestamp()),
        **_headline(report),
        **_tables(report),
    )


def is_one(path: Path) -> bool:
    """Say whether a file is such a page, which can be made again, or is empty."""
    with path.open("rb") as file:
        start = file.read(_HEAD)
    return not start or _MADE in start


def _part(name: str) -> str:
    return files("ihuyi_voice.cli").joinpath(name).read_text(encoding="utf-8")


def _policy(parts: Iterable[str]) -> str:
    """Return what a browser may take: the styles in these parts, by their digests."""
    styles = {_digest(html.unescape(css)) for part in parts for css in _STYLES.findall(part)}
    return _POLICY.format(styles=" ".join(sorted(styles)))


def _digest(style: str) -> str:
    digest = hashlib.sha256(style.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _told(foreign: str) -> str:
    """Return somebody else's text as it may be shown: harmless, with masked numbers."""
    return mask_numbers(shown(foreign))


# --- the headline


def _headline(report: RunReport) -> dict[str, Any]:
    people = sum(report.people.values())
    called = sum(report.people.get(fate, 0) for fate in _CALLED)
    cards = [_card("called", called, people), *_cards(report, people)]
    return {
        "people": people,
        "messages": sum(report.states.values()),
        "cards": cards,
        "notes": list(_notes(report)),
        "time": _time(report),
    }


def _cards(report: RunReport, people: int) -> Iterable[_Row]:
    return [_card(fate.value, report.people.get(fate, 0), people) for fate in Fate]


def _card(name: str, count: int, of: int) -> _Row:
    return _Row((word("fate", name),), count, _share(count, of), name)


def _share(count: int, of: int) -> float:
    return 100 * count / of if of else 0.0


def _notes(report: RunReport) -> Iterable[tuple[str, str]]:
    """Yield what the reader should know first: how urgent it is, and its words."""
    for each in report.codes:
        row = SUBMIT.get(each.code)
        if row is not None and row.action is Action.STOP:
            yield "bad", text("page.stopped", code=each.code, text=row.text)
    left = sum(report.states.get(state, 0) for state in _OPEN)
    unknown = report.states.get(OutcomeStatus.UNKNOWN, 0)
    if unknown:
        yield "ask", text("page.ask", count=unknown)
    if left:
        yield "ask", text("page.open", count=left)
    elif any(report.states.values()):
        yield "good", text("page.yes")


def _time(report: RunReport) -> str:
    begun, ended = report.begun, report.ended
    if begun is None or ended is None:
        return text("page.never")
    duration = max(ended - begun, 1.0)
    rate = sum(sum(each.ended.values()) for each in report.slices) / duration
    words = text("page.when", begun=_when(begun), ended=_when(ended), duration=_duration(duration))
    return text("page.pair", first=words, second=text("page.rate", rate=rate))


def _when(at: float) -> str:
    return f"{datetime.fromtimestamp(at, CHINA):%Y-%m-%d %H:%M:%S}"


def _duration(seconds: float) -> str:
    if seconds < 2 * _MINUTE:
        return text("page.seconds", count=seconds)
    if seconds < 2 * _HOUR:
        return text("page.minutes", count=seconds / _MINUTE)
    return text("page.hours", count=seconds / _HOUR)


# --- the tables


def _tables(report: RunReport) -> dict[str, Any]:
    messages = sum(report.states.values())
    ended = sum(each.count for each in report.ends)
    return {
        "outcomes": [
            _Row((word("outcome", state), word("again", state)), count, _share(count, messages))
            for state in _STATES
            if (count := report.states.get(state, 0))
        ],
        "codes": [
            _Row((str(each.code), *_said(each.code, each.text)), each.count)
            for each in report.codes
        ],
        "uncertain": [_uncertain(entry) for entry in report.uncertain],
        "ends": [
            _Row((str(each.code), *_ending(each.code, each.text)), each.count,
                 _share(each.count, ended), _colour(each.code))
            for each in report.ends
        ],
        "span": _duration(report.span) if report.span else "",
        "unlisted": report.states.get(OutcomeStatus.UNKNOWN, 0) - len(report.uncertain),
    }  # fmt: skip


def _uncertain(entry: Entry) -> _Row:
    """Return the number, the time, the reference, why nobody knows, and the reports that may fit.

    All of it is masked and harmless.
    """
    since = entry.begun_at or entry.at
    ids = ", ".join(_told(each.voice_id) for each in entry.candidates)
    message = entry.message
    why = _told(str(entry.error or ""))
    cells = (mask_mobile(message.mobile), _when(since.timestamp()), _told(message.reference or ""))
    return _Row((*cells, why, ids), 1)


def _said(code: int, vendors: str) -> tuple[str, str]:
    """Return the text of a code, the vendor's own where it is in no table, and what to do."""
    row = SUBMIT.get(code)
    if code == SUCCESS or row is not None:
        action = "nothing" if row is None else row.action.value
        return meaning(code)[0], word("todo", action)
    return _told(vendors) or text("codes.unlisted"), text("todo.ask")


def _ending(code: int, vendors: str) -> tuple[str, str]:
    row = DELIVERY_STATUSES.get(code)
    if row is None:
        return _told(vendors), text("codes.unlisted")
    return row.text, word("end", row.status.value).replace("_", " ")


def _colour(code: int) -> str:
    return "answered" if code == SUCCESS else "not_reached"


# --- the charts


def _charts(report: RunReport) -> dict[str, str]:
    times = [_clock(each.at, report) for each in report.slices]
    people = {fate.value: report.people.get(fate, 0) for fate in Fate}
    drawn = {"people": charts.ring(people, text("page.title", run=report.run))}
    if len(report.slices) > 1:  # a single one tells nothing of time
        drawn["pace"] = charts.pillars(times, _pace(report.slices), text("page.pace"))
    if len(report.slices) > 1 and any(each.waits for each in report.slices):
        drawn["waits"] = charts.curves(times, _waits(report.slices), text("page.waits"))
    if report.ends:
        ends = {str(each.code): (each.count, _colour(each.code)) for each in report.ends}
        drawn["ends"] = charts.bars(ends, text("page.ends"))
    return drawn


def _clock(at: float, report: RunReport) -> str:
    moment = datetime.fromtimestamp(at, CHINA)
    if report.span >= _DAY:
        return f"{moment:%m-%d}"
    if len(report.slices) * report.span > _DAY:
        return f"{moment:%d. %H:%M}"
    return f"{moment:%H:%M}" if report.span >= _MINUTE else f"{moment:%H:%M:%S}"


def _pace(slices: Sequence[Slice]) -> dict[str, list[float]]:
    """Return what ended over time: accepted, refused, and all else."""
    accepted = [float(each.ended.get(OutcomeStatus.ACCEPTED, 0)) for each in slices]
    refused = [float(each.ended.get(OutcomeStatus.REJECTED, 0)) for each in slices]
    total = [float(sum(each.ended.values())) for each in slices]
    others = [a - b - c for a, b, c in zip(total, accepted, refused, strict=True)]
    return {"called": accepted, "refused": refused, "not_called": others}


def _waits(slices: Sequence[Slice]) -> dict[str, list[float | None]]:
    """Return the median and the 95th percentile of how long calls took, in milliseconds."""
    shares = {"called": 0.5, "awaited": 0.95}
    return {
        name: [None if (found := each.quantile(share)) is None else found * 1000 for each in slices]
        for name, share in shares.items()
    }
