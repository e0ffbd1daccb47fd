"""Bulk sending from a file, with a progress bar and a report row by row."""

import csv
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self, TextIO

import attrs
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ihuyi_voice.bulk import BulkRun, Outcome
from ihuyi_voice.cli.output import code_table, console, errors, outcome_table, print_json
from ihuyi_voice.client import VoiceClient
from ihuyi_voice.common.redaction import mask_numbers
from ihuyi_voice.errors import InvalidRequest, VendorError
from ihuyi_voice.inputs.recipients import BadRow, Recipient, RecipientsFile
from ihuyi_voice.inputs.templates import Template
from ihuyi_voice.models import OutcomeStatus
from ihuyi_voice.protocol.codes import SUCCESS

_COLUMNS: Final = (
    "line", "mobile", "reference", "status", "voice_id", "code", "error", "retry_at", "attempts",
)  # fmt: skip
_SHOWN_ROWS: Final = 20


@attrs.frozen
class SendJob:
    """What to send and how."""

    recipients: RecipientsFile
    out: Path | None = None
    concurrency: int = 100
    max_wait: float = 120.0
    max_rate: float | None = None


@attrs.define
class Report:
    """What a run came to."""

    counts: Counter[OutcomeStatus] = attrs.field(factory=Counter[OutcomeStatus])
    codes: Counter[int] = attrs.field(factory=Counter[int])
    rows: list[tuple[int, str, str]] = attrs.field(factory=list[tuple[int, str, str]])
    not_shown: int = 0
    seconds: float = 0.0

    def note(self, line: int, status: OutcomeStatus, reason: str) -> None:
        """Count a row; keep the first of those that were not accepted."""
        self.counts[status] += 1
        if status is OutcomeStatus.ACCEPTED:
            return
        if len(self.rows) < _SHOWN_ROWS:
            self.rows.append((line, status.value, mask_numbers(reason)))
        else:
            self.not_shown += 1

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.counts.total() / self.seconds if self.seconds else 0.0


def recipients_file(path: Path, template: str | None, columns: Iterable[str]) -> RecipientsFile:
    """Return the file that the options describe.

    Raises:
        InvalidRequest: A column option isn't `name=column`, or the template is wrong.
    """
    mapping = dict(_pair(text) for text in columns)
    return RecipientsFile(path, Template(template) if template else None, mapping)


def _pair(text: str) -> tuple[str, str]:
    name, mark, column = text.partition("=")
    if not mark or not column:
        raise InvalidRequest(f"--column {text!r}: write it as mobile=手机号 or 1=姓名")
    return name.strip(), column.strip()


async def send(client: VoiceClient, job: SendJob, *, as_json: bool) -> int:
    """Send everything in the file, print the report and return the exit code."""
    async with client:
        report = await run(client, job, as_json=as_json)
    if as_json:
        print_json(report_values(report))
    else:
        print_report(report)
    return 0 if report.counts.total() == report.counts[OutcomeStatus.ACCEPTED] else 1


async def run(client: VoiceClient, job: SendJob, *, as_json: bool = False) -> Report:
    """Send everything in the file under a progress bar.

    Interrupted, it still writes the results of those in flight: their phones may ring.
    """
    _spare_the_recipients(job)
    report = Report()
    with ExitStack() as stack:
        write = stack.enter_context(_Results(job.out))
        bar = stack.enter_context(progress_bar(hidden=as_json))
        task = bar.add_task("sending", total=job.recipients.count(), note="")
        good = _good_rows(job.recipients, report, write)
        async with client.submit_many(
            good, concurrency=job.concurrency, max_wait=job.max_wait, max_rate=job.max_rate
        ) as bulk:
            try:
                async for outcome in bulk:
                    _note(outcome, report, write)
                    bar.update(task, completed=report.counts.total(), note=_note_line(bulk))
            finally:
                for outcome in await bulk.drain():
                    _note(outcome, report, write)
            report.seconds = bulk.progress.elapsed
        bar.update(task, completed=report.counts.total())
    return report


def _spare_the_recipients(job: SendJob) -> None:
    if job.out is not None and job.out.exists() and job.out.samefile(job.recipients.path):
        raise InvalidRequest("--out is the recipients' own file, which it would overwrite")


def report_values(report: Report) -> dict[str, Any]:
    """Return what a run came to, as JSON has it."""
    counts = {status.value: report.counts[status] for status in OutcomeStatus}
    return {"outcomes": counts, "codes": report.codes, "per_second": round(report.rate, 1)}


def print_report(report: Report) -> None:
    """Print what a run came to, for a person."""
    for line, status, reason in report.rows:
        errors.print(
            f"line {line}: {status}: {reason}", markup=False, highlight=False, soft_wrap=True
        )
    if report.not_shown:
        errors.print(f"… and {report.not_shown} more; --out writes them all", highlight=False)
    console.print(outcome_table(report.counts))
    console.print(code_table(report.codes))
    console.print(
        f"{report.counts.total():,} rows in {report.seconds:.1f} s: {report.rate:,.0f} a second",
        highlight=False,
    )


class _Results:
    """Writes results as they come; each is on its way to the disk before the next is sent."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        if self._path is not None:
            # Never over an older file: it says whose phone rang. A BOM, or the spreadsheets of our
            # users would guess another encoding.
            self._file = self._path.open("x", encoding="utf-8-sig", newline="")
            self._writer = csv.writer(self._file)
            self._writer.writerow(_COLUMNS)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def __call__(self, *cells: Any) -> None:  # noqa: ANN401 - whatever csv can write
        if self._file is not None:
            self._writer.writerow(cells)
            self._file.flush()


def _good_rows(rows: RecipientsFile, report: Report, write: _Results) -> Iterator[Recipient]:
    for row in rows:
        if isinstance(row, BadRow):
            report.note(row.line, OutcomeStatus.NOT_SENT, row.reason)
            write(row.line, "", "", "NOT_SENT", "", "", row.reason, "", 0)
        else:
            yield row


def _note(outcome: Outcome, report: Report, write: _Results) -> None:
    message, error = outcome.message, outcome.error
    line = message.line if isinstance(message, Recipient) else 0
    code = error.code if isinstance(error, VendorError) else None
    if code is None and outcome.status is OutcomeStatus.ACCEPTED:
        code = SUCCESS
    if code is not None:
        report.codes[code] += 1
    report.note(line, outcome.status, str(error or ""))
    write(
        line, message.mobile, message.reference, outcome.status.value, outcome.voice_id, code,
        error, outcome.retry_at, outcome.attempts,
    )  # fmt: skip


def progress_bar(*, hidden: bool) -> Progress:
    """Return a bar whose tasks have a field `note`."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=errors,
        disable=hidden,
    )


def _note_line(bulk: BulkRun) -> str:
    now = bulk.progress
    held = f", {now.deferred} held back" if now.deferred else ""
    return f"{now.rate:,.0f}/s, {now.in_flight} in flight{held}"
