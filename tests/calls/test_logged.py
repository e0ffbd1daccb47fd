"""The log has what events have, whichever way a call is made, and warns of what must be seen."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import pytest

from ihuyi_voice import MemoryGuard, OutcomeStatus, VoiceClient, VoiceError
from ihuyi_voice.calls import Event, RunStopped, Settled
from ihuyi_voice.models import Draft, digest
from ihuyi_voice.simulator import Fault
from tests.support.journals import FakeLedger, Store
from tests.support.vendor import CONTENT, MOBILE, ONCE, in_process, vendor
from tests.support.virtual_time import loop_time, run_virtual

Way = Callable[[VoiceClient, str], Awaitable[object]]
OUTCOMES: Final = "ihuyi_voice.outcomes"


async def submit(client: VoiceClient, mobile: str) -> None:
    """Make a call."""
    with suppress(VoiceError):
        await client.submit(mobile, CONTENT)


async def keyed(client: VoiceClient, mobile: str) -> None:
    """Make a call that has a key."""
    with suppress(VoiceError):
        await client.submit(mobile, CONTENT, key=f"of {mobile}")


async def run(client: VoiceClient, mobile: str, **options: Any) -> list[str]:
    """Make a run of one call; return the words of its outcome."""
    async with client.submit_many([(mobile, CONTENT)], max_wait=0.0, **options) as outcomes:
        return [outcome.to_dict()["text"] async for outcome in outcomes]


async def named(client: VoiceClient, mobile: str) -> None:
    """Make a run of one call that has a name."""
    await run(client, mobile, run="nightly")


WAYS: Final[dict[str, Way]] = {"submit": submit, "key": keyed, "run": run, "named run": named}


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return level and fields of each line about an outcome."""
    lines = [
        each for each in caplog.records if each.name == OUTCOMES and "voice_status" in vars(each)
    ]
    return [
        {"level": line.levelno, "line": line.getMessage()}
        | {name: value for name, value in vars(line).items() if name.startswith("voice_")}
        for line in lines
    ]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("fault", "status", "level"),
    [
        (Fault("code", code=4072), "REJECTED", logging.WARNING),
        (Fault("code", code=4051), "REJECTED", logging.WARNING),
        (Fault("disconnect_after"), "UNKNOWN", logging.WARNING),
        (None, "ACCEPTED", logging.DEBUG),
    ],
)
def test_an_outcome_has_its_level(
    way: str, fault: Fault | None, status: str, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A rejected or unknown one is a warning; the fields are those of its event."""
    caplog.set_level(logging.DEBUG, OUTCOMES)
    events: list[Event] = []

    async def main() -> None:
        options: dict[str, Any] = {"ledger": FakeLedger(), "on_event": events.append}
        async with in_process(vendor(fault), retry=ONCE, **options) as client:
            await WAYS[way](client, MOBILE)

    run_virtual(main())
    (line,) = told(caplog)
    assert (line["voice_status"], line["level"]) == (status, level)
    (end,) = [event for event in events if isinstance(event, Settled)]
    assert end.facts().items() <= line.items()
    assert MOBILE not in str(line)


@pytest.mark.parametrize("way", WAYS)
def test_what_the_guard_held_back_is_not_the_vendors_word(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It says that nothing was sent, and when it may be; no code of the vendor's stands there."""
    caplog.set_level(logging.INFO, OUTCOMES)

    async def main() -> None:
        guard = MemoryGuard(clock=loop_time)
        clock: Callable[[], float] = lambda: 1_800_000_000.0  # noqa: E731 - a clock
        async with in_process(vendor(), ledger=FakeLedger(), guard=guard, clock=clock) as client:
            await client.submit(MOBILE, CONTENT)
            await WAYS[way](client, MOBILE)

    run_virtual(main())
    (line,) = told(caplog)
    assert (line["voice_status"], line["level"]) == ("HELD", logging.INFO)
    assert ": held back by the guard, nothing was sent: " in line["line"]
    assert "; not before 2027-01-15 08:0" in line["line"]
    assert line["voice_code"] is None
    assert line["voice_retry_at"].startswith("2027-01-15T08:0")


@pytest.mark.parametrize("way", ["key", "named run"])
def test_what_a_dead_process_left_in_doubt_is_a_warning(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It died without a word, and nobody else would say so."""
    caplog.set_level(logging.DEBUG, OUTCOMES)
    store, simulator = Store(), vendor()

    async def main() -> None:
        account = simulator.account
        dead = FakeLedger(store)
        if way == "key":
            draft = Draft(f"of {MOBILE}", MOBILE, CONTENT)
            assert await dead.calls(account).intend(draft) is None
        else:
            journal = await dead.run(account, "nightly").__aenter__()

            draft = Draft(digest(MOBILE, CONTENT), MOBILE, CONTENT)
            assert await journal.intend(draft) is None
        dead.alive = False
        async with in_process(simulator, ledger=FakeLedger(store)) as client:
            await WAYS[way](client, MOBILE)

    run_virtual(main())
    (line,) = told(caplog)
    assert (line["voice_status"], line["level"]) == ("UNKNOWN", logging.WARNING)
    assert line["voice_replayed"]
    assert "ended UNKNOWN, as was known" in line["line"]


def test_only_what_is_replayed_was_known(caplog: pytest.LogCaptureFixture) -> None:
    """The line of a first outcome ends with what it says."""

    async def main() -> None:
        async with in_process(vendor(Fault("code", code=4072))) as client:
            await submit(client, MOBILE)

    run_virtual(main())
    (line,) = told(caplog)
    assert not line["voice_replayed"]
    assert "as was known" not in line["line"]


def test_a_replayed_acceptance_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    """It is at DEBUG, like the first one."""
    caplog.set_level(logging.DEBUG, OUTCOMES)

    async def main() -> None:
        async with in_process(vendor(), ledger=FakeLedger()) as client:
            for _ in range(2):
                await keyed(client, MOBILE)

    run_virtual(main())
    assert [(line["level"], line["voice_replayed"]) for line in told(caplog)] == [
        (logging.DEBUG, False),
        (logging.DEBUG, True),
    ]


async def watched(
    fault: Fault | None, left_after: int | None, **options: Any
) -> tuple[RunStopped, list[Event]]:
    """Make a run, and leave it after so many outcomes; return the event of its end, and all."""
    events: list[Event] = []
    messages = [(f"139{n:08d}", CONTENT) for n in range(20)]
    async with in_process(vendor(fault), on_event=events.append, retry=ONCE) as client:
        async with client.submit_many(messages, **options) as outcomes:
            count = 0
            async for _ in outcomes:
                count += 1
                if count == left_after:
                    break
    (end,) = [event for event in events if isinstance(event, RunStopped)]
    return end, events


def of_run(caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    """Return the line about the run."""
    (line,) = [each for each in caplog.records if "voice_run" in vars(each)]
    return line


def test_a_run_that_is_whole_has_no_reason(caplog: pytest.LogCaptureFixture) -> None:
    """Neither in its event nor in the log, and is no warning."""
    caplog.set_level(logging.INFO, OUTCOMES)
    end, _ = run_virtual(watched(None, None))
    assert (end.reason, end.cause) == (None, None)
    line = of_run(caplog)
    assert line.levelno == logging.INFO
    assert line.getMessage().endswith("20 ACCEPTED")
    assert end.facts().items() <= vars(line).items()


def test_a_run_that_is_left_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """It is no warning, for somebody wanted it."""
    caplog.set_level(logging.INFO, OUTCOMES)
    end, _ = run_virtual(watched(None, 2))
    assert end.reason == "the run was left early"
    assert of_run(caplog).levelno == logging.INFO


@pytest.mark.parametrize("code", [4051, 4072])
def test_a_run_that_something_stopped_is_a_warning(
    code: int, caplog: pytest.LogCaptureFixture
) -> None:
    """With its cause: a STOP code, or the breaker."""
    end, _ = run_virtual(watched(Fault("code", code=code), None, max_rejections=3))
    line = of_run(caplog)
    assert line.levelno == logging.WARNING
    assert str(code) in line.getMessage()
    assert end.reason is not None
    assert end.reason.startswith("the run was stopped")


def test_a_call_of_a_run_that_is_cut_off_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """When the run is left without grace; and its outcome is UNKNOWN, which is one as well."""

    async def main() -> dict[OutcomeStatus, int]:
        async with in_process(vendor(Fault("silence"))) as client:
            async with client.submit_many([(MOBILE, CONTENT)], grace=0.0) as outcomes:
                await asyncio.sleep(1.0)
        return outcomes.summary

    assert run_virtual(main())[OutcomeStatus.UNKNOWN] == 1
    warned = [line for line in caplog.records if line.levelno == logging.WARNING]
    assert ["cut off in flight" in line.getMessage() for line in warned][:1] == [True]
    assert [line["voice_status"] for line in told(caplog)] == ["UNKNOWN"]


@pytest.mark.parametrize("way", ["submit", "key"])
def test_a_call_that_is_cut_off_in_flight_is_a_warning(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With the fields of its event."""

    async def main() -> None:
        async with in_process(vendor(Fault("silence")), ledger=FakeLedger()) as client:
            task = asyncio.ensure_future(WAYS[way](client, MOBILE))
            await asyncio.sleep(1.0)
            task.cancel()
            await asyncio.wait({task})

    run_virtual(main())
    (line,) = [line for line in caplog.records if line.levelno >= logging.WARNING]
    assert "cut off in flight (CancelledError): the phone may ring" in line.getMessage()
    assert vars(line)["voice_mobile"] == "139****0000"


def test_a_call_that_is_cut_off_before_that_is_none(caplog: pytest.LogCaptureFixture) -> None:
    """While it waits for its number: nothing is in flight, and the log says so."""
    caplog.set_level(logging.INFO, "ihuyi_voice")

    async def main() -> None:
        async with in_process(vendor()) as client:
            await client.submit(MOBILE, CONTENT)
            task = asyncio.create_task(client.submit(MOBILE, CONTENT, max_wait=60.0))
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.wait({task})

    run_virtual(main())
    (line,) = [line for line in caplog.records if "cut off" in line.getMessage()]
    assert line.levelno == logging.INFO
    assert line.getMessage().endswith("none is in flight")
