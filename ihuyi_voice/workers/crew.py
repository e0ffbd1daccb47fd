"""A worker: takes jobs from the queue, and keeps the queue whole, until it is told to stop."""

import asyncio
import logging
import traceback
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, Final, TypeAlias, Unpack

from ihuyi_voice.calls import check_ledger
from ihuyi_voice.client import VoiceClient
from ihuyi_voice.common.logs import Trouble, tell
from ihuyi_voice.common.options import too_slow
from ihuyi_voice.common.redaction import mask_numbers
from ihuyi_voice.common.signal import Signal
from ihuyi_voice.common.tasks import ended
from ihuyi_voice.errors import InvalidRequest, LedgerUnavailable, RunInUse, VoiceError
from ihuyi_voice.events import QueueSeen, WorkerTroubled
from ihuyi_voice.inputs import check_count
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.storage import reason_of, root_of
from ihuyi_voice.workers.given import check_client, check_stop
from ihuyi_voice.workers.parts import PartEnd, WorkOptions, run_part
from ihuyi_voice.workers.queue import STALLED, Queue

logger: Final = logging.getLogger("ihuyi_voice.workers")

_Worker: TypeAlias = Any  # procrastinate's, which is not typed throughout
_ROUND: Final = 1.0  # seconds
_AGAIN: Final = 0.1  # the same
_TAKING: Final = "take jobs"
_WORKING: Final = "work on parts"


async def work(
    client: VoiceClient,
    ledger: Ledger,
    *,
    concurrency: int = 100,
    parts: int = 4,
    stop: asyncio.Event | None = None,
    until_done: bool = False,
    **options: Unpack[WorkOptions],
) -> None:
    """Work on the parts of the account's runs, beside any other workers, until told to stop.

    Told by `stop`, or cancelled, it lets what is in flight end, and gives the rest back. Cancelled
    after that, it lets go of what is in flight, which is UNKNOWN then. A database or guard that
    goes away is waited for.

    Args:
        client: Who sends; its guard should be one that all workers share.
        ledger: An open one, in PostgreSQL, reached directly.
        concurrency: The most submissions in flight.
        parts: How many parts are worked on at a time.
        stop: Once it is set, this ends.
        until_done: Whether this ends, too, when nothing of the account is left to do.
        options: Others of `submit_many`'s: max_wait, max_rate (of this worker), grace,
            max_failures, max_rejections, max_deferred, retry_rejected, guard.

    Raises:
        InvalidRequest: An option can't be right, or the database is behind a transaction pooler.
        LedgerUnavailable: The database can't be reached at the start.
        ImportError: The extra `workers` is not installed.
    """
    check_client(client)
    check_ledger(ledger)
    check_stop(stop)
    check_count("concurrency", concurrency)
    check_count("parts", parts)
    parts = min(parts, concurrency)
    each = concurrency // parts
    client.submit_many((), concurrency=each, **options)  # a wrong one is refused here, by no job
    rate = options.get("max_rate")
    if rate is not None:
        options["max_rate"] = rate = rate / parts
        wrong = too_slow(f"max_rate of each of {parts} parts", rate)
        if wrong is not None:
            raise InvalidRequest(wrong, field="max_rate")
    stop = stop or asyncio.Event()
    async with AsyncExitStack() as closing:
        queue = Queue(ledger, client.account)
        closing.push_async_exit(queue)
        if await _opened(queue, stop):
            crew = _Crew(client, ledger, queue, parts, each, options, until_done=until_done)
            await _working(crew, stop)


async def _opened(queue: Queue, stop: asyncio.Event) -> bool:
    """Open the queue, and say whether it is open: told to stop meanwhile, this ends at once."""
    opening = asyncio.ensure_future(queue.__aenter__())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
        whole = opening.done()
    finally:
        for task in (opening, stopping):
            task.cancel()
        await asyncio.gather(opening, stopping, return_exceptions=True)
    if whole:
        opening.result()
    return whole


async def _working(crew: "_Crew", stop: asyncio.Event) -> None:
    task = asyncio.create_task(crew.run())
    stopping = asyncio.create_task(stop.wait())
    stopping.add_done_callback(lambda _: crew.halt())
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await crew.ended(task)
        raise
    finally:
        stopping.cancel()


class _Crew:
    """The jobs of one worker, and the look-out beside them."""

    def __init__(
        self,
        client: VoiceClient,
        ledger: Ledger,
        queue: Queue,
        parts: int,
        concurrency: int,
        options: WorkOptions,
        *,
        until_done: bool,
    ) -> None:
        from ihuyi_voice.workers import engine  # noqa: PLC0415 - an extra

        self._engine = engine
        self._client = client
        self._ledger = ledger
        self._queue = queue
        self._parts = parts
        self._concurrency = concurrency
        self._options = options
        self._until_done = until_done
        self._events = client.events
        self._halt = asyncio.Event()
        self._news = Signal()
        self._working: set[asyncio.Task[PartEnd]] = set()
        self._worker: _Worker | None = None
        self._troubles = defaultdict[str, Trouble](lambda: Trouble(logger))
        engine.register(queue.app, self._job)

    def halt(self) -> None:
        """Begin nothing more, and give back what was begun."""
        self._halt.set()
        self._news.notify()
        self._engine.give_up(self._queue.app)
        if self._worker is not None:
            self._worker.stop()

    async def ended(self, running: "asyncio.Task[None]") -> None:
        """Halt, and wait for `run`; if it was halted before, or this is cancelled, let go."""
        if not self._halt.is_set():
            self.halt()
            with suppress(asyncio.CancelledError):
                await asyncio.shield(running)
        while not running.done():
            for task in self._working:
                task.cancel()  # once more each time: at first a run still waits for its calls
            with suppress(asyncio.CancelledError):
                await asyncio.wait({running}, timeout=_AGAIN)
        running.result()

    async def run(self) -> None:
        """Work until halted; whatever goes away meanwhile is waited for."""
        async for _ in self._news.rounds(every=_ROUND):
            if self._halt.is_set():
                break
            await self._guarded(_TAKING, self._take_jobs)
        await self._guarded("give parts back", self._queue.defer_undone)

    async def _job(self, run: str, part: int) -> None:
        each, options = self._concurrency, self._options
        working = run_part(
            self._client, self._ledger, run, part, stop=self._halt, concurrency=each, **options
        )
        task = asyncio.create_task(working)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        try:
            _tell(run, part, await task)
            self._went_well(_WORKING)
        except Exception as exc:
            self._failed(run, part, exc)
            raise
        finally:
            if self._until_done:  # it may have been the last one
                self._news.notify()

    def _failed(self, run: str, part: int, exc: Exception) -> None:
        """Tell why a job failed, which the engine knows only as an error."""
        if isinstance(exc, RunInUse):  # another worker has it
            tell(logger, logging.INFO, "part %d of %r is left to others: %s", part, run, exc)
        elif isinstance(exc, VoiceError):
            text = "a worker could not %s, and goes on trying (part %d of %r: %s)"
            self._troubles[_WORKING].note(text, _WORKING, part, run, exc)
        else:
            trace = mask_numbers("".join(traceback.format_exception(exc)))
            tell(
                logger,
                logging.ERROR,
                "part %d of %r broke, and its run stops\n%s",
                part,
                run,
                trace,
            )

    async def _take_jobs(self) -> None:
        app, name = self._queue.app, self._queue.name
        worker = self._engine.worker_of(app, name, parts=self._parts, stalled=STALLED)
        self._worker = worker
        looking = asyncio.create_task(self._look_out(worker))
        try:
            await worker.run()
        finally:
            self._worker = None
            await ended(looking, at_once=True)

    async def _look_out(self, worker: _Worker) -> None:
        """Beat, fail the jobs of the dead, and defer what has none; without a beat, begin anew."""
        async for _ in self._news.rounds(every=_ROUND):
            going_on = not self._halt.is_set()
            if not (going_on and await self._guarded("look after the queue", self._round)):
                worker.stop()
                return

    async def _round(self) -> None:
        worker = self._worker
        number = None if worker is None else worker.worker_id
        if worker is not None and number is not None and not await self._queue.beat(number):
            worker.stop()  # it was thought dead
        failed = await self._queue.sweep()
        seen = await self._queue.look()
        if number is not None:  # it is known to the queue, and so it takes jobs
            self._went_well(_TAKING)
        if self._events.wants(QueueSeen):
            self._events.tell(seen.event(failed))
        if self._until_done and not seen.undone:
            self.halt()

    async def _guarded(self, what: str, step: Callable[[], Awaitable[object]]) -> bool:
        """Do a step; say whether it went well."""
        try:
            await step()
        except (LedgerUnavailable, *self._engine.Failures) as exc:
            text = "a worker could not %s, and goes on trying (%s)"
            self._troubles[what].note(text, what, reason_of(root_of(exc)))
            if self._events.wants(WorkerTroubled):
                self._events.tell(WorkerTroubled(what, exc))
            return False
        self._went_well(what)
        return True

    def _went_well(self, what: str) -> None:
        if what in self._troubles:
            self._troubles[what].over("a worker can %s again", what)


def _tell(run: str, part: int, end: PartEnd) -> None:
    counts = ", ".join(f"{count} {status}" for status, count in end.counts.items() if count)
    state = "done" if end.done else f"stopped: {end.stopped}" if end.stopped else "given back"
    shown = mask_numbers(state)  # a reason is people's own words
    tell(logger, logging.INFO, "part %d of %r is %s (%s)", part, run, shown, counts)
