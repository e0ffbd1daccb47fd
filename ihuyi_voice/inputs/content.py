"""What may be said: a notification's content, and a template's id, before they cost a call."""

import unicodedata
from typing import Final

from ihuyi_voice.common.foreign import shown
from ihuyi_voice.common.plain import plain
from ihuyi_voice.errors import InvalidRequest

_ALLOWED_CONTROLS: Final = frozenset("\n\r\t")


def validate_content(content: str, max_length: int | None) -> str:
    """Return `content` with the characters that it has, if it can be said.

    Args:
        content: The whole text; it is not changed, because the dynamic password covers it.
        max_length: The most characters; None for any number.

    Raises:
        InvalidRequest: It is empty, too long, or has characters that can't be sent.
    """
    if type(content) is not str:
        if not isinstance(content, str):  # pyright: ignore[reportUnnecessaryIsInstance] - user input
            raise InvalidRequest(
                f"the content is of type {type(content).__name__}, not text", field="content"
            )
        content = plain(content)
    if not content.strip():
        raise InvalidRequest("the content is empty", field="content")
    if max_length is not None and len(content) > max_length:
        raise InvalidRequest(
            f"the content has {len(content)} characters; at most {max_length} are allowed",
            field="content",
        )
    if not content.isprintable():
        _check_characters(content)
    return content


def validate_template_id(given: object) -> str:
    """Return the id of a template; from files and databases it comes as a number, or not at all.

    Raises:
        InvalidRequest: There is none, or it can't be one.
    """
    written = (plain(given) if isinstance(given, str) else str(given)).strip()
    if given is None or not written:
        raise InvalidRequest("template_id is empty", field="template_id")
    if isinstance(given, bool) or " " in written or not written.isprintable():
        raise InvalidRequest(
            f"template_id is {shown(given)}, which the vendor gives to none", field="template_id"
        )
    return written


def _check_characters(content: str) -> None:
    for place, char in enumerate(content):
        if unicodedata.category(char) in {"Cc", "Cs"} and char not in _ALLOWED_CONTROLS:
            raise InvalidRequest(
                f"the content has the character U+{ord(char):04X} at place {place + 1}, "
                "which can't be said",
                field="content",
            )
    if all(char.isspace() or not char.isprintable() for char in content):
        raise InvalidRequest("the content has nothing to say", field="content")
