"""A guard, called as what it is: somebody else's code.

It may raise, hang, or be cancelled. Before anything is sent that is `GuardUnavailable`; afterwards
it is logged and changes nothing. The guard is told how a call ended even if the caller is
cancelled, and cancelled again: each of its calls is an errand. Only a guard that says it never
suspends is called without a task.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from sys import float_info
from typing import Any, Final, TypeAlias

from ihuyi_voice.calls.errands import Errands
from ihuyi_voice.calls.lines import Lines, Pause, lines_of, pause_of
from ihuyi_voice.calls.waiting import PATIENCE, ended
from ihuyi_voice.common.foreign import ENDING, PASSING, shown, words
from ihuyi_voice.common.logs import tell
from ihuyi_voice.errors import GuardUnavailable
from ihuyi_voice.guards import Guard, Lease, Wait
from ihuyi_voice.guards.contract import PASSES_ON

logger = logging.getLogger("ihuyi_voice")

_METHODS: Final = frozenset({"reserve", "commit", "release", "block"})
_SLOW: Final = "the guard takes its time to settle a call; it goes on alone"

Settled: TypeAlias = Coroutine[Any, Any, asyncio.CancelledError | None]
"""To be awaited; it returns a cancellation of whoever waited, which was not heeded."""
_NO_LEASE: Final = (bool, int, float)
"""What a guard may answer that was written for a yes or a no, or for seconds to wait."""


class Guarding:
    """A guard as one account uses it: whatever it does, no answer is lost by it.

    Args:
        guard: The guard; None for none, and then nothing is ever held back.
        account: Whose calls they are.
        errands: The client's.
        client: The client's own, if this stands in its place for a call or a run.
    """

    def __init__(
        self,
        guard: Guard | None,
        account: str,
        errands: Errands | None = None,
        client: "Guarding | None" = None,
    ) -> None:
        self._guard = guard
        self._account = account
        self._client = self if client is None else client
        self._errands = Errands() if errands is None else errands
        self._pause = Pause()
        self._remembers = getattr(guard, "remembers", None)
        self._restore = getattr(guard, "restore", None)
        self._never_suspend = _that_never_suspend(guard)

    def of(self, guard: Guard | None) -> "Guarding":
        """Return another guard in this one's place, for the same account.

        Whoever closes this one waits for the calls of that one, too.
        """
        if guard is self._guard:
            return self
        return Guarding(guard, self._account, self._errands, self._client)

    @property
    def is_on(self) -> bool:
        """Whether there is a guard."""
        return self._guard is not None

    def cap(self, rate: float | None) -> float | None:
        """Return the lower of a rate and the guard's own for an account; None if there is none."""
        own: object = getattr(self._guard, "max_rate", None)
        if not isinstance(own, int | float) or not 0 < own <= float_info.max:
            return rate
        return own if rate is None else min(rate, own)

    def lines(self) -> Lines:
        """Return the lines before the guard, shared by its clients in the running event loop."""
        return lines_of(self._guard, self._account)

    def pause(self) -> Pause:
        """Return the account's pause, which the vendor asked for: a client's is that of its calls.

        That of a client without a guard is its own.
        """
        if self._client is not self:
            return self._client.pause()
        return self._pause if self._guard is None else pause_of(self._guard, self._account)

    def forgot(self, mobile: str) -> bool:
        """Say whether the guard can be told of a number's calls, and knows none.

        Raises:
            GuardUnavailable: It failed.
        """
        remembers = self._remembers
        if remembers is None:
            return False
        try:
            return not remembers(self._account, mobile)
        except ENDING:
            raise
        except BaseException as exc:
            raise GuardUnavailable(f"the guard could not be asked ({words(exc)})") from exc

    def restore(self, mobile: str, ages: Sequence[float]) -> None:
        """Tell the guard of a number's calls before this process, by their ages in seconds.

        Raises:
            GuardUnavailable: It failed.
        """
        if self._restore is None or not ages:
            return
        try:
            self._restore(self._account, mobile, ages)
        except ENDING:
            raise
        except BaseException as exc:
            raise GuardUnavailable(f"the guard could not be told ({words(exc)})") from exc

    async def reserve(self, mobile: str) -> Lease | Wait | None:
        """Return a lease, or how long to wait; None without a guard.

        Raises:
            GuardUnavailable: It failed, hung, or gave something that is neither.
        """
        guard = self._guard
        if guard is None:
            return None
        try:
            if self.is_direct():
                given = await guard.reserve(self._account, mobile)
            else:
                given = await self._reserved(guard, mobile)
        except (GuardUnavailable, *PASSING):  # the first says why in words of its own
            raise
        except BaseException as exc:
            raise GuardUnavailable(f"the guard could not be asked ({words(exc)})") from exc
        if not _is_usable(given):
            raise GuardUnavailable(f"the guard gave {shown(given)}: no lease, no wait")
        return given

    def commit(self, lease: Lease | None) -> Settled:
        """End the lease of a call that was accepted, or may have been."""
        return self._settle("commit", lease)

    def release(self, lease: Lease | None) -> Settled:
        """End the lease of a call that was surely not sent, or that the vendor did not count."""
        return self._settle("release", lease)

    def block(self, lease: Lease | None, seconds: float) -> Settled:
        """End the lease of a call that the vendor refused with a rate code."""
        return self._settle("block", lease, seconds)

    async def _reserved(self, guard: Guard, mobile: str) -> Lease | Wait:
        """Await a reservation; what arrives when nobody waits for it any more is released."""
        task = self._errands.begin(guard.reserve(self._account, mobile))
        return await self._errands.claimed(task, self._give_back, PATIENCE, guard)

    def _give_back(self, guard: Guard, given: Lease | Wait) -> None:
        if not isinstance(given, Wait):
            self._errands.begin(_made(guard, "release", given))

    async def _settle(
        self, method: str, lease: Lease | None, *seconds: float
    ) -> asyncio.CancelledError | None:
        """Tell the guard how a call ended; nothing that goes wrong there changes that.

        Returns:
            A cancellation of whoever waited, which was not heeded.
        """
        guard = self._guard
        if guard is None:
            return None
        if self.is_direct():
            try:
                await _made(guard, method, lease, *seconds)
            except GeneratorExit as exc:  # its own: nobody closes what doesn't suspend
                _tell_failed(exc)
            return None
        task = self._errands.begin(_made(guard, method, lease, *seconds))
        cancelled = await ended(task)
        if not task.done():
            tell(logger, logging.WARNING, _SLOW)
        return cancelled

    def is_direct(self) -> bool:
        """Say whether the guard never suspends, and nobody has put other methods in its place."""
        for guard in self._never_suspend:
            if not _METHODS.isdisjoint(getattr(guard, "__dict__", ())):
                return False
        return bool(self._never_suspend)


def lapsing(lease: object) -> Callable[[], object] | None:
    """Return what says whether a lease has lapsed; None if it never does.

    Raises:
        GuardUnavailable: It could not be had.
    """
    try:
        lapsed = getattr(lease, "lapsed", None)
    except ENDING:
        raise
    except BaseException as exc:
        raise GuardUnavailable(f"the lease could not be asked ({words(exc)})") from exc
    return lapsed if callable(lapsed) else None


def _that_never_suspend(guard: object) -> tuple[object, ...]:
    """Return a guard and those it passes on to, if all say that they never suspend; else none."""
    chain: list[object] = []
    while guard is not None:
        # A subclass doesn't inherit the word: it may do anything.
        word: object = vars(type(guard)).get("never_suspends")
        chain.append(guard)
        if word != PASSES_ON:
            return tuple(chain) if word else ()
        guard = getattr(guard, "guard", None)
    return ()


async def _made(guard: Guard, method: str, *args: object) -> None:
    """Call a guard; what it raises is logged, for the call has ended as it has."""
    try:
        await getattr(guard, method)(*args)
    except (GeneratorExit, *ENDING):
        raise
    except BaseException as exc:  # noqa: BLE001 - a guard is foreign code
        _tell_failed(exc)


def _tell_failed(exc: BaseException) -> None:
    tell(logger, logging.WARNING, "the guard failed to settle a call: %s", type(exc).__name__)


def _is_a_lease(given: object) -> bool:
    """Say whether something may stand for a lease: whatever the guard likes, but no bare answer."""
    if given is None or isinstance(given, _NO_LEASE):
        return False
    return not isinstance(given, str | bytes) or bool(given)


def _is_usable(given: object) -> bool:
    """Say whether what a guard gave is a lease, or a wait of so many seconds."""
    if not isinstance(given, Wait):
        return _is_a_lease(given)
    return _is_a_time(given.seconds) and _is_told(given.window, given.reason)


def _is_told(window: object, reason: object) -> bool:
    return (window is None or _is_a_time(window)) and isinstance(reason, str)


def _is_a_time(seconds: object) -> bool:
    return isinstance(seconds, int | float) and 0 <= seconds <= float_info.max
