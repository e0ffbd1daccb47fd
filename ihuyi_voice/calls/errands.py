"""Calls of other people's code that go on to their end, whoever is cancelled while waiting.

Each errand is a task of its own. Whoever waits for one may do so to its end, however often it is
cancelled meanwhile (`ended`), or let a cancellation pass (`waited`); never longer than it has
patience. Then the errand goes on by itself, and `aclose` waits for it.

A cancellation that arrives when the vendor's answer is already there must not replace the answer,
and must not be lost either: it is put off, and strikes at the next await of whoever was cancelled.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any, Final, TypeVar, cast

from ihuyi_voice.calls.waiting import PATIENCE, Patience, waited
from ihuyi_voice.common.closing import Closing, closing, moved, served, serving
from ihuyi_voice.common.foreign import ENDING, words

_FEW: Final = 500  # futures that are kept before it is looked whether they are done
_LAST_WORDS: Final = 1.0  # seconds for those that were cancelled to end
_GENERATIONS: Final = 4  # of errands, each begun by the end of another

T = TypeVar("T")


class Errands:
    """The errands of one client, or of one run."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Future[Any]] = set()
        self._futures: list[asyncio.Future[Any]] = []  # those that were given, done or not
        self._most = _FEW

    def begin(self, call: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run a call in a task of its own."""
        loop = asyncio.get_running_loop()
        token = serving()
        try:
            task = loop.create_task(_whole(call))
        finally:
            served(token)
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._over)
        return task

    def start(self, call: Awaitable[T]) -> "asyncio.Future[T]":
        """Take a call's first step, and run the rest, if there is any, in a task of its own.

        It costs a fraction of a task where there is no rest, and where a future is given, which is
        an errand as it is. The first step belongs to the running task: it must not begin a timeout
        or a scope of that task's.
        """
        loop = asyncio.get_running_loop()
        if isinstance(call, asyncio.Future):
            return self._kept(call)
        steps = (
            cast("Coroutine[Any, Any, T]", call) if asyncio.iscoroutine(call) else _awaited(call)
        )
        try:
            waits_for: object = steps.send(None)
        except StopIteration as end:
            done: asyncio.Future[T] = loop.create_future()
            done.set_result(end.value)
            return done
        except ENDING:
            raise
        except BaseException as exc:  # noqa: BLE001 - told by the future
            return failed(exc)
        task = self.begin(_rest(steps, waits_for))
        moved(task)  # it may have begun to close something
        return task

    def _kept(self, future: "asyncio.Future[T]") -> "asyncio.Future[T]":
        """Keep a future until it is done; to look now and then costs less than to be told."""
        self._futures.append(future)
        if len(self._futures) > self._most:
            self._sort_out()
            self._most = _FEW + 2 * len(self._futures)
        return future

    def _sort_out(self) -> None:
        pending: list[asyncio.Future[Any]] = []
        for future in self._futures:
            if future.done():
                self._over(future)
            else:
                pending.append(future)
        self._futures = pending

    async def claimed(
        self,
        task: "asyncio.Future[T]",
        give_back: Callable[..., None],
        patience: float,
        *about: object,
    ) -> T:
        """Return what an errand gives; what arrives when nobody waits any more is given back.

        Args:
            task: The errand.
            give_back: What to call then, with `about` and what has arrived.
            patience: How long to wait for it, in seconds.
            about: What it is told besides.

        Raises:
            TimeoutError: It did not answer in time.
            RuntimeError: It was cancelled from inside, or ended by what is no Exception.
            Exception: Whatever it raised.
        """
        taken = False
        try:
            taken = await waited(task, patience)
        finally:
            if not taken:
                when_done(task, partial(_given_back, give_back, about))
        if not taken:
            raise TimeoutError(f"no answer within {patience:g} s")
        return result(task)

    async def aclose(self) -> None:
        """Wait until every errand has ended, no longer than `PATIENCE`; then cancel them.

        But not for that in which this is called, which goes on when this is done, nor for another
        that waits for it. One that ends may begin another, to give back what it got: that has its
        moment, too, before it is cancelled, be it begun in the last one.
        """
        patience, known = Patience(PATIENCE), set[asyncio.Future[Any]]()
        with closing() as one:
            while (pending := one.others(self._pending())) and patience.left:
                known |= pending
                with patience.slice() as seconds:
                    await asyncio.wait(pending, timeout=seconds)
            await self._last_words(one, known)

    async def _last_words(self, one: Closing, known: set[asyncio.Future[Any]]) -> None:
        """Cancel those that are known, and those that come by it when they have had a moment."""
        cancelled = set[asyncio.Future[Any]]()
        for _ in range(_GENERATIONS):
            pending = one.others(self._pending())
            if pending <= cancelled:
                return
            cancelled |= _cancelled(pending & known - cancelled)
            known |= pending
            await asyncio.wait(pending, timeout=_LAST_WORDS)
        _cancelled(one.others(self._pending()) - cancelled)

    def _pending(self) -> set[asyncio.Future[Any]]:
        self._sort_out()
        return {*self._tasks, *self._futures}

    def _over(self, task: "asyncio.Future[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: whoever still cares has it from the task


def result(task: "asyncio.Future[T]") -> T:
    """Return what an errand gave.

    Raises:
        RuntimeError: It was cancelled from inside, or ended by what is no Exception.
        Exception: Whatever it raised.
    """
    if task.cancelled():
        raise RuntimeError("it was cancelled from inside")
    exc = task.exception()
    if exc is not None and not isinstance(exc, Exception):
        raise RuntimeError(f"it was ended by {type(exc).__name__}") from exc
    return task.result()


def put_off(cancelled: asyncio.CancelledError | None, error: BaseException | None = None) -> None:
    """Let a cancellation that came too late strike at the next await of the running task.

    None is none; nor need it strike where `error`, which is being raised, is a cancellation itself.

    If the task ends before, or whoever cancelled takes it back (as `asyncio.timeout` does when its
    block has ended), there is nothing left to cancel.
    """
    if cancelled is None or isinstance(error, asyncio.CancelledError):
        return
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().call_soon(_strike, task, cancelled)


def _strike(task: "asyncio.Task[Any]", cancelled: asyncio.CancelledError) -> None:
    if not task.done() and task.cancelling():
        task.uncancel()  # it counts once, not twice
        task.cancel(*cancelled.args)


def _cancelled(tasks: "set[asyncio.Future[Any]]") -> "set[asyncio.Future[Any]]":
    for task in tasks:
        task.cancel()
    return tasks


def when_done(task: "asyncio.Future[T]", do: "Callable[[asyncio.Future[T]], None]") -> None:
    """Do something with an errand once it is done: now, if it is."""
    if task.done():
        do(task)  # at once: `aclose` may look before a callback ran
    else:
        task.add_done_callback(do)


def _given_back(
    give_back: Callable[..., None], about: tuple[object, ...], task: "asyncio.Future[Any]"
) -> None:
    if not task.cancelled() and task.exception() is None:
        give_back(*about, task.result())


def failed(exc: BaseException) -> "asyncio.Future[Any]":
    """Return an errand that has failed."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    if isinstance(exc, asyncio.CancelledError):
        future.cancel()
    else:  # no future takes a StopIteration
        future.set_exception(RuntimeError(words(exc)) if isinstance(exc, StopIteration) else exc)
        future.exception()  # seen: whoever still cares has it from the future
    return future


class _Whole(Coroutine[Any, Any, T]):
    """A call that gives what it has, also if it was cancelled at its very end, or before it began.

    A task would end as cancelled then, with nothing left to cancel, and nobody would have its
    result: a lease, or an intent. (`asyncio.timeout` does so, when it strikes as its block ends.)
    So it takes one turn more, in which that cancellation strikes.

    Nor would a task that is cancelled before its first step take any: a lease would not be given
    back, and who waits for answers would wait for ever. So it takes that step, and is cancelled
    where it waits first.
    """

    __slots__ = ("_begun", "_call", "_end")

    def __init__(self, call: Coroutine[Any, Any, T]) -> None:
        self._call = call
        self._begun = False
        self._end: StopIteration | None = None

    @property
    def cr_await(self) -> Coroutine[Any, Any, T]:
        """What it waits for, to who looks."""
        return self._call

    def send(self, value: Any) -> Any:  # noqa: ANN401 - whatever a task sends
        """Go on."""
        self._begun = True
        return self._stepped(self._call.send, value)

    def throw(self, *error: Any) -> Any:  # noqa: ANN401 - likewise
        """Go on with an error."""
        task = None if self._begun else asyncio.current_task()
        if task is None or not isinstance(error[0], asyncio.CancelledError):
            return self._stepped(self._call.throw, *error)
        task.cancel(*error[0].args)  # which strikes at the first wait
        task.uncancel()  # it counts once, not twice
        return self.send(None)

    def close(self) -> None:
        """End it where it is."""
        self._call.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self._call.__await__()

    def _stepped(self, step: Callable[..., Any], *given: Any) -> Any:  # noqa: ANN401 - likewise
        if self._end is not None:
            raise self._end
        try:
            return step(*given)
        except StopIteration as end:
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                raise
            self._end = end
            return None


def _whole(call: Any) -> Any:  # noqa: ANN401 - of foreign code
    return _Whole(call) if asyncio.iscoroutine(call) else call  # which asyncio refuses


async def _awaited(call: Awaitable[T]) -> T:
    return await call


async def _rest(call: Coroutine[Any, Any, T], waits_for: object) -> T:
    return await _resumed(call, waits_for)


@coroutine
def _resumed(call: Coroutine[Any, Any, T], waits_for: object) -> Generator[Any, Any, T]:
    """Go on with a coroutine that has begun, and waits for something."""
    while True:
        try:
            yield waits_for
        except BaseException as exc:  # noqa: BLE001 - the coroutine's business
            try:
                waits_for = call.throw(exc)
            except StopIteration as end:
                return cast("T", end.value)
        else:
            return cast("T", (yield from call))
