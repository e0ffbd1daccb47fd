"""`ledger runs`, `show`, `csv`, `html`, `unknown`, `settle`, `reconcile`: what a ledger knows."""

import asyncio
import csv as csv_files
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, TypeVar

import typer

from ihuyi_voice.cli import sight
from ihuyi_voice.cli.following import follow
from ihuyi_voice.cli.interrupts import all_like_ctrl_c
from ihuyi_voice.cli.language import Language, choose, text, word
from ihuyi_voice.cli.options import (
    DEFAULT_INBOX,
    DEFAULT_LEDGER,
    Force,
    InboxAddress,
    Json,
    LedgerAddress,
    files_of,
)
from ihuyi_voice.cli.output import add_row, announce, print_json, printing, reporting, say
from ihuyi_voice.cli.sheets import check_out, check_place, replacing
from ihuyi_voice.cli.streams import console
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.inputs import readable_twice
from ihuyi_voice.models import OutcomeStatus

if TYPE_CHECKING:
    from ihuyi_voice.ledger import Entry, Ledger  # databases load slowly

T = TypeVar("T")
RunName: TypeAlias = Annotated[str, typer.Argument(help="ledger.run.help")]
OfAccount: TypeAlias = Annotated[str | None, typer.Option("--account", help="ledger.account.help")]
Numbers: TypeAlias = Annotated[bool, typer.Option("--numbers", help="ledger.numbers.help")]


class Decision(StrEnum):
    """What a person can say of an uncertain message."""

    ACCEPTED = "accepted"
    NOT_SENT = "not_sent"


def runs(ledger: LedgerAddress = DEFAULT_LEDGER, *, as_json: Json = False) -> None:
    """List the runs, the last used first."""

    async def work(opened: "Ledger") -> list[dict[str, Any]]:
        return [
            sight.run_values(info, await opened.summary(info.key, info.account))
            for info in await opened.runs()
        ]

    with reporting(as_json=as_json):
        found = asyncio.run(_with(ledger, work))
        if as_json:
            for each in found:
                print_json(each)
        else:
            console.print(sight.runs_table(found))


def show(
    run: RunName,
    ledger: LedgerAddress = DEFAULT_LEDGER,
    account: OfAccount = None,
    *,
    live: Annotated[bool, typer.Option("--follow", help="ledger.follow.help")] = False,
    as_json: Json = False,
) -> None:
    """Print what a run came to: outcomes, codes, how calls ended; or follow it."""
    with reporting(as_json=as_json):
        if live:
            following = partial(follow, run=run, account=account, as_json=as_json)
            raise typer.Exit(asyncio.run(_with(ledger, following)))
        report = asyncio.run(_with(ledger, lambda opened: opened.report(run, account, listed=0)))
        if as_json:
            print_json(sight.report_values(report))
        else:
            for each in sight.report_tables(report):
                console.print(each)


def unknown(
    run: RunName,
    ledger: LedgerAddress = DEFAULT_LEDGER,
    account: OfAccount = None,
    *,
    numbers: Numbers = False,
    as_json: Json = False,
) -> None:
    """List the messages of which nobody knows whether their call was made."""

    async def work(opened: "Ledger") -> int:
        rows, count = sight.entries_table(), 0
        async for entry in opened.entries(run, OutcomeStatus.UNKNOWN, account):
            count += 1
            values = sight.entry_values(entry, numbers=numbers)
            if as_json:
                print_json(values)
            else:
                add_row(rows, sight.entry_cells(values))
        if count and not as_json:
            console.print(rows)
        return count

    with reporting(as_json=as_json):
        count = asyncio.run(_with(ledger, work))
        if not as_json:
            say("ledger.unknown.some" if count else "ledger.unknown.none", count=count)


def settle(
    run: RunName,
    entry: Annotated[str, typer.Argument(help="ledger.entry.help")],
    outcome: Annotated[Decision, typer.Argument(help="ledger.outcome.help")],
    ledger: LedgerAddress = DEFAULT_LEDGER,
    voice_id: Annotated[str | None, typer.Option(help="ledger.voice_id.help")] = None,
    account: OfAccount = None,
    *,
    as_json: Json = False,
) -> None:
    """Say what became of an uncertain message: accepted, or not sent, which opens it again."""
    status = OutcomeStatus[outcome.name]
    with reporting(as_json=as_json):
        asyncio.run(
            _with(ledger, lambda opened: opened.settle(run, entry, status, voice_id, account))
        )
        told = {"run": run, "settled": entry, "status": status.value}
        said = word("outcome", status.value)
        announce("ledger.settled", told, as_json=as_json, name=entry, status=said)


def reconcile(
    ledger: LedgerAddress = DEFAULT_LEDGER,
    inbox: InboxAddress = DEFAULT_INBOX,
    *,
    numbers: Numbers = False,
    as_json: Json = False,
) -> None:
    """Let the delivery reports of an inbox settle what is uncertain, and join the others."""

    async def work(opened: "Ledger") -> tuple[Sequence["Entry"], Sequence["Entry"]]:
        from ihuyi_voice.cli.inbox import existing  # noqa: PLC0415 - databases load slowly

        async with existing(inbox) as reports:
            done = await opened.reconcile(reports)
        return done.settled, done.ambiguous

    with reporting(as_json=as_json):
        settled, ambiguous = asyncio.run(_with(ledger, work))
        if as_json:
            told = {"settled": settled, "ambiguous": ambiguous}
            print_json(
                {
                    name: [sight.entry_values(each, numbers=numbers) for each in entries]
                    for name, entries in told.items()
                }
            )
            return
        say("ledger.reconciled", settled=len(settled), ambiguous=len(ambiguous))
        if ambiguous:
            rows = sight.entries_table()
            for each in ambiguous:
                add_row(rows, sight.entry_cells(sight.entry_values(each, numbers=numbers)))
            console.print(rows)


def csv(
    run: RunName,
    ledger: LedgerAddress = DEFAULT_LEDGER,
    account: OfAccount = None,
    out: Annotated[Path | None, typer.Option(help="ledger.csv.out.help")] = None,
    recipients: Annotated[Path | None, typer.Option(help="ledger.csv.recipients.help")] = None,
    template: Annotated[str | None, typer.Option(help="send.template.help")] = None,
    column: Annotated[list[str] | None, typer.Option(help="send.column.help")] = None,
    *,
    again: Annotated[bool, typer.Option("--each-duplicate", help="ledger.csv.again.help")] = False,
    numbers: Numbers = False,
    force: Force = False,
) -> None:
    """Write a run as CSV: all entries, or a list with its columns and what became of each row."""
    from ihuyi_voice.cli.listing import keyed  # noqa: PLC0415 - databases load slowly
    from ihuyi_voice.cli.results import Headings, ResultsFile, joined  # noqa: PLC0415
    from ihuyi_voice.cli.send import recipients_file  # noqa: PLC0415

    with reporting(as_json=False), all_like_ctrl_c(), ExitStack() as stack:
        check_out(out, *files_of(ledger), *([recipients] if recipients else []))
        path = stack.enter_context(readable_twice(recipients)) if recipients else None
        file = recipients_file(path, template, column or ()) if path else None
        headings = Headings.of(file.names()) if file else Headings.of((), sight.COLUMNS)
        results = ResultsFile(out, headings, run, force=force)
        results.check()

        async def work(opened: "Ledger") -> None:
            if file is None:
                rows = sight.entry_rows(opened.entries(run, None, account), run, numbers=numbers)
            else:
                kept = keyed(file, again=again)
                rows = joined(opened, run, account, kept, headings, masked=not numbers)
            await (_print(results.header, rows) if out is None else results.write(rows))

        asyncio.run(_with(ledger, work))


def html(
    run: RunName,
    out: Annotated[Path, typer.Option(help="ledger.html.out.help")],
    ledger: LedgerAddress = DEFAULT_LEDGER,
    account: OfAccount = None,
    lang: Annotated[Language | None, typer.Option(help="ledger.html.lang.help")] = None,
    *,
    force: Force = False,
) -> None:
    """Write a run as one page of HTML, for a phone and a desk."""
    with reporting(as_json=False), all_like_ctrl_c():
        check_place(out, *files_of(ledger))
        page = sight.page()
        if not force and out.exists() and not page.is_one(out):
            raise InvalidRequest(text("ledger.html.taken", out=str(out)))
        report = asyncio.run(_with(ledger, lambda opened: opened.report(run, account)))
        if lang is not None:
            choose(lang)
        written = page.render(report, datetime.now(UTC))
        with replacing(out) as part:
            part.write_text(written, encoding="utf-8")
        say("ledger.html.written", out=str(out))


async def _with(address: str, work: "Callable[[Ledger], Awaitable[T]]") -> T:
    """Do something with a ledger that is there already."""
    async with existing(address) as opened:
        return await work(opened)


def existing(ledger: str) -> "Ledger":
    """Return a ledger that is there already: in a new one there is nothing to look at.

    Raises:
        InvalidRequest: There is no such file.
    """
    from ihuyi_voice.ledger import Ledger  # noqa: PLC0415 - databases load slowly
    from ihuyi_voice.storage import Address  # noqa: PLC0415

    address = Address.parse(ledger)
    if address.dialect == "sqlite" and not Path(address.target).exists():
        raise InvalidRequest(text("ledger.missing", ledger=ledger))
    return Ledger.open(ledger)


async def _print(header: Sequence[str], rows: AsyncGenerator[Sequence[str]]) -> None:
    from ihuyi_voice.cli.results import write_rows  # noqa: PLC0415 - as above

    with printing() as output:
        await write_rows(csv_files.writer(output).writerow, header, rows)


_NAMES: Final = ("runs", "show", "unknown", "settle", "reconcile", "csv", "html")
COMMANDS: Final[dict[str, Callable[..., None]]] = {name: globals()[name] for name in _NAMES}
