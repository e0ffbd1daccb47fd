"""What strikes a caller after its call, and what it is told of each attempt before."""

import asyncio

import pytest

from ihuyi_voice import RetryPolicy, Submission, SubmissionFailed
from ihuyi_voice.events import AttemptEnded, Event
from ihuyi_voice.simulator import Fault
from tests.support.guards import Misbehaving
from tests.support.journals import FakeLedger
from tests.support.vendor import CONTENT, MOBILE, ONCE, in_process, vendor
from tests.support.virtual_time import run_virtual


@pytest.mark.parametrize("key", [None, "k"])
def test_a_cancellation_while_the_guard_settles_an_answer_is_not_lost(key: str | None) -> None:
    """The answer comes first, and the next await is cancelled."""

    async def main() -> tuple[list[str], bool]:
        guard = Misbehaving("commit", "is slow")
        answers: list[str] = []

        async def caller() -> None:
            answers.append((await client.submit(MOBILE, CONTENT, key=key)).voice_id)
            await asyncio.sleep(1e6)

        async with in_process(vendor(), guard=guard, ledger=FakeLedger()) as client:
            task = asyncio.create_task(caller())
            await guard.begun.wait()
            task.cancel()
            await asyncio.wait({task}, timeout=100.0)
            return answers, task.cancelled()

    answers, cancelled = run_virtual(main())
    assert len(answers) == 1
    assert cancelled


def test_who_is_cancelled_in_flight_and_again_may_clean_up() -> None:
    """Both came before the end of the call: nothing is left to strike afterwards."""

    async def main() -> list[str]:
        guard = Misbehaving("commit", "is slow")
        done: list[str] = []

        async def caller() -> None:
            try:
                await client.submit(MOBILE, CONTENT)
            except asyncio.CancelledError:
                for _ in range(3):
                    await asyncio.sleep(0)
                done.append("cleaned up")

        simulator = vendor(latency=10.0)
        async with in_process(simulator, guard=guard, retry=ONCE) as client:
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
