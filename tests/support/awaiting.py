"""A guard and a ledger that await something of the caller's in each of their methods."""

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

from ihuyi_voice import MemoryGuard
from ihuyi_voice.guards import Lease, Wait
from tests.support.journals import Asked, FakeLedger
from tests.support.virtual_time import loop_time

Then: TypeAlias = Callable[[str], Any]
"""Given the name of the method, before that does its work."""


@attrs.define(eq=False)
class AwaitingGuard:
    """A MemoryGuard that awaits something of the caller's before it does its work."""

    then: Then
    inside: MemoryGuard = attrs.field(factory=lambda: MemoryGuard(clock=loop_time))

    def __getattr__(self, name: str) -> Any:
        """Remember and restore as it does."""
        return getattr(self.inside, name)

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        """Reserve."""
        await self.then("reserve")
        return await self.inside.reserve(account, mobile)

    async def commit(self, lease: Lease) -> None:
        """Commit."""
        await self.then("commit")
        await self.inside.commit(lease)

    async def release(self, lease: Lease) -> None:
        """Release."""
        await self.then("release")
        await self.inside.release(lease)

    async def block(self, lease: Lease, seconds: float) -> None:
        """Block."""
        await self.then("block")
        await self.inside.block(lease, seconds)


@attrs.define(eq=False, slots=False)
class AwaitingLedger(FakeLedger):
    """The same of a ledger."""

    then: Then | None = None

    async def misbehave(self, method: Asked) -> bool:
        """Await it."""
        if self.then is not None:
            await self.then(method)
        return await FakeLedger.misbehave(self, method)
