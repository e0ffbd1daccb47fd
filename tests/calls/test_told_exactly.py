"""What a guard, a journal and an event are told of a call, to the letter."""

import asyncio
import logging
from typing import Any

import pytest

from ihuyi_voice import (
    GuardUnavailable,
    LedgerUnavailable,
    MemoryGuard,
    NotSent,
    Operation,
    OutcomeUnknown,
    RateLimited,
    RetryPolicy,
    RunStopped,
    Submission,
)
from ihuyi_voice.calls import Event, Settled
from ihuyi_voice.calls.errands import Errands
from ihuyi_voice.calls.guarding import Guarding
from ihuyi_voice.calls.journaling import Journaling
from ihuyi_voice.calls.retries import Tries
from ihuyi_voice.calls.waiting import PATIENCE
from ihuyi_voice.models import Draft
from tests.support.guards import Misbehaving
from tests.support.journals import FakeLedger
from tests.support.vendor import CONTENT, MOBILE, ONCE, in_process, vendor
from tests.support.virtual_time import loop_time, run_virtual

DRAFT = Draft("k", MOBILE, CONTENT)
ENDS: list[Submission | OutcomeUnknown] = [
    Submission("7", MOBILE, "ok"),
    OutcomeUnknown("nobody knows"),
]
SLOW = "the ledger did not answer within 5 s"
FAILED = "the ledger failed to write how a call ended (LookupError: x)"


class Told:
    """A guard and a journal in one, that keeps what it is told; it may fail, or take for ever."""

    def __init__(self, error: Exception | None = None, seconds: float = 0.0) -> None:
        self.told: list[tuple[object, ...]] = []
        self._error = error
        self._seconds = seconds

    def remembers(self, *told: object) -> bool:
        """Keep it."""
        self._note(*told)
        return False

    def restore(self, *told: object) -> None:
        """Keep it."""
        self._note(*told)

    async def intend(self, draft: Draft) -> Any:
        """Grant it, late."""
        await asyncio.sleep(self._seconds)

    async def settle(self, *told: object) -> None:
        """Keep it."""
        await asyncio.sleep(self._seconds)
        self._note(*told)

    def _note(self, *told: object) -> None:
        self.told.append(told)
        if self._error is not None:
            raise self._error


def journaling(journal: Any) -> Journaling:
    """Return a journal as calls use it."""
    return Journaling(lambda: journal, Errands())


def test_a_guard_is_asked_and_told_for_its_account() -> None:
    """It may keep the numbers of several."""
    guard: Any = Told()
    guarding = Guarding(guard, "a")
    assert guarding.forgot(MOBILE)
    guarding.restore(MOBILE, [1.0])
    guarding.restore(MOBILE, [])  # nothing is nothing to tell
    assert guard.told == [("a", MOBILE), ("a", MOBILE, [1.0])]


def test_a_guard_that_fails_is_told_of_in_its_words() -> None:
    """For what was asked, and for what was to be told."""
    guard: Any = Told(LookupError("x"))
    guarding = Guarding(guard, "a")
    with pytest.raises(GuardUnavailable) as asked:
        guarding.forgot(MOBILE)
    with pytest.raises(GuardUnavailable) as told:
        guarding.restore(MOBILE, [1.0])
    assert str(asked.value) == "the guard could not be asked (LookupError: x)"
    assert str(told.value) == "the guard could not be told (LookupError: x)"


async def test_clients_of_one_guard_share_a_pause() -> None:
    """The vendor has closed the account for all of them."""
    guard = MemoryGuard()
    pause = Guarding(guard, "a").pause()
    assert Guarding(guard, "a").pause() is pause
    assert Guarding(guard, "b").pause() is not pause
    assert Guarding(MemoryGuard(), "a").pause() is not pause
    alone = Guarding(None, "a")
    assert alone.pause() is alone.of(guard).pause() is alone.pause()
    assert alone.pause() is not Guarding(None, "a").pause()


@pytest.mark.parametrize("end", ENDS)
def test_an_end_that_nobody_waits_for_is_written_as_it_is(end: Any) -> None:
    """One by one, and many at once."""

    async def main() -> list[tuple[object, ...]]:
        journal = Told()
        kept = journaling(journal)
        await kept.settled(DRAFT, kept.tell(DRAFT, end))
        await kept.settle_all([(DRAFT, end)])
        assert kept.failure is None
        return journal.told

    assert run_virtual(main()) == [(DRAFT, end)] * 2


def test_a_journal_that_takes_for_ever_is_of_no_use_any_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is kept why, whichever way it was told, and the log says that it goes on alone."""

    async def main() -> list[str]:
        one, many = (journaling(Told(seconds=1e9)) for _ in range(2))
        await one.settled(DRAFT, one.settle(DRAFT, ENDS[0]))
        await many.settle_all([(DRAFT, ENDS[0])])
        assert caplog.messages == [f"{SLOW}; it goes on alone to write how a call ended"]
        return [str(one.failure), str(many.failure)]

    with caplog.at_level(logging.WARNING, "ihuyi_voice"):
        assert run_virtual(main()) == [SLOW, SLOW]


def test_a_journal_that_fails_to_write_says_so_with_a_masked_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The first failure is kept, with what it came from."""
    error = LookupError("x")

    async def main() -> None:
        kept = journaling(Told(error))
        await kept.settled(DRAFT, kept.settle(DRAFT, ENDS[0]))
        assert kept.failure is not None
        assert (str(kept.failure), kept.failure.__cause__) == (FAILED, error)

    with caplog.at_level(logging.WARNING, "ihuyi_voice"):
        run_virtual(main())
    assert caplog.messages == [f"{FAILED}, to 139****0000"]


def test_a_journal_that_fails_to_write_when_nobody_waits_any_more_says_so_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An end that took longer than anybody's patience, and an intent that was to be taken back."""

    async def main() -> None:
        kept = journaling(Told(LookupError("x"), PATIENCE + 1.0))
        await kept.settled(DRAFT, kept.settle(DRAFT, ENDS[0]))
        await asyncio.sleep(9.0)
        assert caplog.messages.pop() == f"{FAILED}, to 139****0000"
        caplog.clear()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(kept.intend(DRAFT), 1.0)
        await asyncio.sleep(99.0)

    with caplog.at_level(logging.WARNING):
        run_virtual(main())
    assert caplog.messages == [f"{FAILED}, to 139****0000"]


def test_a_journal_that_says_that_its_run_was_stopped_is_of_no_use_any_more() -> None:
    """Nor one that gives, instead of raising it, that it could not be asked."""

    class Stopped(Told):
        async def intend(self, draft: Draft) -> Any:
            return RunStopped("elsewhere")

    class Unavailable(Told):
        async def intend(self, draft: Draft) -> Any:
            return LedgerUnavailable("no database")

    async def main() -> None:
        stopped, unavailable = journaling(Stopped()), journaling(Unavailable())
        assert await stopped.intend(DRAFT) is stopped.failure is not None
        with pytest.raises(LedgerUnavailable) as caught:
            await unavailable.intend(DRAFT)
        assert unavailable.failure is caught.value

    run_virtual(main())


def test_the_event_of_an_acceptance_has_its_number() -> None:
    """As that of every other end."""
    events: list[Event] = []

    async def main() -> None:
        async with in_process(vendor(), on_event=events.append) as client:
            await client.submit(MOBILE, CONTENT)

    run_virtual(main())
    (settled,) = [event for event in events if isinstance(event, Settled)]
    assert settled.mobile == MOBILE


def test_a_call_with_a_timeout_waits_for_its_number_as_others_do() -> None:
    """As long as both its patience and its timeout allow."""

    async def main() -> float:
        async with in_process(vendor()) as client:
            await client.submit(MOBILE, CONTENT)
            began = loop_time()
            await client.submit(MOBILE, CONTENT, max_wait=30.0, timeout=20.0)
            return loop_time() - began

    assert run_virtual(main()) == pytest.approx(1.0, abs=0.01)


def test_a_call_that_its_timeout_ends_in_line_is_written_as_what_it_came_to() -> None:
    """Its key is free for another try."""

    async def main() -> tuple[Any, list[Any]]:
        ledger, guard = FakeLedger(), Misbehaving("reserve", "hangs")
        async with in_process(vendor(), guard=guard, ledger=ledger, retry=ONCE) as client:
            first = asyncio.create_task(client.submit(MOBILE, CONTENT))
            await guard.begun.wait()
            with pytest.raises(RateLimited) as caught:
                await client.submit(MOBILE, CONTENT, key="k", max_wait=100.0, timeout=2.0)
            await asyncio.wait({first})
            assert isinstance(first.exception(), GuardUnavailable)
        return caught.value, [row.end for row in ledger.store.rows.values()]

    error, ends = run_virtual(main())
    assert ends == [error]
    assert (error.code, error.source) == (4080, "guard")


def test_tries_know_whether_the_last_attempt_is_over() -> None:
    """And each error how many attempts there were."""
    tries = Tries(Operation.SUBMIT, RetryPolicy())
    assert not tries.is_over
    tries.begin(0.0)
    assert not tries.is_over
    error = NotSent("no connection")
    tries.note(error)
    assert (error.attempts, tries.is_over) == (1, True)
    tries.begin(1.0)
    assert not tries.is_over


def test_what_breaks_between_two_tries_is_told_beside_what_they_came_to() -> None:
    """By its kind; what may have rung stays unknown."""
    tries = Tries(Operation.SUBMIT, RetryPolicy())
    broken = LookupError("x")
    assert tries.broken(broken) is broken
    tries.begin(0.0)
    tries.note(unknown := OutcomeUnknown("nobody knows"))
    assert tries.broken(broken) is unknown
    assert str(unknown.__cause__) == "the next attempt broke (LookupError)"
