"""Checks of what a test gives: met later, a wrong option would look like a fault of the client."""

from typing import Any


def several(name: str, given: Any, kind: type | tuple[type, ...]) -> tuple[Any, ...]:  # noqa: ANN401 - tests give anything
    """Return what an option lists; one text alone is no list of its letters.

    Raises:
        TypeError: It is no list, or holds something of another kind; the error names the option.
    """
    values = _listed(given)
    if values is None or not all(isinstance(each, kind) for each in values):
        raise TypeError(f"{name} can't be {given!r:.80}: give a list")
    return values


def _listed(given: Any) -> tuple[Any, ...] | None:  # noqa: ANN401 - as above
    is_text = isinstance(given, str | bytes)
    return None if is_text or not hasattr(given, "__iter__") else tuple(given)
