"""Group commit: rows that arrive while a commit runs are written together in the next one.

A row that has been put is written even if whoever put it is cancelled meanwhile. Rows come in
bursts, one in each of a few turns of the event loop, and a commit costs more than its rows do: so
it begins when the burst is over.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from ihuyi_voice.common.foreign import PASSING
from ihuyi_voice.common.signal import Signal
from ihuyi_voice.common.tasks import ended, is_cancelled
from ihuyi_voice.errors import StorageClosed, StorageUnavailable

_MOST_WAITING: Final = 10_000
_MOST_TURNS: Final = 16  # of the event loop that a burst may take
ELSEWHERE: Final = "database was opened in another event loop: open one in each"
"""A future of another loop would never wake anybody."""

Row = TypeVar("Row")
Result = TypeVar("Result")


class _Group(Generic[Row, Result]):
    """The rows of one commit, and who waits for what becomes of them."""

    def __init__(self, told: Callable[[StorageUnavailable], Exception]) -> None:
        self.rows: list[Row] = []
        self.waiters: list[asyncio.Future[Result]] = []
        self._told = told

    def succeed(self, results: Sequence[Result]) -> None:
        for waiter, result in zip(self.waiters, results, strict=True):
            if not waiter.done():
                waiter.set_result(result)

    def fail(self, error: BaseException) -> None:
        kind = StorageClosed if isinstance(error, StorageClosed) else StorageUnavailable
        for waiter in self.waiters:  # each gets an exception of its own
            if not waiter.done():
                own = kind(str(error))
                own.__cause__ = error
                waiter.set_exception(self._told(own))
                waiter.exception()  # seen: whoever still cares has it from the future


def _as_it_is(error: StorageUnavailable) -> Exception:
    return error


class GroupCommit(Generic[Row, Result]):
    """Writes rows, as many in one commit as there are, one commit after another.

    Args:
        write: Writes rows and returns a result for each of them, in their order. If it raises,
            none of its rows was written; later ones are tried as ever.
        most_waiting: So many rows wait for a commit at most, while another one runs.
        told: Returns the error that those whose rows were not written are told of it by.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Row]], Awaitable[Sequence[Result]]],
        *,
        most_waiting: int = _MOST_WAITING,
        told: Callable[[StorageUnavailable], Exception] = _as_it_is,
    ) -> None:
        self._write = write
        self._most_waiting = most_waiting
        self._told = told
        self._next = _Group[Row, Result](told)
        self._work = Signal()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        """Begin to write."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._over)  # it may be cancelled before it has begun

    async def put(self, row: Row) -> Result:
        """Return its result once the row has been written.

        Raises:
            StorageUnavailable: It was not written, or nobody knows; too many wait already.
            StorageClosed: It was not written, for this is closed.
        """
        return await self.begin(row)

    def begin(self, row: Row) -> "asyncio.Future[Result]":
        """Put a row; what is returned is done as soon as it has been written, or was not.

        Raises:
            StorageUnavailable: Too many wait already, or it is another event loop.
            StorageClosed: This is closed.
        """
        loop = asyncio.get_running_loop()
        if self._loop not in {None, loop}:
            raise self._told(StorageUnavailable(ELSEWHERE))
        if self._closing:
            raise self._told(StorageClosed("database is being closed"))
        group = self._next
        if len(group.rows) >= self._most_waiting:
            raise self._told(StorageUnavailable("database is too slow for what arrives"))
        waiter: asyncio.Future[Result] = loop.create_future()
        group.waiters.append(waiter)
        group.rows.append(row)
        if len(group.rows) == 1:  # else it knows already
            self._work.notify()
        return waiter

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
                    await self._gather()
                    await self._commit()
                if self._closing:
                    break
        finally:
            self._over()

    def _over(self, _: object = None) -> None:
        self._closing = True
        self._next.fail(StorageClosed("database was closed before this was written"))

    async def _gather(self) -> None:
        """Let those rows come that are on their way: until a turn of the loop has brought none."""
        for _ in range(_MOST_TURNS):
            count = len(self._next.rows)
            await asyncio.sleep(0)
            if len(self._next.rows) == count:
                return

    async def _commit(self) -> None:
        group, self._next = self._next, _Group[Row, Result](self._told)
        try:
            results = await self._write(group.rows)
            paired = [result for _, result in zip(group.rows, results, strict=True)]
        except PASSING as exc:
            group.fail(StorageUnavailable("database was cut short while this was written"))
            if not isinstance(exc, asyncio.CancelledError) or is_cancelled():
                raise
        except BaseException as exc:  # noqa: BLE001 - told to those who put the rows
            group.fail(exc)
        else:
            group.succeed(paired)
