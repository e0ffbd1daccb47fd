"""Things that all clients of one guard, or of one ledger, share in one event loop."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


class Shared(Generic[T]):
    """One thing for each event loop, owner and account; it is gone when the owner or the loop is.

    Args:
        make: Makes a new one.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._loops: WeakKeyDictionary[
            asyncio.AbstractEventLoop, WeakKeyDictionary[object, dict[str, T]]
        ] = WeakKeyDictionary()

    def of(self, owner: object, account: str) -> T:
        """Return the one of an owner and account in the running event loop."""
        owners = self._loops.setdefault(asyncio.get_running_loop(), WeakKeyDictionary())
        try:
            accounts = owners.setdefault(owner, {})
        except TypeError:  # it can't be hashed, or not be referred to weakly
            return self._make()
        return (
            accounts[account] if account in accounts else accounts.setdefault(account, self._make())
        )
