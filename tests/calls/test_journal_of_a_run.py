"""A run's journal, from its opening to its release, whoever is cancelled meanwhile."""

import asyncio
from typing import Any, Self

import pytest

from ihuyi_voice.calls.bookkeeping import JournalOfRun
from ihuyi_voice.calls.errands import Errands
from ihuyi_voice.calls.waiting import PATIENCE
from ihuyi_voice.models import Draft, Submission
from tests.support.vendor import CONTENT, MOBILE
from tests.support.virtual_time import loop_time, run_virtual

DRAFT = Draft("k", MOBILE, CONTENT)


class Slow:
    """A run that takes its time to be opened, written to and released.

    Attributes:
        released: When it was released, by the loop's clock; None if it was not.
        failing: What its opening ends in, although it is cancelled.
    """

    def __init__(self, seconds: float, failing: BaseException | None = None) -> None:
        self.released: float | None = None
        self.failing = failing
        self._seconds = seconds

    async def __aenter__(self) -> Self:
        """Open it; a cancellation comes too late."""
        try:
            await asyncio.sleep(self._seconds)
        except asyncio.CancelledError:
            await asyncio.sleep(self._seconds)
        if self.failing is not None:
            raise self.failing
        return self

    async def __aexit__(self, *_: object) -> None:
        """Release it."""
        await asyncio.sleep(self._seconds)
        self.released = loop_time()

    async def settle(self, *_: object) -> None:
        """Write an end."""
        await asyncio.sleep(self._seconds)


def of(run: Slow, errands: Errands) -> JournalOfRun:
    """Return its journal."""
    opening: Any = lambda: run  # noqa: E731 - of a type of its own
    return JournalOfRun(opening, errands)


@pytest.mark.parametrize("failing", [None, LookupError("x"), asyncio.CancelledError()])
def test_what_is_opened_when_nobody_waits_any_more_is_released(
    failing: BaseException | None,
) -> None:
    """Or the run would be in use for as long as the process lives; what was not opened is not."""
    complaints: list[dict[str, Any]] = []

    async def main() -> bool:
        run, errands = Slow(1.0, failing), Errands()
        asyncio.get_running_loop().set_exception_handler(lambda _, each: complaints.append(each))
        task = asyncio.create_task(of(run, errands).open())
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        await asyncio.sleep(3.0)
        await errands.aclose()
        return run.released is not None

    assert run_virtual(main()) == (failing is None)
    assert not complaints


@pytest.mark.parametrize("cancelled", [False, True])
def test_who_has_left_a_run_finds_it_free(*, cancelled: bool) -> None:
    """Its last end and its release have each the patience of one; and no cancellation is lost."""

    async def main() -> tuple[bool, bool, float]:
        run = Slow(PATIENCE - 1.0)
        journal = of(run, Errands())
        journaling = await journal.open()
        journaling.tell(DRAFT, Submission("7", MOBILE, "ok"))
        began = loop_time()
        task = asyncio.create_task(journal.close())
        await asyncio.sleep(0.5)
        if cancelled:
            task.cancel()
        put_off = await task
        return put_off is not None, run.released is not None, loop_time() - began

    assert run_virtual(main()) == (cancelled, True, 2 * (PATIENCE - 1.0))


def test_a_run_that_was_never_opened_has_nothing_to_release(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nor has one that was released already."""

    async def main() -> list[float | None]:
        run = Slow(1.0)
        journal = of(run, Errands())
        found: list[float | None] = []
        assert await journal.close() is None
        found.append(run.released)
        await journal.open()
        for _ in range(2):
            assert await journal.close() is None
            found.append(run.released)
        return found

    never, once, again = run_virtual(main())
    assert never is None
    assert not [each for each in caplog.records if each.name == "ihuyi_voice"]
    assert once == again
