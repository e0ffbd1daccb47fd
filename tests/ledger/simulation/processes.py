"""A virtual loop on which several "processes" live, can be stopped, go on, and die at any moment.

A process is a set of tasks and timers, told by their context. Dead is who is never stepped again:
no `finally`, no `except`, nothing is cleaned up, as after SIGKILL. Stopped is whose steps wait
until it goes on, while time passes for all others, as after SIGSTOP. What belongs to no process is
the world: the network and the vendor, which go on whatever dies.

Everything that could differ between two runs of a seed is taken from it: the order of steps, of
sets of tasks, of random numbers, of time.
"""

import asyncio
import contextvars
import gc
import heapq
import inspect
import itertools
import logging
import random
import secrets
import selectors
import sys
import time
import uuid
from asyncio import events
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

import attrs

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

EPOCH: Final = 1_767_225_600.0
"""What Unix time it is when a world begins."""

_MOST_STEPS: Final = 400_000
_CLOSINGS: Final = 500
_CLOSED: Final = inspect.CORO_CLOSED
# From Python 3.13 on, to close a step closes its generator, whose cleanup may await in its turn.
_STEPS: Final = ("async_generator_asend", "async_generator_athrow")


class Stuck(AssertionError):
    """Nothing will ever happen again, or never stops happening."""


@attrs.define(eq=False)
class Process:
    """One incarnation of a program.

    Attributes:
        name: For the trace.
        dead: Whether it was killed.
        stopped: Whether it was stopped and may go on.
        parked: Its steps that were due while it did not run.
    """

    name: str
    dead: bool = False
    stopped: bool = False
    parked: list[asyncio.Handle] = attrs.field(factory=list[asyncio.Handle])

    @property
    def runs(self) -> bool:
        """Whether its steps are made."""
        return not (self.dead or self.stopped)


_running: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


def current() -> Process | None:
    """Return the process whose step this is; None for the world."""
    return _running.get()


class _Step(asyncio.Handle):
    """A step that is made only if its process runs."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.process: Process | None = self._context.get(_running)  # type: ignore[attr-defined]

    def _run(self) -> None:
        process = self.process
        if process is None or process.runs:
            asyncio.Handle._run(self)
        else:
            process.parked.append(self)


class _Timer(asyncio.TimerHandle):
    """A timer, likewise."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.process: Process | None = self._context.get(_running)  # type: ignore[attr-defined]

    _run = _Step._run  # pyright: ignore[reportPrivateUsage] - its twin's


class Task(asyncio.Task[Any]):
    """A task whose place in a set is the same in each run of a seed."""

    _places = itertools.count()

    def __init__(self, *given: Any, **options: Any) -> None:
        self._place = next(self._places)
        super().__init__(*given, **options)
        loop = self.get_loop()
        if isinstance(loop, WorldLoop):
            loop.tasks.append(self)

    def __hash__(self) -> int:
        return self._place


class _Clock(selectors.SelectSelector):
    """Instead of waiting, lets time pass."""

    now = 1_000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stuck("everybody waits for something that will never happen")
        if timeout > 0:
            self.now += timeout
        return []


class WorldLoop(asyncio.SelectorEventLoop):
    """The loop."""

    def __init__(self) -> None:
        self.passing = _Clock()
        self.tasks: list[Task] = []  # so that none is collected before its world ends
        self.steps = 0
        super().__init__(self.passing)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self.passing.now

    def unix(self) -> float:
        """Return the same as Unix time."""
        return EPOCH + self.passing.now

    def call_soon(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """Make a step soon."""
        step = _Step(callback, args, self, context)
        self._ready.append(step)  # type: ignore[attr-defined]
        return step

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Make a step then."""
        timer = _Timer(when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Make a step after so many seconds."""
        return self.call_at(self.passing.now + delay, callback, *args, context=context)

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        """Close what a generator of the dead awaits."""
        _close(agen.ag_await)

    def _run_once(self) -> None:
        self.steps += 1
        if self.steps > _MOST_STEPS:
            raise Stuck("it never ends")
        super()._run_once()  # type: ignore[misc]

    def go_on(self, process: Process) -> None:
        """Let a stopped process go on: what was due meanwhile is due now."""
        process.stopped = False
        parked, process.parked = process.parked, []
        self._ready.extend(parked)  # type: ignore[attr-defined]

    def spawn(self, process: Process | None, main: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Start a task of a process, or of the world."""
        context = contextvars.copy_context()
        context.run(_running.set, process)
        return Task(main, loop=self, context=context)

    def bury(self) -> None:
        """End what hangs about for ever, without a step of it being made by the loop."""
        for task in self.tasks:  # more are added meanwhile, by their cleanup
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            if task.done() and not task.cancelled():
                task.exception()  # whoever waited for it may be gone
            _close(task.get_coro())
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]


def _close(coroutine: Any) -> None:
    """Close a coroutine from the inside out; each closing goes up to a cleanup's next await."""
    closed: list[Any] = []
    for _ in range(_CLOSINGS):
        innermost = _innermost(coroutine, closed)
        try:
            if innermost is not None:
                innermost.close()
        except RuntimeError:
            continue
        except BaseException:  # noqa: BLE001, S110 - of a cleanup that nobody wanted
            pass
        if innermost is coroutine:
            return
        closed.append(innermost)


def _innermost(awaited: Any, closed: list[Any]) -> Any:
    """Return the one that awaits nothing that could be closed before it."""
    while True:
        inner = _awaited_by(awaited)
        if inner is None or any(inner is one for one in closed):
            return awaited
        awaited = inner


def _awaited_by(awaited: Any) -> Any:
    """Return what waits inside: a coroutine, or a step of an asynchronous generator."""
    if type(awaited).__name__ in _STEPS:
        (generator,) = filter(inspect.isasyncgen, gc.get_referents(awaited))
        inner = generator.ag_await
    else:
        inner = getattr(awaited, "cr_await", None)
    if type(inner).__name__ in _STEPS:
        return inner
    is_open = inspect.iscoroutine(inner) and inspect.getcoroutinestate(inner) != _CLOSED
    return inner if is_open else None


def run_world(seed: int, main: Callable[[WorldLoop], Coroutine[Any, Any, T]]) -> T:
    """Run a world of this seed from its beginning to its end."""
    loop = WorldLoop()
    hooks = sys.get_asyncgen_hooks()
    with _determined(seed):
        try:
            return _run_to_its_end(loop, loop.spawn(None, main(loop)))
        finally:
            loop.run_until_complete(loop.spawn(None, _burial(loop)))
            loop.tasks.clear()
            loop.close()
            sys.set_asyncgen_hooks(*hooks)


def _run_to_its_end(loop: WorldLoop, world: "asyncio.Task[T]") -> T:
    """Go on, as some do, when somebody has ended the program."""
    while True:
        try:
            return loop.run_until_complete(world)
        except (KeyboardInterrupt, SystemExit):
            if world.done():
                raise


async def _burial(loop: WorldLoop) -> None:
    loop.tasks.pop()  # this one
    loop.bury()


@contextmanager
def _determined(seed: int) -> Generator[None]:
    """Take from the seed what a program takes from the machine."""
    chance = random.Random(seed)

    def hexadecimal(count: int | None = None) -> str:
        return chance.randbytes(count or 32).hex()

    state, disabled = random.getstate(), logging.root.manager.disable
    random.seed(seed)
    logging.disable()  # the dead complain about their burial
    with (
        _patched(secrets, "token_hex", hexadecimal),
        _patched(uuid, "uuid4", lambda: uuid.UUID(bytes=chance.randbytes(16), version=4)),
        _patched(asyncio, "Task", Task),
        _patched(asyncio.tasks, "Task", Task),
        _patched(time, "time", _unix),
    ):
        try:
            yield
        finally:
            random.setstate(state)
            logging.disable(disabled)


_REAL_TIME: Final = time.time


def _unix() -> float:
    loop = events._get_running_loop()
    return loop.unix() if isinstance(loop, WorldLoop) else _REAL_TIME()


@contextmanager
def _patched(owner: Any, name: str, value: Any) -> Generator[None]:
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)
