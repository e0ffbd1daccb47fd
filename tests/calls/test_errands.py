"""Errands: calls of foreign code that go on to their end, and questions asked together."""

import asyncio
from collections.abc import Generator, Sequence
from typing import Any

import pytest

from ihuyi_voice import InvalidRequest, LedgerUnavailable
from ihuyi_voice.calls.batches import MOST, Batches
from ihuyi_voice.calls.errands import Errands, result
from ihuyi_voice.calls.flights import Flights
from ihuyi_voice.calls.waiting import PATIENCE, all_ended, ended, waited
from ihuyi_voice.models import Draft
from tests.support.virtual_time import VirtualLoop, loop_time, run_virtual


async def at_once() -> str:
    """Never wait."""
    return "done"


async def raising(error: BaseException) -> None:
    """Raise without a wait."""
    raise error


def test_an_errand_that_never_waits_costs_no_task() -> None:
    """Its result, its error and its cancellation are there when it has been started."""

    async def main() -> None:
        errands = Errands()
        before = asyncio.all_tasks()
        assert result(errands.start(at_once())) == "done"
        with pytest.raises(LookupError):
            result(errands.start(raising(LookupError())))
        with pytest.raises(RuntimeError, match=r"^it was cancelled from inside$"):
            result(errands.start(raising(asyncio.CancelledError())))
        assert asyncio.all_tasks() == before

    run_virtual(main())


def test_an_errand_that_nobody_cancels_takes_no_turn_more() -> None:
    """The loop's next turn sees its end: who settles a call waits for it."""

    async def main() -> bool:
        task = Errands().begin(at_once())
        await asyncio.sleep(0)
        return task.done()

    assert run_virtual(main())


def test_a_future_is_an_errand_as_it_is() -> None:
    """It takes no task, it is closed with the others, and what it fails with is heard."""

    async def main() -> None:
        errands, before = Errands(), asyncio.all_tasks()
        hung, failing = (asyncio.get_running_loop().create_future() for _ in range(2))
        assert errands.start(hung) is hung
        assert errands.start(failing) is failing
        assert asyncio.all_tasks() == before
        failing.set_exception(LookupError())
        await errands.aclose()
        assert hung.cancelled()

    run_virtual(main())


def test_whatever_can_be_awaited_is_an_errand() -> None:
    """An object of a class with `__await__`, for example."""

    class Ready:
        def __await__(self) -> Generator[Any, Any, str]:
            return at_once().__await__()

    async def main() -> str:
        return await Errands().start(Ready())

    assert run_virtual(main()) == "done"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_in_the_first_step_goes_to_whoever_takes_it(
    error: type[BaseException],
) -> None:
    """It is nobody's outcome."""

    async def main() -> None:
        with pytest.raises(error):
            Errands().start(raising(error()))

    run_virtual(main())


def test_an_errand_that_waits_goes_on_in_a_task_of_its_own() -> None:
    """Whatever it waits for, a bare turn of the loop included, and however often."""

    async def main() -> tuple[str, list[object]]:
        seen: list[object] = []

        async def errand() -> str:
            seen.append(asyncio.current_task())
            await asyncio.sleep(0)
            seen.append(asyncio.current_task())
            await asyncio.sleep(1.0)
            async with asyncio.timeout(1.0):
                await asyncio.sleep(0.5)
            return "done"

        task = Errands().start(errand())
        assert seen == [asyncio.current_task()]
        assert await waited(task, 5.0)
        assert seen[1] is task
        return result(task), seen

    assert run_virtual(main())[0] == "done"


@pytest.mark.parametrize("heeds", [True, False])
def test_an_errand_that_is_cancelled_where_it_first_waited_may_clean_up(*, heeds: bool) -> None:
    """Or go on: it sees the cancellation like any coroutine."""

    async def main() -> tuple[bool, list[str]]:
        seen: list[str] = []

        async def errand() -> str:
            try:
                await asyncio.sleep(1e9)
            except asyncio.CancelledError:
                seen.append("cancelled")
                await asyncio.sleep(1.0)
                seen.append("cleaned up")
                if heeds:
                    raise
            return "done"

        task = Errands().start(errand())
        await asyncio.sleep(0.1)
        task.cancel()
        await waited(task, 5.0)
        return task.cancelled(), seen

    assert run_virtual(main()) == (heeds, ["cancelled", "cleaned up"])


def test_an_errand_may_end_by_a_cancellation_at_once() -> None:
    """With a result instead."""

    async def main() -> str:
        async def errand() -> str:
            try:
                await asyncio.sleep(1e9)
            except asyncio.CancelledError:
                return "done"
            return "never"

        task = Errands().start(errand())
        await asyncio.sleep(0.1)
        task.cancel()
        await waited(task, 5.0)
        return result(task)

    assert run_virtual(main()) == "done"


def test_waiting_ends_with_patience_and_leaves_the_errand_alone() -> None:
    """And so does a cancellation of whoever waits."""

    async def main() -> tuple[bool, float, bool, bool]:
        task = Errands().begin(asyncio.sleep(100.0))
        began = loop_time()
        ended_in_time = await waited(task, 3.0)
        took = loop_time() - began
        waiting = asyncio.create_task(waited(task, 50.0))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.wait({waiting})
        alone = not task.done()
        cancelled = asyncio.create_task(ended(task))
        await asyncio.sleep(0.1)
        cancelled.cancel()
        outlasted = await cancelled is not None
        return ended_in_time, took, alone, outlasted

    assert run_virtual(main()) == (False, 3.0, True, True)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_the_last_cancellation_of_who_waits_to_the_end_is_kept(times: int) -> None:
    """It is not heeded now, and may strike later, with its words."""

    async def main() -> tuple[object, ...]:
        task = Errands().begin(asyncio.sleep(1.0))
        waiting = asyncio.create_task(ended(task))
        for time in range(times):
            await asyncio.sleep(0.1)
            waiting.cancel(time)
        cancelled = await waiting
        assert task.done()
        assert cancelled is not None
        return cancelled.args

    assert run_virtual(main()) == (times - 1,)


def test_closing_waits_for_errands_and_then_cancels_them() -> None:
    """Those that end in time, and what they begin, are not cut short."""

    async def main() -> tuple[float, list[bool]]:
        errands = Errands()
        tasks: list[asyncio.Task[Any]] = [errands.begin(asyncio.sleep(1e9))]

        async def begins_another() -> None:
            await asyncio.sleep(1.0)
            tasks.append(errands.begin(asyncio.sleep(2.0)))

        tasks.append(errands.begin(begins_another()))
        began = loop_time()
        await errands.aclose()
        return loop_time() - began, [task.cancelled() for task in tasks]

    assert run_virtual(main()) == (PATIENCE, [True, False, False])


def batches(asked: list[Sequence[int]], error: Exception | None = None) -> Batches[int, int]:
    """Return batches whose answers take a second."""

    async def ask(questions: Sequence[int]) -> list[int]:
        asked.append(questions)
        await asyncio.sleep(1.0)
        if error is not None:
            raise error
        return [-question for question in questions]

    return Batches(ask, Errands())


def test_questions_that_come_while_one_is_answered_go_together() -> None:
    """So many at the most, in order, each with its own answer."""

    async def main() -> tuple[list[int], list[int], float]:
        asked: list[Sequence[int]] = []
        together = batches(asked)
        began = loop_time()
        first = asyncio.create_task(together.ask(0))
        await asyncio.sleep(0.5)
        answers = await asyncio.gather(*(together.ask(place) for place in range(1, MOST + 11)))
        assert await first == 0
        return answers, [len(each) for each in asked], loop_time() - began

    answers, sizes, took = run_virtual(main())
    assert answers == [-place for place in range(1, MOST + 11)]
    assert sizes == [1, MOST, 10]
    assert took == 3.0


def test_a_failure_is_told_to_each_by_an_error_of_its_own() -> None:
    """And the next question is asked as ever."""

    async def main() -> tuple[list[Any], int]:
        asked: list[Sequence[int]] = []
        together = batches(asked, LedgerUnavailable("no database"))
        found = await asyncio.gather(
            *(together.ask(place) for place in range(3)), return_exceptions=True
        )
        with pytest.raises(LedgerUnavailable):
            await together.ask(9)
        return found, len(asked)

    found, count = run_virtual(main())
    assert [str(error) for error in found] == ["no database"] * 3
    assert len({id(error) for error in found}) == 3
    assert count == 2


def test_who_is_cancelled_takes_no_answer_from_the_others() -> None:
    """Not even who asked first."""

    async def main() -> list[int]:
        together = batches([])
        tasks = [asyncio.create_task(together.ask(place)) for place in range(3)]
        await asyncio.sleep(0.5)
        tasks[0].cancel()
        await asyncio.wait(tasks)
        return [task.result() for task in tasks[1:]]

    assert run_virtual(main()) == [-1, -2]


def test_who_asks_when_all_is_closed_is_told_so() -> None:
    """Instead of waiting for ever."""

    async def main() -> BaseException | None:
        errands = Errands()

        async def ask(questions: Sequence[int]) -> list[int]:
            await asyncio.sleep(1e9)
            return list(questions)

        together = Batches[int, int](ask, errands)
        task = asyncio.create_task(together.ask(1))
        await asyncio.sleep(0.1)
        await errands.aclose()
        await asyncio.wait({task})
        return task.exception()

    assert isinstance(run_virtual(main()), LedgerUnavailable)


def test_a_key_in_flight_is_one_messages() -> None:
    """Landing twice does no harm, nor does it take a later flight's key."""

    async def main() -> None:
        flights = Flights()
        draft, other = Draft("k", "13900000000", "a"), Draft("k", "13900000000", "b")
        assert flights.ahead(draft) is None
        first = flights.take_off(draft)
        assert flights.ahead(draft) is first.landed
        with pytest.raises(
            InvalidRequest, match=r"^the key is used with another number or content"
        ) as caught:
            flights.ahead(other)
        assert caught.value.field == "key"
        flights.land(first)
        assert first.landed.done()
        second = flights.take_off(other)
        flights.land(first)
        assert flights.ahead(other) is second.landed

    run_virtual(main())


# --- a process that is asleep meanwhile


def falls_asleep(after: float, seconds: float) -> None:
    """Stop this process then, for so long: all its deadlines have passed when it wakes."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)

    def sleep() -> None:
        loop.jumping.now += seconds

    loop.call_later(after, sleep)


async def answers_on_waking(after: float, seconds: float, late: float = 0.01) -> str:
    """Answer soon after the process has woken; it fell asleep while this ran."""
    await asyncio.sleep(after + seconds + late)
    return "done"


@pytest.mark.parametrize("after", [0.0, 0.5, 2.3, PATIENCE - 0.1])
def test_patience_is_time_in_which_the_process_runs(after: float) -> None:
    """However long it slept, and whenever: what comes when it wakes has come in time."""

    async def main() -> None:
        for _ in range(2):
            falls_asleep(after, 3_600.0)
            task = asyncio.ensure_future(answers_on_waking(after, 3_600.0))
            assert await waited(task, PATIENCE)
            falls_asleep(after, 3_600.0)
            task = asyncio.ensure_future(answers_on_waking(after, 3_600.0))
            assert await ended(task) is None
            assert task.done()
            falls_asleep(after, 3_600.0)
            tasks = [asyncio.ensure_future(answers_on_waking(after, 3_600.0)) for _ in range(2)]
            assert await all_ended(tasks)

    run_virtual(main())


@pytest.mark.parametrize("after", [0.5, 1.5, 2.5])
@pytest.mark.parametrize(
    "how", ["waited", "ended", "cancelled before", "cancelled after", "all ended"]
)
def test_a_nap_that_is_shorter_than_patience_takes_none_of_it_either(
    how: str, after: float
) -> None:
    """What comes after it has come in time, if the process ran no longer than that."""
    nap, late = PATIENCE - 1.0, PATIENCE - after - 0.75

    async def main() -> None:
        falls_asleep(after, nap)
        task = asyncio.ensure_future(answers_on_waking(after, nap, late))
        if how == "all ended":
            assert await all_ended([task])
        elif how == "waited":
            assert await waited(task, PATIENCE)
        else:
            waiting = asyncio.ensure_future(ended(task))
            await asyncio.sleep(after + nap + 0.1 if how == "cancelled after" else 0)
            if how != "ended":
                waiting.cancel()
            assert (await waiting is not None) is (how != "ended")
        assert task.done()

    run_virtual(main())


def test_of_a_second_that_was_slept_through_half_counts() -> None:
    """Nobody knows how much of it the process ran; from then on it has all that is left."""

    async def main() -> float:
        falls_asleep(0.25, 100.0)
        assert not await waited(asyncio.get_running_loop().create_future(), PATIENCE)
        return loop_time()

    assert run_virtual(main()) == pytest.approx(1_000.0 + 100.25 + PATIENCE - 0.5, abs=0.01)


def test_errands_that_were_slept_through_are_not_cut_short() -> None:
    """Closing waits for them when it wakes."""

    async def main() -> str:
        errands = Errands()
        falls_asleep(1.0, 3_600.0)
        task = errands.begin(answers_on_waking(1.0, 3_600.0))
        await errands.aclose()
        return task.result()

    assert run_virtual(main()) == "done"


def test_who_sleeps_again_and_again_has_patience_in_the_end() -> None:
    """Nobody waits for ever for what never comes."""

    async def main() -> None:
        hung = asyncio.get_running_loop().create_future()
        for nap in range(100):
            falls_asleep(0.5 + 3_600.0 * nap, 3_599.0)
        assert not await waited(hung, PATIENCE)
        assert not await all_ended([hung])

    run_virtual(main())


def test_what_is_closed_asks_no_more_of_a_ledger_that_hangs() -> None:
    """Who waited behind the question that hangs is told, too, and no task is left."""
    asked: list[Sequence[str]] = []

    async def ask(questions: Sequence[str]) -> Sequence[str]:
        asked.append(questions)
        await asyncio.sleep(1e9)
        return questions

    async def main() -> tuple[str | BaseException, ...]:
        errands = Errands()
        together = Batches[str, str](ask, errands)
        first = asyncio.create_task(together.ask("a"))
        while not asked:  # noqa: ASYNC110 - a turn of the loop or two
            await asyncio.sleep(0)
        second = asyncio.create_task(together.ask("b"))
        await asyncio.sleep(0)
        await errands.aclose()
        told = await asyncio.gather(first, second, return_exceptions=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return told

    told = run_virtual(main())
    assert [type(each) for each in told] == [LedgerUnavailable] * 2
    assert asked == [["a"]]
