"""What is told at the end of a run: its cause first, what to do next, then the counts."""

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from rich.console import Console

from ihuyi_voice.cli.course import Course, Plan
from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.language import text
from ihuyi_voice.cli.output import OutputClosed, complain, console, errors, print_json, say
from ihuyi_voice.cli.tally import cause_of, print_causes, print_report, report_values
from ihuyi_voice.cli.texts import TEXTS
from ihuyi_voice.models import OutcomeStatus

Said: TypeAlias = tuple[str, dict[str, Any]]
"""A key of the table, and what is filled in."""

_SAFE: Final = (OutcomeStatus.HELD, OutcomeStatus.NOT_SENT, OutcomeStatus.REJECTED)


def tell(course: Course, plan: Plan, *, as_json: bool) -> None:
    """Tell what a run came to; on stderr if nobody reads the output any more."""
    if not as_json:
        print_causes(course.report)
    try:
        _tell(course, plan, console, as_json=as_json)
    except OutputClosed as closed:
        course.closed = True
        complain("error.system", "red", reason=str(closed))
        _tell(course, plan, errors, as_json=as_json)


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
            "cause": str(course.cause) if course.cause is not None else None,
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
    counts, run = course.report.counts, {"run": plan.run or ""}
    if course.exit is Exit.SETTLED:
        yield "send.settled", run
    if course.unwritten is not None and plan.out is not None and plan.run is None:
        yield "send.next_disk", {"out": str(plan.out)}
    elif course.cause is not None or course.report.causes:
        yield from _advice(course)
    if plan.run is not None:
        if counts[OutcomeStatus.UNKNOWN]:
            yield "send.uncertain", run
        if course.interrupts or course.cause is not None or counts[OutcomeStatus.HELD]:
            yield "send.go_on", run
    elif plan.out is not None and course.unwritten is None:
        left = [status for status in _SAFE if counts[status]]
        if left:
            only = ",".join(status.value.lower() for status in left)
            yield "send.what_is_left", {"out": str(plan.out), "only": only}


def _advice(course: Course) -> Iterator[Said]:
    """Yield what to do about the cause of the end, or about the commonest failure."""
    cause = course.cause
    kind = cause_of(str(cause), cause)[0] if cause else course.report.causes.most_common(1)[0][0]
    advice = f"advice.{kind or 'rows'}"
    if advice in TEXTS:
        yield "send.next", {"advice": text(advice)}
    elif kind.isdigit():
        yield "send.next_plainly", {}
