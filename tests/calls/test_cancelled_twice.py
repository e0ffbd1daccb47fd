"""What strikes a caller after its call, and what it is told of each attempt before."""

import asyncio
from typing import Any

import pytest

from ihuyi_voice import (
    RateLimited,
    RetryPolicy,
    Submission,
    SubmissionFailed,
    TemplateMismatch,
    UnreadableReply,
    VoiceError,
)
from ihuyi_voice.events import AttemptEnded, Event
from ihuyi_voice.simulator import Fault
from tests.support.guards import Method, Misbehaving
from tests.support.journals import FakeLedger
from tests.support.vendor import CONTENT, MOBILE, ONCE, in_process, vendor
from tests.support.virtual_time import run_virtual


@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize(
    ("fault", "settles", "end"),
    [
        (None, "commit", Submission),
        (Fault("empty"), "commit", UnreadableReply),
        (Fault("code", code=4072), "release", TemplateMismatch),
        (Fault("code", code=4082), "block", RateLimited),
    ],
)
def test_a_cancellation_while_the_guard_settles_an_answer_is_not_lost(
    fault: Fault | None, settles: Method, end: type, key: str | None
) -> None:
    """The answer comes first, and the next await is cancelled."""

    async def main() -> tuple[list[type], bool]:
        guard = Misbehaving(settles, "is slow")
        answers: list[type] = []

        async def caller() -> None:
            try:
                answers.append(type(await client.submit(MOBILE, CONTENT, key=key)))
            except VoiceError as error:
                answers.append(type(error))
            await asyncio.sleep(1e6)

        async with in_process(vendor(fault), guard=guard, ledger=FakeLedger()) as client:
            task = asyncio.create_task(caller())
            await guard.begun.wait()
            task.cancel()
            await asyncio.wait({task}, timeout=100.0)
            return answers, task.cancelled()

    answers, cancelled = run_virtual(main())
    assert answers == [end]
    assert cancelled


@pytest.mark.parametrize(("where", "settles"), [("in flight", "commit"), ("intend", "release")])
def test_who_is_cancelled_and_again_while_the_guard_settles_may_clean_up(
    where: str, settles: Method
) -> None:
    """Both came before the end of the call: nothing is left to strike afterwards."""

    async def main() -> list[str]:
        guard, ledger = Misbehaving(settles, "is slow"), FakeLedger(method="intend", manner="hangs")
        options: dict[str, Any] = {"ledger": ledger if where == "intend" else None, "retry": ONCE}
        done: list[str] = []

        async def caller() -> None:
            try:
                await client.submit(MOBILE, CONTENT, key="k" if where == "intend" else None)
            except asyncio.CancelledError:
                for _ in range(3):
                    await asyncio.sleep(0)
                done.append("cleaned up")

        simulator = vendor(latency=10.0)
        async with in_process(simulator, guard=guard, **options) as client:
            task = asyncio.create_task(caller())
            await asyncio.sleep(5.0)
            task.cancel()
            await guard.begun.wait()
            task.cancel()
            await asyncio.wait({task})
        return done

    assert run_virtual(main()) == ["cleaned up"]


def test_an_attempt_that_failed_tells_its_error_and_waits_add_up() -> None:
    """Each attempt has an event; the timing has the whole of the waits between them."""
    events: list[AttemptEnded] = []

    def note(event: Event) -> None:
        if isinstance(event, AttemptEnded):
            events.append(event)

    async def main() -> Submission:
        simulator = vendor(Fault("code", code=0, times=2))
        policy = RetryPolicy(initial=1.0, jitter=0.0)
        async with in_process(simulator, retry=policy, on_event=note) as client:
            return await client.submit(MOBILE, CONTENT)

    timing = run_virtual(main()).timing
    assert timing is not None
    assert timing.backoff == pytest.approx(3.0)
    assert [type(event.error) for event in events] == [
        SubmissionFailed,
        SubmissionFailed,
        type(None),
    ]
