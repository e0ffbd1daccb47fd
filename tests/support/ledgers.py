"""Ledgers for tests: several "processes" over one database, whose clock is the test's."""

# pyright: reportPrivateUsage=false

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import attrs
import pytest

from ihuyi_voice import (
    Action,
    Operation,
    OutcomeStatus,
    OutcomeUnknown,
    RateLimited,
    Submission,
    VendorError,
    VoiceError,
)
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.ledger.desk import Desk
from ihuyi_voice.ledger.journal import Journal
from ihuyi_voice.ledger.schema import Timing
from ihuyi_voice.ledger.states import ENDED, Ending, columns_of
from ihuyi_voice.models import Draft
from tests.support.databases import Place, new_table
from tests.support.ready import ready_ledger

ACCOUNT = "VM1"
A, B = "13900000000", "02151000029"
NEVER = 1e9


@attrs.define(eq=False)
class World:
    """A database, its processes and its time.

    Attributes:
        place: The database.
        now: Unix time.
        slept: What happens when somebody waits to look at a beat again.
        beat: How often new processes beat by themselves, in real seconds.
    """

    place: Place
    now: float = 1_800_000_000.0
    slept: Callable[[], Awaitable[None]] | None = None
    beat: float = NEVER
    _closing: AsyncExitStack = attrs.field(factory=AsyncExitStack)

    def clock(self) -> float:
        """Return the time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        if self.slept is not None:
            await self.slept()

    def ledger(self, **options: Any) -> Ledger:
        """Return a ledger that does not beat by itself again after its birth."""
        timing = Timing(beat=self.beat, sleep=self.sleep)
        return Ledger.open(
            self.place.url, prefix=self.place.table, timing=timing, clock=self.clock, **options
        )

    async def process(self, **options: Any) -> "Process":
        """Return a process with the ledger open."""
        ledger = await self._closing.enter_async_context(self.ledger(**options))
        return Process(self, ledger)

    async def aclose(self) -> None:
        """Let all processes end."""
        await self._closing.aclose()


@attrs.define(eq=False)
class Process:
    """What one process has."""

    world: World
    ledger: Ledger

    @property
    def desk(self) -> Desk:
        """Its insides."""
        desk = self.ledger._desk
        assert desk is not None
        return desk

    def calls(self, *, retry_rejected: bool = False) -> Journal:
        """Return the keyed calls."""
        return self.ledger.calls(ACCOUNT, retry_rejected=retry_rejected)

    async def beat(self) -> None:
        """Beat."""
        await self.desk.heart._beat_once()

    async def rests(self) -> None:
        """Wait for what is written without anybody's wait."""
        while self.desk.heart._later:
            await asyncio.wait(self.desk.heart._later)

    async def dies(self) -> None:
        """End as a killed process does: at once, without a word to the database."""
        heart = self.desk.heart
        self.ledger._desk, self.ledger._closing = None, AsyncExitStack()
        for task in (heart._beating, heart._group._task):
            if task is not None:
                task.cancel()
        await heart._database.close()


def draft(key: str = "k", mobile: str = A, content: str = "您好") -> Draft:
    """Return a message under a key."""
    return Draft(key, mobile, content)


def accepted(voice_id: str = "V1", mobile: str = A) -> Submission:
    """Return an acceptance."""
    return Submission(voice_id, mobile, "提交成功", 2)


def refused(action: Action, code: int = 406) -> VendorError:
    """Return a refusal of the vendor's."""
    error = VendorError(code, "手机格式不正确", Operation.SUBMIT, action)
    error.attempts = 1
    return error


def held() -> RateLimited:
    """Return what the guard says."""
    error = RateLimited(4081, "此号码的提交频率已达上限", Operation.SUBMIT, Action.WAIT)
    error.source = "guard"
    return error


def unknown() -> OutcomeUnknown:
    """Return an end that nobody knows."""
    return OutcomeUnknown("no reply within 30 s")


def status_of(end: Submission | VoiceError) -> OutcomeStatus:
    """Return which outcome an end is."""
    return OutcomeStatus.ACCEPTED if isinstance(end, Submission) else end.status


def row_of(end: Ending, **others: Any) -> dict[str, Any]:
    """Return what an entry's row has to say of an end."""
    return dict(zip(ENDED, columns_of(end), strict=True)) | {"mobile": A} | others


@pytest.fixture
async def ledger_place(postgres_or_none: str | None, tmp_path: Path) -> AsyncGenerator[Place]:
    """Yield a database with nothing in it, or, on PostgreSQL, with an empty ledger."""
    if postgres_or_none is None:
        yield Place(str(tmp_path / "test.sqlite3"), new_table(), is_postgres=False)
        return
    async with ready_ledger(postgres_or_none) as lent:
        yield Place(lent.url, lent.prefix, is_postgres=True)


@pytest.fixture
async def world(ledger_place: Place) -> AsyncGenerator[World]:
    """Yield a database for ledgers of the test's own."""
    world = World(ledger_place)
    yield world
    await world.aclose()
