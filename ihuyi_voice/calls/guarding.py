"""A guard, called as what it is: somebody else's code.

It may raise, hang, or be cancelled. Before anything is sent that is `GuardUnavailable`; afterwards
it is logged and changes nothing. The guard is told how a call ended even if the caller is
cancelled, and cancelled again: each of its calls is a task of its own. Whoever waits for one waits
to its end, however often it is cancelled meanwhile, but no longer than `PATIENCE`; then the task
goes on by itself, and `aclose` waits for it. Only a guard that says it never suspends is called
without a task.

A cancellation that arrives when the vendor's answer is already there must not replace the answer,
and must not be lost either: it is put off, and strikes at the next await of whoever was cancelled.
"""

import asyncio
import logging
from collections.abc import Coroutine
from sys import float_info
from typing import Any, Final, TypeAlias, TypeVar

from ihuyi_voice.calls.lines import Lines, lines_of
from ihuyi_voice.common.logs import tell
from ihuyi_voice.common.redaction import mask_numbers
from ihuyi_voice.errors import GuardUnavailable
from ihuyi_voice.guards import Guard, Lease, Wait

logger = logging.getLogger("ihuyi_voice")

PATIENCE: Final = 5.0
"""How long anybody waits for a guard that doesn't answer, in seconds."""

_METHODS: Final = frozenset({"reserve", "commit", "release", "block"})

T = TypeVar("T")

Settled: TypeAlias = Coroutine[Any, Any, asyncio.CancelledError | None]
"""To be awaited; it returns a cancellation of whoever waited, which was not heeded."""


class Guarding:
    """A guard as one account uses it: whatever it does, no answer is lost by it.

    Args:
        guard: The guard; None for none, and then nothing is ever held back.
        account: Whose calls they are.
    """

    def __init__(self, guard: Guard | None, account: str) -> None:
        self._guard = guard
        self._account = account
        self._tasks: set[asyncio.Task[Any]] = set()
        # A subclass doesn't inherit the word: it may do anything.
        self._never_suspends = bool(vars(type(guard)).get("never_suspends", False))

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
        return Lines() if self._guard is None else lines_of(self._guard, self._account)

    async def reserve(self, mobile: str) -> Lease | Wait | None:
        """Return a lease, or how long to wait; None without a guard.

        Raises:
            GuardUnavailable: It failed, hung, or gave something that is neither.
        """
        guard = self._guard
        if guard is None:
            return None
        try:
            if self._is_direct(guard):
                given = await guard.reserve(self._account, mobile)
            else:
                given = await self._reserved(guard, guard.reserve(self._account, mobile))
        except Exception as exc:
            reason = mask_numbers(f"{type(exc).__name__}: {exc}".rstrip(": "))
            raise GuardUnavailable(f"the guard could not be asked ({reason})") from exc
        if not _is_usable(given):
            raise GuardUnavailable(f"the guard gave {given!r}: no lease, no wait")
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

    async def aclose(self) -> None:
        """Wait until the guard knows how every call has ended, no longer than `PATIENCE`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        while self._tasks and loop.time() < until:  # one that ends may begin another
            await asyncio.wait(self._tasks, timeout=until - loop.time())
        for task in self._tasks:
            task.cancel()

    async def _reserved(self, guard: Guard, call: Coroutine[Any, Any, T]) -> T:
        """Await a reservation; what arrives when nobody waits for it any more is released."""
        task = self._begin(call)
        taken = False
        try:
            await asyncio.wait({task}, timeout=PATIENCE)
            if not task.done():
                raise TimeoutError(f"no answer within {PATIENCE:g} s")
            taken = True
        finally:
            if not taken and task.done():
                self._release_late(guard, task)  # at once: `aclose` may look before a callback ran
            elif not taken:
                task.add_done_callback(lambda late: self._release_late(guard, late))
        if task.cancelled():
            raise RuntimeError("it was cancelled from inside")
        return task.result()

    def _release_late(self, guard: Guard, task: "asyncio.Task[Any]") -> None:
        if task.cancelled() or task.exception() is not None:
            return
        lease = task.result()
        if not isinstance(lease, Wait):
            self._begin(_made(guard, "release", lease))

    async def _settle(
        self, method: str, lease: Lease | None, *seconds: float
    ) -> asyncio.CancelledError | None:
        """Tell the guard how a call ended; nothing that goes wrong there changes that.

        Returns:
            A cancellation of whoever waited, which was not heeded.
        """
        guard = self._guard
        if guard is None or lease is None:
            return None
        if self._is_direct(guard):
            await _made(guard, method, lease, *seconds)
            return None
        return await _ended(self._begin(_made(guard, method, lease, *seconds)))

    def _is_direct(self, guard: Guard) -> bool:
        """Say whether the guard never suspends, and nobody has put other methods in its place."""
        return self._never_suspends and _METHODS.isdisjoint(getattr(guard, "__dict__", ()))

    def _begin(self, call: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.get_running_loop().create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: whoever still cares has it from the task


async def _made(guard: Guard, method: str, *args: object) -> None:
    """Call a guard; what it raises is logged, for the call has ended as it has."""
    try:
        await getattr(guard, method)(*args)
    except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - a guard is foreign code
        tell(logger, logging.WARNING, "the guard failed to settle a call: %s", type(exc).__name__)


async def _ended(task: "asyncio.Task[None]") -> asyncio.CancelledError | None:
    """Wait until a call of a guard has ended, however often cancelled, but no longer than we may.

    Returns:
        The last cancellation, which was not heeded; None if there was none.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE
    cancelled: asyncio.CancelledError | None = None
    while not task.done() and loop.time() < until:
        try:
            await asyncio.wait({task}, timeout=until - loop.time())
        except asyncio.CancelledError as exc:
            cancelled = exc
    if not task.done():
        tell(logger, logging.WARNING, "the guard takes its time to settle a call; it goes on alone")
    return cancelled


def _is_usable(given: object) -> bool:
    """Say whether what a guard gave is a lease, or a wait of so many seconds."""
    if not isinstance(given, Wait):
        return given is not None
    return _is_a_time(given.seconds)


def _is_a_time(seconds: object) -> bool:
    return isinstance(seconds, int | float) and 0 <= seconds <= float_info.max


def put_off(cancelled: asyncio.CancelledError) -> None:
    """Let a cancellation that came too late strike at the next await of the running task.

    If the task ends before, or whoever cancelled takes it back (as `asyncio.timeout` does when its
    block has ended), there is nothing left to cancel.
    """
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().call_soon(_strike, task, cancelled)


def _strike(task: "asyncio.Task[Any]", cancelled: asyncio.CancelledError) -> None:
    if not task.done() and task.cancelling():
        task.uncancel()  # it counts once, not twice
        task.cancel(*cancelled.args)
