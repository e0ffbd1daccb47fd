"""`check`: whether everything is ready to send, and what to do where it isn't."""

import asyncio
from typing import Any, Final

import typer

from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.language import text, word
from ihuyi_voice.cli.options import Account, BaseUrl, Json
from ihuyi_voice.cli.output import print_json, reporting, say
from ihuyi_voice.cli.probing import Finding, State, look

_STYLES: Final = {State.OK: "green", State.BAD: "red", State.UNKNOWN: "yellow", State.INFO: None}


def check(account: Account = None, base_url: BaseUrl = None, *, as_json: Json = False) -> None:
    """Look at settings, network, key, balance and clock; say what is wrong and what to do."""
    with reporting(as_json=as_json):
        found = asyncio.run(look(account, base_url))
        code = next((each.code for each in found if each.code), Exit.DONE)
        if as_json:
            checks = [each.to_dict() for each in found]
            print_json({"ok": not code, "exit_code": code.value, "checks": checks})
        else:
            _show(found, code)
    if code:
        raise typer.Exit(code)


def _show(found: list[Finding], code: Exit) -> None:
    for each in found:
        words = word("check", each.said, **_listed(each.values))
        mark, name = word("mark", each.state), word("thing", each.name)
        say("check.line", style=_STYLES[each.state], mark=mark, name=name, words=words)
        if each.todo:
            say("check.todo", words=text(each.todo))
    say("check.bad" if code else "check.good")


def _listed(values: dict[str, Any]) -> dict[str, Any]:
    lists: dict[str, list[str]] = {n: value for n, value in values.items() if type(value) is list}
    return values | {name: ", ".join(value) for name, value in lists.items()}
