"""What is told at the end of a run: its cause first, what to do next, then the counts."""

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from rich.console import Console

from ihuyi_voice.cli.course import Course, Plan
from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.language import text
from ihuyi_voice.cli.output import complain, print_json, report_error, say
from ihuyi_voice.cli.sheets import beside
from ihuyi_voice.cli.streams import OutputClosed, console, errors
from ihuyi_voice.cli.tally import cause_of, print_causes, print_report, report_values
from ihuyi_voice.cli.texts import TEXTS
from ihuyi_voice.cli.verdicts import TOLD
from ihuyi_voice.models import OutcomeStatus

Said: TypeAlias = tuple[str, dict[str, Any]]
"""A key of the table, and what is filled in."""

_SAFE: Final = (OutcomeStatus.HELD, OutcomeStatus.NOT_SENT, OutcomeStatus.REJECTED)


def tell(course: Course, plan: Plan, *, as_json: bool) -> None:
    """Tell what a run came to; on stderr if nobody reads the output any more.

    Raises:
        Exception: A fault of the program ended it, which has no words; what was done before it is
            told.
    """
    if not as_json:
        print_causes(course.report)
    if isinstance(course.failure, TOLD):
        report_error(course.failure, as_json=as_json)
    try:
        _tell(course, plan, console, as_json=as_json)
    except OutputClosed as closed:
        course.closed = True
        complain("error.system", "red", reason=str(closed))
        _tell(course, plan, errors, as_json=as_json)
    if course.failure is not None and not isinstance(course.failure, TOLD):
        raise course.failure


def _tell(course: Course, plan: Plan, to: Console, *, as_json: bool) -> None:
    if as_json:
        print_json(values(course, plan.run), to)
        return
    for key, filled in (*_headline(course), *_next(course, plan)):
        say(key, to, **filled)
    print_report(course.report, to)
    if course.same:
        say("send.sames", to, count=course.same)
    if course.carried:
        say("send.carried", to, count=course.carried)
    if course.held_until:
        say("send.held_until", to, at=course.held_until)
    if course.report.replayed:
        say("send.replayed", to, count=course.report.replayed, run=plan.run or "")


def values(course: Course, run: str | None) -> dict[str, Any]:
    """Return what a run came to, as JSON has it."""
    kept = {} if run is None else {"run": run, "replayed": course.report.replayed}
    return (
        report_values(course.report)
        | kept
        | {
            "duplicates": course.same,
            "carried": course.carried,
            "interrupted": bool(course.interrupts),
            "cause": str(why) if (why := course.cause or course.failure) else None,
            "exit_code": course.exit.value,
        }
    )


def _headline(course: Course) -> Iterator[Said]:
    """Yield the first line: what ended the run, or what most failures have in common."""
    report, cause = course.report, course.cause
    rows, bad = report.counts.total(), report.failed
    kind, count = next(iter(report.causes.most_common(1)), ("", 0))
    if course.unwritten is not None:
        yield "send.unwritten_headline", {"reason": str(course.unwritten)}
    elif cause is not None:
        kind, words = cause_of(str(cause), cause)
        yield _with_meaning(("send.stopped", "send.stopped_plainly"), kind, {"cause": words})
    elif course.failure is not None:
        yield "send.stopped_plainly", {"cause": str(course.failure)}
    elif course.interrupts:
        yield "send.interrupted", {"rows": rows, "bad": bad}
    elif count:
        told = {"rows": rows, "bad": bad, "count": count, "cause": report.words[kind]}
        yield _with_meaning(("send.mostly", "send.mostly_plainly"), kind, told)
    elif bad:
        yield "send.not_all", {"rows": rows, "bad": bad}
    else:
        yield ("send.all" if rows else "send.none"), {"rows": rows}


def _with_meaning(keys: tuple[str, str], kind: str, values: dict[str, Any]) -> Said:
    """Return what is said of a cause: by the first key if the table has its meaning."""
    meaning = f"cause.{kind}"
    if meaning in TEXTS:
        return keys[0], {**values, "meaning": text(meaning)}
    return keys[1], values


def _next(course: Course, plan: Plan) -> Iterator[Said]:
    """Yield what to do next."""
    if course.exit is Exit.SETTLED:
        yield "send.settled", {"run": plan.run or ""}
    if course.unwritten is not None and plan.out is not None and plan.run is None:
        rows = beside(plan.out)  # where they stay if no workbook could be made of them
        yield "send.next_disk", {"out": str(rows if rows.exists() else plan.out)}
    elif course.failure is None and (course.cause is not None or course.report.causes):
        yield from _advice(course)
    if plan.run is not None:
        yield from _goes_on(course, {"run": plan.run})
    elif plan.out is not None and course.unwritten is None:
        yield from _is_left(course, {"out": str(plan.out)})


def _goes_on(course: Course, run: dict[str, Any]) -> Iterator[Said]:
    """Yield what becomes of the rest of a run in a ledger."""
    counts, stopped = course.report.counts, course.cause or course.failure
    if counts[OutcomeStatus.UNKNOWN]:
        yield "send.uncertain", run
    if course.interrupts or stopped is not None or counts[OutcomeStatus.HELD]:
        yield "send.go_on", run


def _is_left(course: Course, out: dict[str, Any]) -> Iterator[Said]:
    """Yield how the rest of a results file is sent."""
    if course.failure is not None:
        yield "send.next_list", out
    left = [status.value.lower() for status in _SAFE if course.report.counts[status]]
    if left:
        yield "send.what_is_left", out | {"only": ",".join(left)}


def _advice(course: Course) -> Iterator[Said]:
    """Yield what to do about the cause of the end, or about the commonest failure."""
    cause = course.cause
    kind = cause_of(str(cause), cause)[0] if cause else course.report.causes.most_common(1)[0][0]
    advice = f"advice.{kind or 'rows'}"
    if advice in TEXTS:
        yield "send.next", {"advice": text(advice)}
    elif kind.isdigit():
        yield "send.next_plainly", {}
