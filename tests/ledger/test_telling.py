"""Each event of a ledger, to the letter: whose it is, and all that it says."""

from ihuyi_voice import NotSent, RunStopped
from ihuyi_voice.events import (
    Event,
    LedgerCommitted,
    LedgerFailed,
    OwnerLost,
    PartLeft,
    PartOpened,
    ReportsTaken,
    Stream,
)
from ihuyi_voice.ledger.commits import Answer, Committed
from ihuyi_voice.ledger.matching import Matched
from ihuyi_voice.ledger.rows import Book, Intent, Outcome
from ihuyi_voice.ledger.runs import Opened
from ihuyi_voice.ledger.telling import Telling
from tests.support.ledgers import accepted, draft

BOOK = Book(1)


def telling() -> tuple[Telling, list[Event]]:
    """Return what tells, and what it has told."""
    told: list[Event] = []
    return Telling(Stream(told.append)), told


def test_a_commit_says_what_came_of_each_of_its_rows() -> None:
    """An intent that nobody waits for any more came to nothing, and is not counted."""
    ledger, told = telling()
    settled = Outcome(BOOK, draft(), accepted(), None)
    intents = [Intent(BOOK, draft(), ticket, 3) for ticket in range(9)]
    answers: list[Answer] = [7, 7, 7, 7, accepted(), NotSent("x"), RunStopped("x"), None, None]
    done = Committed(7, [None, None, *answers], ("one", "two", "three"))
    ledger.committed([settled, settled, *intents], 5, done, 0.25)
    assert told == [LedgerCommitted(ledger.ledger, 0.25, 4, 2, 1, 2, 5, 3)]


def test_a_failure_says_what_it_was_and_what_is_owed() -> None:
    """Nothing, where nothing is said."""
    ledger, told = telling()
    error = LookupError()
    ledger.failed("commit", error, 3)
    ledger.failed("reports", error)
    number = ledger.ledger
    assert told == [
        LedgerFailed(number, "commit", 3, error), LedgerFailed(number, "reports", 0, error)
    ]  # fmt: skip


def test_an_owner_is_lost_when_it_becomes_another() -> None:
    """Not when it is born, or stays who it is."""
    ledger, told = telling()
    for before, now in ((0, 7), (7, 7), (0, 0)):
        ledger.owner_is(before, now)
    assert told == []
    ledger.owner_is(7, 8)
    assert told == [OwnerLost(ledger.ledger)]


def test_a_part_is_opened_and_left_by_its_name() -> None:
    """With what was found in it, and how long each took."""
    ledger, told = telling()
    opened = Opened(BOOK, is_new=False, has_recent=False, taken_over=True, unknown=4)
    ledger.opened("run", 3, opened, 0.5)
    ledger.left("run", 3, 1.5)
    number = ledger.ledger
    assert told == [
        PartOpened(number, "run", 3, 0.5, taken_over=True, unknown=4),
        PartLeft(number, "run", 3, 1.5),
    ]


def test_reports_are_told_where_they_are_stored_or_settle_or_are_refused() -> None:
    """Those that only wait still are nothing new."""
    ledger, told = telling()
    ledger.reports(0, Matched(waiting={"1"}))
    assert told == []
    ledger.reports(2, Matched())
    ledger.reports(0, Matched(settled=[(1, "k")], waiting={"1", "2", "3"}))
    ledger.reports(0, Matched(refused=4))
    number = ledger.ledger
    assert told == [
        ReportsTaken(number, 2, 0, 0, 0), ReportsTaken(number, 0, 1, 3, 0),
        ReportsTaken(number, 0, 0, 0, 4),
    ]  # fmt: skip


def test_where_nobody_listens_nothing_is_told() -> None:
    """And each ledger of a process has a number of its own."""
    assert Telling().ledger != Telling().ledger
    ledger = Telling()
    ledger.reports(1, Matched())
    ledger.failed("beat", LookupError())
    ledger.owner_is(7, 8)
