"""A hook may do anything to any kind of event: nothing changes but that one warning is logged."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, get_args
from unittest.mock import MagicMock

import pytest

from ihuyi_voice import VoiceError
from ihuyi_voice.events import (
    AttemptEnded,
    AttemptStarted,
    CutOff,
    Event,
    RetryEvent,
    RunStarted,
    RunStopped,
    Settled,
    Stream,
    Submitted,
    Waited,
)
from ihuyi_voice.events.every import EVERY
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.journals import FakeLedger
from tests.support.vendor import CONTENT, FAST, MOBILE, in_process, vendor
from tests.support.virtual_time import run_virtual

OTHER: Final = "13900000001"
OF_CALLS: Final[tuple[type[Event], ...]] = (
    Submitted, Waited, AttemptStarted, AttemptEnded, RetryEvent, Settled, CutOff, RunStarted,
    RunStopped,
)  # fmt: skip


class Odd(BaseException):
    """No Exception, and no interruption either."""


def fails(error: BaseException) -> Callable[[Event], object]:
    """Return a hook that raises."""

    def hook(_: Event) -> object:
        raise error

    return hook


async def awaits(_: Event) -> None:
    """Be of the wrong kind."""


def cancels(_: Event) -> None:
    """Cancel whoever tells, and take that back too late."""
    task = asyncio.current_task()
    if task is not None:
        task.cancel()
        task.uncancel()


MANNERS: Final[dict[str, Callable[[Event], object]]] = {
    "an exception": fails(LookupError(MOBILE)),
    "no exception": fails(Odd()),
    "a cancellation": fails(asyncio.CancelledError()),
    "a generator's end": fails(GeneratorExit()),
    "a coroutine": awaits,
}


def at(kind: type[Event], manner: Callable[[Event], object]) -> Callable[[Event], object]:
    """Return a hook that misbehaves at one kind of event."""
    return lambda event: manner(event) if type(event) is kind else None


async def lived(hook: Callable[[Event], object] | None) -> tuple[list[Any], Any, int]:
    """Make calls of all sorts; return how they ended, what the ledger has, and the calls made."""
    simulator, ledger = vendor(Fault("code", code=0, times=1)), FakeLedger()
    ends: list[Any] = []
    async with in_process(simulator, ledger=ledger, on_event=hook, retry=FAST) as client:
        for key in ("first", "second"):  # which waits for the number's limit
            end = await client.submit(MOBILE, CONTENT, key=key, max_wait=5)
            ends += [end.msg, end.attempts]
        simulator.add_fault(Fault("code", code=4072, times=1))
        try:
            await client.submit(OTHER, CONTENT, key="refused")
        except VoiceError as error:
            ends.append(str(error))
        simulator.add_fault(Fault("silence", times=1))
        task = asyncio.create_task(client.submit("13900000002", CONTENT, key="cut"))
        await asyncio.sleep(1.0)
        task.cancel()
        await asyncio.wait({task})
        ends.append(task.cancelled())
        async with client.submit_many([("13900000003", CONTENT), ("1", CONTENT)]) as run:
            ends.extend(sorted([each.status async for each in run]))
    return ends, ledger.store.states(), simulator.rung().total()


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("kind", OF_CALLS, ids=lambda kind: kind.__name__)
def test_no_hook_changes_anything(
    kind: type[Event], manner: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Not the outcomes, nor what a ledger writes, nor what is sent; it is told once."""
    seen: list[Event] = []
    hook = at(kind, MANNERS[manner])

    def watched(event: Event) -> object:
        seen.append(event)
        return hook(event)

    assert run_virtual(lived(watched)) == run_virtual(lived(None))
    assert {type(event) for event in seen} == set(OF_CALLS)
    warned = [each for each in caplog.records if "on_event failed" in each.getMessage()]
    assert len(warned) == 1
    assert MOBILE not in warned[0].getMessage()


@pytest.mark.parametrize("kind", [Submitted, AttemptStarted, AttemptEnded, Settled])
def test_a_hook_that_cancels_its_caller_costs_no_answer(kind: type[Event]) -> None:
    """What the vendor has accepted is in the ledger as that, and what it never saw is not sent."""

    async def main() -> tuple[dict[str, str], int]:
        simulator, ledger = vendor(), FakeLedger()
        hook = at(kind, cancels)
        async with in_process(simulator, ledger=ledger, on_event=hook) as client:
            task = asyncio.create_task(client.submit(MOBILE, CONTENT, key="k"))
            await asyncio.wait({task})
        return ledger.store.states(), simulator.rung().total()

    states, rung = run_virtual(main())
    assert states == ({"k": "ACCEPTED"} if rung else states)
    assert rung or states.get("k") in {None, "NOT_SENT"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("kind", [AttemptStarted, AttemptEnded, Settled])
def test_a_hook_that_ends_the_program_costs_no_answer(
    kind: type[Event], error: type[BaseException]
) -> None:
    """The program ends by it, once the ledger has what the vendor said."""
    simulator, ledger = Simulator(limits=()), FakeLedger()

    async def main() -> None:
        hook = at(kind, fails(error()))
        async with in_process(simulator, ledger=ledger, on_event=hook, guard=None) as client:
            await client.submit(MOBILE, CONTENT, key="k")
            await asyncio.Event().wait()

    with pytest.raises(error):
        asyncio.run(main())
    assert ledger.store.states() == ({"k": "ACCEPTED"} if simulator.rung() else {"k": "NOT_SENT"})


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_who_is_about_to_write_is_not_interrupted(error: type[BaseException]) -> None:
    """A ledger, an inbox: the program ends in the loop's next turn, and they went on by then."""
    written: list[str] = []

    async def main() -> None:
        Stream(fails(error())).tell(Submitted(1, MOBILE))
        written.append("that")
        await asyncio.Event().wait()

    with pytest.raises(error):
        asyncio.run(main())
    assert written == ["that"]


class Choosing:
    """A hook that says what it wants to hear of."""

    def __init__(self, *kinds: type[Event]) -> None:
        self.kinds: Any = frozenset(kinds)
        self.heard: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        self.heard.append(event)


@pytest.mark.parametrize("kind", OF_CALLS, ids=lambda kind: kind.__name__)
def test_a_hook_hears_of_what_it_chose_alone(kind: type[Event]) -> None:
    """And of all that happen of it."""
    every = Choosing(*EVERY)
    run_virtual(lived(every))
    one = Choosing(kind)
    run_virtual(lived(one))
    wanted = [event for event in every.heard if type(event) is kind]
    assert len(one.heard) == len(wanted) > 0
    assert {type(event) for event in one.heard} == {kind}


def test_a_choice_counts_from_the_next_call_on() -> None:
    """It is read anew when a call begins."""
    hook = Choosing()

    async def main() -> None:
        async with in_process(vendor(), on_event=hook, guard=None) as client:
            await client.submit(MOBILE, CONTENT)
            assert not hook.heard
            hook.kinds = frozenset({Settled})
            await client.submit(OTHER, CONTENT)

    run_virtual(main())
    assert [type(event) for event in hook.heard] == [Settled]


@pytest.mark.parametrize("kinds", [None, 7, [Settled], "Settled"])
def test_what_is_no_choice_is_none(kinds: object) -> None:
    """Then everything is told."""
    hook = Choosing()
    hook.kinds = kinds
    assert Stream(hook).wants(Waited)


def test_a_mock_hears_everything() -> None:
    """Though it has every attribute that one asks for."""
    hook = MagicMock()
    stream = Stream(hook)
    assert all(map(stream.wants, EVERY))


@pytest.mark.parametrize("error", [LookupError, Odd, asyncio.CancelledError])
def test_a_choice_that_fails_is_told_once(
    caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    """And everything is told, then."""

    class Broken(Choosing):
        @property
        def kinds(self) -> Any:
            raise error(MOBILE)

        @kinds.setter
        def kinds(self, _: object) -> None:
            pass

    stream = Stream(Broken())
    assert stream.wants(Settled)
    assert stream.wants(Waited)
    with caplog.at_level(logging.WARNING):
        stream.ask()
    assert [record.getMessage() for record in caplog.records] == [
        f"on_event failed ({error.__name__}); what it fails at later is not told"
    ]


def test_nobody_wants_anything() -> None:
    """Where there is no hook."""
    assert not any(map(Stream().wants, EVERY))


def test_every_event_is_of_a_kind_that_can_be_chosen() -> None:
    """All of the union are in the set."""
    assert frozenset(get_args(Event)) == EVERY
