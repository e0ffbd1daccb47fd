"""What is tried again and when, on virtual time."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import httpx
import pytest

from ihuyi_voice import (
    InvalidRequest,
    MemoryGuard,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    RetryEvent,
    RetryPolicy,
    SubmissionFailed,
    TemplateNotFound,
    VoiceError,
)
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.vendor import CONTENT, MOBILE, answering, in_process
from tests.support.virtual_time import loop_time, run_virtual

STEADY = RetryPolicy(attempts=4, initial=1.0, jitter=0.0)
Step = int | type[Exception] | httpx.Response


def script(*steps: Step) -> tuple[Callable[[httpx.Request], httpx.Response], list[float]]:
    """Return a vendor that answers step by step, and the times at which it was asked."""
    times: list[float] = []

    def reply(_: httpx.Request) -> httpx.Response:
        step = steps[len(times)]
        times.append(loop_time())
        if isinstance(step, httpx.Response):
            return step
        if isinstance(step, int):
            body = f'{{"code":{step},"msg":"","voiceid":"7","num":"9","templateid":"5"}}'
            return httpx.Response(200, content=body.encode())
        raise step("on purpose")

    return reply, times


def ask(method: str, *args: Any, policy: RetryPolicy = STEADY, steps: tuple[Step, ...]) -> Any:
    """Call a client against a scripted vendor; return the result and the seconds between tries."""
    reply, times = script(*steps)

    async def main() -> Any:
        client = answering(reply, retry=policy, guard=MemoryGuard(clock=loop_time))
        async with client:
            result = await getattr(client, method)(*args)
        return result, [later - earlier for earlier, later in pairwise(times)]

    return run_virtual(main())


def test_what_was_not_sent_is_tried_again_with_growing_waits() -> None:
    """1, 2 and 4 seconds, and the result tells how many attempts it took."""
    refused = httpx.ConnectError
    submission, waits = ask("submit", MOBILE, CONTENT, steps=(refused, refused, refused, 2))
    assert waits == [1.0, 2.0, 4.0]
    assert (submission.voice_id, submission.attempts) == ("7", 4)


def test_code_0_is_tried_again() -> None:
    """提交失败: the vendor could not take it this time."""
    submission, waits = ask("submit", MOBILE, CONTENT, steps=(0, 2))
    assert (submission.attempts, waits) == (2, [1.0])


def test_the_attempts_are_bounded_and_the_last_error_tells_their_number() -> None:
    """Four, and then the error is the vendor's."""
    with pytest.raises(SubmissionFailed) as caught:
        ask("submit", MOBILE, CONTENT, steps=(0, 0, 0, 0))
    assert caught.value.attempts == 4


def test_the_total_time_is_bounded() -> None:
    """No attempt begins later than the policy's total time."""
    policy = RetryPolicy(attempts=100, initial=1.0, jitter=0.0, total_time=4.0)
    with pytest.raises(NotSent) as caught:
        ask("submit", MOBILE, CONTENT, policy=policy, steps=(httpx.ConnectError,) * 9)
    assert caught.value.attempts == 3  # at 0, 1 and 3 seconds; the next would be at 7


@pytest.mark.parametrize("unknown", [httpx.ReadTimeout, httpx.Response(502), httpx.Response(200)])
def test_a_submission_that_may_have_arrived_is_never_sent_again(unknown: Step) -> None:
    """A duplicate call is harm."""
    with pytest.raises(OutcomeUnknown) as caught:
        ask("submit", MOBILE, CONTENT, steps=(unknown, 2))
    assert caught.value.attempts == 1


def test_resend_unknown_is_the_explicit_choice_to_send_again() -> None:
    """At least once, for alarms; the guard still keeps its distance."""
    policy = RetryPolicy(initial=2.0, jitter=0.0, resend_unknown=True)
    steps = (httpx.ReadTimeout, 2)
    submission, waits = ask("submit", MOBILE, CONTENT, policy=policy, steps=steps)
    assert (submission.attempts, waits) == (2, [2.0])


def test_once_unknown_nothing_but_an_acceptance_changes_it() -> None:
    """The first attempt may ring, whatever the later ones come to."""
    policy = RetryPolicy(attempts=3, initial=2.0, jitter=0.0, resend_unknown=True)
    steps = (httpx.ReadTimeout, httpx.ConnectError, httpx.ConnectError)
    with pytest.raises(OutcomeUnknown) as caught:
        ask("submit", MOBILE, CONTENT, policy=policy, steps=steps)
    assert caught.value.attempts == 3
    with pytest.raises(OutcomeUnknown):
        ask("submit", MOBILE, CONTENT, policy=policy, steps=(httpx.ReadTimeout, 4080))


@pytest.mark.parametrize("failure", [httpx.ReadTimeout, httpx.ConnectError, httpx.Response(503)])
def test_a_balance_is_asked_again_whatever_went_wrong(failure: Step) -> None:
    """A read does no harm."""
    assert ask("balance", steps=(failure, failure, 2)) == (9, [1.0, 2.0])


def test_a_balance_that_never_comes_is_an_error_of_the_first_unknown() -> None:
    """Attempts are counted on it."""
    with pytest.raises(OutcomeUnknown) as caught:
        ask("balance", steps=(httpx.ReadTimeout,) * 3 + (httpx.ConnectError,))
    assert caught.value.attempts == 4


def test_adding_a_template_is_not_tried_again_if_it_may_have_arrived() -> None:
    """The second try's 408 would hide the id."""
    with pytest.raises(OutcomeUnknown) as caught:
        ask("add_template", CONTENT, steps=(httpx.ReadTimeout, 2))
    assert caught.value.attempts == 1
    added, waits = ask("add_template", CONTENT, steps=(httpx.ConnectError, 2))
    assert (added.template_id, added.attempts, waits) == ("5", 2, [1.0])


def test_deleting_is_tried_again_and_a_404_then_means_deleted() -> None:
    """Only after an ambiguous attempt; otherwise 404 is an error."""
    assert ask("delete_template", "5", steps=(httpx.ReadTimeout, 404)) == (None, [1.0])
    with pytest.raises(TemplateNotFound):
        ask("delete_template", "5", steps=(httpx.ConnectError, 404))


def test_a_refusal_is_not_tried_again() -> None:
    """A wrong key stays wrong."""
    for code in (405, 4030, 49999):
        with pytest.raises(VoiceError) as caught:
            ask("submit", MOBILE, CONTENT, steps=(code,))
        assert caught.value.attempts == 1


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "7"}, 7.0),
        (
            {
                "Retry-After": "Mon, 23 Nov 2026 10:00:09 GMT",
                "Date": "Mon, 23 Nov 2026 10:00:00 GMT",
            },
            9.0,
        ),
        ({"Retry-After": "Mon, 23 Nov 2026 10:00:09 GMT"}, 1.0),
        ({"Retry-After": "soon"}, 1.0),
        ({}, 1.0),
    ],
)
def test_retry_after_is_honoured(headers: dict[str, str], wait: float) -> None:
    """In seconds, or as a date against the reply's own."""
    assert ask("balance", steps=(httpx.Response(503, headers=headers), 2)) == (9, [wait])


def test_each_attempt_is_signed_afresh() -> None:
    """Its time moves on, and so does its password."""
    forms: list[str] = []
    clock = iter([1_700_000_000.0, 1_700_000_005.0])

    def reply(request: httpx.Request) -> httpx.Response:
        forms.append(request.content.decode())
        return httpx.Response(200, content=b'{"code":0}' if len(forms) == 1 else b'{"code":405}')

    async def main() -> None:
        options: dict[str, Any] = {"clock": lambda: next(clock), "retry": STEADY}
        async with answering(reply, **options) as client:
            with pytest.raises(VoiceError):
                await client.submit(MOBILE, CONTENT)

    run_virtual(main())
    assert "time=1700000000" in forms[0]
    assert "time=1700000005" in forms[1]
    assert len({form.partition("password=")[2] for form in forms}) == 2


def test_the_hook_hears_of_each_retry() -> None:
    """With the operation, the attempt, the wait and the error."""
    events: list[RetryEvent] = []
    policy = RetryPolicy(initial=1.0, jitter=0.0, on_retry=events.append)
    ask("submit", MOBILE, CONTENT, policy=policy, steps=(httpx.ConnectError, 0, 2))
    told = [(event.operation, event.attempt, event.delay, type(event.error)) for event in events]
    assert told == [("Submit", 1, 1.0, NotSent), ("Submit", 2, 2.0, SubmissionFailed)]


@pytest.mark.parametrize("max_wait", [1.0, 1.5])
def test_a_408x_is_tried_again_after_its_window_if_the_wait_is_allowed(max_wait: float) -> None:
    """One second for 4080, and the guard has learnt it; the hook hears of the refusal."""
    reply, times = script(4080, 2)
    events: list[RetryEvent] = []

    async def main() -> Any:
        policy = RetryPolicy(on_retry=events.append)
        async with answering(reply, retry=policy, guard=MemoryGuard(clock=loop_time)) as client:
            return await client.submit(MOBILE, CONTENT, max_wait=max_wait)

    submission = run_virtual(main())
    assert (submission.attempts, times[1] - times[0]) == (2, 1.0)
    ((error, delay),) = [(event.error, event.delay) for event in events]
    assert isinstance(error, RateLimited)
    assert (error.code, delay) == (4080, 1.0)


def test_a_number_that_is_closed_again_and_again_gets_no_more_attempts_than_any() -> None:
    """However long its caller would wait: each request is one more for the vendor to refuse."""
    reply, times = script(4080, 4080, 2)

    async def main() -> int:
        client = answering(reply, retry=RetryPolicy(attempts=2), guard=MemoryGuard(clock=loop_time))
        async with client:
            with pytest.raises(RateLimited) as caught:
                await client.submit(MOBILE, CONTENT, max_wait=60.0)
        return caught.value.attempts

    assert run_virtual(main()) == 2
    assert len(times) == 2


@pytest.mark.parametrize(("code", "window"), [(4080, 1), (4081, 60), (4082, 86_400), (4085, 60)])
@pytest.mark.parametrize("guarded", [True, False])
def test_a_408x_beyond_the_allowed_wait_says_when_to_come_back(
    code: int, window: int, *, guarded: bool
) -> None:
    """It comes from the vendor, and retry_at is its window from now."""
    reply, times = script(code)

    async def main() -> RateLimited:
        guard = MemoryGuard(clock=loop_time) if guarded else None
        options: dict[str, Any] = {"retry": STEADY, "guard": guard, "clock": lambda: 1.8e9}
        async with answering(reply, **options) as client:
            with pytest.raises(RateLimited) as caught:
                await client.submit(MOBILE, CONTENT, max_wait=window - 0.5)
        return caught.value

    error = run_virtual(main())
    assert (error.source, error.code, error.attempts, len(times)) == ("vendor", code, 1, 1)
    assert error.retry_at == datetime.fromtimestamp(1.8e9 + window, UTC)


@pytest.mark.parametrize(
    "options",
    [{"attempts": 0}, {"initial": -1.0}, {"maximum": -1.0}, {"jitter": -0.1}, {"total_time": 0.0}],
)
def test_a_policy_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    """The error names the option."""
    with pytest.raises(InvalidRequest, match=next(iter(options))):
        RetryPolicy(**options)


@pytest.mark.long
def test_no_fault_ever_makes_a_phone_ring_twice() -> None:
    """Ten thousand submissions through every fault there is: each was acted on at most once."""
    chance = random.Random(7)
    kinds = ["disconnect_before", "disconnect_after", "status", "truncated", "unreadable", "empty"]
    policy = RetryPolicy(initial=0.0, jitter=0.0)

    async def main() -> tuple[Counter[str], Simulator]:
        simulator = Simulator(limits=(), clock=loop_time)
        for kind in (*kinds, "silence", "code"):
            simulator.add_fault(Fault(kind, share=0.08))
        ended: Counter[str] = Counter()
        async with in_process(simulator, retry=policy, guard=None) as client:
            for place in range(10_000):
                ended[await _end(client, place, chance)] += 1
        return ended, simulator

    ended, simulator = run_virtual(main())
    assert ended.total() == 10_000
    assert max(simulator.rung().values()) == 1
    assert ended["accepted"] <= len(simulator.rung()) <= ended["accepted"] + ended["unknown"]
    assert all(fault.hits > 400 for fault in simulator.faults)
    assert ended["unknown"] > 3_000


async def _end(client: Any, place: int, chance: random.Random) -> str:
    mobile = chance.choice([f"139{place:08d}", f"+86 138{place:08d}"])
    try:
        async with asyncio.timeout(5.0):  # the vendor may be too slow
            await client.submit(mobile, CONTENT)
    except TimeoutError:
        return "unknown"
    except OutcomeUnknown:
        return "unknown"
    except SubmissionFailed:
        return "failed"
    return "accepted"


def test_a_call_that_succeeds_at_once_never_touches_the_retry_rules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They cost it nothing."""

    def forbidden(*_: object) -> None:
        raise AssertionError("built for nothing")

    monkeypatch.setattr("ihuyi_voice.calls.retries.RetryPolicy.tenacity", forbidden)
    assert ask("submit", MOBILE, CONTENT, steps=(2,))[0].attempts == 1
    assert ask("balance", steps=(2,)) == (9, [])
