"""Commands whose modules are loaded when they are used: the help of all of them needs none."""

from importlib import import_module
from typing import Any

import typer

from ihuyi_voice.cli.speech import SpokenCommand, speak


class Later(SpokenCommand):
    """A name and a line of help; whoever reads its part of the command line gets the command.

    Attributes:
        home: Its module in this room, and its function there.
        key: Its help, as a key of the table.
    """

    home: tuple[str, str]
    key: str

    def loaded(self) -> Any:  # noqa: ANN401 - typer's own or click's, by version
        """Return the command itself."""
        module, function = self.home
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        made = getattr(import_module(f"ihuyi_voice.cli.{module}"), function)
        alone.command(self.name, cls=SpokenCommand, help=self.key)(made)
        command = typer.main.get_command(alone)
        speak(command)
        return command

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: Any = None,  # noqa: ANN401
        **extra: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Load the command, and have it read its part of the line."""
        return self.loaded().make_context(info_name, args, parent, **extra)


def later(module: str, function: str, key: str) -> type[Later]:
    """Return the class of a command, for typer to make it of."""
    return type("Later", (Later,), {"home": (module, function), "key": key})
