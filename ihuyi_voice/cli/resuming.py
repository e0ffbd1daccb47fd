"""`send --ledger`: a run that goes on by being run again, whatever ended it.

The ledger has each outcome before the next row is shown, so nothing here has to be kept: the file
of results is written from the ledger, at the end, whatever the end is.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, suppress
from typing import Final

from ihuyi_voice.bulk import BulkRun, Outcome
from ihuyi_voice.cli.course import Course, Plan, follow, submissions, tell_unsaved
from ihuyi_voice.cli.ending import tell
from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.interrupts import Interrupts
from ihuyi_voice.cli.listing import Ends, Keyed
from ihuyi_voice.cli.output import complain, hearing
from ihuyi_voice.cli.results import Headings, ResultsFile, ended, joined
from ihuyi_voice.cli.told import Told, print_row
from ihuyi_voice.cli.verdicts import TOLD
from ihuyi_voice.client import VoiceClient
from ihuyi_voice.errors import LedgerUnavailable, RunInUse, VoiceError
from ihuyi_voice.inputs.earlier import OUTCOME
from ihuyi_voice.ledger import Kept, Ledger
from ihuyi_voice.models import Message, OutcomeStatus, Submission, digest

_LAST: Final = 2000  # many times what is in flight


async def send(
    client: VoiceClient, ledger: Ledger, plan: Plan, total: int, *, as_json: bool
) -> Exit:
    """Send what is left of a run, write its results, tell of it, and return the exit code.

    Raises:
        VoiceError, OSError: It could not begin, and nothing was sent; RunInUse, for example.
    """
    run = plan.run or plan.recipients.path.name
    headings = Headings.of(plan.recipients.names())
    out = ResultsFile(plan.out, headings, run, force=plan.force)
    last = _Last()
    with Ends() as ends, Interrupts() as interrupts:
        course = Course([print_row] if as_json else [], [last, ends], kept_elsewhere=True)
        out.check()  # before anything is sent
        try:
            await _go(client, plan, total, course, interrupts, as_json=as_json)
        except asyncio.CancelledError:
            if not interrupts.count:
                raise
            complain("send.not_begun_at_all")
            return Exit.INTERRUPTED
        try:
            await out.write(joined(ledger, run, client.account, plan.rows(), headings))
        except (OSError, VoiceError) as error:
            complain("send.unwritten", "red", out=str(plan.out), reason=str(error))
            course.unwritten = course.unwritten or error
        with suppress(*TOLD):  # which has been told by now
            async with aclosing(ended(ledger, run, client.account, plan.rows())) as rows:
                await _tell_the_rest(course, ends, rows)
        if isinstance(course.cause, LedgerUnavailable):
            await _tell_unsaved(last, ledger, run, client.account)
    tell(course, plan, as_json=as_json)
    return course.exit


async def _go(
    client: VoiceClient,
    plan: Plan,
    total: int,
    course: Course,
    interrupts: Interrupts,
    *,
    as_json: bool,
) -> None:
    """Send what is left, until the end or until it is interrupted."""
    bulk = submissions(client, plan, course, total)
    interrupts.cancels = asyncio.current_task()  # nothing is in flight yet
    stack = AsyncExitStack()
    await _enter(bulk, stack)
    interrupts.cancels = None
    await follow(bulk, course, total, interrupts, entered=stack, hidden=as_json)


async def _tell_the_rest(
    course: Course, ends: Ends, rows: AsyncIterator[tuple[Keyed, tuple[str, ...]]]
) -> None:
    """Tell of the rows that this run has not come to, and of those that are another's."""
    whole = course.is_read and not (course.interrupts or (course.same and course.keepers))
    if whole or course.failure is not None:
        return
    async for each, result in rows:
        if ends.of(each.row.line) is None:
            told = Told(each.row, result[: len(OUTCOME)], carried=each.earlier is not None)
            if not each.same_as and each.earlier is None:
                course.report.counts[told.status] += 1
            course.tell(told)


async def _enter(bulk: BulkRun, stack: AsyncExitStack) -> None:
    with hearing("ihuyi_voice.ledger"):  # it waits up to ten seconds to see who lives
        try:
            await stack.enter_async_context(bulk)
        except RunInUse:
            complain("send.in_use")
            raise


class _Last:
    """The last outcomes that this run has come to itself, by their keys."""

    def __init__(self) -> None:
        self._told = deque[Told](maxlen=_LAST)

    def __call__(self, told: Told) -> None:
        """Keep one."""
        outcome = told.outcome
        if outcome is not None and outcome.attempts and not outcome.replayed:
            self._told.append(told)

    def by_key(self) -> dict[str, tuple[Told, Outcome]]:
        """Return them."""
        return {
            _key(told.outcome.message): (told, told.outcome)
            for told in self._told
            if told.outcome is not None
        }


async def _tell_unsaved(last: _Last, ledger: Ledger, run: str, account: str) -> None:
    """Say what the vendor answered and the ledger could not write: it is known nowhere else.

    A ledger that can't be asked may have most of them; which, nobody knows.
    """
    known, last_ones = dict[str, Kept](), last.by_key()
    try:
        known |= await ledger.results(run, list(last_ones), account=account)
        asked = True
    except VoiceError:
        asked = False
    for key, (told, outcome) in last_ones.items():
        kept = known.get(key)
        if kept is None or kept.end is None or _status(kept.end) is not outcome.status:
            tell_unsaved(told, surely=asked)


def _key(message: Message) -> str:
    return message.reference or digest(message.mobile, message.content)


def _status(end: Submission | VoiceError) -> OutcomeStatus:
    return OutcomeStatus.ACCEPTED if isinstance(end, Submission) else end.status
