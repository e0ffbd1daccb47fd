"""Calls the handlers, at least once for each push, and in order for each call or template.

Theory of operation. The worker takes turns: a turn is one transaction that ends the claims whose
handlers have returned or failed, and claims as many pushes as handlers may run. A claim is stored
before its handler starts and ends by its lease if the process dies, so a push whose handler was
interrupted is handled again, here or by another process. If the machine dies, the last turns may
be forgotten (pushes never are): their pushes are handled again, in order, which is all that is
promised, and so turns needn't wait for the disk. A handler that fails is tried again after
a growing pause; one that has failed `max_tries` times is DEAD. On closing, handlers get `grace`
seconds to end and are then cancelled; their pushes stay PENDING and the try does not count.
Cancelled while closing, the same happens without the grace.
"""

import asyncio
import random
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import attrs

from ihuyi_voice.checks import above_zero, not_negative
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.protocol.pushes import PushKind, parse_push
from ihuyi_voice.pushes.database import Database
from ihuyi_voice.pushes.errors import InboxUnavailable
from ihuyi_voice.pushes.log import logger
from ihuyi_voice.pushes.store import Claim, PushState, Store, Terms, Verdict
from ihuyi_voice.pushes.waiting import News, wait_for
from ihuyi_voice.redaction import mask_numbers

Handler: TypeAlias = Callable[[Any], Awaitable[object]]

_LONGEST_ERROR: Final = 500
_BREATH: Final = 0.01  # seconds between two turns, for each to do more and pushes to go first


def _outlasts_timeout(handling: "Handling", _: object, lease: float) -> None:
    if not lease > handling.timeout:
        raise InvalidRequest("the lease must be longer than the timeout", field="lease")


@attrs.frozen
class Handling:
    """How handlers are called.

    Attributes:
        concurrency: How many run at once in this process.
        timeout: Seconds that one may take; then it is cancelled, and has failed.
        lease: Seconds until another process may take over what this one had claimed when it died;
            must be above `timeout`, and so much above it as the machines' clocks may differ.
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


class Worker:
    """Claims pushes and calls their handlers.

    Args:
        database: Where the pushes are.
        store: How they are claimed.
        handlers: By kind; may grow while the worker runs (then call `wake`).
        handling: How they are called.
        news: Wakes it for what this process stores.
        poll: Seconds between two looks for what is due.
        clock: Unix time in seconds.
    """

    def __init__(
        self,
        database: Database,
        store: Store,
        handlers: dict[PushKind, Handler],
        handling: Handling,
        news: News,
        poll: float,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._store = store
        self._handlers = handlers
        self._handling = handling
        self._terms = Terms(handling.lease, handling.max_tries)
        self._news = news
        self._poll = poll
        self._clock = clock
        self._running: set[asyncio.Task[None]] = set()
        self._verdicts: list[Verdict] = []
        self._wake = asyncio.Event()
        self._closing = False

    def wake(self) -> None:
        """Let it look at once for what is due."""
        self._wake.set()

    async def run(self) -> None:
        """Handle pushes until closed."""
        with self._news.watched() as self._wake:
            while not self._closing:
                self._wake.clear()
                for claim in await self._turn():
                    task = asyncio.create_task(self._handle(claim))
                    self._running.add(task)
                    task.add_done_callback(self._ended)
                await wait_for(self._wake, self._poll)
                await asyncio.sleep(_BREATH)

    async def close(self, run: "asyncio.Task[None]") -> None:
        """Let `run` end, then the handlers, by cancellation if they take longer than the grace."""
        self._closing = True
        self._wake.set()
        try:
            await run
            if self._running:
                await asyncio.wait(self._running, timeout=self._handling.grace)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            await self._turn()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._wake.set()

    async def _turn(self) -> list[Claim]:
        """End claims and make new ones in one transaction; on failure, the ends are kept."""
        room = self._handling.concurrency - len(self._running)
        claiming = bool(self._handlers) and room > 0 and not self._closing
        verdicts, self._verdicts = self._verdicts, []
        if not verdicts and not claiming:
            return []
        try:
            async with self._database.writing(durable=False) as connection:
                await self._store.judge(connection, verdicts)
                if not claiming:
                    return []
                now = self._clock()
                return await self._store.claim(connection, self._handlers, room, now, self._terms)
        except InboxUnavailable as exc:
            self._verdicts = verdicts + self._verdicts
            logger.warning("can't claim pushes: %s", exc)
            return []

    async def _handle(self, claim: Claim) -> None:
        """Call the handler of one push, and note what came of it."""
        try:
            push = parse_push(claim.push.body, claim.push.charset)
            async with asyncio.timeout(self._handling.timeout):
                await self._handlers[push.kind](push.value)
        except asyncio.CancelledError:
            # Ours when closing. Elsewhere a handler let one out, which is a failure like any other.
            verdict = self._interrupted(claim) if self._closing else self._failed(claim, None)
        except Exception as exc:  # noqa: BLE001 - handlers are other people's code
            verdict = self._failed(claim, exc)
        else:
            verdict = Verdict(claim, PushState.HANDLED)
        self._verdicts.append(verdict)

    def _interrupted(self, claim: Claim) -> Verdict:
        return Verdict(claim, PushState.PENDING, self._clock(), counts=False)

    def _failed(self, claim: Claim, exc: Exception | None) -> Verdict:
        error = "cancelled" if exc is None else f"{type(exc).__name__}: {exc}"
        error = _storable(mask_numbers(error))
        trace = "" if exc is None else mask_numbers("".join(traceback.format_exception(exc)))
        seq, tries = claim.push.seq, claim.tries
        if tries >= self._handling.max_tries:
            logger.error("push %d is dead after %d tries: %s\n%s", seq, tries, error, trace)
            return Verdict(claim, PushState.DEAD, error=error)
        pause = self._handling.pause(tries)
        logger.warning(
            "push %d: handler failed, next try in %.1f s: %s\n%s", seq, pause, error, trace
        )
        return Verdict(claim, PushState.PENDING, self._clock() + pause, error)


def _storable(text: str) -> str:
    # PostgreSQL takes no NUL, and neither database takes half a surrogate pair.
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:_LONGEST_ERROR]
