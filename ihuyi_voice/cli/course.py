"""How a run of `send` goes, with a ledger or without: the list, its outcomes, signals, the end.

A row's end is told to whoever keeps it before the next one is looked at. What can't be kept stops
the run: nothing more begins, what is in flight is awaited, and what nobody could keep is told on
stderr. A signal does the same, and a second one cuts off what is in flight.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Final

import attrs

from ihuyi_voice.bulk import BulkRun, Outcome
from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.feeding import selected
from ihuyi_voice.cli.interrupts import Interrupts
from ihuyi_voice.cli.language import word
from ihuyi_voice.cli.listing import Keyed, Row, Stamp, keyed, look_at, steady, told_apart
from ihuyi_voice.cli.output import complain
from ihuyi_voice.cli.streams import room
from ihuyi_voice.cli.tally import Report, progress_bar, trouble
from ihuyi_voice.cli.told import Told, is_left, of_bad, of_outcome, print_row
from ihuyi_voice.cli.verdicts import TOLD, exit_code
from ihuyi_voice.client import VoiceClient
from ihuyi_voice.errors import (
    InvalidRequest,
    LedgerUnavailable,
    NotSent,
    RunStopped,
    VendorError,
    VoiceError,
)
from ihuyi_voice.inputs import BadRow, Recipient, RecipientsFile, earlier
from ihuyi_voice.inputs.earlier import OUTCOME
from ihuyi_voice.models import Action, OutcomeStatus
from ihuyi_voice.protocol.codes import SUCCESS

Keeper = Callable[[Told], None]

_FEW: Final = 32  # rows that are not sent, between two looks at what else the loop has to do


@attrs.frozen
class Plan:
    """What is sent, and how.

    Attributes:
        recipients: The list.
        run: The run's name in the ledger; None without one.
        only: Which rows of a results file are sent, by their status; None for all of a list.
        out: The file of results, if there is to be one.
        force: Whether `out` may be somebody else's.
        again: Whether identical rows are sent each.
        takeover: Whether to take the run from another living process.
        retry_rejected: Whether to send again what was refused by FIX_REQUEST.
        concurrency: The most submissions in flight.
        max_wait: The longest a message waits for its number's limits, in seconds.
        max_rate: The most submissions a second.
        now: The time, for what an earlier run held back until later.
    """

    recipients: RecipientsFile
    run: str | None = None
    only: frozenset[OutcomeStatus] | None = None
    out: Path | None = None
    force: bool = False
    again: bool = False
    takeover: bool = False
    retry_rejected: bool = False
    concurrency: int = 100
    max_wait: float = 120.0
    max_rate: float | None = None
    now: datetime = attrs.field(factory=lambda: datetime.now(UTC))
    _seen: Stamp = attrs.field(init=False, repr=False)

    @_seen.default  # pyright: ignore[reportAttributeAccessIssue, reportUntypedFunctionDecorator, reportUnknownMemberType] - attrs' way
    def _look(self) -> Stamp:
        return look_at(self.recipients.path)

    def rows(self) -> Iterator[Keyed]:
        """Yield the rows of the list with their keys, always the same.

        Raises:
            InvalidRequest: They are others than before, or it is no list that can be sent.
            OSError, ImportError: It can't be read.
        """
        kept = told_apart if self.run is None else keyed
        before = () if self.only is None or self.again else self._steady()
        return kept(self._steady(), again=self.again, before=before)

    def _steady(self) -> Iterator[Row]:
        return steady(self._rows(), self.recipients.path, self._seen)

    def _rows(self) -> Iterable[Row]:
        if self.only is None:
            return self.recipients
        places = earlier(self.recipients.names())
        return selected(self.recipients, places, self.only, self.now)


@attrs.define
class Course:
    """How a run went.

    Attributes:
        keepers: Who keeps each row's end for good; one that fails is told no more.
        hearers: Who is told of it besides.
        kept_elsewhere: Whether nothing is lost without keepers.
        report: What it came to.
        fresh: Messages that were not settled before, and could be sent.
        is_read: Whether the list was read to its end.
        same: Rows that say the same as an earlier one, and were sent with it.
        carried: Rows that an earlier run has ended, and that were left.
        held_until: Until when the last of them is held back, as it is written there.
        cause: Why the run stopped by itself, if it did.
        interrupts: How often it was interrupted.
        unwritten: Why results could not be written, if they couldn't.
        closed: Whether nobody read the summary.
        failure: What else ended it.
    """

    keepers: list[Keeper] = attrs.field(factory=list[Keeper])
    hearers: list[Keeper] = attrs.field(factory=list[Keeper])
    kept_elsewhere: bool = False
    report: Report = attrs.field(factory=Report)
    fresh: int = 0
    is_read: bool = False
    same: int = 0
    carried: int = 0
    held_until: str = ""
    cause: VoiceError | None = None
    interrupts: int = 0
    unwritten: OSError | VoiceError | None = None
    closed: bool = False
    failure: Exception | None = None

    def note(self, outcome: Outcome) -> None:
        """Count an outcome, and tell whoever keeps it."""
        report, error = self.report, outcome.error
        if self.unwritten is not None and is_left(error):
            return  # it is as one that was not read
        code = error.code if isinstance(error, VendorError) else None
        if outcome.status is OutcomeStatus.ACCEPTED:
            code = SUCCESS
        if code is not None:
            report.codes[code] += 1
        report.replayed += outcome.replayed
        self.fresh += not outcome.replayed and not isinstance(error, InvalidRequest)
        if isinstance(error, RunStopped):
            report.count(outcome.status, str(error), error)  # their cause is told once, at the end
        else:
            report.note(line_of(outcome), outcome.status, str(error or ""), error)
        self._find_cause(error)
        self.tell(of_outcome(outcome))

    def _find_cause(self, error: VoiceError | None) -> None:
        if isinstance(error, RunStopped) and isinstance(error.__cause__, VoiceError):
            self.cause = error.__cause__
        elif isinstance(error, LedgerUnavailable) or _stops(error):
            self.cause = error

    def bad(self, row: BadRow) -> None:
        """Count a row that can't be sent, and tell whoever keeps it."""
        self.report.note(row.line, OutcomeStatus.NOT_SENT, row.reason)
        self.tell(of_bad(row))

    def carry(self, told: Told) -> None:
        """Count a row that is left as it is, and tell whoever keeps it."""
        self.carried += 1
        if told.status is OutcomeStatus.HELD:
            self.held_until = max(self.held_until, told.result[OUTCOME.index("retry_at")])
        self.tell(told)

    async def ready(self) -> None:
        """Wait until an end can be printed: with its loop, the run's beat would stand still."""
        if print_row in self.keepers:
            await room()

    def tell(self, told: Told) -> None:
        """Tell of a row's end; if nobody can keep it, say it on stderr."""
        self._pass_on(told, self.hearers)
        if not self._pass_on(told, self.keepers) and not self.kept_elsewhere:
            tell_unsaved(told)

    def _pass_on(self, told: Told, keepers: list[Keeper]) -> bool:
        """Tell all of them; return whether any of them took it."""
        for keeper in tuple(keepers):
            try:
                keeper(told)
            except OSError as error:
                self.unwritten = self.unwritten or error
                keepers.remove(keeper)
        return bool(keepers)

    async def good_rows(self, rows: Iterable[Keyed]) -> AsyncGenerator[Recipient]:
        """Yield what is to be sent, and note what isn't, however many that are in a row."""
        for place, each in enumerate(rows):
            if self.unwritten is not None:
                return
            if each.message is not None:
                yield each.message
                continue
            await self.ready()
            self._note_unsent(each)
            if place % _FEW == 0:
                await asyncio.sleep(0)
        self.is_read = True

    def _note_unsent(self, each: Keyed) -> None:
        if each.earlier is not None:
            self.carry(Told(each.row, each.earlier, carried=True))
        elif isinstance(each.row, BadRow):
            self.bad(each.row)
        else:
            self.same += 1

    @property
    def exit(self) -> Exit:
        """The exit code."""
        return next(code for holds, code in self._ends() if holds)

    def _ends(self) -> Iterator[tuple[bool, Exit]]:
        """Yield the exit codes, the most urgent first, and whether each is right."""
        counts, cause = self.report.counts, self.cause
        lost = self.closed or self.unwritten is not None
        yield lost or isinstance(cause, LedgerUnavailable), Exit.NOT_WRITTEN
        yield bool(self.interrupts), Exit.INTERRUPTED
        if self.failure is not None:
            yield True, self._of_failure(self.failure)
        yield _stops(cause), Exit.REFUSED
        yield isinstance(cause, NotSent), Exit.NOT_REACHED
        yield bool(self.report.replayed and not self.fresh), Exit.SETTLED
        yield counts.total() == counts[OutcomeStatus.ACCEPTED], Exit.DONE
        yield True, Exit.NOT_ALL

    def _of_failure(self, failure: Exception) -> Exit:
        """Return its own code, unless that says that nothing was sent, and something may be."""
        code = exit_code(failure) if isinstance(failure, TOLD) else Exit.NOT_ALL
        return Exit.NOT_ALL if code is Exit.USAGE and self.fresh else code


def _stops(error: VoiceError | None) -> bool:
    """Say whether it ends a run: also on its last row, when nothing is left to be stopped."""
    return isinstance(error, VendorError) and error.action is Action.STOP


def tell_unsaved(told: Told, *, surely: bool = True) -> None:
    """Say how a row ended, which is known nowhere else: surely, or perhaps."""
    status, voice_id, _, reason, *_ = told.result
    complain(
        "send.unsaved" if surely else "send.perhaps_unsaved",
        line=told.row.line,
        status=word("outcome", status),
        voice_id=voice_id or "-",
        reason=reason,
    )


def line_of(outcome: Outcome) -> int:
    """Return the line of an outcome's row."""
    return outcome.message.line if isinstance(outcome.message, Recipient) else 0


def count_rows(plan: Plan) -> int:
    """Return how many rows of a list get an end of their own, once all of it has been looked at.

    Raises:
        VoiceError, OSError, ImportError: It is no list that can be sent, and nothing was.
    """
    return sum(1 for each in plan.rows() if not each.same_as and each.earlier is None)


def submissions(client: VoiceClient, plan: Plan, course: Course, total: int) -> BulkRun:
    """Return the run that sends what a plan says."""
    return client.submit_many(
        course.good_rows(plan.rows()), run=plan.run, takeover=plan.takeover,
        retry_rejected=plan.retry_rejected, concurrency=plan.concurrency, max_wait=plan.max_wait,
        max_rate=plan.max_rate, total=total, grace=inf,
    )  # fmt: skip


async def follow(
    run: BulkRun,
    course: Course,
    total: int,
    interrupts: Interrupts,
    *,
    entered: AsyncExitStack,
    hidden: bool,
) -> None:
    """Follow a run that has been entered until its end, or until it is interrupted."""
    with progress_bar("bar.sending", total, hidden=hidden) as bar:
        try:
            async with entered, bar.following(course.report, run):
                await _consume(run, course, interrupts)
        except Exception as error:  # noqa: BLE001 - of the list: it is told after what was done
            course.failure = error
        course.interrupts = interrupts.count
        course.report.seconds = run.progress.elapsed
        bar.update(course.report.counts.total(), lines=trouble(course.report))


async def _consume(run: BulkRun, course: Course, interrupts: Interrupts) -> None:
    """Note each outcome; at the first signal wait for those in flight, at the second cut them off.

    Either way each message that was taken from the list has its outcome.
    """
    unnoted, drained = list[Outcome](), list[Outcome]()

    async def read() -> None:
        async for outcome in run:
            unnoted.append(outcome)
            await course.ready()
            course.note(unnoted.pop())
            if course.unwritten is not None:
                return

    async def drain() -> None:
        drained.extend(await run.drain())

    try:
        if await interrupts.ended(read(), before=1) and course.unwritten is None:
            return
    except asyncio.CancelledError:  # not by a signal; phones ring all the same
        for outcome in (*unnoted, *await run.drain()):
            course.note(outcome)
        raise
    _say_why_it_waits(course, run.progress.in_flight)
    if not await interrupts.ended(drain(), before=2):
        complain("send.cut_off")
    for outcome in (*unnoted, *drained, *await run.drain()):
        course.note(outcome)


def _say_why_it_waits(course: Course, count: int) -> None:
    if course.unwritten is None:
        complain("send.waiting", count=count)
    else:
        complain("send.waiting_unwritten", "red", count=count, reason=str(course.unwritten))
