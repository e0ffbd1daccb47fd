"""Fields of a reply or of a push: what they may hold, and that none contradicts another."""

import re
from collections.abc import Iterable
from typing import Final, TypeVar

V = TypeVar("V")

# The document writes ids as short as 8 digits; 20 digits were seen. A page of text is no id.
ID: Final = re.compile(r"[0-9A-Za-z_.-]{1,64}")
INTEGER: Final = re.compile(r"-?[0-9]{1,9}")


def once(pairs: Iterable[tuple[str, V]], error: type[ValueError]) -> dict[str, V]:
    """Return a dict, refusing a name that comes twice with two values: neither can be believed.

    Raises:
        ValueError: The `error` that was asked for, if one does.
    """
    listed = list(pairs)
    fields = dict(listed)
    if len(fields) == len(listed):  # as nearly always
        return fields
    fields.clear()
    for name, value in listed:
        if fields.setdefault(name, value) != value:
            raise error(f"{name[:20]!r} comes twice with two values")
    return fields


def checked(
    value: str, pattern: re.Pattern[str], name: str, error: type[ValueError]
) -> re.Match[str]:
    """Return the match of a whole value.

    Raises:
        ValueError: The `error` that was asked for, if it doesn't match.
    """
    match = pattern.fullmatch(value)
    if match is None:
        raise error(f"{name} is not what it should be")
    return match
