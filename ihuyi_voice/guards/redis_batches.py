"""Micro-batches: what arrives while a call of the script runs goes into the next one.

No operation waits for a timer. One call runs at a time for an account, so the busier it is, the
more travels in each, and the less each costs.

What a cancellation does: who waits for an operation may leave; the operation is done all the same,
and a reservation that nobody waits for any more is released. If the task that makes the calls is
cancelled (the loop ends), whoever waits is told `GuardUnavailable`.

A call that got no answer may have been carried out, or may be later. So its reservations are
refused by the server after the call's deadline, and released with the next call; settlements go
along with the next call again. None of them can be done twice.
"""

import asyncio
import logging
import os
import time
from collections.abc import Iterable, Sequence
from typing import Final
from weakref import ref

import attrs

from ihuyi_voice.common.logs import tell
from ihuyi_voice.errors import GuardUnavailable
from ihuyi_voice.guards import redis_script as script
from ihuyi_voice.guards.contract import Lease, Wait
from ihuyi_voice.guards.redis_server import Server, unavailable
from ihuyi_voice.guards.turns import Turns

logger = logging.getLogger("ihuyi_voice")

_MOST_AT_ONCE: Final = 512  # operations a call: some milliseconds for the server
_MOST_LEFT_OVER: Final = 10_000
_TRIES: Final = 3  # with a server whose clock was set
_LOST: Final = "Redis has lost what it knew of earlier calls: limits may be exceeded for a while"
_REFUSED: Final = {
    script.LATE: "it answered too late",
    script.BROKEN: "a key of the guard holds something else",
}


@attrs.define(eq=False, repr=False)
class Held(Lease):
    """A lease in Redis.

    Attributes:
        token: What only this reservation knows.
        bucket: The key of its number's bucket.
        field: Its number's field there.
        since: When it was granted, by the server's clock, in seconds.
        good_until: Until when it is surely held, by this process's monotonic clock.
        ended: Whether it has been settled.
    """

    token: bytes
    bucket: bytes
    field: bytes
    since: float = 0.0
    good_until: float = 0.0
    ended: bool = False

    def lapsed(self) -> bool:
        """Say whether others may have reserved the number by now, as this process stood still."""
        return time.monotonic() >= self.good_until


@attrs.define(eq=False, repr=False)
class Operation:
    """Something to be done, and who waits for it.

    Attributes:
        kind: What.
        lease: Whose.
        waiter: Told how it ended; None if nobody waits.
        seconds: For a block how long it is; for a commit when its lease was granted.
        tries: How often it came too late.
    """

    kind: bytes
    lease: Held
    waiter: "asyncio.Future[Held | Wait] | None"
    seconds: float = 0.0
    tries: int = 0

    @property
    def is_vain(self) -> bool:
        """Whether it is a reservation that nobody waits for."""
        return self.kind == script.RESERVE and self.waiter is not None and self.waiter.done()

    def told(self, result: Held | Wait) -> None:
        """Tell whoever waits, if somebody does."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(result)

    def failed(self, error: GuardUnavailable) -> None:
        """Tell whoever waits that it failed: each an exception of its own."""
        if self.waiter is not None and not self.waiter.done():
            own = GuardUnavailable(str(error))
            own.__cause__ = error.__cause__
            self.waiter.set_exception(own)


class Batches:
    """The operations of one account on their way to Redis.

    Args:
        server: Calls the script.
        settings: What the script is told.
        base: What the account's keys begin with.
        lease: Seconds until a lease lapses that is not extended.
        turns: The account's rate; None for any.
    """

    def __init__(
        self,
        server: Server,
        settings: script.Settings,
        base: bytes,
        lease: float,
        turns: Turns | None,
    ) -> None:
        self.base = base
        self.turns = turns
        self._server = server
        self._settings = settings
        self._key = base + b"account"
        self._lease = lease
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Operation] = []
        self._left_over: list[Operation] = []
        self._held: dict[bytes, ref[Held]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._ahead: float | None = None  # the server's clock before our monotonic one
        self._born: bytes | None = None
        self._heard = 0.0  # when the server last answered; 0 if it never has

    # --- what the guard asks for

    def put(self, kind: bytes, lease: Held, seconds: float = 0.0) -> "asyncio.Future[Held | Wait]":
        """Have something done; the future tells how it ended."""
        waiter: asyncio.Future[Held | Wait] = self._loop.create_future()
        self._add(Operation(kind, lease, waiter, seconds))
        return waiter

    async def reserve(self, lease: Held) -> Held | Wait:
        """Have a number reserved; a lease that comes when its caller is leaving is released."""
        waiter = self.put(script.RESERVE, lease)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.exception() is None and waiter.result() is lease:
                self._add(Operation(script.RELEASE, lease, None))
            raise

    async def flush(self) -> None:
        """Wait until nothing is on its way, and try once more what was left over."""
        if self._timer is not None:
            self._timer.cancel()
        while self._task is not None:
            await asyncio.wait({self._task})
        if self._left_over:
            await asyncio.wait({self._begin()})

    def _add(self, operation: Operation) -> None:
        self._waiting.append(operation)
        if self._task is None:
            self._begin()

    def _begin(self) -> "asyncio.Task[None]":
        # Not by the loop's factory: an eager one would send each operation by itself.
        self._task = asyncio.Task(self._run(), loop=self._loop)
        self._task.add_done_callback(self._over)
        return self._task

    async def _run(self) -> None:
        try:
            await self._next_call()
            while self._waiting:
                await self._next_call()
        finally:
            self._end()

    def _over(self, task: "asyncio.Task[None]") -> None:
        """Look after a task that was cancelled before it had begun."""
        if self._task is task:
            self._end()

    def _end(self) -> None:
        self._task = None
        left, self._waiting = self._waiting, []
        cut_short = unavailable(RuntimeError("the task that calls it was cancelled"))
        self._fail(left, cut_short)

    # --- one call

    async def _next_call(self) -> None:
        batch = self._batch()
        try:
            if batch:
                await self._call(batch)
        except Exception as exc:  # noqa: BLE001 - whatever it is, whoever waits is told
            self._fail(batch, exc if isinstance(exc, GuardUnavailable) else unavailable(exc))
        except asyncio.CancelledError:
            self._fail(batch, unavailable(RuntimeError("the task that calls it was cancelled")))
            raise

    def _batch(self) -> list[Operation]:
        """Return what goes into the next call: what was left over, then who waits."""
        batch, self._left_over = self._left_over[:_MOST_AT_ONCE], self._left_over[_MOST_AT_ONCE:]
        room = _MOST_AT_ONCE - len(batch)
        waiting, self._waiting = self._waiting[:room], self._waiting[room:]
        return batch + [each for each in waiting if not each.is_vain]

    async def _call(self, batch: Sequence[Operation]) -> None:
        if self._ahead is None:
            await self._ask([])  # what time is it there?
            await self._server.look()
        sent = time.monotonic()
        answer = await self._ask(batch)
        late = [
            operation
            for operation, told in zip(batch, answer.each, strict=True)
            if not self._tell(operation, told, answer.now, sent)
        ]
        self._waiting[:0] = late

    async def _ask(self, batch: Sequence[Operation]) -> script.Answer:
        now = time.monotonic()
        deadline = 0.0 if self._ahead is None else now + self._ahead + self._server.timeout
        keys = [self._key, *(operation.lease.bucket for operation in batch)]
        args = [os.urandom(8), self._settings.packed(deadline)]
        for each in batch:
            lease = each.lease
            args.append(script.operation(each.kind, lease.token, lease.field, each.seconds))
        answer = script.read_answer(await self._server.call(keys, args), len(batch))
        self._note(answer, time.monotonic())
        return answer

    def _note(self, answer: script.Answer, now: float) -> None:
        """Note the server's time, and whether it still knows what it was told."""
        self._ahead = answer.now - now
        remembered = self._heard and now - self._heard < self._settings.forgotten_after
        if remembered and answer.born != self._born:
            tell(logger, logging.WARNING, _LOST)
        self._born, self._heard = answer.born, now

    # --- what became of it

    def _tell(self, operation: Operation, told: script.Told, now: float, sent: float) -> bool:
        """Tell whoever waits; return False if the operation is to be sent again."""
        status = told[0]
        if status == script.LATE and operation.tries < _TRIES:
            operation.tries += 1
            return operation.is_vain
        if status in {script.LATE, script.BROKEN}:
            self._fail([operation], unavailable(RuntimeError(_REFUSED[status])))
        elif operation.kind == script.RESERVE:
            self._reserved(operation, told, now, sent)
        else:
            self._settled(operation, status, sent)
        return True

    def _reserved(self, operation: Operation, told: script.Told, now: float, sent: float) -> None:
        status, seconds, window = told
        if status == script.WAIT:
            operation.told(Wait(seconds, window or None))
        elif status == script.ACCOUNT and self.turns is not None:
            operation.told(self.turns.refused(time.monotonic(), seconds))
        elif operation.is_vain:
            self._add(Operation(script.RELEASE, operation.lease, None))
        elif time.monotonic() - sent > self._lease / 2:  # this process stood still meanwhile
            self._fail([operation], unavailable(RuntimeError(_REFUSED[script.LATE])))
        else:
            operation.lease.since = now
            self._hold(operation.lease, sent)
            operation.told(operation.lease)

    def _settled(self, operation: Operation, status: bytes, sent: float) -> None:
        lease = operation.lease
        if operation.kind == script.EXTEND:
            lease.good_until = sent + self._lease if status == script.GRANTED else 0.0
            return
        lease.ended = True
        self._held.pop(lease.token, None)
        operation.told(lease)

    def _fail(self, operations: Iterable[Operation], error: GuardUnavailable) -> None:
        """Tell whoever waits, and keep what is to be tried, or taken back, with the next call."""
        for operation in operations:
            if operation.kind == script.RESERVE:
                self._leave_over(Operation(script.RELEASE, operation.lease, None))
            elif operation.kind != script.EXTEND:
                self._held.pop(operation.lease.token, None)
                seconds = operation.seconds
                self._leave_over(Operation(operation.kind, operation.lease, None, seconds))
            operation.failed(error)

    def _leave_over(self, operation: Operation) -> None:
        if len(self._left_over) < _MOST_LEFT_OVER:
            self._left_over.append(operation)

    # --- leases that are held for long

    def _hold(self, lease: Held, sent: float) -> None:
        lease.good_until = sent + self._lease
        self._held[lease.token] = ref(lease)
        if self._timer is None:
            self._timer = self._loop.call_later(self._lease / 3, self._extend)

    def _extend(self) -> None:
        """Extend what is held; a lease that its holder has forgotten lapses."""
        self._timer = None
        leases = [(token, held()) for token, held in self._held.items()]
        for token, lease in leases:
            if lease is None:
                del self._held[token]
            elif self._ahead is not None:
                self._extend_one(lease, time.monotonic() + self._ahead)
        if self._held:
            self._timer = self._loop.call_later(self._lease / 3, self._extend)

    def _extend_one(self, lease: Held, now: float) -> None:
        if now - lease.since > self._lease / 4:
            self._add(Operation(script.EXTEND, lease, None))
