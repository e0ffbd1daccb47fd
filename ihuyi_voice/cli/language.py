"""Which language the command speaks, and its words in that language."""

import locale
import os
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from enum import StrEnum
from typing import Final

from ihuyi_voice.cli.reasons import in_chinese
from ihuyi_voice.cli.texts import TEXTS
from ihuyi_voice.common.redaction import shown


class Language(StrEnum):
    """The languages of the table, in its order."""

    EN = "en"
    ZH = "zh"


_COLUMNS: Final = {language: place for place, language in enumerate(Language)}
_CHINESE: Final = (Language.ZH, "chinese")  # as Windows calls it, a code page behind it
_OPTION: Final = "--lang"
_REASONS: Final = frozenset({"reason", "cause"})  # the library's words, which are English
_VARIABLES: Final = ("IHUYI_LANG", "LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set counts
_chosen: ContextVar[Language | None] = ContextVar("ihuyi_voice_language", default=None)


def language_of(args: Sequence[str], environ: Mapping[str, str]) -> Language:
    """Return the language that `--lang` before the command asks for, or else the environment."""
    asked = _asked(args)
    if asked in _COLUMNS:
        return Language(asked)
    said = next((environ[name] for name in _VARIABLES if environ.get(name)), None)
    if said is None:  # as on Windows, whose setting Python has taken on at its start
        said = locale.setlocale(locale.LC_CTYPE)
    return Language.ZH if said.lower().startswith(_CHINESE) else Language.EN


def language_first(args: Sequence[str]) -> list[str]:
    """Return a command line with `--lang` before the command, wherever it stood.

    What comes after `--` is no option.
    """
    for place, arg in enumerate(args):
        name, mark, _ = arg.partition("=")
        if name == _OPTION:
            taken = 1 if mark else 2
            return [*args[place : place + taken], *args[:place], *args[place + taken :]]
        if arg == "--":
            break
    return list(args)


def _asked(args: Sequence[str]) -> str:
    for place, arg in enumerate(args):
        name, mark, value = arg.partition("=")
        if name == _OPTION:
            return value if mark else "".join(args[place + 1 : place + 2])
        if not arg.startswith("-"):
            break
    return ""


def choose(language: Language) -> None:
    """Speak this language from now on."""
    _chosen.set(language)


def spoken() -> Language:
    """Return the language that is spoken now."""
    return _chosen.get() or language_of((), os.environ)


def text(key: str, **values: object) -> str:
    """Return the words of a key in the language of this run, with `values` filled in harmlessly."""
    words = TEXTS[key][_COLUMNS[spoken()]]
    if not values:
        return words
    return words.format(**{name: _said(name, value) for name, value in values.items()})


def _said(name: str, value: object) -> object:
    """Return what is filled in, harmless, and a reason in the language of this run."""
    if not isinstance(value, str):
        return value
    return shown(in_chinese(value) if name in _REASONS and spoken() is Language.ZH else value)


def word(prefix: str, value: str, **values: object) -> str:
    """Return what a value is called: words of the table, or itself if there are none."""
    key = f"{prefix}.{value}"
    return text(key, **values) if key in TEXTS else value
