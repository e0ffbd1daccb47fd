"""What is asked of an option in rooms that don't know each other; each raises an error of its own.

`inputs` checks most options; `guards`, which don't know it, and `events` below both check theirs.
"""

from collections.abc import Sequence
from numbers import Real
from typing import Final, TypeGuard

from ihuyi_voice.common.foreign import shown

SLOWEST: Final = 1 / 86_400
"""The lowest rate, a second: whoever means less has mistaken its unit."""


def is_number(value: object) -> TypeGuard[float]:
    """Say whether a value is a number that can be calculated with, and no bool."""
    return not isinstance(value, bool) and isinstance(value, Real)


def too_slow(name: str, rate: float) -> str | None:
    """Return what is wrong with a rate above 0, in words; None if nothing is."""
    if rate >= SLOWEST:
        return None
    return f"{name} is {rate}, slower than one a day ({SLOWEST:.7f}): nothing would come to an end"


def acts(value: object, methods: Sequence[str]) -> bool:
    """Say whether a value, and no class of such values, has all of these methods."""
    return not isinstance(value, type) and all(
        callable(getattr(value, method, None)) for method in methods
    )


def uncallable(name: str, value: object) -> str | None:
    """Return what is wrong with an option that is to be called, in words; None if nothing is."""
    return None if callable(value) else f"{name} is {shown(value)}, which can't be called"
