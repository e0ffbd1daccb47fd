"""Messages that may not go yet: heaps by ready time, and a queue behind every busy number."""

import heapq
from collections import Counter, deque
from collections.abc import Iterator
from itertools import chain, count
from math import inf
from typing import TYPE_CHECKING

import attrs

from ihuyi_voice.bulk.pace import Start
from ihuyi_voice.calls import Job
from ihuyi_voice.calls.holding import BEHIND
from ihuyi_voice.models import Message

if TYPE_CHECKING:
    import asyncio


@attrs.define(eq=False)
class Item:
    """A message of a run, and how far its submission is.

    Attributes:
        message: As the caller gave it.
        job: Its submission.
        keeps_place: Whether it counts as in flight while it waits: trouble like that with the
            connection is everybody's, so nobody else is to take its place.
        turn: Done as soon as the number's turn has come, whatever ready time the heap knows.
        ticket: Its valid entry in a heap; 0 if it isn't in one.
        start: The step in progress, as the pace knows it.
        begun: Requests begun before that step.
        waits_for: What it waits for in a heap, in a few words.
    """

    message: Message
    job: Job
    keeps_place: bool = False
    turn: "asyncio.Future[None] | None" = None
    ticket: int = 0
    start: Start | None = None
    begun: int = 0
    waits_for: str = ""


class _Heap:
    """Items by ready time. An item that is put in anew leaves its older entry behind, invalid.

    Args:
        tickets: Numbers that no other heap of these items gives out.
    """

    def __init__(self, tickets: Iterator[int]) -> None:
        self._entries: list[tuple[float, int, Item]] = []
        self._tickets = tickets
        self.latest = 0.0
        self.size = 0

    def put(self, item: Item, ready_at: float) -> None:
        """Keep an item until `ready_at`; if it is in here already, that is its new time."""
        if item.turn is None:  # else it is only the time at which waiting for the turn is in vain
            self.latest = max(self.latest, ready_at) if self.size else ready_at
        self.size += not item.ticket
        item.ticket = next(self._tickets)
        heapq.heappush(self._entries, (ready_at, item.ticket, item))

    def first(self) -> float | None:
        """Return when the first of them is ready."""
        entries = self._entries
        while entries and entries[0][1] != entries[0][2].ticket:
            heapq.heappop(entries)
        return entries[0][0] if entries else None

    def pop(self, now: float) -> Item | None:
        """Return an item whose time has come."""
        first = self.first()
        if first is None or first > now:
            return None
        item = heapq.heappop(self._entries)[2]
        item.ticket = 0
        self.size -= 1
        return item

    def __iter__(self) -> Iterator[Item]:
        return (item for _, ticket, item in self._entries if ticket == item.ticket)


class Deferral:
    """Keeps what waits, and the order of messages to one number.

    A number is busy from the moment its message is claimed until that one is finished, also while
    it waits in a heap. Messages to a busy number queue up behind it.
    """

    def __init__(self) -> None:
        tickets = count(1)
        self._held = _Heap(tickets)
        self._kept = _Heap(tickets)
        self._busy: dict[str, deque[Item] | None] = {}
        self._behind = 0

    def __len__(self) -> int:
        """Return how many messages wait."""
        return self._held.size + self._kept.size + self._behind

    @property
    def places(self) -> int:
        """How many of those that wait keep their place among those in flight."""
        return self._kept.size

    @property
    def last_time(self) -> float:
        """When the last known of them is ready; those behind a busy number come later still."""
        heaps = [heap.latest for heap in (self._held, self._kept) if heap.size]
        return max(heaps, default=0.0)

    @property
    def reasons(self) -> dict[str, int]:
        """What they wait for, in words, and how many do."""
        reasons = Counter(item.waits_for for item in chain(self._held, self._kept))
        if self._behind:
            reasons[BEHIND] += self._behind
        return dict(reasons)

    def claim(self, item: Item) -> bool:
        """Take the item's number for it, or queue it up behind whoever has it."""
        mobile = item.job.mobile
        if mobile not in self._busy:
            self._busy[mobile] = None
            return True
        queue = self._busy[mobile]
        if queue is None:
            queue = self._busy[mobile] = deque()
        queue.append(item)
        self._behind += 1
        return False

    def put_aside(self, item: Item, ready_at: float) -> None:
        """Keep a claimed item until `ready_at`."""
        (self._kept if item.keeps_place else self._held).put(item, ready_at)

    def hasten(self, item: Item, now: float) -> bool:
        """Make an item ready now if it still waits; return whether it does."""
        if item.ticket:
            self.put_aside(item, now)
        return bool(item.ticket)

    def pop_ready(self, now: float, *, room: bool) -> Item | None:
        """Return an item whose time has come; it stays claimed.

        Args:
            now: The event loop's time.
            room: Whether there is a free place; if not, only those that kept theirs may go.
        """
        item = self._kept.pop(now) if self._kept.size else None
        if item is None and room and self._held.size:
            item = self._held.pop(now)
        return item

    def next_time(self, *, room: bool) -> float | None:
        """Return when the first is ready of those that `pop_ready` would return then."""
        times = (self._kept.first(), self._held.first() if room else None)
        return min((when for when in times if when is not None), default=None)

    def finish(self, item: Item, now: float) -> None:
        """Give the item's number to the next in its queue, which is ready at once."""
        queue = self._busy[item.job.mobile]
        if not queue:
            del self._busy[item.job.mobile]
            return
        self._behind -= 1
        self.put_aside(queue.popleft(), now)

    def drop(self) -> Item | None:
        """Return one of those that wait, and forget it; None if there is none."""
        item = self._kept.pop(inf) or self._held.pop(inf)
        if item is not None:
            self.finish(item, 0.0)
            return item
        queue = next((queue for queue in self._busy.values() if queue), None)
        if queue is None:
            return None
        self._behind -= 1  # what it waited for is in flight
        return queue.popleft()
