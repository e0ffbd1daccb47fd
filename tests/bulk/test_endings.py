"""An exception that looks like the end of a loop is no end: the run says that it was one."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, NoReturn

import pytest

from ihuyi_voice import Outcome, OutcomeStatus
from ihuyi_voice.calls import Job
from tests.bulk.support import Script, pairs, run_of
from tests.support.virtual_time import run_virtual


def cut() -> Iterator[tuple[str, str]]:
    """Give three of many messages: somebody asked an async iterable for more, and it had none."""
    yield from pairs(3)
    raise StopAsyncIteration


async def consumed(run: Any, outcomes: list[Outcome]) -> None:
    """Consume a run."""
    async with run:
        async for outcome in run:
            outcomes.append(outcome)  # noqa: PERF401 - it must survive the exception


def test_a_list_that_is_cut_by_it_is_not_told_as_whole() -> None:
    """`async for` would take it for the end, and the rest of the list would be gone in silence."""

    async def main() -> None:
        outcomes: list[Outcome] = []
        run = run_of(cut())
        with pytest.raises(RuntimeError, match="StopAsyncIteration") as caught:
            await consumed(run, outcomes)
        assert isinstance(caught.value.__cause__, StopAsyncIteration)
        assert run.error is caught.value
        assert [outcome.status for outcome in outcomes] == [OutcomeStatus.ACCEPTED] * 3

    run_virtual(main())


def test_what_breaks_a_run_is_not_told_as_its_end() -> None:
    """As of a mock of a guard whose answers are used up."""

    def used_up(_: Job) -> NoReturn:
        raise StopAsyncIteration

    async def main() -> None:
        outcomes: list[Outcome] = []
        with pytest.raises(RuntimeError, match="StopAsyncIteration"):
            await consumed(run_of(pairs(3), Script(used_up)), outcomes)
        assert len(outcomes) == 3

    run_virtual(main())


def test_closing_that_raises_it_is_told_when_the_run_is_left() -> None:
    """There, too, it would only confuse who is around the run."""

    def closed() -> Iterator[tuple[str, str]]:
        try:
            yield from pairs(9)
        finally:
            raise StopAsyncIteration

    async def main() -> None:
        with pytest.raises(RuntimeError, match="StopAsyncIteration"):
            async with run_of(closed(), concurrency=1) as run:
                await anext(run)

    run_virtual(main())


async def around() -> AsyncIterator[int]:
    """Run within an async generator, as an app's stream of results does."""
    async with run_of(cut()) as run:
        async for _ in run:
            yield 1


def test_who_passes_outcomes_on_hears_of_it_too() -> None:
    """Not after a whole list, as far as he could tell."""

    async def main() -> None:
        with pytest.raises(RuntimeError, match="StopAsyncIteration"):
            async for _ in around():
                pass

    run_virtual(main())
