"""Calls the handlers, at least once for each push, and in order for each call or template.

Theory of operation. The dispatcher takes turns: a turn is one transaction that ends the claims
whose handlers have returned or failed, and claims as many pushes as handlers may run. A claim is
stored before its handler starts and ends by its lease if the process dies, so a push whose handler
was interrupted is handled again, here or by another process. If the machine dies, the last turns
may be forgotten (pushes never are): their pushes are handled again, in order, which is all that is
promised, and so turns needn't wait for the disk. A handler that fails is tried again after a
growing pause; one that has failed `max_tries` times is DEAD. On closing, handlers get `grace`
seconds to end and are then cancelled; their pushes stay PENDING and the try does not count.
Cancelled, the same happens without the grace: no handler outlives the dispatcher.
"""

import asyncio
import inspect
import logging
import random
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import attrs

from ihuyi_voice.common.logs import tell
from ihuyi_voice.common.redaction import mask_numbers
from ihuyi_voice.common.signal import Signal
from ihuyi_voice.common.tasks import ended
from ihuyi_voice.errors import InboxUnavailable, InvalidRequest
from ihuyi_voice.inputs import above_zero, not_negative
from ihuyi_voice.protocol import PushKind, PushValue
from ihuyi_voice.pushes.claims import Claim, Terms, Verdict
from ihuyi_voice.pushes.reading import meaning
from ihuyi_voice.pushes.store import Store
from ihuyi_voice.pushes.table import PushState

logger = logging.getLogger("ihuyi_voice.pushes")

Handler: TypeAlias = Callable[[Any], Awaitable[object]]

_LONGEST_ERROR: Final = 500  # characters, as the table has it
_BREATH: Final = 0.01  # seconds between two turns, for each to do more and pushes to go first


def _outlasts_timeout(handling: "Handling", _: object, lease: float) -> None:
    if not lease > handling.timeout:
        raise InvalidRequest("the lease must be longer than the timeout", field="lease")


@attrs.frozen
class Handling:
    """How handlers are called.

    Attributes:
        concurrency: How many run at once in this process, of each kind.
        timeout: Seconds that one may take; then it is cancelled, and has failed.
        lease: Seconds until another process may take over what this one had claimed when it died;
            must be above `timeout`.
        max_tries: After so many failures a push is dead, until it is replayed.
        backoff: Seconds before the second try; each further pause is twice as long.
        max_backoff: The longest pause in seconds.
        grace: Seconds that handlers get to end when the inbox is closed.
    """

    concurrency: int = attrs.field(default=20, validator=above_zero)
    timeout: float = attrs.field(default=30.0, validator=above_zero)
    lease: float = attrs.field(default=60.0, validator=_outlasts_timeout)
    max_tries: int = attrs.field(default=10, validator=above_zero)
    backoff: float = attrs.field(default=1.0, validator=not_negative)
    max_backoff: float = attrs.field(default=300.0, validator=not_negative)
    grace: float = attrs.field(default=5.0, validator=not_negative)

    def pause(self, tries: int) -> float:
        """Return how long to wait after so many tries, in seconds, with 10 % of jitter."""
        longest = min(self.backoff * 2.0 ** min(tries - 1, 60), self.max_backoff)
        return longest * random.uniform(0.9, 1.0)  # noqa: S311 - spreads load, hides nothing


class Dispatcher:
    """Claims pushes and calls their handlers.

    Args:
        store: Where the pushes are.
        handlers: By kind; may grow meanwhile (then call `wake`).
        handling: How they are called.
        poll: Seconds between two looks for what is due.
    """

    def __init__(
        self,
        store: Store,
        handlers: dict[PushKind, Handler],
        handling: Handling,
        poll: float,
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._handling = handling
        self._terms = Terms(handling.lease, handling.max_tries)
        self._poll = poll
        self._running: dict[asyncio.Task[Verdict], str] = {}  # and the kinds of their pushes
        self._verdicts: list[Verdict] = []
        self._look = Signal()
        self._closing = False
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        """Begin."""
        self._store.listen(self.wake)
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End, and with it the handlers, by cancellation if they outlast the grace."""
        self._closing = True
        self.wake()
        await ended(self._task, at_once=exc_type is not None)

    def wake(self) -> None:
        """Let it look at once for what is due."""
        self._look.notify()

    async def _run(self) -> None:
        try:
            async for _ in self._look.rounds(every=self._poll):
                if self._closing:
                    break
                for claim in await self._whole_turn():
                    self._start(claim)
                await asyncio.sleep(_BREATH)
            if self._running:
                await asyncio.wait(self._running, timeout=self._handling.grace)
        finally:
            self._closing = True  # also if this was cancelled: then what we cancel doesn't count
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            await self._turn()

    def _start(self, claim: Claim) -> None:
        task = asyncio.create_task(self._handle(claim))
        self._running[task] = claim.push.kind
        task.add_done_callback(partial(self._ended, claim))

    def _ended(self, claim: Claim, task: "asyncio.Task[Verdict]") -> None:
        del self._running[task]
        self._verdicts.append(self._interrupted(claim) if task.cancelled() else task.result())
        self._look.notify()

    async def _whole_turn(self) -> list[Claim]:
        """Take a turn; if cancelled meanwhile, give back what it claims, for it commits anyway."""
        turn = asyncio.create_task(self._turn())
        try:
            return await asyncio.shield(turn)
        except asyncio.CancelledError:
            self._verdicts += [self._interrupted(claim) for claim in await turn]
            raise

    async def _turn(self) -> list[Claim]:
        """End claims and make new ones in one transaction; return the new ones."""
        room = {} if self._closing else self._room()
        verdicts = self._verdicts.copy()
        if not (verdicts or room):
            return []
        try:
            claims = await self._store.turn(verdicts, room, self._terms)
        except InboxUnavailable as exc:
            tell(logger, logging.WARNING, "can't claim pushes: %s", exc)
            return []
        # Only now: what can't be stored is judged again in the next turn.
        del self._verdicts[: len(verdicts)]
        return claims

    def _room(self) -> dict[str, int]:
        running = Counter(self._running.values())
        room = {kind.value: self._handling.concurrency - running[kind] for kind in self._handlers}
        return {kind: count for kind, count in room.items() if count > 0}

    async def _handle(self, claim: Claim) -> Verdict:
        """Call the handler of one push, and return what came of it."""
        try:
            value = meaning(claim.push)
            handler = self._handlers[PushKind(claim.push.kind)]
            async with asyncio.timeout(self._handling.timeout):
                await _call(handler, value)
        except asyncio.CancelledError as exc:
            if self._closing:  # by us, see `_run`
                raise
            return self._failed(claim, exc)  # let out by the handler: a failure like any other
        except Exception as exc:  # noqa: BLE001 - handlers are other people's code
            return self._failed(claim, exc)
        return Verdict(claim, PushState.HANDLED)

    def _interrupted(self, claim: Claim) -> Verdict:
        return Verdict(claim, PushState.PENDING, counts=False)

    def _failed(self, claim: Claim, exc: BaseException) -> Verdict:
        error = _storable("".join(traceback.format_exception_only(exc)).strip())[:_LONGEST_ERROR]
        trace = _storable("".join(traceback.format_exception(exc)))
        seq, tries = claim.push.seq, claim.tries
        if tries >= self._handling.max_tries:
            tell(
                logger,
                logging.ERROR,
                "push %d is dead after %d tries: %s\n%s",
                seq,
                tries,
                error,
                trace,
            )
            return Verdict(claim, PushState.DEAD, error=error)
        pause = self._handling.pause(tries)
        told = "push %d: handler failed, next try in %.1f s: %s\n%s"
        tell(logger, logging.WARNING, told, seq, pause, error, trace)
        return Verdict(claim, PushState.PENDING, pause, error)


async def _call(handler: Handler, value: PushValue) -> None:
    # A plain function has done its work by now: to fail it would only call it again.
    result: object = handler(value)
    if inspect.isawaitable(result):
        await result


def _storable(text: str) -> str:
    # PostgreSQL takes no NUL, and neither database takes half a surrogate pair; nor do log files.
    return mask_numbers(text).replace("\0", "").encode("utf-8", "replace").decode()
