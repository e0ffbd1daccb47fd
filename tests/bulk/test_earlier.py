"""What stands on a journal's pages as accepted needs no look-up, and all else is as with one."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ihuyi_voice import (
    Action,
    InvalidRequest,
    LedgerUnavailable,
    Message,
    NotSent,
    Operation,
    Outcome,
    OutcomeUnknown,
    Submission,
    VendorError,
)
from ihuyi_voice.bulk.earlier import Earlier
from ihuyi_voice.calls import Submitted
from ihuyi_voice.calls.errands import Errands
from ihuyi_voice.calls.journaling import Journaling
from ihuyi_voice.events import Event
from ihuyi_voice.models import Draft
from tests.bulk.test_named_runs import ACCEPTED, RUN, all_of, ended, messages, settled
from tests.support.journals import FakeLedger, page_of
from tests.support.vendor import CONTENT, in_process, vendor
from tests.support.virtual_time import run_virtual

OTHER: Final = CONTENT + "！"
ENDS: Final = (
    Submission("v1", "", "提交成功", 2),
    Submission("", "", "settled by a person"),
    OutcomeUnknown("no reply"),
    NotSent("no connection"),
    VendorError(4030, "号码黑名单", Operation.SUBMIT, Action.FIX_REQUEST),
)


class Text(str):
    """A text of the caller's own class, which says that it is any other one."""

    __slots__ = ()

    def __eq__(self, _: object) -> bool:
        raise AssertionError("nobody asks it")

    __hash__ = str.__hash__


class Letter(Message):
    """A message of the caller's own class."""


class Pair(tuple[str, str]):
    """A pair of the caller's own class."""

    __slots__ = ()


def message(place: int, *, named: bool, content: str = CONTENT) -> Message:
    """Return a message of its own number, with a reference or without one."""
    return Message(f"139{place:08d}", content, f"r{place}" if named else None)


def ledger_of(entries: list[tuple[Message, Any]], account: str, **options: Any) -> FakeLedger:
    """Return a ledger in which a run has ended so, long ago."""
    ledger = FakeLedger(**options)
    ended(ledger.store, entries, account, ledger)
    return ledger


def run_with(
    entries: list[tuple[Message, Any]], listed: list[Message], page: int
) -> tuple[Counter[str], Counter[Any], list[str]]:
    """Return the outcomes of a run that goes on, who was rung, and what the ledger was asked."""

    async def main() -> tuple[list[Outcome], Counter[Any], list[str]]:
        simulator = vendor(limits=())
        ledger = ledger_of(entries, simulator.account, page=page)
        async with in_process(simulator, ledger=ledger, guard=None) as client:
            found = await all_of(client, listed, max_failures=None, max_rejections=None)
        return found, simulator.rung(), ledger.told

    found, rung, told = run_virtual(main())
    shown = Counter(str(_shown(each)) for each in found)
    return shown, rung, told


def _shown(outcome: Outcome) -> dict[str, Any]:
    new = outcome.status is ACCEPTED and not outcome.replayed
    return outcome.to_dict() | ({"voice_id": "new"} if new else {})


def own_of(end: Any, voice_id: str, attempts: int) -> Any:
    """Return an acceptance as a message's own, which no other has, and any other end as it is."""
    known = isinstance(end, Submission) and end.voice_id
    return attrs.evolve(end, voice_id=voice_id, attempts=attempts) if known else end


Entries = st.lists(
    st.tuples(st.integers(0, 30), st.booleans(), st.sampled_from(ENDS)),
    unique_by=lambda each: each[:2],
    max_size=30,
)
Listed = st.lists(
    st.tuples(st.integers(0, 32), st.booleans(), st.sampled_from((CONTENT, CONTENT, OTHER))),
    max_size=40,
)
IN_ORDER = [(place, True, CONTENT) for place in range(30)]
ALL_ACCEPTED = [(place, True, ENDS[0]) for place in range(30)]


@given(entries=Entries, listed=Listed, page=st.integers(1, 12))
@example(ALL_ACCEPTED, IN_ORDER, 12)
@example(ALL_ACCEPTED, IN_ORDER[::-1], 3)
@example(ALL_ACCEPTED, [each for each in IN_ORDER for _ in range(2)], 5)
def test_the_pages_change_nothing_but_the_cost(
    entries: list[tuple[int, bool, Any]], listed: list[tuple[int, bool, str]], page: int
) -> None:
    """Whatever is in the ledger, and in whatever order the list comes."""
    before = [
        (message(place, named=named), own_of(end, f"v{place} {named}", place % 3 + 1))
        for place, named, end in entries
    ]
    wanted = [message(place, named=named, content=text) for place, named, text in listed]
    with_pages, without = run_with(before, wanted, page), run_with(before, wanted, 0)
    assert with_pages[:2] == without[:2]


def test_a_new_run_is_asked_for_no_page() -> None:
    """There is none, although the account had calls of late."""

    async def main() -> list[str]:
        ledger = FakeLedger()
        async with in_process(vendor(), ledger=ledger) as client:
            await client.submit("13900000099", CONTENT, key="k")
            await all_of(client, messages(3))
        return ledger.told

    told = run_virtual(main())
    assert told.count("recall") == 1
    assert "accepted" not in told


def test_a_list_in_its_old_order_needs_no_look_up() -> None:
    """Each page is asked for once, and one behind the last."""
    given = [message(place, named=place % 2 == 0) for place in range(1_000)]
    found, rung, told = run_with([(each, ENDS[0]) for each in given], given, 100)
    assert (sum(found.values()), sum(rung.values())) == (1_000, 0)
    assert (told.count("look"), told.count("accepted")) == (0, 11)


@pytest.mark.parametrize(
    ("kept", "pages", "look_ups"),
    [
        (slice(None, None, 2), 17, 1),  # every other one is gone
        (slice(2_000, None), 10, 2),  # the first half is
        (slice(3_900, None), 3, 2),
    ],
)
def test_a_list_that_has_lost_and_got_some_needs_few_look_ups(
    kept: slice, pages: int, look_ups: int
) -> None:
    """What is new is looked up; where much is gone, the pages go on behind it."""
    before = [message(place, named=place % 2 == 0) for place in range(4_000)]
    new = [message(place, named=True) for place in range(5_000, 5_100)]
    given = [*new, *before[kept]]
    found, rung, told = run_with([(each, ENDS[0]) for each in before], given, 250)
    assert (sum(found.values()), sum(rung.values())) == (len(given), 100)
    assert told.count("accepted") <= pages
    assert told.count("look") <= look_ups


def test_a_list_in_another_order_asks_for_few_pages() -> None:
    """Each would be read in vain."""
    before = [message(place, named=True) for place in range(2_000)]
    given = sorted(before, key=lambda each: str(each.reference)[::-1])
    found, rung, told = run_with([(each, ENDS[0]) for each in before], given, 100)
    assert (sum(found.values()), sum(rung.values())) == (2_000, 0)
    assert told.count("accepted") <= 9  # of 21


def test_what_is_no_plain_message_is_looked_up() -> None:
    """Classes of the caller's are not asked what they are equal to."""
    plain, unnamed = message(1, named=True), message(2, named=False)
    pair = unnamed.mobile, unnamed.content
    odd: list[Any] = [
        Letter(plain.mobile, CONTENT, "r1"),
        Message(Text(plain.mobile), CONTENT, "r1"),
        Message(plain.mobile, Text(CONTENT), "r1"),
        Message(plain.mobile, CONTENT, Text("r1")),
        Message(plain.mobile, CONTENT, 1),  # type: ignore[arg-type]
        Message(13900000001, CONTENT, "r1"),  # type: ignore[arg-type]
        Message(plain.mobile, ["r1"], "r1"),  # type: ignore[arg-type]
        (plain.mobile, CONTENT, "r1"),
        (plain.mobile,),
        (["139"], CONTENT),
        [*pair],
        Pair(pair),
        Message.__new__(Message),
        None,
    ]

    async def main() -> None:
        ledger = ledger_of([(plain, ENDS[0]), (unnamed, ENDS[1])], "VM1")
        async with ledger.run("VM1", RUN) as journal:
            earlier, other = (Earlier(Journaling(lambda: journal, Errands())) for _ in range(2))
            await earlier.follow()
            await other.follow()
        known = [
            Outcome(plain, ACCEPTED, "v1", attempts=2, replayed=True),
            Outcome(unnamed, ACCEPTED, "", attempts=1, replayed=True),
        ]
        given = [odd[0], plain, *odd[1:], pair]
        assert earlier.outcomes_of([]) == []
        assert earlier.outcomes_of(given) == [None, known[0], *[None] * (len(odd) - 1), known[1]]
        for each in odd:
            assert earlier.outcomes_of([each]) == [None]
        assert other.outcomes_of([plain, pair]) == known

    run_virtual(main())


class Book:
    """A journal of ever more pages of so many, which keeps what it was asked for."""

    def __init__(self, size: int) -> None:
        self.asked: list[int | str] = []
        self._size, self._place = size, 0

    async def accepted(self, after: int | str) -> Sequence[Any]:
        """Return the next page."""
        self.asked.append(after)
        self._place += self._size
        places = range(self._place - self._size + 1, self._place + 1)
        drafts = [(n, Draft(f"r{n}", f"139{n:08d}", CONTENT, f"r{n}")) for n in places]
        return page_of(
            [(n, each, Submission(f"v{n}", each.mobile, "提交成功")) for n, each in drafts]
        )


def met(earlier: Earlier, places: range) -> int:
    """Return how many of these messages stand on the pages."""
    found = earlier.outcomes_of([message(place, named=True) for place in places])
    return len(found) - found.count(None)


def test_a_page_is_turned_when_an_eighth_of_the_newer_one_has_been_met() -> None:
    """Of sixteen, two; two pages are at hand, and no more."""

    async def main() -> None:
        book = Book(16)
        earlier = Earlier(Journaling(lambda: book, Errands()))  # type: ignore[arg-type, return-value]
        for last in (0, 16, 32):
            await earlier.follow()
            await earlier.follow()
            assert met(earlier, range(last + 1, last + 2)) == 1
            await earlier.follow()
            assert book.asked[-1] == last
            assert met(earlier, range(last + 2, last + 3)) == 1
        await earlier.follow()
        assert book.asked == [0, 16, 32, 48]
        assert met(earlier, range(52, 54)) == 2
        assert earlier.most(64) == 64 - 53  # it is the newer one that is read from there on
        assert [met(earlier, range(place, place + 16)) for place in (17, 33, 49)] == [0, 16, 16]

    run_virtual(main())


class Slow(Book):
    """One whose pages behind the first take until they are let go."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.go = asyncio.Event()

    async def accepted(self, after: int | str) -> Sequence[Any]:
        """Return the next page, when it may come."""
        page = await super().accepted(after)
        if after:
            await self.go.wait()
        return page


def test_a_page_is_made_while_the_one_before_it_is_read() -> None:
    """Nobody waits for it until that one is at its end."""

    async def main() -> None:
        book = Slow(16)
        earlier = Earlier(Journaling(lambda: book, Errands()))  # type: ignore[arg-type, return-value]
        for place in range(1, 17):
            await earlier.follow()
            assert earlier.most(64) == 17 - place
            assert met(earlier, range(place, place + 1)) == 1
        assert book.asked == [0, 16]
        turning = asyncio.ensure_future(earlier.follow())
        await asyncio.sleep(1)
        assert not turning.done()
        book.go.set()
        await turning
        assert met(earlier, range(17, 33)) == 16

    run_virtual(main())


@pytest.mark.parametrize(("read", "seconds"), [(2, 0), (16, 1)])
def test_who_is_cancelled_leaves_a_page_to_itself(read: int, seconds: int) -> None:
    """Given it a moment, or waiting for it: whoever closes the client waits till it is made."""

    async def main() -> None:
        book, errands = Slow(16), Errands()
        earlier = Earlier(Journaling(lambda: book, errands))  # type: ignore[arg-type, return-value]
        await earlier.follow()
        assert met(earlier, range(1, read + 1)) == read
        turning = asyncio.ensure_future(earlier.follow())
        await asyncio.sleep(seconds)
        turning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turning
        closing = asyncio.ensure_future(errands.aclose())
        await asyncio.sleep(1)
        assert not closing.done()
        book.go.set()
        await closing

    run_virtual(main())


def test_pages_go_on_behind_what_was_looked_up_ever_more_rarely_if_in_vain() -> None:
    """Till one of them is of use."""

    async def main() -> None:
        book = Book(8)
        earlier = Earlier(Journaling(lambda: book, Errands()))  # type: ignore[arg-type, return-value]
        await earlier.follow()

        async def looked_up(name: str, many: int = 64) -> list[int | str]:
            earlier.looked_up([*("other",) * (many - 1), name])
            await earlier.follow()
            return book.asked[1:]

        assert await looked_up("none", 63) == []
        assert [(await looked_up(f"k{n}"))[-1] for n in range(8)] == [
            "k0", "k0", "k2", "k2", "k2", "k2", "k6", "k6",
        ]  # fmt: skip
        assert met(earlier, range(25, 27)) == 2  # of the newest
        await earlier.follow()
        assert await looked_up("at once") == ["k0", "k2", "k6", 32, "at once"]

    run_virtual(main())


def test_a_message_without_its_fields_takes_none_with_it() -> None:
    """Each that was read has its outcome, whatever stands beside it."""

    async def main() -> list[Outcome]:
        simulator = vendor()
        given = [message(place, named=True) for place in range(3)]
        ledger = ledger_of([(each, ENDS[0]) for each in given], simulator.account)
        async with in_process(simulator, ledger=ledger) as client:
            run = client.submit_many([*given[:2], Message.__new__(Message), given[2]], run=RUN)
            found: list[Outcome] = []
            with pytest.raises(AttributeError):
                async with run:
                    async for outcome in run:
                        found.append(outcome)  # noqa: PERF401 - it is raised behind them
            return [*found, *await run.drain()]

    assert Counter(each.status for each in run_virtual(main())) == {ACCEPTED: 3, "NOT_SENT": 1}


class Choosy:
    """A hook that begins to want to hear in the middle of a run, as telemetry does."""

    def __init__(self) -> None:
        self.asked = 0
        self.heard: list[Event] = []

    @property
    def kinds(self) -> frozenset[type[Event]]:
        """Nothing at first."""
        self.asked += 1
        return frozenset[type[Event]]([Submitted] if self.asked > 20 else [])

    def __call__(self, event: Event) -> None:
        """Hear of it."""
        self.heard.append(event)


def test_a_hook_that_chooses_is_asked_at_each_replay() -> None:
    """As at any other call."""

    async def main() -> Choosy:
        simulator, hook = vendor(), Choosy()
        given = [message(place, named=True) for place in range(60)]
        ledger = ledger_of([(each, ENDS[0]) for each in given], simulator.account)
        async with in_process(simulator, ledger=ledger, on_event=hook) as client:
            await all_of(client, given)
        return hook

    hook = run_virtual(main())
    assert hook.asked > 60
    assert len(hook.heard) > 30


async def _without(ledger: FakeLedger) -> tuple[list[Outcome], list[str]]:
    simulator = vendor()
    given = messages(6)
    settled(ledger.store, given[:3], simulator.account, ledger)
    async with in_process(simulator, ledger=ledger) as client:
        return await all_of(client, given), ledger.told


def test_a_journal_that_has_no_pages_is_asked_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that somebody wrote before there were any."""
    monkeypatch.delattr("tests.support.journals.FakeJournal.accepted")
    found, told = run_virtual(_without(FakeLedger()))
    assert [(each.status, each.replayed) for each in found] == [
        *[(ACCEPTED, True)] * 3, *[(ACCEPTED, False)] * 3,
    ]  # fmt: skip
    assert "look" in told


@pytest.mark.parametrize(
    "given",
    [
        (1, "r1\x1f139\x1fx\x1f", "v1\x1f"),
        (1, "r1\x1f139\x1fx\x1f", "v1\x1f", "1\x1f", ""),
        (1, "r1\x1f139\x1f", "v1\x1f", "1\x1f"),
        (1, "r1\x1f139\x1fx\x1f", "v1\x1f", "1\x1f1\x1f"),
        (1, "r1\x1f139\x1fx\x1f", "v1\x1fv2\x1f", "1\x1f"),
        (1, "r1\x1f139\x1fx\x1f", "v1\x1f", "one\x1f"),
        (1, "r1\x1f139\x1fx\x1f", "v1\x1f", 1),
        ("one", "r1\x1f139\x1fx\x1f", "v1\x1f", "1\x1f"),
        [(1, "r1", "139", CONTENT, "v1", 1)],
        {"r1": "v1"},
        7,
        InvalidRequest("a ledger's"),
    ],
)
def test_a_page_that_is_none_is_a_failure_of_the_ledger(given: Any) -> None:
    """Nothing is sent then, and it is told in words."""

    class Odd:
        async def accepted(self, _: int) -> Any:
            if isinstance(given, Exception):
                raise given
            return given

    async def main() -> None:
        journal: Any = Odd()
        journaling = Journaling(lambda: journal, Errands())
        with pytest.raises(LedgerUnavailable, match="for what was accepted"):
            await journaling.page(journaling.leaf(0))
        assert isinstance(journaling.failure, LedgerUnavailable)

    run_virtual(main())
