"""Where a run stands: what failed and why, as it comes."""

import asyncio
from typing import Any

from ihuyi_voice import NotSent, OutcomeStatus, RunStopped
from ihuyi_voice.bulk.progress import Progress, Tally
from ihuyi_voice.calls import Delay, Job
from tests.bulk.support import Script, accept, pairs, refusal, run_of
from tests.support.virtual_time import run_virtual

ACCEPTED, REJECTED, HELD, NOT_SENT, UNKNOWN = OutcomeStatus


def look(tally: Tally, **options: Any) -> Progress:
    """Return where it stands after ten seconds."""
    usual: dict[str, Any] = {"in_flight": 0, "deferred": 0, "now": 10.0, "last_ready": 0.0}
    return tally.progress(**{**usual, **options})


def test_a_run_in_which_all_goes_well_has_no_cause() -> None:
    """And nothing that failed."""
    tally = Tally(total=4)
    for _ in range(2):
        tally.ended(ACCEPTED, None)
    now = look(tally)
    assert (now.finished, now.failed, now.cause, now.rate, now.eta) == (2, 0, None, 0.2, 10.0)


def test_the_commonest_cause_is_told_in_words() -> None:
    """Alike are those of one kind and code; numbers in them are masked."""
    tally = Tally()
    for error in (refusal(4072), NotSent("no 13900000000"), NotSent("none"), refusal(407)):
        tally.ended(error.status, error)
    now = look(tally)
    assert (now.failed, now.cause) == (4, "no 139****0000")


def test_what_came_of_a_cause_is_none() -> None:
    """However many messages came out because the run had stopped."""
    tally = Tally()
    tally.ended(REJECTED, refusal(405))
    for _ in range(10):
        tally.ended(NOT_SENT, RunStopped("the run was stopped"))
    assert (look(tally).failed, look(tally).cause) == (11, "Submit 405: no [stop]")


def test_kinds_of_causes_are_told_apart_up_to_a_number() -> None:
    """A vendor that makes up codes fills no memory."""
    tally = Tally()
    for code in range(10_000, 15_000):
        tally.ended(REJECTED, refusal(code))
    assert look(tally).failed == 5_000
    assert look(tally).cause == "Submit 10000: no [fix_request]"
    for _ in range(3):
        tally.ended(NOT_SENT, NotSent("one kind too many"))
    assert look(tally).cause == "Submit 10000: no [fix_request]"


def test_why_attempts_fail_is_told_before_any_message_has_ended() -> None:
    """Or a dead address would show nothing until the first message has been given up."""

    async def main() -> None:
        script = Script(lambda _: Delay(60.0, NotSent("connection refused")))
        async with run_of(pairs(5), script) as run:
            await asyncio.sleep(5.0)
            now = run.progress
            assert (now.finished, now.failed, now.cause) == (0, 0, "connection refused")
            assert (now.in_flight, now.deferred, now.total) == (0, 3, 5)

    run_virtual(main())


def test_failures_are_told_as_they_come() -> None:
    """Consumed or not."""

    def answer(job: Job) -> Any:
        if job.mobile.endswith("1"):
            raise refusal(4072)
        return accept(job)

    async def main() -> None:
        async with run_of(pairs(30), Script(answer), concurrency=3) as run:
            await asyncio.sleep(2.5)
            now = run.progress
            assert (now.counts[REJECTED], now.failed) == (1, 1)
            assert now.cause == "Submit 4072: no [fix_request]"

    run_virtual(main())


def test_no_eta_is_below_nought() -> None:
    """When there are more messages than was said."""
    tally = Tally(total=1)
    for _ in range(3):
        tally.ended(ACCEPTED, None)
    assert look(tally).eta == 0.0
