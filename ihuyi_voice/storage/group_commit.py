"""Group commit: rows that arrive while a commit runs are written together in the next one.

A row that has been put is written even if whoever put it is cancelled meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from ihuyi_voice.common.signal import Signal
from ihuyi_voice.common.tasks import ended
from ihuyi_voice.errors import StorageClosed, StorageUnavailable

_MOST_WAITING: Final = 10_000
Row = TypeVar("Row")
Result = TypeVar("Result")


class _Group(Generic[Row, Result]):
    """The rows of one commit, and how it ended."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._results: Sequence[Result] = ()
        self._error: Exception | None = None
        self.ended = asyncio.Event()

    def result(self, place: int) -> Result:
        """Return what became of the row at this place; the commit has ended."""
        if isinstance(self._error, StorageClosed):
            raise StorageClosed(str(self._error)) from self._error
        if self._error is not None:  # told to many: each gets an exception of its own
            raise StorageUnavailable(str(self._error)) from self._error
        return self._results[place]

    def succeed(self, results: Sequence[Result]) -> None:
        self._results = results
        self.ended.set()

    def fail(self, error: Exception) -> None:
        self._error = error
        self.ended.set()


class GroupCommit(Generic[Row, Result]):
    """Writes rows, as many in one commit as there are, one commit after another.

    Args:
        write: Writes rows and returns a result for each of them, in their order. If it raises,
            none of its rows was written; later ones are tried as ever.
        most_waiting: So many rows wait for a commit at most, while another one runs.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Row]], Awaitable[Sequence[Result]]],
        *,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        self._write = write
        self._most_waiting = most_waiting
        self._next = _Group[Row, Result]()
        self._work = Signal()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run())

    async def put(self, row: Row) -> Result:
        """Return its result once the row has been written.

        Raises:
            StorageUnavailable: It was not written, or nobody knows; too many wait already.
            StorageClosed: It was not written, for this is closed.
        """
        if self._closing:
            raise StorageClosed("database is being closed")
        group, place = self._next, len(self._next.rows)
        if place >= self._most_waiting:
            raise StorageUnavailable("database is too slow for what arrives")
        group.rows.append(row)
        self._work.notify()
        await group.ended.wait()
        return group.result(place)

    async def close(self) -> None:
        """Take no more rows, and return once those that were put have been written.

        Cancelled, it tells whoever still waits that nothing is known to be written.
        """
        self._closing = True
        self._work.notify()
        if self._task is not None:
            await ended(self._task)

    async def _run(self) -> None:
        try:
            async for _ in self._work.rounds():
                while self._next.rows:
                    await self._commit()
                if self._closing:
                    break
        finally:
            self._closing = True
            self._next.fail(StorageClosed("database was closed before this was written"))

    async def _commit(self) -> None:
        group, self._next = self._next, _Group[Row, Result]()
        try:
            results = await self._write(group.rows)
            paired = [result for _, result in zip(group.rows, results, strict=True)]
        except asyncio.CancelledError:
            group.fail(StorageUnavailable("database was cut short while this was written"))
            raise
        except Exception as exc:  # noqa: BLE001 - told to those who put the rows
            group.fail(exc)
        else:
            group.succeed(paired)
