"""What becomes of odd guards, odd journals and second tries, in the words that people read."""

import asyncio
import logging
from typing import Any

import pytest

from ihuyi_voice import (
    Action,
    LedgerUnavailable,
    MemoryGuard,
    NotSent,
    Operation,
    OutcomeUnknown,
    RateLimited,
    RetryEvent,
    RetryPolicy,
    Submission,
    VendorError,
)
from ihuyi_voice.calls.errands import Errands
from ihuyi_voice.calls.guarding import Guarding, lapsing
from ihuyi_voice.calls.journaling import ASKING, Journaling
from ihuyi_voice.calls.retries import Tries
from ihuyi_voice.guards import Lease, QuietHours
from ihuyi_voice.guards.contract import PASSES_ON
from ihuyi_voice.models import Draft
from tests.support.guards import Misbehaving
from tests.support.vendor import CONTENT, MOBILE, in_process, vendor
from tests.support.virtual_time import run_virtual

DRAFT = Draft("k", MOBILE, CONTENT)
END = Submission("7", MOBILE, "ok")


class Odd:
    """A journal that gives what it was made with, sooner or later."""

    def __init__(self, given: Any, seconds: float = 0.0) -> None:
        self._given = given
        self._seconds = seconds

    async def look(self, _: object) -> Any:
        """Give it."""
        await asyncio.sleep(self._seconds)
        return self._given

    intend = recall = look


def journaling(journal: Any) -> Journaling:
    """Return a journal as calls use it."""
    return Journaling(lambda: journal, Errands())


@pytest.mark.parametrize(
    ("given", "method", "asked", "told"),
    [
        ("yes", "intend", DRAFT, "it gave 'yes': no end of a call"),
        (["yes"], "look_all", [DRAFT], "it gave 'yes': no end of a call"),
        ([], "look_all", [DRAFT], "it gave [] for 1 answers"),
        (5, "look_all", [DRAFT], "it gave 5 for 1 answers"),
        (
            {MOBILE: [float("inf")]},
            "recall_all",
            [MOBILE],
            "it gave {'139****0000': [inf]} for ages: ValueError: an age is no number of seconds",
        ),
    ],
)
def test_what_a_journal_must_not_give_is_named(
    given: Any, method: str, asked: Any, told: str
) -> None:
    """Whoever wrote it reads what was wrong, and nothing is sent."""

    async def main() -> tuple[str, str]:
        kept = journaling(Odd(given))
        with pytest.raises(LedgerUnavailable) as caught:
            await getattr(kept, method)(asked)
        return str(caught.value), str(kept.failure)

    text = f"the ledger could not be asked ({told})"
    assert run_virtual(main()) == (text, text)


def test_a_journal_that_can_not_be_had_fails_as_one_that_fails_to_write() -> None:
    """Nobody is raised at: the vendor has answered."""

    def find() -> Any:
        raise LookupError("x")

    async def main() -> str:
        kept = Journaling(find, Errands())
        await kept.settled(DRAFT, kept.settle(DRAFT, END))
        return str(kept.failure)

    assert run_virtual(main()) == "the ledger failed to write how a call ended (LookupError: x)"


def test_an_answer_of_a_journal_that_comes_too_late_harms_nobody() -> None:
    """The question was given up; the loop has nothing to complain of."""
    complaints: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
        kept = journaling(Odd([None], seconds=ASKING + 1.0))
        with pytest.raises(LedgerUnavailable, match="no answer within 15 s"):
            await kept.look_all([DRAFT])
        await asyncio.sleep(2.0)

    run_virtual(main())
    assert complaints == []


def test_a_guard_that_hangs_after_the_answer_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """It goes on alone."""

    async def main() -> list[str]:
        guard = Misbehaving("commit", "hangs")
        async with in_process(vendor(), guard=guard) as client:
            await client.submit(MOBILE, CONTENT)
            return list(caplog.messages)

    with caplog.at_level(logging.WARNING, "ihuyi_voice"):
        told = run_virtual(main())
    assert told == ["the guard takes its time to settle a call; it goes on alone"]


async def test_a_guard_whose_methods_were_replaced_may_suspend() -> None:
    """As a mock's may; a subclass doesn't inherit the word either."""
    guard = MemoryGuard()
    assert Guarding(guard, "a").is_direct()
    for name in ("reserve", "commit", "release", "block"):
        changed = MemoryGuard()
        setattr(changed, name, getattr(guard, name))
        assert not Guarding(changed, "a").is_direct()
    assert not Guarding(type("Other", (MemoryGuard,), {})(), "a").is_direct()
    assert not Guarding(None, "a").is_direct()
    hours = QuietHours("22:00-08:00")
    assert Guarding(hours, "a").is_direct()
    hours.guard = changed
    assert not Guarding(hours, "a").is_direct()


async def test_a_guard_of_ones_own_says_by_its_class_that_it_never_suspends() -> None:
    """Its objects may have slots alone; one that passes on to nothing has said nothing."""

    class Slotted:
        __slots__ = ()
        never_suspends = True

    slotted: Any = Slotted()
    lost: Any = type("Lost", (), {"never_suspends": PASSES_ON})()
    silent: Any = type("Silent", (), {})()
    assert Guarding(slotted, "a").is_direct()
    assert not Guarding(lost, "a").is_direct()
    assert not Guarding(silent, "a").is_direct()


@pytest.mark.parametrize("method", ["commit", "release"])
def test_a_guard_that_fails_to_settle_is_told_of_by_its_errors_kind(
    method: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Its text may hold anything."""

    async def main() -> None:
        guard: Any = Misbehaving(method, "raises")
        guarding = Guarding(guard, "a")
        lease = await guarding.reserve(MOBILE)
        assert isinstance(lease, Lease)
        await getattr(guarding, method)(lease)

    with caplog.at_level(logging.WARNING, "ihuyi_voice"):
        run_virtual(main())
    (line,) = caplog.records
    assert (line.levelno, line.getMessage()) == (
        logging.WARNING,
        "the guard failed to settle a call: ConnectionError",
    )


def test_a_lease_that_says_nothing_usable_does_not_lapse() -> None:
    """It has no such method, or something else under its name."""
    for lease in (None, object(), type("Lease", (), {"lapsed": 5})()):
        assert lapsing(lease) is None


def _error(kind: type[VendorError], code: int, operation: Operation) -> VendorError:
    return kind(code, "x", operation, Action.WAIT)


@pytest.mark.parametrize(
    ("operation", "stays"), [(Operation.SUBMIT, True), (Operation.BALANCE, False)]
)
def test_an_answer_counts_after_an_unknown_one_only_if_twice_does_no_harm(
    operation: Operation, *, stays: bool
) -> None:
    """A second submission's refusal says nothing of the first."""
    tries = Tries(operation, RetryPolicy())
    unknown = OutcomeUnknown("nobody knows")
    refused = _error(VendorError, 4051, operation)
    for error in (unknown, refused):
        tries.begin(0.0)
        tries.note(error)
    assert tries.verdict(refused) is (unknown if stays else refused)
    assert tries.verdict(NotSent("no connection")) is unknown


def test_a_wait_for_the_vendors_window_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """As any other wait before a further try: to the hook, and in the log."""
    events: list[RetryEvent] = []
    tries = Tries(Operation.SUBMIT, RetryPolicy(on_retry=events.append))
    error = _error(RateLimited, 4081, Operation.SUBMIT)
    assert isinstance(error, RateLimited)
    tries.begin(0.0)
    tries.note(error)
    with caplog.at_level(logging.INFO, "ihuyi_voice.retries"):
        assert tries.window_delay(error, 60.0) == 60.0
    ((event,), (line,)) = events, caplog.messages
    assert (event.error, event.delay, event.attempt) == (error, 60.0, 1)
    assert line == f"Submit attempt 1: {error}; again in 60.00 s"
