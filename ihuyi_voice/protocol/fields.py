"""Fields of a reply or of a push, of which none may contradict another."""

from collections.abc import Iterable
from typing import TypeVar

V = TypeVar("V")


def once(pairs: Iterable[tuple[str, V]], error: type[ValueError]) -> dict[str, V]:
    """Return a dict, refusing a name that comes twice with two values: neither can be believed.

    Raises:
        ValueError: The `error` that was asked for, if one does.
    """
    fields: dict[str, V] = {}
    for name, value in pairs:
        if fields.setdefault(name, value) != value:
            raise error(f"{name[:20]!r} comes twice with two values")
    return fields
