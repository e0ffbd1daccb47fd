"""`send`: bulk sending from a file, with a result row by row."""

import asyncio
import csv
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Self, TextIO

import attrs
import typer

from ihuyi_voice.bulk import Outcome
from ihuyi_voice.cli import work
from ihuyi_voice.cli.language import text
from ihuyi_voice.cli.listing import keyed
from ihuyi_voice.cli.options import Account, BaseUrl, Json, MaxWait, make_client
from ihuyi_voice.cli.output import print_json, reporting
from ihuyi_voice.cli.tally import (
    Report,
    print_report,
    progress_bar,
    report_values,
    trouble,
)
from ihuyi_voice.client import VoiceClient
from ihuyi_voice.common.redaction import shown
from ihuyi_voice.errors import InvalidRequest, VendorError
from ihuyi_voice.inputs import (
    BadRow,
    Recipient,
    RecipientsFile,
    Template,
    named_values,
    readable_twice,
)
from ihuyi_voice.models import OutcomeStatus
from ihuyi_voice.protocol.codes import SUCCESS

_COLUMNS: Final = (
    "line", "mobile", "reference", "status", "voice_id", "code", "error", "retry_at", "attempts",
)  # fmt: skip


@attrs.frozen
class SendJob:
    """What to send and how."""

    recipients: RecipientsFile
    out: Path | None = None
    concurrency: int = 100
    max_wait: float = 120.0
    max_rate: float | None = None


class Duplicates(StrEnum):
    """What becomes of rows that say the same to the same number."""

    ONCE = "once"
    SEND = "send"


def send(
    recipients: Annotated[Path, typer.Argument(help="send.recipients.help")],
    template: Annotated[str | None, typer.Option(help="send.template.help")] = None,
    column: Annotated[list[str] | None, typer.Option(help="send.column.help")] = None,
    delimiter: Annotated[str | None, typer.Option(help="send.delimiter.help")] = None,
    out: Annotated[Path | None, typer.Option(help="send.out.help")] = None,
    concurrency: Annotated[int, typer.Option(help="send.concurrency.help", min=1)] = 100,
    max_wait: MaxWait = 120.0,
    max_rate: Annotated[float | None, typer.Option(help="send.max_rate.help")] = None,
    account: Account = None,
    base_url: BaseUrl = None,
    *,
    ledger: Annotated[
        str | None, typer.Option(help="send.ledger.help", envvar="IHUYI_LEDGER")
    ] = None,
    run: Annotated[str | None, typer.Option(help="send.run.help")] = None,
    duplicates: Annotated[Duplicates | None, typer.Option(help="send.duplicates.help")] = None,
    retry_rejected: Annotated[bool, typer.Option("--retry-rejected", help="send.retry.help")] = (
        False
    ),
    takeover: Annotated[bool, typer.Option("--takeover", help="send.takeover.help")] = False,
    force: Annotated[bool, typer.Option("--force", help="send.force.help")] = False,
    distribute: Annotated[bool, typer.Option("--distribute", help="send.distribute.help")] = False,
    as_json: Json = False,
) -> None:
    """Send to everybody in a table (CSV or .xlsx); bad rows are reported and skipped."""
    with reporting(as_json=as_json), readable_twice(recipients) as path:
        if ledger is not None and run is None and path != recipients:
            raise InvalidRequest(text("send.run.needed"))
        file = recipients_file(path, template, column or (), delimiter)
        job = SendJob(file, out, concurrency, max_wait, max_rate)
        keeping = Keeping(ledger or "", run, duplicates, retry_rejected, takeover, force)
        if distribute:
            code = asyncio.run(_distribute(job, keeping, account, as_json=as_json))
        elif ledger is not None:
            code = asyncio.run(_resume(job, keeping, account, base_url, as_json=as_json))
        elif run is not None or duplicates is not None or keeping.more:
            raise InvalidRequest(text("send.needs_ledger"))
        else:
            code = asyncio.run(_send(make_client(account, base_url), job, as_json=as_json))
    raise typer.Exit(code)


@attrs.frozen
class Keeping:
    """How a run is kept in a ledger."""

    ledger: str
    run: str | None
    duplicates: Duplicates | None
    retry_rejected: bool
    takeover: bool
    force: bool

    @property
    def again(self) -> bool:
        """Whether identical rows are sent each."""
        return self.duplicates is Duplicates.SEND

    @property
    def more(self) -> bool:
        """Whether there are options that only sending has."""
        return self.retry_rejected or self.takeover or self.force


async def _distribute(job: SendJob, keeping: Keeping, account: str | None, *, as_json: bool) -> int:
    """Load the file into a run that many machines work on, and return the exit code."""
    if not keeping.ledger or job.out is not None or keeping.more:
        raise InvalidRequest(text("send.distribute.wrong"))
    rows, run = keyed(job.recipients, again=keeping.again), keeping.run or job.recipients.path.name
    return await work.distribute(rows, keeping.ledger, run, account, as_json=as_json)


async def _resume(
    job: SendJob, keeping: Keeping, account: str | None, base_url: str | None, *, as_json: bool
) -> int:
    """Send what a ledger says is left of the file, and return the exit code."""
    from ihuyi_voice.cli import resuming  # noqa: PLC0415 - only here is a ledger needed
    from ihuyi_voice.ledger import Ledger  # noqa: PLC0415

    _spare_the_recipients(job)
    plan = resuming.Plan(
        job.recipients,
        keeping.run or job.recipients.path.name,
        out=job.out,
        force=keeping.force,
        again=keeping.again,
        takeover=keeping.takeover,
        retry_rejected=keeping.retry_rejected,
        concurrency=job.concurrency,
        max_wait=job.max_wait,
        max_rate=job.max_rate,
    )
    ledger = Ledger.open(keeping.ledger)
    client = make_client(account, base_url, ledger=ledger)
    async with ledger, client:
        return await resuming.send(client, ledger, plan, as_json=as_json)


def recipients_file(
    path: Path, template: str | None, columns: Iterable[str], delimiter: str | None = None
) -> RecipientsFile:
    """Return the file that the options describe; a template may name columns: 您好{姓名}.

    Raises:
        InvalidRequest: A column option isn't `name=column`, or template or delimiter is wrong.
    """
    made, named = named_values(template) if template else (None, dict[str, str]())
    mapping = named | dict(_pair(column) for column in columns)
    return RecipientsFile(path, Template(made) if made else None, mapping, _delimiter(delimiter))


def _delimiter(option: str | None) -> str | None:
    """Return the character that an option names; shells have no easy way to write a tab."""
    given = "\t" if option in {"tab", r"\t"} else option
    if given is not None and (len(given) != 1 or given in '"\r\n'):
        raise InvalidRequest(text("send.delimiter.wrong", text=repr(option)))
    return given


def _pair(option: str) -> tuple[str, str]:
    name, mark, column = option.partition("=")
    if not mark or not column:
        raise InvalidRequest(text("send.column.wrong", text=repr(option)))
    return name.strip(), column.strip()


async def _send(client: VoiceClient, job: SendJob, *, as_json: bool) -> int:
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
        rows = job.recipients.count()
        bar = stack.enter_context(progress_bar("bar.sending", rows, hidden=as_json))
        good = _good_rows(job.recipients, report, write)
        async with client.submit_many(
            good, concurrency=job.concurrency, max_wait=job.max_wait, max_rate=job.max_rate
        ) as bulk:
            try:
                async with bar.following(report, bulk):
                    async for outcome in bulk:
                        _note(outcome, report, write)
                        bar.show(report, bulk.progress)
            finally:
                for outcome in await bulk.drain():
                    _note(outcome, report, write)
            report.seconds = bulk.progress.elapsed
        bar.update(report.counts.total(), lines=trouble(report))
    return report


def _spare_the_recipients(job: SendJob) -> None:
    if job.out is not None and job.out.exists() and job.out.samefile(job.recipients.path):
        raise InvalidRequest(text("send.out.wrong"))


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
            status = OutcomeStatus.NOT_SENT
            report.note(row.line, status, row.reason)
            write(row.line, "", "", status.value, "", "", shown(row.reason), "", 0)
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
    reason = str(error or "")
    report.note(line, outcome.status, reason, error)
    write(
        line, message.mobile, message.reference, outcome.status.value, outcome.voice_id, code,
        shown(reason), outcome.retry_at, outcome.attempts,
    )  # fmt: skip
