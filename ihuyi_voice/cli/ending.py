"""What is told at the end of a run: its cause first, what to do next, then the counts."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console

from ihuyi_voice.cli.course import Course
from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.output import OutputClosed, complain, console, errors, print_json, say
from ihuyi_voice.cli.tally import print_report, report_values
from ihuyi_voice.models import OutcomeStatus


def tell(course: Course, run: str | None, *, as_json: bool) -> None:
    """Tell what a run came to; on stderr if nobody reads the output any more."""
    try:
        _tell(course, run, console, as_json=as_json)
    except OutputClosed as closed:
        course.unwritten = course.unwritten or closed
        complain("output.closed", "red")
        _tell(course, run, errors, as_json=as_json)


def _tell(course: Course, run: str | None, to: Console, *, as_json: bool) -> None:
    if as_json:
        print_json(values(course, run), to)
        return
    print_report(course.report, to)
    if course.same:
        say("send.sames", to, count=course.same)
    if course.report.replayed:
        say("send.replayed", to, count=course.report.replayed, run=run or "")
    for key in _advice(course, run):
        say(key, to, run=run or "", cause=str(course.cause))


def values(course: Course, run: str | None) -> dict[str, Any]:
    """Return what a run came to, as JSON has it."""
    kept = {} if run is None else {"run": run, "replayed": course.report.replayed}
    return (
        report_values(course.report)
        | kept
        | {
            "duplicates": course.same,
            "interrupted": bool(course.interrupts),
            "cause": str(course.cause) if course.cause is not None else None,
            "exit_code": course.exit.value,
        }
    )


def _advice(course: Course, run: str | None) -> Iterator[str]:
    """Yield the keys of what to do next."""
    counts = course.report.counts
    if course.exit is Exit.SETTLED:
        yield "send.settled"
    if course.cause is not None:
        yield "send.stopped"
    if counts[OutcomeStatus.UNKNOWN] and run is not None:
        yield "send.uncertain"
    unfinished = course.interrupts or course.cause is not None or counts[OutcomeStatus.HELD]
    if unfinished and run is not None:
        yield "send.go_on"
