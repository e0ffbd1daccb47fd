"""Many submissions from one coroutine: a scheduler that no slow number can block.

Theory of operation. A message is *read* from the caller's iterable; it is *in flight* while an
attempt at it is being made; it is *deferred* while its number's guard holds it back or its retry
is not due, or while an earlier message to the same number is unfinished; it is *finished* when
its outcome lies in the queue that the consumer reads. All transitions happen in `_pump`, which
never awaits and is called whenever something has changed: a message was read ahead, an attempt
ended, an outcome was consumed, a timer fired. Each attempt is a task of its own; a deferred
message occupies none, so nobody sleeps on a slow number. Only trouble with the connection itself
is waited out in place: then all numbers are affected, and slowing down is right.

Bounds: `concurrency` attempts in flight; `max_deferred` messages deferred, then reading pauses;
as many unread outcomes as may be in flight, then nothing new starts.

Stopping. A code whose action is STOP lets those in flight end, and everything else, read or not,
comes out NOT_SENT with that error as its cause. Leaving the run early does the same with what was
read, and leaves the rest of the iterable unread. Those in flight get `grace` seconds; what is then
cancelled comes out UNKNOWN if its first byte may have left. Every outcome is counted in
`summary`, and `drain` hands over those that nobody consumed.

Cancellation of the consumer in `__anext__` takes no outcome away. Cancelled while leaving, the
run cancels its attempts at once and still collects their outcomes.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable, Sized
from types import TracebackType
from typing import Final, Self

import attrs

from ihuyi_voice.bulk.deferral import Deferral, Item
from ihuyi_voice.bulk.outcomes import Outcome, accepted, ended, stopped
from ihuyi_voice.bulk.progress import Progress, Tally
from ihuyi_voice.bulk.sources import NOTHING, AsyncSource, Source, SyncSource, as_message
from ihuyi_voice.calls.submission import Delay, Job, Submitter
from ihuyi_voice.errors import (
    InvalidRequest,
    NotSent,
    OutcomeUnknown,
    VendorError,
    VoiceError,
)
from ihuyi_voice.inputs.options import above_zero, not_negative
from ihuyi_voice.models import Action, Message, OutcomeStatus, Submission

_READ_AT_ONCE: Final = 64  # then the event loop gets a turn


@attrs.frozen
class BulkOptions:
    """The options of `submit_many`, which documents them."""

    concurrency: int = attrs.field(default=100, validator=above_zero)
    max_wait: float = attrs.field(default=120.0, validator=not_negative)
    max_rate: float | None = attrs.field(default=None, validator=above_zero)
    max_deferred: int = attrs.field(default=10_000, validator=above_zero)
    grace: float = attrs.field(default=30.0, validator=not_negative)


class BulkRun:
    """A run of submissions: an async context manager, and an async iterator over its outcomes.

    After the last outcome the iterator raises what the caller's iterable raised, if it did.
    """

    def __init__(
        self,
        messages: "Iterable[object] | AsyncIterable[object]",
        make_job: Callable[[Message, float], Job],
        submitter: Submitter,
        options: BulkOptions,
    ) -> None:
        self._messages = messages
        self._make_job = make_job
        self._submitter = submitter
        self._options = options
        self._outcomes: deque[Outcome] = deque()
        self._deferral = Deferral()
        self._tasks: set[asyncio.Task[None]] = set()
        self._parked: set[asyncio.Task[None]] = set()
        self._stopped = asyncio.Event()
        self._cause: VoiceError | None = None
        self._failure: Exception | None = None
        self._changed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._next_start = 0.0
        self._left = False
        self._tally = Tally(total=_length(messages))
        self._source: Source | None = None

    async def __aenter__(self) -> Self:
        if self._source is not None:
            raise RuntimeError("a run can be entered once; call submit_many again")
        self._loop = asyncio.get_running_loop()
        self._tally.start(self._loop.time())
        if isinstance(self._messages, AsyncIterable):
            self._source = AsyncSource(self._messages, self._pump)
        else:
            self._source = SyncSource(self._messages)
        self._pump()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._leave()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        self._entered()
        while not self._outcomes:
            if self._finished():
                raise self._ending()
            self._changed.clear()
            await self._changed.wait()
        outcome = self._outcomes.popleft()
        self._pump()
        return outcome

    async def drain(self) -> list[Outcome]:
        """Start nothing more, await those in flight, and return all outcomes not yet consumed."""
        await self._leave()
        outcomes = list(self._outcomes)
        self._outcomes.clear()
        return outcomes

    @property
    def summary(self) -> dict[OutcomeStatus, int]:
        """How many messages have ended in which way so far, consumed or not."""
        return dict(self._tally.counts)

    @property
    def progress(self) -> Progress:
        """Where the run stands."""
        last = self._deferral.last_time
        return self._tally.progress(
            in_flight=len(self._tasks) - len(self._parked),
            deferred=len(self._deferral) + len(self._parked),
            now=self._entered().time(),
            last_ready=last,
        )

    # --- what may start

    def _pump(self) -> None:
        """Start whatever may start now, and see to it that this is called again in time."""
        if self._source is None:
            return
        if self._cause is not None:
            self._abandon(self._cause)
        budget = _READ_AT_ONCE
        while self._has_room() and budget:
            item = self._deferral.pop_ready(self._loop.time())
            if item is None:
                given = self._read()
                if given is NOTHING:
                    break
                budget -= 1
                item = self._admit(given)
            if item is not None:
                self._start(item)
        self._arm(at_once=not budget)
        self._changed.set()

    def _has_room(self) -> bool:
        options = self._options
        return (
            not self._stopped.is_set()
            and len(self._tasks) - len(self._parked) < options.concurrency
            and len(self._outcomes) < options.concurrency
            and (options.max_rate is None or self._loop.time() >= self._next_start)
        )

    def _read(self) -> object:
        waiting = len(self._deferral) + len(self._parked)
        if self._source is None or waiting >= self._options.max_deferred:
            return NOTHING
        return self._source.take()

    def _admit(self, given: object) -> Item | None:
        """Check a message; return it if its number is free, and see to it otherwise."""
        self._tally.read += 1
        try:
            message = as_message(given)
        except InvalidRequest as error:
            self._emit(ended(Message("", repr(given)[:80]), error))
            return None
        try:
            item = Item(message, self._make_job(message, self._options.max_wait))
        except InvalidRequest as error:
            self._emit(ended(message, error))
            return None
        return item if self._deferral.claim(item) else None

    def _start(self, item: Item) -> None:
        rate = self._options.max_rate
        if rate is not None:
            # Timers fire a little late; up to 10 ms of that may be made up for.
            now = self._loop.time()
            self._next_start = max(self._next_start, now - 0.01) + 1 / rate
        task = self._loop.create_task(self._run(item))
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._parked.discard(task)
        self._pump()

    def _arm(self, *, at_once: bool) -> None:
        """Have `_pump` called when the next deferred message is ready or the rate allows."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._stopped.is_set():
            return
        now = self._loop.time()
        times = [now] if at_once else []
        if self._deferral.next_time is not None:
            times.append(self._deferral.next_time)
        if self._options.max_rate is not None and not self._sourceended():
            times.append(self._next_start)
        wanted = [when for when in times if at_once or when > now]
        if wanted:
            self._timer = self._loop.call_at(min(wanted), self._pump)

    # --- one message

    async def _run(self, item: Item) -> None:
        try:
            step = await self._step(item.job)
            if isinstance(step, Delay):
                await self._defer(item, step)
                return
            outcome = accepted(item.message, step)
        except VoiceError as error:
            outcome = ended(item.message, error)
            self._stop_if_told(error)
        except asyncio.CancelledError:  # only `_leave` cancels
            outcome = ended(item.message, item.job.verdict(stopped("it was cut short", None)))
        # A guard or a hook of the caller's failed: the run can't go on, but no outcome is lost.
        except Exception as exc:  # noqa: BLE001
            outcome = ended(item.message, self._broken(item.job, exc))
        self._submitter.abandon(item.job)
        self._deferral.finish(item, self._loop.time())
        self._emit(outcome)

    async def _step(self, job: Job) -> Submission | Delay:
        while True:
            step = await self._submitter.step(job)
            if not (isinstance(step, Delay) and isinstance(step.error, NotSent)):
                return step
            # No connection: that slows down every number, so it is waited out in place.
            try:
                async with asyncio.timeout(step.seconds):
                    await self._stopped.wait()
            except TimeoutError:
                continue
            raise job.verdict(step.error)

    async def _defer(self, item: Item, delay: Delay) -> None:
        ready_at = self._loop.time() + delay.seconds
        if delay.turn is not None:
            await self._park(delay.turn, delay.seconds)
            ready_at = self._loop.time()
        self._deferral.put_aside(item, ready_at)

    async def _park(self, turn: "asyncio.Future[None]", seconds: float) -> None:
        """Wait, without a place among those in flight, for somebody else's call to the number."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs has one
        self._parked.add(task)
        self._pump()
        await asyncio.wait({turn}, timeout=seconds)

    def _emit(self, outcome: Outcome) -> None:
        self._tally.counts[outcome.status] += 1
        self._outcomes.append(outcome)

    # --- stopping

    def _stop_if_told(self, error: VoiceError) -> None:
        told = error.__cause__ if isinstance(error, OutcomeUnknown) else error
        if isinstance(told, VendorError) and told.action is Action.STOP and self._cause is None:
            self._cause = error
            self._stopped.set()

    def _broken(self, job: Job, exc: Exception) -> VoiceError:
        self._failure = self._failure or exc
        self._cause = self._cause or stopped("the run broke", exc)
        self._stopped.set()
        return job.verdict(stopped("the run broke", exc))

    def _abandon(self, cause: VoiceError) -> None:
        """Let what was deferred, and as much of the rest as is wanted, come out NOT_SENT."""
        for item in self._deferral.clear():
            self._submitter.abandon(item.job)
            error = item.job.verdict(stopped("the run was stopped", cause))
            self._emit(ended(item.message, error))
        while not self._left and len(self._outcomes) < self._options.concurrency:
            given = self._source.take() if self._source else NOTHING
            if given is NOTHING:
                return
            self._tally.read += 1
            self._refuse(given, cause)

    def _refuse(self, given: object, cause: VoiceError) -> None:
        try:
            message = as_message(given)
        except InvalidRequest as error:
            self._emit(ended(Message("", repr(given)[:80]), error))
        else:
            self._emit(ended(message, stopped("the run was stopped", cause)))

    async def _leave(self) -> None:
        if self._left or self._source is None:
            return
        self._left = True
        self._stopped.set()
        self._cause = self._cause or stopped("the run was left early", None)
        for task in self._parked:
            task.cancel()
        try:
            await self._source.aclose()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=self._options.grace)
        finally:
            await self._cut_short()

    async def _cut_short(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._pump()

    def _finished(self) -> bool:
        return not self._tasks and not len(self._deferral) and self._sourceended()

    def _sourceended(self) -> bool:
        return self._left or self._source is None or self._source.ended

    def _ending(self) -> Exception:
        error = self._failure or (self._source.error if self._source else None)
        self._failure = None
        if self._source is not None:
            self._source.error = None
        return error or StopAsyncIteration()

    def _entered(self) -> asyncio.AbstractEventLoop:
        if self._source is None:
            raise RuntimeError("use `async with client.submit_many(...) as run` first")
        return self._loop


def _length(messages: object) -> int | None:
    return len(messages) if isinstance(messages, Sized) else None
