"""`send` without a ledger: one run, whose results grow row by row.

At its end the rows that have no result yet get theirs: those that say the same as an earlier one
get that one's, and those whose turn never came are NOT_SENT.
"""

from contextlib import AsyncExitStack

from ihuyi_voice.cli.course import Course, Plan, count_rows, follow, submissions
from ihuyi_voice.cli.ending import tell
from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.interrupts import Interrupts
from ihuyi_voice.cli.keeping import keeping
from ihuyi_voice.cli.listing import Ends, Keyed
from ihuyi_voice.cli.told import Told, not_begun, print_row, same
from ihuyi_voice.cli.verdicts import TOLD
from ihuyi_voice.client import VoiceClient
from ihuyi_voice.inputs import BadRow
from ihuyi_voice.models import OutcomeStatus


async def send(client: VoiceClient, plan: Plan, total: int, *, as_json: bool) -> Exit:
    """Send everything in a list, tell of it, and return the exit code.

    Raises:
        VoiceError, OSError: It could not begin, and nothing was sent.
    """
    course = await go(client, plan, total, hidden=as_json, streamed=as_json)
    tell(course, plan, as_json=as_json)
    return course.exit


async def go(
    client: VoiceClient,
    plan: Plan,
    total: int | None = None,
    *,
    hidden: bool = False,
    streamed: bool = False,
) -> Course:
    """Send everything in a list, with its results in a file; see `send`.

    Args:
        client: Who sends.
        plan: What, and how.
        total: How many rows there are, if `count_rows` has said it already.
        hidden: Whether there is no bar.
        streamed: Whether each row's end is printed as a line of JSON.
    """
    total = count_rows(plan) if total is None else total
    with Ends() as ends, Interrupts() as interrupts:
        course = Course(hearers=[ends], kept_elsewhere=plan.out is None and not streamed)
        if streamed:
            course.keepers.append(print_row)
        run = submissions(client, plan, course, total)
        with keeping(plan, course):
            stack = AsyncExitStack()
            await stack.enter_async_context(run)
            await follow(run, course, total, interrupts, entered=stack, hidden=hidden)
            _tell_the_rest(plan, course, ends)
    return course


def _tell_the_rest(plan: Plan, course: Course, ends: Ends) -> None:
    """Tell of the rows that have no end of their own, if there are any."""
    whole = course.is_read and not course.interrupts and not course.same
    if whole or course.unwritten is not None or course.failure is not None:
        return
    try:
        for each in plan.rows():
            if ends.of(each.row.line) is None:
                _tell_of_one(each, course, ends)
    except TOLD as error:
        course.failure = error


def _tell_of_one(each: Keyed, course: Course, ends: Ends) -> None:
    row, first = each.row, ends.of(each.same_as)
    if each.earlier is not None:
        course.carry(Told(row, each.earlier, carried=True))
    elif isinstance(row, BadRow):
        course.bad(row)
    elif each.same_as and first is not None:
        course.tell(same(row, each.same_as, first))
    else:
        course.report.counts[OutcomeStatus.NOT_SENT] += 1
        course.tell(not_begun(row))
