"""The stream of events, and the log lines of the same facts: whole, in order, and harmless."""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from ihuyi_voice import InvalidRequest, OutcomeStatus, RetryPolicy, VoiceClient, VoiceError
from ihuyi_voice.calls import (
    AttemptEnded,
    AttemptStarted,
    CutOff,
    Event,
    RetryEvent,
    RunStarted,
    RunStopped,
    Settled,
    Submitted,
    Waited,
)
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.guards import Misbehaving, NoException
from tests.support.journals import FakeLedger
from tests.support.vendor import answering, in_process, vendor
from tests.support.virtual_time import run_virtual

MOBILE = "13900000000"
CONTENT = "您的订单号是：9633。"


async def told(simulator: Simulator, **options: Any) -> list[Event]:
    """Make one call, and return what was told of it."""
    events: list[Event] = []
    submit = {"max_wait": options.pop("max_wait", 0.0), "timeout": options.pop("timeout", None)}
    async with in_process(simulator, on_event=events.append, **options) as client:
        with suppress(VoiceError):
            await client.submit(MOBILE, CONTENT, **submit)
    return events


def kinds(events: list[Event]) -> list[type]:
    """Return their classes, waits apart."""
    return [type(event) for event in events if not isinstance(event, Waited)]


def test_a_call_that_is_accepted_tells_each_step() -> None:
    """With one number in all of them."""
    events = run_virtual(told(vendor()))
    assert kinds(events) == [Submitted, AttemptStarted, AttemptEnded, Settled]
    assert len({event.call for event in events}) == 1  # type: ignore[union-attr]
    end = events[-1]
    assert isinstance(end, Settled)
    assert (end.status, end.code, end.attempts) == (OutcomeStatus.ACCEPTED, 2, 1)
    assert end.voice_id


def test_a_retry_is_told_between_its_attempts() -> None:
    """And its backoff stands in the timing of the end."""
    events = run_virtual(told(vendor(Fault("code", code=0, times=1))))
    steps = [AttemptStarted, AttemptEnded, RetryEvent, AttemptStarted, AttemptEnded]
    assert kinds(events) == [Submitted, *steps, Settled]
    retry, end = events[3], events[-1]
    assert isinstance(retry, RetryEvent)
    assert isinstance(end, Settled)
    assert retry.call == end.call
    assert end.timing is not None
    assert end.timing.backoff == pytest.approx(retry.delay)
    assert end.timing.total >= retry.delay - 1e-9


def test_the_wait_for_a_limit_is_told_and_measured() -> None:
    """A second call to one number waits out its second."""

    async def main() -> tuple[list[Event], float]:
        events: list[Event] = []
        async with in_process(vendor(), on_event=events.append) as client:
            await client.submit(MOBILE, CONTENT)
            second = await client.submit(MOBILE, CONTENT, max_wait=5.0)
        assert second.timing is not None
        return events, second.timing.guard

    events, guard = run_virtual(main())
    (wait,) = [each for each in events if isinstance(each, Waited) and each.cause == "guard"]
    assert wait.seconds == pytest.approx(guard)
    assert guard >= 1.0


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault("code", code=4072), OutcomeStatus.REJECTED, 4072),
        (Fault("disconnect_after"), OutcomeStatus.UNKNOWN, None),
    ],
)
def test_what_was_not_accepted_is_at_least_a_warning(
    fault: Fault, status: OutcomeStatus, code: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    """With the same facts as fields."""
    caplog.set_level(logging.INFO, "ihuyi_voice.outcomes")
    events = run_virtual(told(vendor(fault)))
    end = events[-1]
    assert isinstance(end, Settled)
    assert (end.status, end.code) == (status, code)
    (record,) = [each for each in caplog.records if each.name == "ihuyi_voice.outcomes"]
    assert record.levelno == logging.WARNING
    facts = facts_of(record)
    assert facts == end.facts()
    assert facts["voice_mobile"] == "139****0000"
    assert json.loads(json.dumps(facts)) == facts


def facts_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a record that are ours."""
    return {name: value for name, value in vars(record).items() if name.startswith("voice_")}


def test_a_retry_says_the_same_in_its_log_line(caplog: pytest.LogCaptureFixture) -> None:
    """As fields."""
    caplog.set_level(logging.INFO, "ihuyi_voice.retries")
    events = run_virtual(told(vendor(Fault("code", code=0, times=1))))
    retry = next(event for event in events if isinstance(event, RetryEvent))
    (record,) = [each for each in caplog.records if each.name == "ihuyi_voice.retries"]
    assert facts_of(record) == {
        "voice_call": retry.call,
        "voice_operation": "Submit",
        "voice_attempts": 1,
        "voice_error": "SubmissionFailed",
        "voice_delay": retry.delay,
    }


def test_what_the_guard_held_back_says_that_nothing_was_sent() -> None:
    """And when it may be; it doesn't look like the vendor's words."""

    async def main() -> str:
        async with in_process(vendor()) as client:
            await client.submit(MOBILE, CONTENT)
            with pytest.raises(VoiceError) as held:
                await client.submit(MOBILE, CONTENT)
        return str(held.value)

    text = run_virtual(main())
    assert text.startswith("held back by the guard, nothing was sent")
    assert "not before" in text


def raises(_: Event) -> None:
    """Fail."""
    raise LookupError("no")


def cancels(_: Event) -> None:
    """Fail as if cancelled."""
    raise asyncio.CancelledError


async def awaits(_: Event) -> None:
    """Be of the wrong kind."""


def closes(_: Event) -> None:
    """Cancel whoever tells, as a caller's own code may."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    task.uncancel()


def fails(_: Event) -> None:
    """Raise what is no Exception, as `pytest.fail` does."""
    raise NoException


@pytest.mark.parametrize("hook", [raises, fails, cancels, awaits])
@pytest.mark.parametrize("fault", [None, Fault("code", code=4072), Fault("disconnect_after")])
def test_a_hook_that_fails_changes_no_outcome(
    hook: Callable[[Event], Any], fault: Fault | None, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning, however often it fails."""

    async def main(on_event: Callable[[Event], Any] | None) -> str:
        faults = [] if fault is None else [fault]
        once = RetryPolicy(attempts=1)
        async with in_process(vendor(*faults), on_event=on_event, retry=once) as client:
            try:
                return type(await client.submit(MOBILE, CONTENT)).__name__
            except VoiceError as error:
                return type(error).__name__

    assert run_virtual(main(hook)) == run_virtual(main(None))
    warned = [each for each in caplog.records if "on_event failed" in each.getMessage()]
    assert len(warned) == 1


@pytest.mark.parametrize("hook", [raises, fails, cancels, awaits])
def test_a_hook_that_fails_ends_no_run(hook: Callable[[Event], Any]) -> None:
    """Whatever it raises, at whatever event."""

    async def main() -> list[OutcomeStatus]:
        messages = [(f"139{n:08d}", CONTENT) for n in range(5)]
        async with in_process(vendor(), on_event=hook) as client:
            async with client.submit_many(messages) as run:
                return [outcome.status async for outcome in run]

    assert run_virtual(main()) == [OutcomeStatus.ACCEPTED] * 5


@pytest.mark.parametrize(
    ("kind", "state"), [(AttemptStarted, "NOT_SENT"), (AttemptEnded, "ACCEPTED")]
)
def test_a_hook_that_ends_the_program_leaves_nothing_locked(kind: type[Event], state: str) -> None:
    """Guard and ledger are told of the call before that: the next process has nothing to guess."""

    def leave(event: Event) -> None:
        if isinstance(event, kind):
            raise SystemExit

    async def main(guard: Misbehaving, ledger: FakeLedger) -> None:
        client = in_process(vendor(), guard=guard, ledger=ledger, on_event=leave)
        await client.submit(MOBILE, CONTENT, key="k")

    guard, ledger = Misbehaving(), FakeLedger()
    with pytest.raises(SystemExit):
        run_virtual(main(guard, ledger))
    assert (guard.in_flight, ledger.store.states()) == (0, {"k": state})


@pytest.mark.parametrize(
    "mobile", [10**5_000, 13_900_000_000, None], ids=["endless", "a number", "None"]
)
def test_a_number_that_is_no_text_is_told_in_words(mobile: Any) -> None:
    """Whatever its class does when it is asked for a text, the run goes on."""

    class Wordless:
        def __str__(self) -> str:
            raise LookupError

    async def main() -> list[str]:
        events: list[Event] = []
        messages: list[Any] = [(each, CONTENT) for each in (mobile, Wordless(), MOBILE)]
        async with in_process(vendor(), on_event=events.append) as client:
            async with client.submit_many(messages) as run:
                assert len([outcome async for outcome in run]) == len(messages)
        return [event.mobile for event in events if isinstance(event, Settled)]

    shown = "<int>" if mobile == 10**5_000 else str(mobile)
    assert run_virtual(main()) == [shown, "<Wordless>", MOBILE]


def test_what_can_not_be_called_is_refused() -> None:
    """When it is given."""
    with pytest.raises(InvalidRequest, match="on_event") as caught:
        VoiceClient("VM1", "key", on_event="print")  # type: ignore[arg-type]
    assert caught.value.field == "on_event"


def test_a_caller_that_is_cancelled_in_flight_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """The phone may ring, and nobody else would say so: in an event, and a warning."""

    async def main() -> list[Event]:
        events: list[Event] = []
        simulator = vendor(Fault("silence"))
        async with in_process(simulator, on_event=events.append) as client:
            task = asyncio.create_task(client.submit(MOBILE, CONTENT))
            await asyncio.sleep(1.0)
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()
        return events

    events = run_virtual(main())
    assert kinds(events) == [Submitted, AttemptStarted, AttemptEnded, CutOff]
    cut = events[-1]
    assert isinstance(cut, CutOff)
    assert cut.in_flight
    assert isinstance(cut.error, asyncio.CancelledError)
    (record,) = [each for each in caplog.records if "cut off in flight" in each.getMessage()]
    assert record.levelno == logging.WARNING
    assert facts_of(record) == {
        "voice_call": cut.call,
        "voice_mobile": "139****0000",
        "voice_attempts": 1,
        "voice_error": "CancelledError",
    }


def test_a_run_tells_its_beginning_its_outcomes_and_its_end() -> None:
    """Each message is settled once, also those whose turn never came."""

    async def main() -> tuple[list[Event], int]:
        events: list[Event] = []
        simulator = vendor(Fault("code", code=4051))
        messages = [(f"139{n:08d}", CONTENT) for n in range(50)] + [("12", CONTENT)]
        async with in_process(simulator, on_event=events.append) as client:
            async with client.submit_many(messages) as run:
                outcomes = [outcome async for outcome in run]
        assert all(each.timing is not None for each in outcomes if each.attempts)
        return events, len(outcomes)

    events, count = run_virtual(main())
    settled = Counter(each.status for each in events if isinstance(each, Settled))
    assert settled.total() == count == 51
    start, end = events[0], events[-1]
    assert isinstance(start, RunStarted)
    assert isinstance(end, RunStopped)
    assert (start.run, start.total) == (end.run, 51)
    assert end.counts == {status: settled[status] for status in OutcomeStatus}
    assert end.reason is not None
    assert "4051" in str(end.cause)


def test_no_event_shows_a_number_or_a_secret() -> None:
    """In its repr; programs have the number in a field."""
    events = run_virtual(told(vendor(Fault("code", code=4072))))
    shown = repr(events)
    assert MOBILE not in shown
    assert "simulator-key" not in shown
    assert any(getattr(event, "mobile", None) == MOBILE for event in events)


@pytest.mark.parametrize(("ahead", "said"), [(400.0, "400 s ahead of"), (-400.0, "400 s behind")])
@pytest.mark.parametrize("code", [405, 40501])
def test_a_refused_password_says_how_far_the_clock_is_off(
    code: int, ahead: float, said: str
) -> None:
    """By the reply's own Date."""
    headers = {"date": formatdate(1_000_000.0, usegmt=True)}
    reply = httpx.Response(200, json={"code": code, "msg": "no"}, headers=headers)

    async def main() -> str:
        async with answering(lambda _: reply, clock=lambda: 1_000_000.0 + ahead) as client:
            with pytest.raises(VoiceError) as refused:
                await client.submit(MOBILE, CONTENT)
        return str(refused.value)

    assert said in run_virtual(main())
