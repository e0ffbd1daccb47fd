"""What a database must be able to do, whichever it is: the contract of `sqlite` and `postgres`."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from ihuyi_voice.storage.statements import Dialect, Work

T = TypeVar("T")


class Engine(Protocol):
    """Carries out work; what a driver raises is let out as it is.

    Whoever calls it never cancels it, and calls `write` one at a time.
    """

    @property
    def dialect(self) -> Dialect:
        """How it spells things."""
        ...

    async def open(self, *, create: bool) -> None:
        """Connect, so that what can't work is known at once."""
        ...

    async def write(self, make: Callable[[], Work[T]], *, durable: bool) -> T:
        """Do work in a transaction, and commit it; if anything fails, nothing is changed."""
        ...

    async def read(self, make: Callable[[], Work[T]]) -> T:
        """Do work that only reads."""
        ...

    async def close(self) -> None:
        """Disconnect; nothing runs any more."""
        ...
