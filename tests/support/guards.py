"""Guards that misbehave, method by method, and remember what they were told."""

import asyncio
from typing import Literal, TypeAlias

from ihuyi_voice.guards import Lease, MemoryGuard, Wait
from tests.support.virtual_time import loop_time

Method: TypeAlias = Literal["reserve", "commit", "release", "block"]
Manner: TypeAlias = Literal[
    "raises", "raises no Exception", "is cancelled", "hangs", "is slow", "takes a turn"
]

SLOW = 2.0


class NoException(BaseException):
    """What pytest's `fail`, gevent's `Timeout` and others are: a BaseException of its own kind."""


class Misbehaving:
    """A MemoryGuard of which one method does what it likes, once it has done its work.

    Attributes:
        told: What it was asked to do, in order, finished or not.
        settled: What has been finished.
        begun: Set when the misbehaving method has begun.
        inside: The guard that it would be.
    """

    def __init__(self, method: Method | None = None, manner: Manner = "raises") -> None:
        self.inside = MemoryGuard(clock=loop_time)
        self.told: list[str] = []
        self.settled: list[str] = []
        self.begun = asyncio.Event()
        self._method = method
        self._manner = manner

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        """Misbehave before anything is reserved, or reserve slowly."""
        await self._misbehave("reserve")
        return await self.inside.reserve(account, mobile)

    async def commit(self, lease: Lease) -> None:
        """Commit."""
        await self._misbehave("commit")
        await self.inside.commit(lease)
        self.settled.append("commit")

    async def release(self, lease: Lease) -> None:
        """Release."""
        await self._misbehave("release")
        await self.inside.release(lease)
        self.settled.append("release")

    async def block(self, lease: Lease, seconds: float) -> None:
        """Block."""
        await self._misbehave("block")
        await self.inside.block(lease, seconds)
        self.settled.append(f"block {seconds:g}")

    @property
    def in_flight(self) -> int:
        """How many numbers are locked."""
        return self.inside.statistics().in_flight

    async def _misbehave(self, method: Method) -> None:
        self.told.append(method)
        if method != self._method:
            return
        self.begun.set()
        if self._manner == "raises":
            raise ConnectionError(f"no guard to {method}")
        if self._manner == "raises no Exception":
            raise NoException(method)
        if self._manner == "is cancelled":
            raise asyncio.CancelledError
        await asyncio.sleep({"is slow": SLOW, "takes a turn": 0}.get(self._manner, 1e9))
