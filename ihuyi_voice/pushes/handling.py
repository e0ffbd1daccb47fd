"""Calls the handlers, at least once for each push, and in order for each call or template.

Theory of operation. The dispatcher takes turns: a turn is one transaction that ends the claims
whose handlers have returned or failed, and claims as many pushes as handlers may run, and, where
handlers are quick, some ahead: as many as were handled since the last turn suggest. A claim is
stored before its handler starts and ends by its lease if the process dies, so a push whose handler
was interrupted is handled again, here or by another process. While the process lives, it renews
its claims; a push of its own that it claims once more all the same, because it was held up, is not
handled twice. What was claimed ahead and has to wait is given back. If the machine dies, the last
turns may be forgotten (pushes never are): their pushes are handled again, in order, which is all
that is promised, and so turns needn't wait for the disk.

A handler that fails is tried again after a growing pause; one that has failed `max_tries` times is
DEAD. On closing, handlers get `grace` seconds to end and are then cancelled; their pushes stay
PENDING and the try does not count. Cancelled, the same happens without the grace: no handler
outlives the dispatcher, but for those that won't let go; theirs are handled again when their lease
has run out.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Final, Self

import attrs

from ihuyi_voice.common.logs import tell
from ihuyi_voice.common.signal import Signal
from ihuyi_voice.common.tasks import ended, to_its_end, told_of
from ihuyi_voice.events import Stream
from ihuyi_voice.protocol import PushKind
from ihuyi_voice.pushes.calling import Call, Caller, Handler, interrupted
from ihuyi_voice.pushes.claims import Claim, Terms, Verdict
from ihuyi_voice.pushes.looking import Outage
from ihuyi_voice.pushes.options import Handling
from ihuyi_voice.pushes.store import Store

logger = logging.getLogger("ihuyi_voice.pushes")

_MOST_AHEAD: Final = 100  # claims of a kind beyond its concurrency: a turn stays a short one
_FEW_AHEAD: Final = 40  # while pushes are being stored: these go first
_BREATH: Final = 0.01  # seconds between two turns, unless handlers would be idle meanwhile
_WAY: Final = 0.03  # seconds between two turns at most, while pushes are being stored
_STALLED: Final = 1.0  # seconds for which claims may wait while no handler of their kind ends
_LET_GO: Final = 5.0  # seconds that handlers get to end when they were cancelled
_RENEWALS: Final = 3  # in the time of a lease


@attrs.define(eq=False)
class _Lane:
    """The claims of one kind of push.

    Attributes:
        ready: Those whose handlers are still to begin, in order, by the numbers of their pushes.
        running: Those whose handlers run, likewise.
        ended: How many handlers have ended since the last turn.
        moved: When the last one ended, or the first claim came, by the loop's clock.
        more: Whether the last turn found as many pushes as were asked for.
    """

    ready: dict[int, Claim] = attrs.field(factory=dict[int, Claim])
    running: dict[int, Call] = attrs.field(factory=dict[int, Call])
    ended: int = 0
    moved: float = 0.0
    more: bool = False

    @property
    def is_hungry(self) -> bool:
        """Whether handlers will be idle before as many have ended as since the last turn."""
        return self.more and len(self.ready) < self.ended

    def room(self, concurrency: int, most_ahead: int) -> int:
        """Return how many more to claim, and begin to count anew."""
        ahead, self.ended = min(2 * self.ended, most_ahead), 0
        return max(0, concurrency + ahead - len(self.ready) - len(self.running))


class Dispatcher:
    """Claims pushes and calls their handlers.

    Args:
        store: Where the pushes are.
        handlers: By kind; may grow meanwhile (then call `wake`).
        handling: How they are called.
        poll: Seconds between two looks for what is due.
        events: Who is told of each call.
    """

    def __init__(
        self,
        store: Store,
        handlers: dict[PushKind, Handler],
        handling: Handling,
        poll: float,
        events: Stream,
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._handling = handling
        self._terms = Terms(handling.lease, handling.max_tries, handling.max_backoff)
        self._every = min(poll, handling.lease / _RENEWALS)  # seconds between two looks
        self._outage = Outage("claim pushes")
        self._look = Signal()
        self._hungry = asyncio.Event()
        self._caller = Caller(handlers, handling, self.wake, events)
        self._lanes = {kind.value: _Lane() for kind in PushKind}
        self._verdicts: dict[int, Verdict] = {}  # to be stored, by the numbers of their pushes
        self._renewed = 0.0
        self._storing = False  # whether pushes were stored since the last turn
        self._closing = False
        self._closed = False  # by whoever opened it
        self._turning: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        """Begin."""
        self._store.listen(self._hear)
        self._renewed = _now()
        self._task = asyncio.create_task(self._run())
        text = "pushes are handled no more: %s"
        self._task.add_done_callback(told_of(logger, text, lambda: self._closed))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End, and with it the handlers, by cancellation if they outlast the grace."""
        self._closing = self._closed = True
        self.wake()
        with suppress(SystemExit, KeyboardInterrupt):  # told where it ends the program: by the loop
            await ended(self._task, at_once=exc_type is not None)

    def wake(self) -> None:
        """Let it look at once for what is due."""
        self._look.notify()

    def _hear(self) -> None:
        self._storing = True
        self.wake()

    async def _run(self) -> None:
        try:
            async for _ in self._outage.rounds(self._look, self._every):
                if self._closing or self._caller.last:
                    break
                await self._round()
            await self._grace()
        finally:
            self._closing = True
            await to_its_end(asyncio.create_task(self._end()))
        if self._caller.last is not None:
            raise self._caller.last

    async def _round(self) -> None:
        self._give_back_stalled()
        await self._renew()
        began = _now()
        await self._whole_turn()
        if self._storing:
            await asyncio.sleep(min(2 * (_now() - began), _WAY))  # most of the time is theirs
        await self._breathe()

    async def _breathe(self) -> None:
        """Let more handlers end, while there is enough for them to do."""
        self._hungry.clear()
        if not any(lane.is_hungry for lane in self._lanes.values()):
            with suppress(TimeoutError):
                async with asyncio.timeout(_BREATH):
                    await self._hungry.wait()

    # --- turns

    async def _whole_turn(self) -> None:
        self._turning = asyncio.create_task(self._turn())
        await asyncio.shield(self._turning)  # what it claims is ours, though we be cancelled

    async def _turn(self) -> None:
        """End claims and make new ones, in one transaction."""
        room = {} if self._closing else self._room()
        verdicts = list(self._verdicts.values())
        if not (verdicts or room):
            return
        with self._outage.bridged():
            claims = await self._store.turn(verdicts, room, self._terms)
            # Only now: what can't be stored is judged again in the next turn.
            for verdict in verdicts:
                del self._verdicts[verdict.claim.push.seq]
            self._accept(claims, room)

    def _accept(self, claims: list[Claim], room: dict[str, int]) -> None:
        for claim in claims:
            self._take(claim)
        self._fill()
        found = Counter(claim.push.kind for claim in claims)
        for kind, wanted in room.items():
            self._lanes[kind].more = found[kind] >= wanted

    def _room(self) -> dict[str, int]:
        concurrency = self._handling.concurrency
        ahead, self._storing = _FEW_AHEAD if self._storing else _MOST_AHEAD, False
        rooms = {kind.value: self._lanes[kind].room(concurrency, ahead) for kind in self._handlers}
        return {kind: room for kind, room in rooms.items() if room}

    def _take(self, claim: Claim) -> None:
        lane, seq = self._lanes[claim.push.kind], claim.push.seq
        # What this process has already: it was held up for longer than its lease.
        if (call := lane.running.get(seq)) is not None:
            call.claim = claim
        elif (verdict := self._verdicts.get(seq)) is not None:
            self._judge(attrs.evolve(verdict, claim=claim))
        elif self._closing:
            self._judge(interrupted(claim))
        else:
            if not lane.ready and not lane.running:
                lane.moved = _now()
            lane.ready[seq] = claim  # in its place, if it was there

    def _judge(self, verdict: Verdict) -> None:
        self._verdicts[verdict.claim.push.seq] = verdict

    def _fill(self) -> None:
        if _now() - self._renewed >= self._handling.lease:
            return  # somebody may have taken over what waits here: it is renewed first
        for lane in self._lanes.values():
            while lane.ready and len(lane.running) < self._handling.concurrency:
                self._start(lane, lane.ready.pop(next(iter(lane.ready))))

    def _start(self, lane: _Lane, claim: Claim) -> None:
        call = Call(claim, _now())
        lane.running[claim.push.seq] = call
        call.task = asyncio.create_task(self._caller.run(call))
        call.task.add_done_callback(partial(self._ended, lane, call))

    def _ended(self, lane: _Lane, call: Call, _: object) -> None:
        lane.running.pop(call.claim.push.seq)
        lane.ended += 1
        lane.moved = _now()
        self._judge(call.outcome)
        if not self._closing:
            self._fill()
        if lane.is_hungry:
            self._hungry.set()
        self.wake()

    def _give_back_stalled(self) -> None:
        """Let others have what waits for handlers that don't end."""
        for lane in self._lanes.values():
            if _now() - lane.moved > _STALLED:
                self._give_back(lane)

    def _give_back(self, lane: _Lane) -> None:
        for claim in lane.ready.values():
            self._judge(interrupted(claim))
        lane.ready.clear()

    # --- leases

    def _calls(self) -> Iterator[Call]:
        for lane in self._lanes.values():
            yield from lane.running.values()

    async def _renew(self) -> None:
        """Keep what is claimed, once in a while."""
        if _now() - self._renewed < self._handling.lease / _RENEWALS:
            return
        self._tell_late()
        claims = [call.claim for call in self._calls()]
        claims += [claim for lane in self._lanes.values() for claim in lane.ready.values()]
        with self._outage.bridged():
            ours = await self._store.renew(claims, self._handling.lease) if claims else []
            self._renewed = _now()
            self._keep(ours)

    def _keep(self, ours: list[Claim]) -> None:
        """Forget what waits here and was taken over meanwhile: to begin it would be too late."""
        seqs = {claim.push.seq for claim in ours}
        for lane in self._lanes.values():
            lane.ready = {seq: claim for seq, claim in lane.ready.items() if seq in seqs}
        self._fill()

    def _tell_late(self) -> None:
        longest = self._handling.timeout + _LET_GO
        for call in self._calls():
            if not call.late and _now() - call.began > longest:
                call.late = True
                told = "push %d: its handler was cancelled after %.1f s and goes on"
                tell(logger, logging.WARNING, told, call.claim.push.seq, self._handling.timeout)

    # --- the end

    async def _grace(self) -> None:
        """Let handlers end, and keep their claims meanwhile."""
        until = _now() + self._handling.grace
        for lane in self._lanes.values():
            self._give_back(lane)
        while (
            self._caller.last is None and (tasks := self._tasks()) and (left := until - _now()) > 0
        ):
            await self._renew()
            await self._whole_turn()
            wait = min(left, self._every)
            await asyncio.wait(tasks, timeout=wait, return_when=asyncio.FIRST_COMPLETED)

    async def _end(self) -> None:
        """Cancel what runs, and store what has become of everything."""
        self._caller.cut_off = True
        if self._turning is not None:
            await asyncio.wait({self._turning})
        for lane in self._lanes.values():
            self._give_back(lane)
        tasks = self._tasks()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_LET_GO)
        self._tell_left_behind()
        await self._turn()

    def _tasks(self) -> set[asyncio.Task[None]]:
        return {call.task for call in self._calls() if call.task is not None}

    def _tell_left_behind(self) -> None:
        left = [call.claim.push.seq for call in self._calls()]
        if left:
            told = "%d handlers go on though they were cancelled; left behind with pushes %s"
            listed = ", ".join(map(str, left[:20]))
            tell(logger, logging.WARNING, told, len(left), listed)


def _now() -> float:
    return asyncio.get_running_loop().time()
