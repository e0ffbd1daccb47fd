"""Texts of other people's classes, which write themselves in ways of their own.

An `Enum` that is a `str` writes itself as `Texts.SHIPPED`, a `Markup` escapes what is put into it:
a text of such a class is taken for the characters that it has.
"""


def plain(text: str) -> str:
    """Return a text of the class `str` itself, with the same characters."""
    return str.__str__(text)


def is_storable(text: object) -> bool:
    """Say whether this is a text, and one that each database takes as it is."""
    if not isinstance(text, str) or "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
