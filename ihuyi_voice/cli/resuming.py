"""`send --ledger`: a run that goes on by being run again, whatever ended it.

The ledger has each outcome before the next row is shown, so nothing here has to be kept: the file
of results is written from the ledger, at the end, whatever the end is.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from math import inf
from pathlib import Path
from typing import Any, Final

import attrs

from ihuyi_voice.bulk import BulkRun, Outcome
from ihuyi_voice.cli.interrupts import Interrupts
from ihuyi_voice.cli.language import word
from ihuyi_voice.cli.listing import Keyed, keyed
from ihuyi_voice.cli.output import SURROUNDINGS, complain, hearing, print_json, say
from ihuyi_voice.cli.results import Headings, ResultsFile, joined
from ihuyi_voice.cli.tally import Report, Shown, print_report, progress_bar, report_values, trouble
from ihuyi_voice.client import VoiceClient
from ihuyi_voice.errors import (
    InvalidRequest,
    LedgerUnavailable,
    NotSent,
    RunInUse,
    RunStopped,
    VendorError,
    VoiceError,
)
from ihuyi_voice.inputs import BadRow, Recipient, RecipientsFile
from ihuyi_voice.ledger import Kept, Ledger
from ihuyi_voice.models import Action, OutcomeStatus, Submission, digest
from ihuyi_voice.protocol.codes import SUCCESS

SETTLED: Final = 7
"""The exit code of a run in which everything was settled before."""

INTERRUPTED: Final = 130
"""The exit code after Ctrl-C or SIGTERM, as shells have it."""

_NOT_ALL: Final = 1
_LAST: Final = 2000  # many times what is in flight
_REFUSED: Final = 3
_NOT_REACHED: Final = 4


@attrs.frozen
class Plan:
    """What is sent under a ledger, and how.

    Attributes:
        recipients: The list.
        run: The run's name.
        out: The file of results, if there is to be one.
        force: Whether `out` may be somebody else's.
        again: Whether identical rows are sent each.
        takeover: Whether to take the run from another living process.
        retry_rejected: Whether to send again what was refused by FIX_REQUEST.
        concurrency: The most submissions in flight.
        max_wait: The longest a message waits for its number's limits, in seconds.
        max_rate: The most submissions a second.
    """

    recipients: RecipientsFile
    run: str
    out: Path | None = None
    force: bool = False
    again: bool = False
    takeover: bool = False
    retry_rejected: bool = False
    concurrency: int = 100
    max_wait: float = 120.0
    max_rate: float | None = None

    def rows(self) -> Iterator[Keyed]:
        """Yield the rows of the list with their keys, always the same."""
        return keyed(self.recipients, again=self.again)


@attrs.define
class Course:
    """How a run went.

    Attributes:
        report: What it came to.
        fresh: Messages that were not settled before, and could be sent.
        same: Rows that say the same as an earlier one, and were sent with it.
        cause: Why the run stopped by itself, if it did.
        interrupts: How often it was interrupted.
        unwritten: Why the results could not be written, if they couldn't.
        failure: What else ended it.
        last: The last outcomes that this run has come to itself.
    """

    report: Report = attrs.field(factory=Report)
    fresh: int = 0
    same: int = 0
    cause: VoiceError | None = None
    interrupts: int = 0
    unwritten: OSError | VoiceError | None = None
    failure: Exception | None = None
    last: deque[Outcome] = attrs.field(factory=lambda: deque(maxlen=_LAST))

    def note(self, outcome: Outcome) -> None:
        """Count an outcome."""
        report, error = self.report, outcome.error
        code = error.code if isinstance(error, VendorError) else None
        if outcome.status is OutcomeStatus.ACCEPTED:
            code = SUCCESS
        if code is not None:
            report.codes[code] += 1
        report.replayed += outcome.replayed
        self.fresh += not outcome.replayed and not isinstance(error, InvalidRequest)
        if outcome.attempts and not outcome.replayed:
            self.last.append(outcome)
        if isinstance(error, RunStopped):
            report.count(outcome.status, str(error), error)  # their cause is told once, at the end
        else:
            report.note(_line(outcome), outcome.status, str(error or ""), error)
        if isinstance(error, RunStopped) and isinstance(error.__cause__, VoiceError):
            self.cause = error.__cause__
        elif isinstance(error, LedgerUnavailable):
            self.cause = error

    def good_rows(self, rows: Iterator[Keyed]) -> Iterator[Recipient]:
        """Yield what is to be sent, and note what isn't."""
        for each in rows:
            if isinstance(each.row, BadRow):
                self.report.note(each.row.line, OutcomeStatus.NOT_SENT, each.row.reason)
            elif each.same_as:
                self.same += 1
            else:
                yield each.row

    @property
    def code(self) -> int:
        """The exit code."""
        counts = self.report.counts
        if self.interrupts:
            return INTERRUPTED
        if self.unwritten is not None or isinstance(self.cause, LedgerUnavailable):
            return SURROUNDINGS
        if isinstance(self.cause, VendorError) and self.cause.action is Action.STOP:
            return _REFUSED
        if isinstance(self.cause, NotSent):
            return _NOT_REACHED
        if self.report.replayed and not self.fresh:
            return SETTLED
        return 0 if counts.total() == counts[OutcomeStatus.ACCEPTED] else _NOT_ALL


async def send(client: VoiceClient, ledger: Ledger, plan: Plan, *, as_json: bool) -> int:
    """Send what is left of a run, write its results, tell of it, and return the exit code.

    Raises:
        VoiceError, OSError: It could not begin, and nothing was sent; RunInUse, for example. Or
            the list broke off, and everything before was done.
    """
    headings = Headings.of(plan.recipients.names())
    out = ResultsFile(plan.out, headings, plan.run, force=plan.force)
    with Interrupts() as interrupts:
        out.check()  # before anything is sent
        try:
            course = await _go(client, plan, interrupts, as_json=as_json)
        except asyncio.CancelledError:
            if not interrupts.count:
                raise
            complain("send.not_begun_at_all")
            return INTERRUPTED
        try:
            await out.write(joined(ledger, plan.run, client.account, plan.rows(), headings))
        except (OSError, VoiceError) as error:
            course.unwritten = error
        await _tell_unsaved(course, ledger, plan, client.account)
    _tell(course, plan, as_json=as_json)
    if course.failure is not None:
        raise course.failure
    return course.code


async def _go(client: VoiceClient, plan: Plan, interrupts: Interrupts, *, as_json: bool) -> Course:
    """Send what is left, until the end or until it is interrupted."""
    course = Course()
    total = plan.recipients.count()
    bulk = client.submit_many(
        course.good_rows(plan.rows()), run=plan.run, takeover=plan.takeover,
        retry_rejected=plan.retry_rejected, concurrency=plan.concurrency, max_wait=plan.max_wait,
        max_rate=plan.max_rate, total=total, grace=inf,
    )  # fmt: skip
    interrupts.cancels = asyncio.current_task()  # nothing is in flight yet
    stack = AsyncExitStack()
    await _enter(bulk, stack)
    interrupts.cancels = None
    with progress_bar("bar.sending", total, hidden=as_json) as bar:
        try:
            async with stack, bar.following(course.report, bulk):
                await _consume(bulk, course, bar, interrupts)
        except Exception as error:  # noqa: BLE001 - of the list: it is told after what was done
            course.failure = error
        course.interrupts = interrupts.count
        course.report.seconds = bulk.progress.elapsed
        bar.update(course.report.counts.total() + course.same, lines=trouble(course.report))
    return course


async def _enter(bulk: BulkRun, stack: AsyncExitStack) -> None:
    with hearing("ihuyi_voice.ledger"):  # it waits up to ten seconds to see who lives
        try:
            await stack.enter_async_context(bulk)
        except RunInUse:
            complain("send.in_use")
            raise


async def _consume(bulk: BulkRun, course: Course, bar: Shown, interrupts: Interrupts) -> None:
    """Note each outcome; at the first signal wait for those in flight, at the second cut them off.

    Either way each message that was taken from the list has its outcome, here and in the ledger.
    """

    async def read() -> None:
        async for outcome in bulk:
            course.note(outcome)
            bar.show(course.report, bulk.progress)

    drained = list[Outcome]()

    async def drain() -> None:
        drained.extend(await bulk.drain())

    if await interrupts.ended(read(), before=1):
        return
    complain("send.waiting", count=bulk.progress.in_flight)
    if not await interrupts.ended(drain(), before=2):
        complain("send.cut_off")
    for outcome in (*drained, *await bulk.drain()):
        course.note(outcome)


async def _tell_unsaved(course: Course, ledger: Ledger, plan: Plan, account: str) -> None:
    """Say what the vendor answered and the ledger could not write: it is known nowhere else."""
    if not isinstance(course.cause, LedgerUnavailable):
        return
    last = {_key(each): each for each in course.last}
    known: Mapping[str, Kept] = {}
    with suppress(VoiceError):
        known = await ledger.results(plan.run, list(last), account=account)
    for key, outcome in last.items():
        kept = known.get(key)
        if kept is None or kept.end is None or _status(kept.end) is not outcome.status:
            complain(
                "send.unsaved", line=_line(outcome), status=word("outcome", outcome.status.value),
                voice_id=outcome.voice_id or "-", reason=str(outcome.error or ""),
            )  # fmt: skip


def _key(outcome: Outcome) -> str:
    message = outcome.message
    return message.reference or digest(message.mobile, message.content)


def _status(end: Submission | VoiceError) -> OutcomeStatus:
    return OutcomeStatus.ACCEPTED if isinstance(end, Submission) else end.status


def _line(outcome: Outcome) -> int:
    return outcome.message.line if isinstance(outcome.message, Recipient) else 0


# --- what is told at the end


def _tell(course: Course, plan: Plan, *, as_json: bool) -> None:
    if course.unwritten is not None:
        complain("send.unwritten", "red", out=str(plan.out), reason=str(course.unwritten))
    if as_json:
        print_json(_values(course, plan))
        return
    print_report(course.report)
    if course.same:
        say("send.sames", count=course.same)
    if course.report.replayed:
        say("send.replayed", count=course.report.replayed, run=plan.run)
    for key in _advice(course):
        say(key, run=plan.run, cause=str(course.cause))


def _values(course: Course, plan: Plan) -> dict[str, Any]:
    """Return what a run came to, as JSON has it."""
    return report_values(course.report) | {
        "run": plan.run,
        "replayed": course.report.replayed,
        "duplicates": course.same,
        "interrupted": bool(course.interrupts),
        "cause": str(course.cause) if course.cause is not None else None,
        "exit_code": course.code,
    }


def _advice(course: Course) -> Iterator[str]:
    """Yield the keys of what to do next."""
    counts = course.report.counts
    if course.code == SETTLED:
        yield "send.settled"
    if course.cause is not None:
        yield "send.stopped"
    if counts[OutcomeStatus.UNKNOWN]:
        yield "send.uncertain"
    if course.interrupts or course.cause is not None or counts[OutcomeStatus.HELD]:
        yield "send.go_on"
