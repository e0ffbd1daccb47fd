"""Errands that nobody waits for: what is kept of them, who hears of them, and how they end."""

import asyncio
import gc
from contextlib import suppress
from typing import Any

import pytest

from ihuyi_voice.calls.errands import Errands, failed, put_off, result
from ihuyi_voice.calls.waiting import PATIENCE
from tests.support.virtual_time import loop_time, run_virtual


class Looked(asyncio.Future[None]):
    """Counts how often somebody looks whether it is done."""

    looks = 0

    def done(self) -> bool:
        """Count."""
        Looked.looks += 1
        return super().done()


def test_futures_that_are_done_are_not_kept_for_long() -> None:
    """However many there were, a bounded number stays."""

    async def main() -> int:
        errands, loop = Errands(), asyncio.get_running_loop()
        for _ in range(5_000):
            future: asyncio.Future[None] = loop.create_future()
            errands.start(future)
            future.set_result(None)
        return len(errands._futures)  # pyright: ignore[reportPrivateUsage] - only to be seen from inside

    assert run_virtual(main()) <= 1_600


def test_to_keep_many_that_are_pending_costs_few_looks() -> None:
    """A few each, not one for each that comes later; and closing ends them all."""

    async def main() -> int:
        errands, loop = Errands(), asyncio.get_running_loop()
        Looked.looks = 0
        futures = [errands.start(Looked(loop=loop)) for _ in range(4_000)]
        looks = Looked.looks
        await errands.aclose()
        assert all(future.cancelled() for future in futures)
        return looks

    assert run_virtual(main()) <= 4 * 4_000


def test_an_errand_that_nobody_waits_for_complains_to_nobody() -> None:
    """Whoever cares has its error from it; the loop's log is not for that."""
    complaints: list[dict[str, Any]] = []

    async def fails() -> None:
        await asyncio.sleep(0)
        raise LookupError

    async def main() -> None:
        errands, loop = Errands(), asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        errands.begin(fails())
        errands.begin(asyncio.sleep(1.0)).cancel()
        future: asyncio.Future[None] = loop.create_future()
        errands.start(future)
        future.set_exception(LookupError())
        await errands.aclose()
        del future
        gc.collect()
        await asyncio.sleep(0)

    run_virtual(main())
    assert complaints == []


def test_closing_ends_although_an_errand_does_not() -> None:
    """Soon after the errand was told to end, and did not heed it."""
    ended = asyncio.Event()

    async def deaf() -> None:
        while not ended.is_set():
            try:
                await ended.wait()
            except asyncio.CancelledError:
                continue

    async def main() -> float:
        errands = Errands()
        task = errands.begin(deaf())
        began = loop_time()
        await errands.aclose()
        took = loop_time() - began
        ended.set()
        await task
        return took

    assert run_virtual(main()) == pytest.approx(PATIENCE + 1.0)


def test_an_answer_that_does_not_come_is_told_with_its_time() -> None:
    """In the words that end up in an error."""

    async def main() -> None:
        errands = Errands()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        late = list[None]()
        with pytest.raises(TimeoutError, match=r"^no answer within 2\.5 s$"):
            await errands.claimed(future, late.append, 2.5)

    run_virtual(main())


@pytest.mark.parametrize("error", [LookupError(), asyncio.CancelledError(), None])
def test_what_ends_when_nobody_waits_is_given_back_only_if_it_gave_something(
    error: BaseException | None,
) -> None:
    """A failure and a cancellation of its own are nothing to give back, and nobody's trouble."""
    complaints: list[dict[str, Any]] = []
    back: list[str] = []

    async def late() -> str:
        await asyncio.sleep(2.0)
        if error is not None:
            raise error
        return "a lease"

    async def main() -> None:
        errands, loop = Errands(), asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        with pytest.raises(TimeoutError):
            await errands.claimed(errands.begin(late()), back.append, 1.0)
        await errands.aclose()
        await asyncio.sleep(0)

    run_virtual(main())
    assert (complaints, back) == ([], ["a lease"] if error is None else [])


def test_an_error_that_no_future_takes_is_told_by_another() -> None:
    """A StopIteration, in its words; a future would refuse it."""

    async def main() -> None:
        told = failed(StopIteration("no more"))
        with pytest.raises(RuntimeError, match=r"^StopIteration: no more$"):
            result(told)
        error = LookupError()
        assert failed(error).exception() is error

    run_virtual(main())


async def _goes_on(*, given: bool) -> str:
    """Be cancelled, clean up, and put off that cancellation or none."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError as error:
        put_off(error if given else None, error if given else None)
        for _ in range(3):
            await asyncio.sleep(0)
    return "cleaned up"


@pytest.mark.parametrize("given", [True, False])
def test_a_cancellation_that_is_raised_itself_strikes_once(*, given: bool) -> None:
    """Nor does one strike that never came: whoever cleans up is not cut short by it."""
    complaints: list[dict[str, Any]] = []

    async def main() -> str:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
        task = asyncio.create_task(_goes_on(given=given))
        await asyncio.sleep(0)
        task.cancel()
        return await task

    assert run_virtual(main()) == "cleaned up"
    assert complaints == []


@pytest.mark.parametrize("after", [PATIENCE - 1e-3, PATIENCE, PATIENCE + 1e-3, PATIENCE + 0.999])
def test_what_is_begun_when_patience_ends_has_its_moment(after: float) -> None:
    """To give back a lease, for one: who is cancelled before it has begun gives back nothing."""

    async def main() -> tuple[list[str], bool]:
        errands, done = Errands(), list[str]()
        hanging = errands.begin(asyncio.sleep(1e9))
        slow = errands.begin(never_giving_in(asyncio.get_running_loop(), after + 1e-6))

        async def giving_back() -> None:
            await asyncio.sleep(0.1)
            done.append("given back")

        def begin() -> None:
            errands.begin(giving_back())

        asyncio.get_running_loop().call_at(loop_time() + after, begin)
        await errands.aclose()
        assert slow.done()
        return done, hanging.cancelled()

    assert run_virtual(main()) == (["given back"], True)


async def never_giving_in(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """Go on for so long, however often this is cancelled."""
    until = loop.time() + seconds
    while (left := until - loop.time()) > 0:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(left)


def test_what_a_cancelled_one_begins_is_waited_for() -> None:
    """Or a ledger would not hear that what it granted last was never sent."""

    async def main() -> list[str]:
        errands, done = Errands(), list[str]()

        async def settling() -> None:
            await asyncio.sleep(0.5)
            done.append("settled")

        async def granted() -> None:
            try:
                await asyncio.sleep(1e9)
            finally:
                errands.begin(settling())

        errands.begin(granted())
        await errands.aclose()
        return done

    assert run_virtual(main()) == ["settled"]


@pytest.mark.parametrize("deaf", [False, True])
def test_errands_that_beget_others_for_ever_are_left_in_the_end(*, deaf: bool) -> None:
    """Closing is bounded, and the last of them has been cancelled, too."""

    async def main() -> tuple[float, bool]:
        errands, begun = Errands(), list[asyncio.Task[None]]()
        ending = asyncio.Event()

        async def begetting() -> None:
            try:
                await asyncio.sleep(1e9)
            finally:
                if not ending.is_set():
                    begun.append(errands.begin(begetting()))
                if deaf:
                    await asyncio.sleep(1e9)

        begun.append(errands.begin(begetting()))
        began = loop_time()
        await errands.aclose()
        took, last = loop_time() - began, begun[-1]
        ending.set()
        if not deaf:
            await asyncio.wait(begun)
        return took, last.cancelled() or last.cancelling() > 0

    took, cancelled = run_virtual(main())
    assert (took <= PATIENCE + 5.0, cancelled) == (True, True)


def test_what_is_begun_last_and_hangs_is_cancelled_after_its_moment() -> None:
    """And has ended when closing has."""

    async def main() -> tuple[float, bool]:
        errands, begun = Errands(), list[asyncio.Task[None]]()

        async def granted() -> None:
            try:
                await asyncio.sleep(1e9)
            finally:
                begun.append(errands.begin(asyncio.sleep(1e9)))

        errands.begin(granted())
        began = loop_time()
        await errands.aclose()
        return loop_time() - began, begun[0].cancelled()

    assert run_virtual(main()) == (PATIENCE + 1.0, True)
