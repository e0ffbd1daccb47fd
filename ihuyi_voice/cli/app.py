"""The command: every group's commands under one roof."""

from collections.abc import Callable
from typing import Annotated, Final

import typer

from ihuyi_voice.cli import (
    account,
    check,
    demo,
    inbox,
    ledger,
    pushes,
    send,
    simulate,
    templates,
    work,
)
from ihuyi_voice.cli.language import Language
from ihuyi_voice.cli.speech import Root, SpokenCommand, SpokenGroup

_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "demo": demo.demo,
    "check": check.check,
    "submit": account.submit,
    "balance": account.balance,
    "send": send.send,
    "work": work.work,
    "receive": pushes.receive,
    "report": pushes.report,
    "replay": pushes.replay,
    "simulate": simulate.serve,
}
_TEMPLATE: Final[dict[str, Callable[..., None]]] = {
    "add": templates.add,
    "delete": templates.delete,
    "check": templates.check,
}
_INBOX: Final[dict[str, Callable[..., None]]] = {
    "counts": inbox.counts,
    "purge": inbox.purge,
    "quarantine": inbox.quarantine,
    "reparse": inbox.reparse,
}

app = typer.Typer(
    cls=Root,
    help="app.help",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks show local variables, keys among them
    add_completion=False,
)
template = typer.Typer(cls=SpokenGroup, help="template.help", no_args_is_help=True)
app.add_typer(template, name="template")
inbox_group = typer.Typer(cls=SpokenGroup, help="inbox.help", no_args_is_help=True)
app.add_typer(inbox_group, name="inbox")
ledger_group = typer.Typer(cls=SpokenGroup, help="ledger.help", no_args_is_help=True)
app.add_typer(ledger_group, name="ledger")


@app.callback()
def root(
    lang: Annotated[Language | None, typer.Option(help="lang.help")] = None,
) -> None:
    """Take what stands before a command: the language, which was chosen before it was read."""


for name, function in _COMMANDS.items():
    app.command(name, cls=SpokenCommand, help=f"{name}.help")(function)
for name, function in _TEMPLATE.items():
    template.command(name, cls=SpokenCommand, help=f"template.{name}.help")(function)
for name, function in _INBOX.items():
    inbox_group.command(name, cls=SpokenCommand, help=f"inbox.{name}.help")(function)
for name, function in (ledger.COMMANDS | work.OF_LEDGER).items():
    ledger_group.command(name, cls=SpokenCommand, help=f"ledger.{name}.help")(function)
