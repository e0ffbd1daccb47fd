"""`send`: bulk sending from a file, with a result row by row."""

import asyncio
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ihuyi_voice.cli import dry, feeding, once, work
from ihuyi_voice.cli.course import Plan, count_rows
from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.interrupts import all_like_ctrl_c
from ihuyi_voice.cli.language import text
from ihuyi_voice.cli.options import Account, BaseUrl, Force, Json, MaxWait, files_of, make_client
from ihuyi_voice.cli.output import reporting
from ihuyi_voice.cli.sheets import check_out
from ihuyi_voice.client import VoiceClient
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.guards import QuietHours
from ihuyi_voice.inputs import RecipientsFile, Template, named_values, readable_twice


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
    only: Annotated[str | None, typer.Option(help="send.only.help")] = None,
    ring_again: Annotated[bool, typer.Option("--ring-again", help="send.ring.help")] = False,
    duplicates: Annotated[Duplicates | None, typer.Option(help="send.duplicates.help")] = None,
    retry_rejected: Annotated[bool, typer.Option("--retry-rejected", help="send.retry.help")] = (
        False
    ),
    takeover: Annotated[bool, typer.Option("--takeover", help="send.takeover.help")] = False,
    force: Force = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="send.dry.help")] = False,
    ask_balance: Annotated[bool, typer.Option("--ask-balance", help="send.balance.help")] = False,
    distribute: Annotated[bool, typer.Option("--distribute", help="send.distribute.help")] = False,
    quiet_hours: Annotated[str | None, typer.Option(help="send.quiet.help")] = None,
    as_json: Json = False,
) -> None:
    """Send to everybody in a table (CSV or .xlsx); bad rows are reported and skipped."""
    with reporting(as_json=as_json), all_like_ctrl_c(), readable_twice(recipients) as path:
        if ledger is not None and run is None and path != recipients:
            raise InvalidRequest(text("send.run.needed"))
        if ask_balance and not dry_run:
            raise InvalidRequest(text("send.balance.alone"))
        if ledger is None and (run is not None or retry_rejected or takeover):
            raise InvalidRequest(text("send.needs_ledger"))
        file = recipients_file(path, template, column or (), delimiter)
        chosen = feeding.statuses(only, ring_again=ring_again)
        feeding.check(file, chosen)
        feeding.tell_unseen(file)
        plan = Plan(
            file,
            run or file.path.name if ledger is not None else None,
            only=chosen,
            out=out,
            force=force,
            again=duplicates is Duplicates.SEND,
            takeover=takeover,
            retry_rejected=retry_rejected,
            concurrency=concurrency,
            max_wait=max_wait,
            max_rate=max_rate,
        )
        check_out(out, recipients, *(files_of(ledger) if ledger is not None else ()))
        guard = None if quiet_hours is None else QuietHours(quiet_hours)
        client = partial(make_client, account, base_url, guard=guard)
        if distribute and guard is not None:
            raise InvalidRequest(text("send.quiet.distribute"))
        if dry_run:
            code = _try_dry(plan, client() if ask_balance else None, as_json=as_json)
        elif distribute:
            code = asyncio.run(work.distribute(plan, ledger, account, as_json=as_json))
        else:
            total = count_rows(plan)  # where Ctrl-C is heard at once: a long list takes long
            code = asyncio.run(_send(plan, total, ledger, client, as_json=as_json))
    raise typer.Exit(code)


def _try_dry(plan: Plan, client: VoiceClient | None, *, as_json: bool) -> Exit:
    """Tell what would be sent, and the balance if there is somebody to ask for it."""

    async def ask(opened: VoiceClient) -> int:
        async with opened:
            return await opened.balance()

    found = dry.survey(plan)
    balance = None if client is None else asyncio.run(ask(client))
    return dry.tell(found, balance, as_json=as_json)


async def _send(
    plan: Plan, total: int, ledger: str | None, make: Callable[..., VoiceClient], *, as_json: bool
) -> Exit:
    """Send what a plan says, with a ledger or without, and return the exit code."""
    if ledger is None:
        async with make() as client:
            return await once.send(client, plan, total, as_json=as_json)
    from ihuyi_voice.cli import resuming  # noqa: PLC0415 - only here is a ledger needed
    from ihuyi_voice.ledger import Ledger  # noqa: PLC0415

    opened = Ledger.open(ledger)
    client = make(ledger=opened)
    async with opened, client:
        return await resuming.send(client, opened, plan, total, as_json=as_json)


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
