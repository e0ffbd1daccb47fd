"""A hook that ends the program takes no message with it: each that was read has its outcome."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest

from ihuyi_voice import Message, Outcome
from ihuyi_voice.calls import Settled, Submitted
from ihuyi_voice.events import Event, RunStarted, RunStopped
from tests.bulk.support import others
from tests.bulk.test_named_runs import ACCEPTED, NOT_SENT, RUN, messages, settled
from tests.support.journals import FakeLedger
from tests.support.vendor import ONCE, in_process, vendor
from tests.support.virtual_time import run_virtual


class Leaving:
    """A hook that ends the program at the nth event of a kind."""

    def __init__(self, kind: type[Event], nth: int = 1) -> None:
        self.heard: list[type[Event]] = []
        self._kind, self._nth = kind, nth

    def __call__(self, event: Event) -> None:
        """Hear of it."""
        self.heard.append(type(event))
        if isinstance(event, self._kind) and self.heard.count(self._kind) == self._nth:
            raise SystemExit


class Listing:
    """An iterable that knows what was read of it."""

    def __init__(self, given: list[Message]) -> None:
        self.read: list[Message] = []
        self._given = given

    def __iter__(self) -> Iterator[Message]:
        for message in self._given:
            self.read.append(message)
            yield message


def ended_by(
    hook: Leaving, given: Listing, ledger: FakeLedger | None = None
) -> tuple[list[Outcome], int]:
    """Return every outcome of a run that its hook ends, and how many phones rang."""
    found: list[Outcome] = []
    simulator = vendor(latency=0.1, limits=())

    async def main() -> None:
        client = in_process(simulator, on_event=hook, ledger=ledger, retry=ONCE)
        run = client.submit_many(given, run=None if ledger is None else RUN)
        try:
            async with run:
                async for outcome in run:
                    found.append(outcome)  # noqa: PERF401 - it may end in the middle
        finally:
            found.extend(await run.drain())

    with pytest.raises(SystemExit):
        run_virtual(main())
    return found, sum(simulator.rung().values())


@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize("named", [False, True])
def test_a_hook_that_ends_the_program_at_a_message_leaves_it_an_outcome(
    nth: int, *, named: bool
) -> None:
    """It was taken from the iterable, and nobody is called any more."""
    given = Listing(messages(10))
    found, rung = ended_by(Leaving(Submitted, nth), given, FakeLedger() if named else None)
    assert Counter(each.message.mobile for each in found) == Counter(m.mobile for m in given.read)
    assert [each.status for each in found].count(ACCEPTED) == rung < 10


@pytest.mark.parametrize(("page", "kind"), [(0, Settled), (100, Settled), (100, Submitted)])
@pytest.mark.parametrize("nth", [1, 3])
def test_what_was_settled_earlier_is_told_of_although_a_hook_ends_the_program(
    nth: int, page: int, kind: type[Event]
) -> None:
    """The whole batch has its outcomes, stood it on a page or not, and nothing more begins."""
    given, ledger = Listing(messages(10)), FakeLedger(page=page)
    earlier = messages(10)[::2]
    settled(ledger.store, earlier, vendor().account, ledger)
    found, rung = ended_by(Leaving(kind, nth), given, ledger)
    assert Counter((each.message.mobile, each.status, each.replayed) for each in found) == Counter(
        (each.mobile, *((ACCEPTED, True) if each in earlier else (NOT_SENT, False)))
        for each in given.read
    )
    assert len(given.read) >= 5
    assert rung == 0


def test_a_hook_that_ends_the_program_at_a_runs_start_leaves_nothing_behind() -> None:
    """The caller's iterable is not begun yet."""
    began: list[object] = []

    class Watched:
        def __aiter__(self) -> AsyncIterator[Message]:
            began.append(self)
            raise AssertionError

    async def main() -> None:
        hook = Leaving(RunStarted)
        async with in_process(vendor(), on_event=hook) as client:
            run = client.submit_many(Watched())
            with pytest.raises(SystemExit):
                await run.__aenter__()
            assert (began, others()) == ([], set())
        assert hook.heard == [RunStarted, RunStopped]

    run_virtual(main())
