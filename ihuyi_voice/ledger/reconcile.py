"""Reports out of an inbox into the ledger: once when asked for, or as they come."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

import attrs

from ihuyi_voice.common.foreign import ENDING, shown, words
from ihuyi_voice.common.logs import Trouble, tell
from ihuyi_voice.common.signal import Signal
from ihuyi_voice.common.tasks import is_cancelled
from ihuyi_voice.errors import LedgerUnavailable
from ihuyi_voice.inputs import check_acts
from ihuyi_voice.ledger import matching
from ihuyi_voice.ledger.entries import Entry
from ihuyi_voice.ledger.heart import Heart
from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.refused import in_parts
from ihuyi_voice.ledger.states import storable, within_reach
from ihuyi_voice.models import DeliveryReport

logger = logging.getLogger("ihuyi_voice.ledger")

Item = TypeVar("Item")

_BATCH: Final = 500
_LET_GO: Final = 5.0  # seconds that an inbox gets to end when it is told to


class Reports(Protocol):
    """An inbox, as the ledger needs it."""

    def reports(
        self, since: int | None = None, *, follow: bool = True
    ) -> AsyncGenerator[DeliveryReport]:
        """Iterate over reports stored after `since`; without `follow`, up to the last one now."""
        ...


def check_inbox(inbox: object) -> None:
    """Refuse what is no inbox.

    Raises:
        InvalidRequest: It says what to give.
    """
    check_acts("inbox", inbox, ("reports",), "an Inbox")


@attrs.frozen
class Reconciled:
    """What reports have settled.

    Attributes:
        settled: The entries that are ACCEPTED now.
        ambiguous: Those still UNKNOWN that reports may be of, with their `candidates`.
    """

    settled: tuple[Entry, ...]
    ambiguous: tuple[Entry, ...]


async def take_in(heart: Heart, owners: Owners, inbox: Reports) -> list[tuple[int, str]]:
    """Take in what an inbox has by now; return the (run, key) that were settled on the way."""
    name = name_of(inbox)
    since = await heart.read(lambda: matching.marked(owners, name))
    settled: list[tuple[int, str]] = []
    batch: list[DeliveryReport] = []
    async with aclosing(inbox.reports(since, follow=False)) as reports:
        async for report in reports:
            batch += [report] if _is_report(report) else []
            if len(batch) == _BATCH:
                settled += (await _stored(heart, owners, name, batch)).settled
                batch = []
    settled += (await _stored(heart, owners, name, batch)).settled if batch else []
    return settled


async def _stored(
    heart: Heart, owners: Owners, name: str, batch: Sequence[DeliveryReport]
) -> matching.Matched:
    """Store reports, but for those that the database refuses, and mark them all as read."""
    seq = max(map(seq_of, batch))
    parts: list[int] = []

    async def store(some: Sequence[DeliveryReport]) -> matching.Matched:
        parts.append(len(some))
        upto = seq if len(some) == len(batch) else 0  # others are not stored yet
        return await heart.write(lambda: matching.store(owners, name, some, upto))

    found = await _in_parts(heart, owners, name, batch, store)
    if len(parts) > 1:
        await heart.write(lambda: matching.mark(owners, name, seq))
    heart.telling.reports(len(batch) - found.refused, found)
    return found


async def _in_parts(
    heart: Heart,
    owners: Owners,
    name: str,
    items: Sequence[Item],
    do: Callable[[Sequence[Item]], Awaitable[matching.Matched]],
) -> matching.Matched:
    """Do something with reports or numbers; those that the database refuses are left out."""
    found = matching.Matched()

    def left_out(item: Item, error: LedgerUnavailable) -> None:
        found.refused += 1
        text = "the ledger can't take in what was told of a call, and leaves it out: %s (%s)"
        tell(logger, logging.WARNING, text, shown(item), words(error))

    for each in await in_parts(
        items, do, lambda: heart.write(lambda: matching.mark(owners, name, 0)), left_out
    ):
        found.add(each)
    return found


class Follower:
    """Takes reports in as they come, and looks again at what had to wait for a call in flight.

    Which numbers those are it finds out when it begins, for whoever took their reports in may have
    died since. An inbox is foreign code: whatever it raises, it is asked again, and what it gives
    that is no report is left out.

    Args:
        heart: Who writes.
        owners: Who lives.
        inbox: Where they come from.
    """

    def __init__(self, heart: Heart, owners: Owners, inbox: Reports) -> None:
        self._heart = heart
        self._owners = owners
        self._inbox = inbox
        self._name = ""  # of the inbox that was read from
        self._read: list[DeliveryReport] = []
        self._news = Signal()
        self._room = Signal()
        self._waiting: dict[str, None] = {}
        self._knows = False
        self._tasks: list[asyncio.Task[None]] = []
        self._no_reports = Trouble(logger)
        self._not_written = Trouble(logger)

    async def __aenter__(self) -> Self:
        """Begin."""
        self._tasks = [asyncio.create_task(each) for each in (self._reading(), self._writing())]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End at once: what was not taken in is read again the next time."""
        for task in self._tasks:
            task.cancel()
        _, left = await asyncio.wait(self._tasks, timeout=_LET_GO)
        if left:
            tell(logger, logging.WARNING, "an inbox that does not let go is left behind")

    async def _reading(self) -> None:
        async for _ in self._news.rounds(every=self._owners.timing.beat):
            await self._room.wait_until(lambda: not self._read)  # which is marked by then
            try:
                self._name = name = name_of(self._inbox)
                marked = partial(matching.marked, self._owners, name)
                await self._read_from(await self._heart.read(marked))
            except (*ENDING, GeneratorExit):
                raise
            except BaseException as exc:
                if is_cancelled():
                    raise
                # Closed, it may be opened again; or it is opened after the ledger.
                self._no_reports.note("no delivery reports for the ledger: %s", type(exc).__name__)
                self._heart.telling.failed("reports", exc)

    async def _read_from(self, since: int) -> None:
        async with aclosing(self._inbox.reports(since)) as reports:
            async for report in reports:
                if not _is_report(report):
                    text = "the inbox gave what is no report, of type %s: it is left out"
                    tell(logger, logging.WARNING, text, type(report).__name__)
                    continue
                self._no_reports.over("delivery reports come to the ledger again")
                await self._room.wait_until(lambda: len(self._read) < _BATCH)
                self._read.append(report)
                self._news.notify()

    async def _writing(self) -> None:
        async for _ in self._news.rounds(every=self._owners.timing.beat):
            batch = self._read[:_BATCH]
            try:
                await self._write(batch)
            except Exception as exc:  # noqa: BLE001 - nobody else would tell, and reports would end
                self._not_written.note("reports wait for the ledger: %s", exc)
                self._heart.telling.failed("reports", exc)
                continue
            self._not_written.over("reports wait for the ledger no more")
            del self._read[: len(batch)]
            self._room.notify()

    async def _write(self, batch: Sequence[DeliveryReport]) -> None:
        owners = self._owners
        if not self._knows:
            self._wait_for(await self._heart.read(lambda: matching.unsure(owners)))
            self._knows = True
        again = list(islice(self._waiting, _BATCH))
        if batch:
            found = await _stored(self._heart, owners, self._name, batch)
            self._wait_for(found.waiting)
        if again:
            found = await _in_parts(self._heart, owners, self._name, again, self._match)
            self._heart.telling.reports(0, found)
            for mobile in again:
                del self._waiting[mobile]
            self._wait_for(found.waiting)

    async def _match(self, mobiles: Sequence[str]) -> matching.Matched:
        return await self._heart.write(lambda: matching.match(self._owners, mobiles))

    def _wait_for(self, mobiles: Iterable[str]) -> None:
        self._waiting |= dict.fromkeys(mobiles)


def _is_report(given: object) -> bool:
    try:
        return isinstance(given, DeliveryReport) and (given.seq is None or _is_a_place(given.seq))
    except ENDING:
        raise
    except BaseException:  # noqa: BLE001 - of a class of somebody's own
        return False


def _is_a_place(seq: object) -> bool:
    return isinstance(seq, int) and within_reach(seq) == seq


def seq_of(report: DeliveryReport) -> int:
    """Return the place of a report in its inbox; 0 if it has none."""
    return int(report.seq or 0)


def name_of(inbox: Reports) -> str:
    """Return what an inbox is called among the marks: each table has its own numbers."""
    return storable(str(getattr(inbox, "identity", "inbox")))
