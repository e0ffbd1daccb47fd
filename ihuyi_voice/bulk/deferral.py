"""Messages that may not go yet: a heap by ready time, and a queue behind every busy number."""

import heapq
from collections import deque
from itertools import count

import attrs

from ihuyi_voice.calls.submission import Job
from ihuyi_voice.models import Message


@attrs.frozen(eq=False)
class Item:
    """A message of a run, and how far its submission is."""

    message: Message
    job: Job


class Deferral:
    """Keeps what waits, and the order of messages to one number.

    A number is busy from the moment its message is claimed until that one is finished, also while
    it waits in the heap. Messages to a busy number queue up behind it.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Item]] = []
        self._ticket = count()
        self._busy: dict[str, deque[Item] | None] = {}
        self._behind = 0
        self._latest = 0.0

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._heap) + self._behind

    @property
    def next_time(self) -> float | None:
        """When the first of them is ready, by the event loop's clock."""
        return self._heap[0][0] if self._heap else None

    @property
    def last_time(self) -> float:
        """When the last known of them is ready; those behind a busy number come later still."""
        return self._latest if self._heap else 0.0

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
        self._latest = max(self._latest, ready_at) if self._heap else ready_at
        heapq.heappush(self._heap, (ready_at, next(self._ticket), item))

    def pop_ready(self, now: float) -> Item | None:
        """Return an item whose time has come; it stays claimed."""
        if self._heap and self._heap[0][0] <= now:
            return heapq.heappop(self._heap)[2]
        return None

    def finish(self, item: Item, now: float) -> None:
        """Give the item's number to the next in its queue, which is ready at once."""
        queue = self._busy[item.job.mobile]
        if not queue:
            del self._busy[item.job.mobile]
            return
        self._behind -= 1
        self.put_aside(queue.popleft(), now)

    def clear(self) -> list[Item]:
        """Return all that wait, and forget them; what is in flight keeps its numbers."""
        waiting = [item for _, _, item in sorted(self._heap)]
        self._heap.clear()
        behind = [item for queue in self._busy.values() for item in queue or ()]
        for item in waiting:
            del self._busy[item.job.mobile]
        self._busy = dict.fromkeys(self._busy)
        self._behind = 0
        return [*waiting, *behind]
