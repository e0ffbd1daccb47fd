"""Checks of options that are no numbers: text, names, functions, and what only has to act so.

A wrong one would otherwise be met far from where it was given, as an AttributeError, or never: a
number is no text, though both look alike in a log, and nothing that waits for it ever comes.
"""

from collections.abc import Sequence

from ihuyi_voice.common.foreign import shown
from ihuyi_voice.common.options import acts, uncallable
from ihuyi_voice.errors import InvalidRequest


def check_text(name: str, value: object) -> None:
    """Refuse what is no text.

    Raises:
        InvalidRequest: It is none; the error names the option.
    """
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} must be text, not of type {_kind(value)}", field=name)


def check_identifier(name: str, value: object, longest: int) -> None:
    """Refuse what is no identifier of so many characters at most, as tables have it.

    Raises:
        InvalidRequest: It is none; the error names the option.
    """
    check_text(name, value)
    text = str(value)
    if not (text.isascii() and text.isidentifier() and len(text) <= longest):
        raise InvalidRequest(f"the {name} must be an identifier", field=name)


def check_called(name: str, value: object) -> None:
    """Refuse what can't be called.

    Raises:
        InvalidRequest: It can't; the error names the option.
    """
    wrong = uncallable(name, value)
    if wrong is not None:
        raise InvalidRequest(wrong, field=name)


def check_acts(name: str, value: object, methods: Sequence[str], meant: str) -> None:
    """Refuse what lacks a method.

    Args:
        name: The option's name.
        value: Its value.
        methods: What it must have.
        meant: What is usually given, with its article.

    Raises:
        InvalidRequest: It lacks one; the error says what to give.
    """
    if not acts(value, methods):
        raise InvalidRequest(f"{name} must be {meant}, not {shown(value)}", field=name)


def check_is(name: str, value: object, kind: type, meant: str) -> None:
    """Refuse what is not of a class.

    Raises:
        InvalidRequest: It is not; the error says what to give.
    """
    if not isinstance(value, kind):
        raise InvalidRequest(f"{name} must be {meant}, not of type {_kind(value)}", field=name)


def _kind(value: object) -> str:
    return type(value).__name__
