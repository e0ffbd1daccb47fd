"""The neighbours of a client, each of which does its work, and perhaps some mischief beside it."""

import logging
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import attrs
import httpx

from ihuyi_voice.calls import Ending
from ihuyi_voice.events import Event
from ihuyi_voice.guards import Lease, MemoryGuard, Wait
from ihuyi_voice.models import Draft
from tests.client.neighbours.mischief import Mischief
from tests.ledger.simulation.network import Attempt, Network

RELEASED: Final = "release"


@attrs.define(eq=False)
class Lent:
    """A lease that a guard gave.

    Attributes:
        mobile: The number.
        at: When it was given, by the loop's clock.
        over: When it was settled; None if it was not.
        by: How it was settled, in order: more than once is wrong.
    """

    mobile: str
    at: float
    over: float | None = None
    by: list[str] = attrs.field(factory=list[str])


class Watchman:
    """A guard, and a record of the leases that it gave away.

    Args:
        mischief: Of the world.
        clock: The loop's.
    """

    def __init__(self, mischief: Mischief, clock: Callable[[], float]) -> None:
        self.inside = MemoryGuard(clock=clock)
        self.lent: dict[int, Lent] = {}
        self.leases: list[Lease] = []  # so that none has another's id
        self._mischief, self._clock = mischief, clock

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        """Lock a number."""
        await self._mischief.awaited("guard.reserve, before")
        given = await self.inside.reserve(account, mobile)
        await self._mischief.awaited("guard.reserve, after")
        if isinstance(given, Lease):
            self.leases.append(given)
            self.lent[id(given)] = Lent(mobile, self._clock())
        return given

    async def commit(self, lease: Lease) -> None:
        """Commit."""
        self._note("commit", lease)
        await self._mischief.awaited("guard.commit, before")
        await self.inside.commit(lease)
        await self._mischief.awaited("guard.commit, after")

    async def release(self, lease: Lease) -> None:
        """Release."""
        self._note(RELEASED, lease)
        await self._mischief.awaited("guard.release, before")
        await self.inside.release(lease)

    async def block(self, lease: Lease, seconds: float) -> None:
        """Block."""
        self._note("block", lease)
        await self._mischief.awaited("guard.block, before")
        await self.inside.block(lease, seconds)

    def _note(self, how: str, lease: Lease) -> None:
        lent = self.lent[id(lease)]
        lent.by.append(how)
        lent.over = self._clock()


class Way(Network):
    """The way to the vendor, as a transport of httpx; its reply comes in as a stream."""

    mischief: Mischief

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; if that fails, some try again behind everybody's back."""
        await self.mischief.awaited("way, before")
        try:
            return await super().handle_async_request(request)
        except httpx.TransportError:
            if not self.fate.happens(0.3):
                raise
        return await super().handle_async_request(request)

    async def _sent(
        self, attempt: Attempt, scope: dict[str, Any], body: bytes, patience: float
    ) -> httpx.Response:
        response = await super()._sent(attempt, scope, body, patience)
        understood, attempt.understood = attempt.understood, False
        await self.mischief.awaited("way, after")
        told = Body(self.mischief, response.content, attempt, understood=understood)
        return httpx.Response(response.status_code, headers=response.headers, stream=told)


class Body(httpx.AsyncByteStream):
    """A reply's body, which is understood once all of it was given."""

    def __init__(
        self, mischief: Mischief, content: bytes, attempt: Attempt, *, understood: bool
    ) -> None:
        self._mischief, self._content = mischief, content
        self._attempt, self._understood = attempt, understood

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        """Give it, in two parts."""
        await self._mischief.awaited("body, before")
        half = len(self._content) // 2
        yield self._content[:half]
        self._attempt.understood = self._understood
        yield self._content[half:]
        await self._mischief.awaited("body, after")

    async def aclose(self) -> None:
        """Close it."""
        await self._mischief.awaited("body, closing")


class Handler(logging.Handler):
    """Keeps the lines that were logged."""

    def __init__(self, mischief: Mischief) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._mischief = mischief

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.lines.append(self.format(record))
        self._mischief.called("log handler")

    @contextmanager
    def listening(self, level: int) -> Generator[None]:
        """Hear all that is logged from that level on, alone: its judge looks at what lines show."""
        logger, disabled = logging.getLogger("ihuyi_voice"), logging.root.manager.disable
        before = logger.level
        logging.disable(logging.NOTSET)
        logger.setLevel(level)
        logger.propagate = False
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)
            logger.propagate = True
            logger.setLevel(before)
            logging.disable(disabled)


class Listener:
    """Hears of events, and keeps them."""

    def __init__(self, mischief: Mischief) -> None:
        self.heard: list[Event] = []
        self._mischief = mischief

    def __call__(self, event: Event) -> None:
        """Hear of one."""
        self.heard.append(event)
        self._mischief.called("event hook")


@attrs.define(eq=False)
class Book:
    """A journal."""

    inside: Any
    mischief: Mischief

    @property
    def is_new(self) -> bool:
        """Whether nothing was in it."""
        return bool(self.inside.is_new)

    @property
    def has_recent(self) -> bool:
        """Whether `recall` may know a call."""
        return bool(self.inside.has_recent)

    async def look(self, drafts: Sequence[Draft]) -> Sequence[Ending | None]:
        """Look up."""
        await self.mischief.awaited("ledger.look")
        found: Sequence[Ending | None] = await self.inside.look(drafts)
        return found

    async def accepted(self, after: int | str) -> Sequence[tuple[Any, ...]]:
        """Return the next of what was accepted; asked of a run that goes on, when all is calm."""
        found: Sequence[tuple[Any, ...]] = await self.inside.accepted(after)
        return found

    async def intend(self, draft: Draft) -> Ending | None:
        """Write an intent."""
        await self.mischief.awaited("ledger.intend, before")
        end: Ending | None = await self.inside.intend(draft)
        await self.mischief.awaited("ledger.intend, after")
        return end

    async def settle(self, draft: Draft, end: Ending) -> None:
        """Write an end."""
        await self.mischief.awaited("ledger.settle, before")
        await self.inside.settle(draft, end)
        await self.mischief.awaited("ledger.settle, after")

    async def recall(self, mobiles: Sequence[str]) -> Mapping[str, Sequence[float]]:
        """Return the ages of calls."""
        await self.mischief.awaited("ledger.recall")
        found: Mapping[str, Sequence[float]] = await self.inside.recall(mobiles)
        return found


@attrs.define(eq=False)
class Library:
    """A ledger."""

    inside: Any
    mischief: Mischief

    def calls(self, account: str, **options: Any) -> Book:
        """Return the journal of the keyed calls."""
        return Book(self.inside.calls(account, **options), self.mischief)

    @asynccontextmanager
    async def run(self, account: str, key: str, **options: Any) -> AsyncGenerator[Book]:
        """Open a run."""
        await self.mischief.awaited("ledger.enter")
        async with self.inside.run(account, key, **options) as journal:
            yield Book(journal, self.mischief)
            await self.mischief.awaited("ledger.leave")
