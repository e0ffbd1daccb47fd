"""The framework's help and its errors of usage, in the user's language.

Help texts are given to typer as keys of the table. They become words when a command line is about
to be read, once its language is known.
"""

import os
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from typer import rich_utils
from typer.core import TyperCommand, TyperGroup

from ihuyi_voice.cli.exits import epilogue
from ihuyi_voice.cli.language import choose, language_first, language_of, text
from ihuyi_voice.cli.reasons import matcher
from ihuyi_voice.cli.texts import TEXTS
from ihuyi_voice.common.redaction import shown

_STOPS = re.compile(r"([，。；：、])(?=[^\s）])")  # rich breaks lines at blanks, or cuts them off
_COMPLETION = ("install_completion", "show_completion")
_HELP = "NoArgsIsHelpError"  # no error: its message is the help, which is in words already


class SpokenCommand(TyperCommand):
    """A command whose help is in the user's language."""

    def get_help_option(self, ctx: Any) -> Any:  # noqa: ANN401 - typer's own or click's, by version
        """Return `--help`, with its own help translated."""
        return _translated(super().get_help_option(ctx))

    def get_usage(self, ctx: Any) -> str:  # noqa: ANN401
        """Return the line that shows how to use it."""
        return _usage(super().get_usage(ctx))


class SpokenGroup(TyperGroup):
    """A group of commands whose help is in the user's language."""

    def get_help_option(self, ctx: Any) -> Any:  # noqa: ANN401
        """Return `--help`, with its own help translated."""
        return _translated(super().get_help_option(ctx))

    def get_usage(self, ctx: Any) -> str:  # noqa: ANN401
        """Return the line that shows how to use it."""
        return _usage(super().get_usage(ctx))


class Root(SpokenGroup):
    """The whole command: it chooses the language before anything is read or shown."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: Any = None,  # noqa: ANN401
        **extra: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Read the command line."""
        args = language_first(args)
        choose(language_of(args, os.environ))
        _speak_of_frame()
        speak(self)
        with _translating():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        """Read the command's own part of the line, and run it."""
        with _translating():
            return super().invoke(ctx)


class _Folding(rich_utils.OptionHighlighter):
    """Lets what is too long for its line go on in the next one.

    rich would cut it off, and by its count of letters cuts off lines of wide ones that fit.
    """

    def __call__(self, text: Any) -> Any:  # noqa: ANN401 - rich's
        """Return a text with its colours."""
        made = super().__call__(text)
        made.overflow = "fold"
        return made


def _speak_of_frame() -> None:
    """Give the framework its headings; those that its version doesn't have are left alone."""
    rich_utils.highlighter = _Folding()
    for key in TEXTS:
        name = key.removeprefix("typer.")
        if name.isupper() and hasattr(rich_utils, name):
            setattr(rich_utils, name, text(key))


def speak(command: Any) -> None:  # noqa: ANN401
    """Turn the keys of a command, its options and its subcommands into words."""
    for holder in (command, *command.params):
        if holder.name in _COMPLETION:
            holder.help = f"typer.{holder.name}"
        if getattr(holder, "help", None) in TEXTS:
            holder.help = _STOPS.sub(r"\1 ", text(holder.help))
    command.epilog = epilogue()
    command.options_metavar = text("typer.options_metavar")
    if isinstance(command, TyperGroup):
        command.subcommand_metavar = text("typer.subcommand_metavar")
        for sub in command.commands.values():
            speak(sub)


def _translated(option: Any) -> Any:  # noqa: ANN401
    if option is not None:
        option.help = text("typer.help_option")
    return option


def _usage(line: str) -> str:
    return line.replace(TEXTS["typer.usage"][0], text("typer.usage"), 1)


@contextmanager
def _translating() -> Generator[None]:
    """Let errors of usage that come out say what they say in the user's language."""
    try:
        yield
    except KeyboardInterrupt:  # of which the framework says nothing
        print(text("interrupted"), file=sys.stderr)
        raise
    except Exception as error:
        write = getattr(error, "format_message", None)  # a usage error, of whichever version
        if write is not None and type(error).__name__ != _HELP:
            words = translate("typer.error.", write())
            error.format_message = lambda: words  # type: ignore[attr-defined]  # seen above
        raise


def translate(prefix: str, english: str) -> str:
    """Return the framework's words in the user's language; those in no table as they are."""
    for key, (pattern, _) in TEXTS.items():
        if key.startswith(prefix) and (found := matcher(pattern).fullmatch(english)):
            values = found.groupdict()
            if "reason" in values:
                values["reason"] = translate("typer.reason.", values["reason"])
            return text(key, **values)
    return "\n".join(shown(line) for line in english.expandtabs(4).split("\n"))
