"""Who is at work, and how many of them are in flight.

With a journal, an acceptance frees its place as soon as it is put into a commit. The intent of the
message that takes the place comes into that commit or a later one, so there are no more in flight
by the journal than by the run, and a run that dies leaves no more UNKNOWN than its concurrency.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from ihuyi_voice.bulk.deferral import Item
from ihuyi_voice.calls import Job

if TYPE_CHECKING:
    import asyncio

Worker: TypeAlias = "asyncio.Task[None]"


class Places:
    """The tasks that make attempts, each with its message.

    Args:
        most_written: How many places may be free although their acceptances are being written; a
            journal that hangs holds up so many, and then the run.
        freed: Called when a place has become free in that way.
    """

    def __init__(self, most_written: int, freed: Callable[[], None]) -> None:
        self._items: dict[Worker, Item] = {}
        self._written: set[Job] = set()
        self._most_written = most_written
        self._freed = freed
        self._on_answer = self._answered if most_written else None

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, worker: Worker) -> bool:
        return worker in self._items

    @property
    def workers(self) -> set[Worker]:
        """The tasks."""
        return set(self._items)

    @property
    def in_flight(self) -> int:
        """How many places are taken."""
        return len(self._items) - min(len(self._written), self._most_written)

    def take(self, worker: Worker, item: Item) -> None:
        """Note that a task goes to work on a message."""
        self._items[worker] = item
        item.job.on_answer = self._on_answer

    def leave(self, worker: Worker) -> Item | None:
        """Note that it has done; return the message, None if it was written off before."""
        item = self._items.pop(worker, None)
        if item is not None:
            self._written.discard(item.job)
        return item

    def _answered(self, job: Job) -> None:
        self._written.add(job)
        self._freed()
