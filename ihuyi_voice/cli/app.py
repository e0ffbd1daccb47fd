"""The command: every group's commands under one roof, each loaded when it is used."""

from importlib.metadata import version as version_of
from typing import Annotated, Final

import typer

from ihuyi_voice.cli.language import Language
from ihuyi_voice.cli.later import later
from ihuyi_voice.cli.speech import Root, SpokenGroup

_ACCOUNT, _PUSHES, _LEDGER = "account", "pushes", "ledger"
COMMANDS: Final = {
    "check": ("check", "check"),
    "demo": ("demo", "demo"),
    "submit": (_ACCOUNT, "submit"),
    "balance": (_ACCOUNT, "balance"),
    "send": ("send", "send"),
    "work": ("work", "work"),
    "receive": (_PUSHES, "receive"),
    "report": (_PUSHES, "report"),
    "replay": (_PUSHES, "replay"),
    "simulate": ("simulate", "serve"),
}
"""Command -> its module and function."""
GROUPS: Final = {
    "template": {name: ("templates", name) for name in ("add", "delete", "check")},
    "inbox": {name: ("inbox", name) for name in ("counts", "purge", "quarantine", "reparse")},
    "ledger": {
        name: (_LEDGER, name)
        for name in ("runs", "show", "unknown", "settle", "reconcile", "csv", "html")
    }
    | {name: ("work", name) for name in ("stop", "resume")},
}
"""Group -> the same for its commands."""
_CONTEXT: Final = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    cls=Root,
    help="app.help",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks show local variables, keys among them
    add_completion=True,
    context_settings=_CONTEXT,
)


def _show_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"ihuyi-voice {version_of('ihuyi-voice')}")
        raise typer.Exit


@app.callback()
def root(
    lang: Annotated[Language | None, typer.Option(help="lang.help")] = None,
    *,
    version: Annotated[
        bool,
        typer.Option("--version", "-V", help="version.help", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    """Take what stands before a command: the language, which was chosen before it was read."""


def _fill(group: typer.Typer, commands: dict[str, tuple[str, str]], prefix: str = "") -> None:
    for name, (module, function) in commands.items():
        key = f"{prefix}{name}.help"
        group.command(name, cls=later(module, function, key), help=key)(_nothing)


def _nothing() -> None:
    """Stand in for a command that isn't loaded yet."""


_fill(app, COMMANDS)
for each, its_commands in GROUPS.items():
    its_group = typer.Typer(cls=SpokenGroup, help=f"{each}.help", no_args_is_help=True)
    _fill(its_group, its_commands, f"{each}.")
    app.add_typer(its_group, name=each)
