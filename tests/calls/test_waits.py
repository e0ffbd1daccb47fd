"""What a call has waited for, and how its end is told, to the letter."""

import asyncio
import logging
from typing import Any

import httpx
import pytest

from ihuyi_voice import NotSent, Operation, OutcomeStatus, OutcomeUnknown, RetryPolicy, Submission
from ihuyi_voice.calls import AttemptEnded, Event, Events, Job, RunStopped, Submitted, Waited
from ihuyi_voice.calls.retries import Tries
from ihuyi_voice.calls.telling import announced, cut_off, may_ring
from ihuyi_voice.simulator import Fault
from tests.support.journals import FakeLedger
from tests.support.vendor import CONTENT, MOBILE, in_process, vendor
from tests.support.virtual_time import run_virtual

OUTCOMES = "ihuyi_voice.outcomes"


def test_each_wait_is_told_with_its_call_and_adds_up() -> None:
    """For the ledger, to be let go, and for a connection; the vendor's own time is none of them."""
    events: list[Event] = []

    async def wait_for_a_connection(_: httpx.Request) -> None:
        await asyncio.sleep(0.25)

    async def main() -> Submission:
        simulator = vendor(Fault("code", code=0, times=1), latency=2.0)
        policy, ledger = RetryPolicy(initial=1.0, jitter=0.0), FakeLedger(latency=0.5)
        options: dict[str, Any] = {"retry": policy, "ledger": ledger, "on_event": events.append}
        async with in_process(simulator, **options) as client:
            client.http_client.event_hooks["request"].append(wait_for_a_connection)
            return await client.submit(MOBILE, CONTENT, key="k")

    timing = run_virtual(main()).timing
    assert timing is not None
    assert timing.call > 0
    waits = (timing.guard, timing.ledger, timing.pool, timing.backoff)
    assert waits == pytest.approx((1.5, 1.0, 0.5, 1.0))
    looked, attempts, settled = 0.5, 2 * (0.5 + 0.25 + 2.0), 0.5  # the last, once it is told
    assert timing.total == pytest.approx(looked + attempts + settled + timing.backoff)
    told = [(e.call, e.cause, round(e.seconds, 3)) for e in events if isinstance(e, Waited)]
    assert told == [
        (timing.call, "ledger", 0.5), (timing.call, "guard", 1.0),
        (timing.call, "connection", 0.25), (timing.call, "ledger", 0.5),
        (timing.call, "guard", 0.5), (timing.call, "connection", 0.25),
    ]  # fmt: skip
    ended = [
        (e.call, e.attempt, round(e.seconds, 3)) for e in events if isinstance(e, AttemptEnded)
    ]
    assert ended == [(timing.call, 1, 2.25), (timing.call, 2, 2.25)]


class Speechless(Exception):
    """Its own words fail."""

    def __str__(self) -> str:
        raise AttributeError("nothing")


def job_of(*, answer: Submission | None = None, unknown: bool = False) -> Job:
    """Return a call that was accepted, or may have been, or was not made."""
    job = Job(MOBILE, CONTENT, 0.0, Tries(Operation.SUBMIT, RetryPolicy()))
    job.answer = answer
    if unknown:
        job.tries.note(OutcomeUnknown("cut off"))
    return job


@pytest.mark.parametrize(
    ("job", "level", "text"),
    [
        (
            job_of(answer=Submission("7", MOBILE, "ok")),
            logging.WARNING,
            "a call to 139****0000 was accepted, and its caller cut off (SystemExit)",
        ),
        (
            job_of(),
            logging.INFO,
            "a call to 139****0000 was cut off (SystemExit): none is in flight",
        ),
        (job_of(unknown=True), None, None),  # it was said when it happened
    ],
)
def test_who_is_cut_off_is_told_whether_the_phone_may_ring(
    job: Job, level: int | None, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log, where an operator looks for it."""
    caplog.set_level(logging.INFO, "ihuyi_voice")
    cut_off(Events(), job, SystemExit())
    told = [(each.levelno, each.getMessage()) for each in caplog.records]
    assert told == ([] if text is None else [(level, text)])


def test_an_attempt_that_is_cut_off_in_flight_may_ring(caplog: pytest.LogCaptureFixture) -> None:
    """That is said at once, whatever becomes of its caller."""
    may_ring(job_of(), asyncio.CancelledError())
    text = "a call to 139****0000 was cut off in flight (CancelledError): the phone may ring"
    assert caplog.messages == [text]


def test_a_call_whose_job_is_made_later_is_announced_with_its_number() -> None:
    """As every other is."""
    told: list[Event] = []
    events = Events(told.append)
    call = announced(events, MOBILE)
    assert [(e.call, e.mobile) for e in told if isinstance(e, Submitted)] == [(call, MOBILE)]


@pytest.mark.parametrize(
    ("counts", "reason", "cause", "text"),
    [
        ({"ACCEPTED": 2, "HELD": 1, "REJECTED": 0}, None, None, "2 ACCEPTED, 1 HELD"),
        ({"ACCEPTED": 0}, None, None, "nothing"),
        ({"ACCEPTED": 2}, "the run was left early", None, "2 ACCEPTED; the run was left early"),
        (
            {"HELD": 1},
            "it broke at 13900000000",
            LookupError("13900000000"),
            "1 HELD; it broke at 139****0000: 139****0000",
        ),
        ({"HELD": 1}, "it broke", Speechless(), "1 HELD; it broke: Speechless"),
    ],
)
@pytest.mark.parametrize(("by_choice", "level"), [(True, logging.INFO), (False, logging.WARNING)])
def test_the_end_of_a_run_is_told_in_one_line(
    counts: dict[str, int],
    reason: str | None,
    cause: Exception | None,
    text: str,
    by_choice: bool,  # noqa: FBT001 - likewise
    level: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What came of its messages, and what ended it; no number in it."""
    caplog.set_level(logging.INFO, OUTCOMES)
    by_status = {OutcomeStatus(status): count for status, count in counts.items()}
    Events().stopped(RunStopped(1, by_status, 1.51, reason, cause), by_choice=by_choice)
    (line,) = caplog.records
    assert (line.levelno, line.getMessage()) == (level, f"a run ended after 1.5 s: {text}")


@pytest.mark.parametrize(
    ("status", "error", "replayed", "text"),
    [
        ("ACCEPTED", None, False, "ended ACCEPTED: 77"),
        ("ACCEPTED", None, True, "ended ACCEPTED, as was known: 77"),
        ("NOT_SENT", NotSent("to 13900000000"), False, "ended NOT_SENT: to 139****0000"),
    ],
)
def test_the_end_of_a_call_is_told_in_one_line(
    status: str,
    error: NotSent | None,
    replayed: bool,  # noqa: FBT001 - a row of a table
    text: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the vendor's serial number, or what was wrong."""
    caplog.set_level(logging.DEBUG, OUTCOMES)
    voice_id = "77" if error is None else None
    told = OutcomeStatus(status), MOBILE, error, voice_id, 1, None
    Events().settled(1, *told, replayed=replayed)
    assert caplog.messages == [f"a call to 139****0000 {text}"]


@pytest.mark.parametrize("heard", [True, False])
def test_what_nobody_hears_of_is_not_made(*, heard: bool, caplog: pytest.LogCaptureFixture) -> None:
    """An acceptance is told where a hook wants it, or the log has its level."""
    caplog.set_level(logging.INFO, OUTCOMES)
    events = Events((lambda _: None) if heard else None)
    assert events.hears_of(OutcomeStatus.ACCEPTED) is heard
    assert events.hears_of(OutcomeStatus.HELD)
