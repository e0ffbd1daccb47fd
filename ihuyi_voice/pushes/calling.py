"""One call of one handler, whatever that does: what came of it is a verdict in any case.

Handlers are other people's code. They raise what they like, return something to be awaited, hang
until they are cancelled, or swallow that, too. None of it reaches whoever called them, but for
SystemExit and KeyboardInterrupt, by which a handler asks for the end of the program: they are kept
until everything has been stored.
"""

import asyncio
import inspect
import traceback
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import attrs

from ihuyi_voice.common.redaction import mask_numbers
from ihuyi_voice.events import PushHandled, Stream
from ihuyi_voice.protocol import PushKind, PushValue
from ihuyi_voice.pushes.claims import Claim, Verdict
from ihuyi_voice.pushes.failures import Failures
from ihuyi_voice.pushes.options import Handling
from ihuyi_voice.pushes.reading import meaning
from ihuyi_voice.pushes.table import PushState

Handler: TypeAlias = Callable[[Any], Awaitable[object]]

_LONGEST_ERROR: Final = 500  # characters, as the table has it
_ENDS: Final[Mapping[PushState, Literal["handled", "failed", "dead"]]] = {
    PushState.HANDLED: "handled",
    PushState.PENDING: "failed",
    PushState.DEAD: "dead",
}
_Last: TypeAlias = SystemExit | KeyboardInterrupt


@attrs.define(eq=False)
class Call:
    """A handler that runs for a claim.

    Attributes:
        claim: The claim; another one if this process has taken over its own.
        began: When it began, by the loop's clock.
        task: What it runs in.
        verdict: What came of it, once that is known.
        late: Whether somebody was told that it goes on and on.
    """

    claim: Claim
    began: float
    task: "asyncio.Task[None] | None" = None
    verdict: Verdict | None = None
    late: bool = False

    @property
    def outcome(self) -> Verdict:
        """What became of it; it has ended."""
        # Without a verdict it was cancelled before it began. The claim may be another one by now.
        return attrs.evolve(self.verdict or interrupted(self.claim), claim=self.claim)


class Caller:
    """Calls handlers.

    Attributes:
        cut_off: Whether handlers are cancelled because this ends; then they haven't failed.
        last: How a handler asked for the end of the program.

    Args:
        handlers: By kind.
        handling: How they are called.
        wake: Called when a handler asks for the end of the program.
        events: Who is told of each call.
    """

    def __init__(
        self,
        handlers: Mapping[PushKind, Handler],
        handling: Handling,
        wake: Callable[[], None],
        events: Stream,
    ) -> None:
        self.cut_off = False
        self.last: _Last | None = None
        self._handlers = handlers
        self._handling = handling
        self._wake = wake
        self._events = events
        self._failures = Failures()

    async def run(self, call: Call) -> None:
        """Call the handler of a push, and keep what came of it."""
        claim = call.claim
        try:
            call.verdict = await self._handle(claim)
        except asyncio.CancelledError as exc:
            # If not by us, it was let out by the handler: a failure like any other.
            call.verdict = interrupted(claim) if self.cut_off else self._failed(claim, exc)
        except KeyboardInterrupt as exc:
            call.verdict = interrupted(claim)
            self._end(exc)
        except BaseException as exc:  # noqa: BLE001 - handlers are other people's code
            call.verdict = self._failed(claim, exc)
            if isinstance(exc, SystemExit):
                self._end(exc)
        if self._events.wants(PushHandled):
            self._tell(call, call.verdict)
        if call.verdict.state is PushState.HANDLED:  # and stays so, whatever the log does
            self._failures.handled(claim)

    def _tell(self, call: Call, verdict: Verdict) -> None:
        took = asyncio.get_running_loop().time() - call.began
        end = _ENDS[verdict.state] if verdict.counts else "interrupted"
        self._events.tell(PushHandled(call.claim.push.kind, end, call.claim.tries, took))

    async def _handle(self, claim: Claim) -> Verdict:
        value = meaning(claim.push)
        handler = self._handlers[PushKind(claim.push.kind)]
        async with asyncio.timeout(self._handling.timeout):
            await _call(handler, value)
        return Verdict(claim, PushState.HANDLED)

    def _end(self, exc: _Last) -> None:
        self.last = exc
        self._wake()

    def _failed(self, claim: Claim, exc: BaseException) -> Verdict:
        error, trace = _error(exc), partial(_trace, exc)
        if claim.tries >= self._handling.max_tries:
            self._failures.dead(claim, error, trace)
            return Verdict(claim, PushState.DEAD, error=error)
        pause = self._handling.pause(claim.tries)
        self._failures.failed(claim, pause, error, trace)
        return Verdict(claim, PushState.PENDING, pause, error)


def interrupted(claim: Claim) -> Verdict:
    """Return the verdict on a push that may be handled at once, as if for the first time."""
    return Verdict(claim, PushState.PENDING, counts=False)


async def _call(handler: Handler, value: PushValue) -> None:
    # A plain function has done its work by now: to fail it would only call it again. And what is
    # returned may be something to be awaited, even by a coroutine: its author forgot to.
    result: object = handler(value)
    while inspect.isawaitable(result):
        result = await result


def _error(exc: BaseException) -> str:
    """Return an error in few words; its own properties may raise, too."""
    try:
        error = "".join(traceback.format_exception_only(exc)).strip()
    except Exception:  # noqa: BLE001 - likewise other people's code
        error = type(exc).__name__
    return _storable(error)[:_LONGEST_ERROR]


def _trace(exc: BaseException) -> str:
    """Return an error in many words."""
    try:
        return _storable("".join(traceback.format_exception(exc)))
    except Exception:  # noqa: BLE001 - as above
        return type(exc).__name__


def _storable(text: str) -> str:
    # PostgreSQL takes no NUL, and neither database takes half a surrogate pair; nor do log files.
    return mask_numbers(text).replace("\0", "").encode("utf-8", "replace").decode()
