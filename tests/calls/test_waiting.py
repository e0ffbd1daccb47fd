"""Waiting for somebody else's future: who wakes the task, and what is left behind."""

import asyncio
import gc
import weakref
from contextlib import suppress
from contextvars import ContextVar
from math import inf
from typing import Any

import anyio
import pytest

from ihuyi_voice.calls.waiting import PATIENCE, Wait, all_ended, waited
from tests.support.virtual_time import VirtualLoop, loop_time, run_virtual

ENDS = ["its time", "its future", "a cancellation"]


def later(seconds: float, future: "asyncio.Future[str]") -> None:
    """Let a future be done then."""
    asyncio.get_running_loop().call_later(seconds, future.set_result, "done")


def ended_by(end: str, future: "asyncio.Future[str]", *waiting: "asyncio.Task[Any]") -> None:
    """Let those who wait for a future come to an end, unless their time is to be over."""
    if end == "its future":
        future.set_result("done")
    elif end == "a cancellation":
        for task in waiting:
            task.cancel()


def test_a_wait_ends_with_its_future() -> None:
    """At once, whether it gives something, fails or is cancelled: that is for whoever looks."""

    async def ends(how: str) -> "asyncio.Future[int]":
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        error = LookupError()
        what = {"set_result": (1,), "set_exception": (error,), "cancel": ()}[how]
        asyncio.get_running_loop().call_later(0.5, getattr(future, how), *what)
        began = loop_time()
        assert await waited(future, PATIENCE)
        assert loop_time() == began + 0.5
        return future

    async def main() -> None:
        assert (await ends("set_result")).result() == 1
        assert isinstance((await ends("set_exception")).exception(), LookupError)
        assert (await ends("cancel")).cancelled()

    run_virtual(main())


@pytest.mark.parametrize("seconds", [0.0, 0.25, 1.0, 1.3, 3.5])
def test_a_wait_ends_with_its_time(seconds: float) -> None:
    """The future goes on; of 1.3 s a rest is left that is shorter than any clock can tell."""

    async def main() -> None:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        later(9.0, future)
        began = loop_time()
        assert not await waited(future, seconds)
        assert loop_time() == pytest.approx(began + seconds, abs=0.01)
        assert await future == "done"

    run_virtual(main())


def test_who_need_not_wait_takes_no_turn_of_the_loop() -> None:
    """In which it might be cancelled: for what is done, or if there is no time for it."""

    async def main() -> None:
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        done.set_result("done")
        pending: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        for future, seconds in ((done, PATIENCE), (done, 0.0), (pending, 0.0)):
            with pytest.raises(StopIteration) as end:
                waited(future, seconds).send(None)
            assert end.value.value is (future is done)

    run_virtual(main())


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return when a virtual loop is to do something later, as it was asked from now on."""
    asked: list[float] = []
    call_at = VirtualLoop.call_at

    def noting(loop: VirtualLoop, when: float, *given: Any, **options: Any) -> asyncio.TimerHandle:
        asked.append(when)
        return call_at(loop, when, *given, **options)

    monkeypatch.setattr(VirtualLoop, "call_at", noting)
    return asked


def test_who_waits_for_ever_is_woken_by_nobody_meanwhile(timers: list[float]) -> None:
    """A program that has nothing to do sleeps."""

    async def main() -> None:
        futures: list[asyncio.Future[str]] = [
            asyncio.get_running_loop().create_future() for _ in range(2)
        ]
        for future in futures:
            later(3_600.0, future)
        timers.clear()
        assert all(await asyncio.gather(waited(futures[0], inf), all_ended([futures[1]], inf)))

    run_virtual(main())
    assert timers == []


def test_those_who_wait_equally_long_have_one_timer_together(timers: list[float]) -> None:
    """As nearly all do, and nearly none comes to its end by it."""

    async def main() -> None:
        waits = [
            asyncio.create_task(waited(asyncio.get_running_loop().create_future(), 0.5))
            for _ in range(100)
        ]
        assert not any(await asyncio.gather(*waits))

    run_virtual(main())
    assert timers == [1_000.5]


def test_a_cancelled_wait_leaves_the_future_alone() -> None:
    """The cancellation has its words, and the future is done in its own time."""

    async def main() -> None:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(waited(future, PATIENCE))
        await asyncio.sleep(0)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task
        task = asyncio.ensure_future(waited(future, PATIENCE))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as wordless:
            await task
        assert wordless.value.args == ()
        assert not future.done()
        later(0.1, future)
        assert await future == "done"

    run_virtual(main())


def test_a_cancellation_beside_the_end_is_not_lost() -> None:
    """In the same turn of the loop, before it or after it; and it is no error of the loop's."""
    wrong: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, about: wrong.append(about))
        for first, second in ((True, False), (False, True)):
            future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            task = asyncio.ensure_future(waited(future, PATIENCE))
            await asyncio.sleep(0)
            for cancels in (first, second):
                if cancels:
                    task.cancel()
                else:
                    future.set_result("done")
            with pytest.raises(asyncio.CancelledError):
                await task
            assert future.result() == "done"

    run_virtual(main())
    assert not wrong


def test_who_is_cancelled_before_the_wait_begins_does_not_wait() -> None:
    """As with any other await."""

    async def main() -> None:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def cancelled_before() -> None:
            current = asyncio.current_task()
            assert current is not None
            current.cancel()
            await waited(future, PATIENCE)

        with pytest.raises(asyncio.CancelledError):
            await asyncio.ensure_future(cancelled_before())
        assert loop_time() == 1_000.0

    run_virtual(main())


def test_a_timeout_ends_a_wait() -> None:
    """It cancels, and takes its cancellation back."""

    async def main() -> None:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await waited(future, PATIENCE)
        assert not await waited(future, 0.1)

    run_virtual(main())


def test_many_wait_side_by_side() -> None:
    """Each to its own end, whatever the others do, and one after the other in a task."""

    async def main() -> list[bool]:
        async def one(number: int) -> bool:
            future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            if number % 3:
                later(number / 100, future)
            return await waited(future, 0.5 if number % 2 else PATIENCE)

        return await asyncio.gather(*(one(number) for number in range(100)))

    found = run_virtual(main())
    assert found == [n % 3 > 0 and (n % 2 == 0 or n <= 50) for n in range(100)]


def test_one_length_of_time_is_kept_however_often_it_was_waited_for() -> None:
    """By those that wait at once, and by those that come when no one does any more."""

    async def one(after: float) -> None:
        await asyncio.sleep(after)
        began = loop_time()
        assert not await waited(asyncio.get_running_loop().create_future(), 0.5)
        assert loop_time() == pytest.approx(began + 0.5)

    async def main() -> None:
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, each: complaints.append(each))
        await asyncio.gather(*(one(after) for after in (0.0, 0.0, 0.25, 0.4, 3.0, 3.25, 8.0)))
        assert complaints == []

    run_virtual(main())


@pytest.mark.parametrize("end", ENDS)
def test_a_task_that_has_waited_goes_on_in_its_own_context(end: str) -> None:
    """Whoever woke it: who ended the future, who cancelled, or who waited first."""
    whose = ContextVar("whose", default="nobody's")

    async def wait(future: "asyncio.Future[str]", name: str) -> str:
        whose.set(name)
        with suppress(asyncio.CancelledError):
            await waited(future, 0.5 if end == "its time" else PATIENCE)
        return whose.get()

    async def main() -> list[str]:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        tasks = [asyncio.create_task(wait(future, name)) for name in ("the first's", "its own")]
        await asyncio.sleep(0)
        whose.set("the waker's")
        ended_by(end, future, *tasks)
        return await asyncio.gather(*tasks)

    assert run_virtual(main()) == ["the first's", "its own"]


@pytest.mark.parametrize("end", ENDS)
def test_a_wait_that_is_over_leaves_nothing_at_its_future(end: str) -> None:
    """Which may be waited for a thousand times before it is done."""

    class Counting(asyncio.Future[str]):
        left = 0

        def add_done_callback(self, *given: Any, **options: Any) -> None:
            self.left += 1
            super().add_done_callback(*given, **options)

        def remove_done_callback(self, fn: Any) -> int:
            removed = super().remove_done_callback(fn)
            self.left -= removed
            return removed

    async def main() -> int:
        future = Counting()
        task = asyncio.create_task(waited(future, 3.0 if end == "its time" else PATIENCE))
        await asyncio.sleep(0)
        ended_by(end, future, task)
        await asyncio.wait({task})
        return future.left

    assert run_virtual(main()) == (end == "its future")  # which has called it


@pytest.mark.parametrize("end", ENDS)
def test_an_event_loop_is_forgotten_with_its_waits(end: str) -> None:
    """However they ended: a program may run a loop for each call, and none is kept for it."""
    loop = asyncio.new_event_loop()

    async def main() -> None:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(waited(future, 0.001 if end == "its time" else PATIENCE))
        await asyncio.sleep(0)
        ended_by(end, future, task)
        await asyncio.wait({task})

    loop.run_until_complete(main())
    loop.close()
    gone = weakref.ref(loop)
    del loop
    gc.collect()
    assert gone() is None


def test_whoever_looks_at_tasks_sees_one_that_waits() -> None:
    """A library, as anyio, asks what a task waits for whether it is done, as of any future."""

    async def main() -> None:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(waited(future, PATIENCE))
        await anyio.wait_all_tasks_blocked()
        assert "wait_for=<" in repr(task)
        task.cancel()
        await asyncio.wait({task})

    run_virtual(main())


def test_a_wait_that_nobody_waits_for_is_woken_by_nothing() -> None:
    """It may be told of its end, or of a cancellation, after it was over."""

    async def main() -> None:
        wait = Wait(asyncio.get_running_loop().create_future(), 0.0, 1.0)
        wait.expire()
        assert not wait.is_over
        woken: list[Wait] = []
        wait.add_done_callback(woken.append)
        assert wait.cancel()
        assert wait.done()
        assert not wait.cancel()
        await asyncio.sleep(0)
        assert woken == [wait]
        with pytest.raises(asyncio.CancelledError):
            wait.result()

    run_virtual(main())
