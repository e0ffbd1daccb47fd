"""Texts of other people's classes, which write themselves in ways of their own.

An `Enum` that is a `str` writes itself as `Texts.SHIPPED`, a `Markup` escapes what is put into it:
a text of such a class is taken for the characters that it has.
"""


def plain(text: str) -> str:
    """Return a text of the class `str` itself, with the same characters."""
    return str.__str__(text)
