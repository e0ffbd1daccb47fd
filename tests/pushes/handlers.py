"""Handlers that fail, wait and count, and what tests ask of the table behind their back."""

# ruff: noqa: S608 - the table is the test's own
# Some facts can only be seen from inside.
# pyright: reportPrivateUsage=false

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from ihuyi_voice.pushes import DeliveryReport, Inbox
from ihuyi_voice.pushes.claims import Claim, Terms, Verdict
from ihuyi_voice.pushes.store import Store
from ihuyi_voice.storage import Query, Work
from tests.pushes.support import Recorder, report
from tests.support.looking import comes_true

HOUR = 3600.0
NUMBER = "13900000000"


class Clock:
    """Unix time, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_500_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Script:
    """A handler that fails as written, push by push.

    Attributes:
        seen: The ids of what it was given, markers left out.
        failures: What it still has to raise, by id.
    """

    def __init__(self, **failures: Iterable[BaseException]) -> None:
        self.seen: list[str] = []
        self.failures = {subject: list(each) for subject, each in failures.items()}
        self._markers = 0
        self._marked = Recorder()

    async def __call__(self, value: DeliveryReport) -> None:
        """Be called as a handler is."""
        if value.voice_id.startswith("marker"):
            await self._marked(value)
            return
        self.seen.append(value.voice_id)
        failures = self.failures.get(value.voice_id)
        if failures:
            raise failures.pop(0)

    async def turn(self, inbox: Inbox) -> None:
        """Return after a turn: whatever was due before it has been given to a handler."""
        self._markers += 1
        await inbox.put(report(f"marker{self._markers}"))
        await self._marked.called(self._markers)


class Stage:
    """A handler that stays on stage until it is let go.

    Attributes:
        on: The ids of those that are on stage now.
        most: How many have been there at once.
        ended: The ids of those that left, in order.
    """

    def __init__(self, *, leave: bool = False) -> None:
        self.on: list[str] = []
        self.most = 0
        self.ended: list[str] = []
        self.leave = asyncio.Event()
        self._news = asyncio.Condition()
        if leave:
            self.leave.set()

    async def __call__(self, value: DeliveryReport) -> None:
        """Be called as a handler is."""
        self.on.append(value.voice_id)
        self.most = max(self.most, len(self.on))
        try:
            async with self._news:
                self._news.notify_all()
            await self.leave.wait()
            self.ended.append(value.voice_id)
        finally:
            self.on.remove(value.voice_id)

    async def entered(self, count: int) -> None:
        """Return once so many are on stage at once."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.on) >= count)


class Stubborn:
    """A handler that swallows cancellations until it is let go.

    Attributes:
        seen: The ids of what it was given.
        cancelled: Set when it has swallowed one.
        leave: Set to let it go.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.cancelled = asyncio.Event()
        self.leave = asyncio.Event()
        self._entered = asyncio.Event()
        self._left = asyncio.Event()

    async def __call__(self, value: DeliveryReport) -> None:
        """Be called as a handler is."""
        self.seen.append(value.voice_id)
        self._entered.set()
        while not self.leave.is_set():
            try:
                await self.leave.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
        self._left.set()

    async def entered(self) -> None:
        """Return once it has been called."""
        await self._entered.wait()

    async def let_go(self) -> None:
        """Let it end, and return when it has."""
        self.leave.set()
        await self._left.wait()


class Renewals:
    """Counts the renewals of leases, and fails them or leaves them out when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.left_out = False
        self.error: Exception | None = None
        self._news = asyncio.Condition()
        renew = Store.renew

        async def counted(store: Store, claims: list[Claim], lease: float) -> list[Claim]:
            async with self._news:
                self.count += 1
                self._news.notify_all()
            if self.error is not None:
                raise self.error
            return claims if self.left_out else await renew(store, claims, lease)

        monkeypatch.setattr(Store, "renew", counted)

    async def more(self, count: int) -> None:
        """Return after so many further ones."""
        wanted = self.count + count
        async with self._news:
            await self._news.wait_for(lambda: self.count >= wanted)


def store_of(inbox: Inbox) -> Store:
    """Return the store of an open inbox."""
    return inbox._open_parts().store


async def rows(inbox: Inbox, subject: str) -> list[Any]:
    """Return the rows of the pushes of a subject, in the order of their arrival."""
    store = store_of(inbox)
    asked = f"SELECT * FROM {store.table} WHERE subject = :subject ORDER BY seq"

    def work() -> Work[list[Any]]:
        found = yield Query(asked, {"subject": subject})
        return [SimpleNamespace(**dict(each)) for each in found]  # type: ignore[call-overload]

    return await store._database.read(work)


async def row(inbox: Inbox, subject: str) -> Any:
    """Return the row of the only push of a subject."""
    (found,) = await rows(inbox, subject)
    return found


async def settled(inbox: Inbox, subject: str, tries: int) -> Any:
    """Return the row of a push once so many of its tries have ended."""

    async def has_ended() -> bool:
        found = await row(inbox, subject)
        return found.owner is None and found.tries == tries

    await comes_true(has_ended)
    return await row(inbox, subject)


async def change(inbox: Inbox, changes: str, **parameters: object) -> None:
    """Change the table behind everybody's back."""
    store = store_of(inbox)

    def work() -> Work[None]:
        yield Query(f"UPDATE {store.table} SET {changes}", parameters)

    await store._database.write(work)


async def later(inbox: Inbox, seconds: float) -> None:
    """Let so much time pass, as far as leases and pauses go: the database's clock can't be moved.

    A minute of the test's own time may pass besides.
    """
    real = store_of(inbox).table.dialect.real
    await change(inbox, f"due = due - CAST(:seconds AS {real}) WHERE due > 0", seconds=seconds)


async def pause_left(inbox: Inbox, subject: str) -> float:
    """Return in how many seconds a push is due, by the database's clock."""
    store = store_of(inbox)
    asked = f"SELECT due - {store.table.dialect.clock} AS left FROM {store.table}"

    def work() -> Work[float]:
        found = yield Query(f"{asked} WHERE subject = :subject", {"subject": subject})
        return float(found[0]["left"])

    return await store._database.read(work)


async def claim(inbox: Inbox, lease: float = 60.0, max_tries: int = 10) -> list[Claim]:
    """Claim what is due, as a process does which then dies."""
    return await store_of(inbox).turn([], {"report": 20}, Terms(lease, max_tries))


async def judge(inbox: Inbox, *verdicts: Verdict) -> None:
    """End claims."""
    await store_of(inbox).turn(verdicts, {}, Terms(60.0, 10))
