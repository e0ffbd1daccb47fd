"""What goes into one commit, sorted out: who is written, in which order, and who has to wait."""

import asyncio
from collections.abc import Iterable
from typing import Final

import pytest

from ihuyi_voice import Action, NotSent
from ihuyi_voice.ledger.batch import FLOWN, NEW, Group, sorted_out
from ihuyi_voice.ledger.rows import Book, Flight, Intent, Outcome, Put
from ihuyi_voice.ledger.states import ENDED, Ending, columns_of, opens
from ihuyi_voice.models import Draft
from tests.support.ledgers import A, accepted, draft, held, refused, unknown

RUN, PART, KEYED = Book(3, epoch=5), Book(3, part=2, epoch=5), Book(1, keyed=True)
ONCE: Final = opens(retry_rejected=False)
AGAIN: Final = opens(retry_rejected=True)


def intent(key: str, ticket: int = 1, book: Book = RUN, highest: int = ONCE) -> Intent:
    """Return a call that is about to be made."""
    return Intent(book, draft(key), ticket, highest)


def outcome(key: str, end: Ending, book: Book = RUN, *, begun: bool = True) -> Outcome:
    """Return how a call ended."""
    flight = Flight(7, book.epoch, 11, draft(key)) if begun else None
    return Outcome(book, draft(key), end, flight)


def intents_of(groups: Iterable[Group]) -> list[tuple[Book, int, list[str], list[str]]]:
    """Return what is in groups: those that are written, and those that have to wait."""
    return [
        (
            group.book,
            group.opens,
            list(group.first),
            [f"{each.draft.key}{each.ticket}" for each in group.others],
        )
        for group in groups
    ]


def test_intents_under_one_fence_are_written_together() -> None:
    """Each key once: whoever asks for it after another one in the same commit has to wait."""
    first, second, again = intent("b", 1), intent("a", 2), intent("b", 3)
    batch = sorted_out([first, second, again])
    assert intents_of(batch.groups) == [(RUN, ONCE, ["b", "a"], ["b3"])]
    (group,) = batch.groups
    assert group.first == {"b": first, "a": second}
    assert group.all == [first, second, again]


def test_fences_are_locked_in_one_order_by_everybody() -> None:
    """By run, part and epoch, else two commits could each wait for what the other one has."""
    later, other = Book(3, epoch=6), Book(2, part=4, epoch=9)
    books = [later, PART, RUN, other, KEYED]
    rows = [intent("k", book=book, highest=highest) for highest in (AGAIN, ONCE) for book in books]
    found = [(book, highest) for book, highest, _, _ in intents_of(sorted_out(rows).groups)]
    in_order = [KEYED, other, RUN, later, PART]
    assert found == [(book, highest) for book in in_order for highest in (ONCE, AGAIN)]


def test_what_is_written_of_an_intent() -> None:
    """In the order in which they were put; keyed ones, which many may want, by their keys."""
    puts = [Draft("b", A, "x", "row 7"), Draft("a", A, "y", 8), Draft("c", A, "z")]  # type: ignore[arg-type]
    for book, order in ((RUN, "bac"), (KEYED, "abc")):
        rows = [Intent(book, put, ticket, ONCE) for ticket, put in enumerate(puts)]
        (group,) = sorted_out(rows).groups
        written = [dict(zip(NEW, row, strict=True)) for row in group.rows()]
        assert "".join(row["key"] for row in written) == order
        by_key = {row["key"]: row for row in written}
        assert by_key["b"] == {
            "key": "b", "mobile": A, "content": "x", "reference": "row 7", "ticket": 0
        }  # fmt: skip
        assert [by_key[key]["reference"] for key in "ac"] == ["8", None]


async def test_an_intent_that_nobody_waits_for_is_not_written() -> None:
    """It was cancelled before its commit began."""
    withdrawn, waited_for = intent("a"), intent("b")
    for each in (withdrawn, waited_for):
        each.waiter = asyncio.get_running_loop().create_future()
    assert withdrawn.waiter is not None
    withdrawn.waiter.cancel()
    assert intents_of(sorted_out([withdrawn, waited_for]).groups) == [(RUN, ONCE, ["b"], [])]


def test_what_is_written_of_an_outcome() -> None:
    """That of an attempt names it; that of none has the whole message."""
    begun = outcome("a", accepted(), PART)
    end, never = held(), Outcome(PART, Draft("b", A, "您好", "row 7"), held(), None)
    batch = sorted_out([begun, never])
    assert batch.outcomes == [begun, never]
    (flown,) = batch.flown
    said = dict(zip(FLOWN, flown, strict=True))
    assert said == dict(
        zip(ENDED, columns_of(accepted()), strict=True),
        run=3, key="a", owner=7, epoch=5, ticket=11,
    )  # fmt: skip
    assert batch.noted == [
        dict(
            zip(ENDED, columns_of(end), strict=True),
            run=3, part=2, key="b", mobile=A, content="您好", reference="row 7",
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("end", "spared"),
    [(NotSent("x"), True), (held(), True), (refused(Action.STOP), True),
     (refused(Action.FIX_REQUEST), False), (accepted(), False), (unknown(), False)],
)  # fmt: skip
def test_attempts_that_rang_nobody_are_looked_at_again(end: Ending, *, spared: bool) -> None:
    """Of parts that many work on: somebody may have taken the part over, and passed them by."""
    rows = [outcome("a", end, PART), outcome("b", end, RUN), outcome("c", end, PART, begun=False)]
    assert sorted_out(rows).spared == (rows[:1] if spared else [])


def test_intents_and_outcomes_of_other_keys_may_go_in_one_statement() -> None:
    """It would not see an outcome of its own keys, nor lock more than one fence."""
    plain: list[Put] = [intent("a"), intent("b"), outcome("c", accepted())]
    assert sorted_out(plain).is_plain
    beside: dict[str, Put] = {
        "the same key": outcome("a", held()),
        "never begun": outcome("c", held(), begun=False),
        "another fence": intent("c", book=KEYED),
        "to be looked at": outcome("d", held(), PART),
    }
    assert [name for name, row in beside.items() if sorted_out([*plain, row]).is_plain] == []
    assert not sorted_out([outcome("c", accepted())]).is_plain


def test_what_one_statement_has_written_is_not_written_again() -> None:
    """Its outcomes are looked at; who was not granted is told why, or has to wait."""
    a, b, again, ended = intent("a"), intent("b"), intent("b", 3), outcome("c", accepted())
    batch = sorted_out([a, b, again, ended])
    some = batch.less([a])
    assert (some.outcomes, intents_of(some.groups)) == ([ended], [(RUN, ONCE, ["b"], ["b3"])])
    assert intents_of(batch.less([a, b]).groups) == [(RUN, ONCE, [], ["b3"])]
    assert sorted_out([a, b, ended]).less([a, b]).groups == []
    assert (some.flown, some.noted, some.spared) == ([], [], [])
    assert intents_of(batch.groups) == [(RUN, ONCE, ["a", "b"], ["b3"])]
