"""What a bulk run has come to: counted row by row, shown under a bar, and told at the end."""

import asyncio
from bisect import insort
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Any, Final

import attrs
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ihuyi_voice import bulk
from ihuyi_voice.cli.language import text, word
from ihuyi_voice.cli.output import add_row, complain, say, table
from ihuyi_voice.cli.streams import console, errors
from ihuyi_voice.cli.verdicts import error_words
from ihuyi_voice.common.redaction import mask_numbers
from ihuyi_voice.errors import RateLimited, RunStopped, VendorError, VoiceError
from ihuyi_voice.guards.quiet_hours import QUIET
from ihuyi_voice.models import OutcomeStatus
from ihuyi_voice.protocol.codes import SUBMIT, SUCCESS

_SHOWN_GROUPS: Final = 20
_SHOWN_LINES: Final = 5
_GROUPS: Final = 1_000  # that are told apart; a million rows may have words of their own each
_EVERY: Final = 0.25  # seconds between two looks at a run in which nothing ends
_QUIET: Final = "quiet"
_FAILED: Final = (OutcomeStatus.REJECTED, OutcomeStatus.UNKNOWN, OutcomeStatus.NOT_SENT)


@attrs.define
class Group:
    """Rows that ended alike.

    Attributes:
        status: How.
        reason: Why, as the first of them had it, numbers masked.
        count: How many they are.
        lines: Where the first of them stand, in the order of the list.
    """

    status: OutcomeStatus
    reason: str
    count: int = 0
    lines: list[int] = attrs.field(factory=list[int])

    def add(self, line: int) -> None:
        """Count a row."""
        self.count += 1
        insort(self.lines, line)
        del self.lines[_SHOWN_LINES:]


@attrs.define
class Report:
    """What a run came to.

    Attributes:
        counts: Rows by their outcome.
        codes: Rows by the vendor's code.
        causes: Rows that failed, by what they have in common: a code, or a kind of error.
        words: Each cause as its first row had it, numbers masked.
        groups: Rows that were not accepted, those that ended alike together.
        not_shown: How many more of them there are.
        seconds: How long the run took.
        replayed: Rows that had been settled before this run.
    """

    counts: Counter[OutcomeStatus] = attrs.field(factory=Counter[OutcomeStatus])
    codes: Counter[int] = attrs.field(factory=Counter[int])
    causes: Counter[str] = attrs.field(factory=Counter[str])
    words: dict[str, str] = attrs.field(factory=dict[str, str])
    groups: dict[tuple[OutcomeStatus, str], Group] = attrs.field(
        factory=dict[tuple[OutcomeStatus, str], Group]
    )
    not_shown: int = 0
    seconds: float = 0.0
    replayed: int = 0

    def note(
        self, line: int, status: OutcomeStatus, reason: str, error: VoiceError | None = None
    ) -> None:
        """Count a row; of those that were not accepted, keep the causes and the first lines."""
        self.count(status, reason, error)
        if status is OutcomeStatus.ACCEPTED:
            return
        kind = cause_of(reason, error)[0] or mask_numbers(reason)
        if (status, kind) not in self.groups and len(self.groups) >= _GROUPS:
            self.not_shown += 1
            return
        group = self.groups.setdefault((status, kind), Group(status, mask_numbers(reason)))
        group.add(line)

    def count(self, status: OutcomeStatus, reason: str, error: VoiceError | None = None) -> None:
        """Count a row and its cause, if it failed."""
        self.counts[status] += 1
        if status in _FAILED or cause_of(reason, error)[0] == _QUIET:
            self._blame(reason, error)

    def _blame(self, reason: str, error: VoiceError | None) -> None:
        kind, words = cause_of(reason, error)
        self.causes[kind] += 1
        self.words.setdefault(kind, mask_numbers(words))

    @property
    def failed(self) -> int:
        """How many rows were not accepted."""
        return self.counts.total() - self.counts[OutcomeStatus.ACCEPTED]

    @property
    def rate(self) -> float:
        """Rows a second; without those that had been settled before."""
        return (self.counts.total() - self.replayed) / self.seconds if self.seconds else 0.0


def cause_of(reason: str, error: VoiceError | None) -> tuple[str, str]:
    """Return what a failure has in common with others, and its words."""
    if isinstance(error, RunStopped) and isinstance(error.__cause__, VoiceError):
        error = error.__cause__
    if isinstance(error, RateLimited) and error.msg.startswith(QUIET):
        return _QUIET, error.msg
    if isinstance(error, VendorError):
        return str(error.code), f"{error.code} {error.msg}"
    if error is None:  # a row of the file that never became a message
        return "", text("bar.cause.rows", reason=reason)
    return type(error).__name__, text("error.voice", **error_words(error))


def trouble(report: Report) -> list[str]:
    """Return the lines under the bar: how rows ended, and what most failures have in common."""
    count = report.counts
    lines = [
        text(
            "bar.counts",
            ok=count[OutcomeStatus.ACCEPTED],
            no=count[OutcomeStatus.REJECTED],
            unknown=count[OutcomeStatus.UNKNOWN],
            unsent=count[OutcomeStatus.NOT_SENT],
            held=count[OutcomeStatus.HELD],
        )
    ]
    for kind, rows in report.causes.most_common(1):
        lines.append(text("bar.cause", count=rows, cause=report.words[kind]))
    return lines


class _Bar(Progress):
    """A bar with lines of text under it, cut to the terminal's width."""

    lines: Iterable[str] = ()

    def get_renderables(self) -> Generator[RenderableType]:
        """Return the bar and its lines."""
        yield from super().get_renderables()
        for line in self.lines:
            yield Text(line, no_wrap=True, overflow="ellipsis")


class Shown:
    """One task's bar, kept up to date by what becomes of the run."""

    def __init__(self, bar: _Bar, title: str, total: int) -> None:
        self._bar = bar
        self._hidden = bar.disable
        self._task = bar.add_task(text(title), total=total, note="")

    def update(self, completed: int, note: str = "", lines: Iterable[str] = ()) -> None:
        """Show how many are done, a note beside the bar and lines under it."""
        self._bar.lines = lines
        self._bar.update(self._task, completed=completed, note=note)

    def show(self, report: Report, now: bulk.Progress) -> None:
        """Show where a run stands."""
        if not self._hidden:
            lines = [*trouble(report), *_attempt(now)]
            self.update(report.counts.total(), _pace(now), lines)

    @asynccontextmanager
    async def following(self, report: Report, run: bulk.BulkRun) -> AsyncGenerator[None]:
        """Show where a run stands while inside, also while no message comes to its end."""

        async def follow() -> None:
            while not self._hidden:
                self.show(report, run.progress)
                await asyncio.sleep(_EVERY)

        task = asyncio.create_task(follow())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@contextmanager
def progress_bar(title: str, total: int, *, hidden: bool) -> Generator[Shown]:
    """Show a bar on stderr while inside; its title is a key."""
    columns: tuple[Any, ...] = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    bar = _Bar(*columns, console=errors, disable=hidden)
    # Not even stopped if it is hidden: rich 13 then ends a line that nobody began.
    with nullcontext() if hidden else bar:
        yield Shown(bar, title, total)


def _pace(now: bulk.Progress) -> str:
    """Return the note beside the bar: how fast it goes, and how much waits."""
    reason = max(now.waiting, key=now.waiting.__getitem__, default="")
    waiting = text("bar.deferred", count=now.deferred, reason=reason) if now.deferred else ""
    return text("bar.pace", rate=now.rate, in_flight=now.in_flight) + waiting


def _attempt(now: bulk.Progress) -> list[str]:
    """Return why attempts fail that are made again, as long as no message has failed for good."""
    return [text("bar.attempt", cause=now.cause)] if now.cause and not now.failed else []


def report_values(report: Report) -> dict[str, Any]:
    """Return what a run came to, as JSON has it."""
    counts = {status.value: report.counts[status] for status in OutcomeStatus}
    return {"outcomes": counts, "codes": report.codes, "per_second": round(report.rate, 1)}


def print_causes(report: Report) -> None:
    """Print on stderr why rows were not accepted, and which; those that ended alike together."""
    groups = sorted(report.groups.values(), key=lambda group: -group.count)
    for group in groups[:_SHOWN_GROUPS]:
        key, values = _told(group)
        complain(key, **values)
    left = sum(group.count for group in groups[_SHOWN_GROUPS:]) + report.not_shown
    if left:
        complain("send.more", count=left)


def _told(group: Group) -> tuple[str, dict[str, Any]]:
    """Return the key of what is said of rows that ended alike, and its values."""
    values: dict[str, Any] = {"status": word("outcome", group.status.value), "reason": group.reason}
    if group.count == 1:
        return "send.row", {**values, "line": group.lines[0]}
    lines = text("list.comma").join(map(str, group.lines))
    more = text("send.rows.more") if group.count > len(group.lines) else ""
    return "send.rows", {**values, "count": group.count, "lines": lines + more}


def print_report(report: Report, to: Console = console) -> None:
    """Print what a run came to, for a person."""
    to.print(_outcomes(report.counts))
    if report.codes:
        to.print(_codes(report.codes))
    say("send.total", to, rows=report.counts.total(), seconds=report.seconds, rate=report.rate)


def _outcomes(counts: Counter[OutcomeStatus]) -> Table:
    """Return how many messages ended in which way."""
    rows = table("outcomes.title", "outcomes.outcome", "table.messages", "outcomes.again")
    for status in OutcomeStatus:
        again = word("again", status.value)
        add_row(rows, (word("outcome", status.value), f"{counts[status]:,}", again))
    return rows


def _codes(codes: Counter[int]) -> Table:
    """Return the vendor's codes that came, with their meaning."""
    rows = table(
        "codes.title", "table.code", "table.messages", "table.vendors_text", "codes.action"
    )
    for code, count in sorted(codes.items()):
        add_row(rows, (str(code), f"{count:,}", *meaning(code)))
    return rows


def meaning(code: int) -> tuple[str, str]:
    """Return a code's text in the vendor's table, and what to do about it."""
    if code == SUCCESS:
        return text("codes.success"), text("action.none")
    row = SUBMIT.get(code)
    if row is None:
        return text("codes.unlisted"), text("action.fix_request")
    return row.text, word("action", row.action.value)
