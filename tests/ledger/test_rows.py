"""What a commit of which nobody knows leaves to be written by the next one."""

from ihuyi_voice import NotSent
from ihuyi_voice.ledger.rows import Book, Flight, Intent, Outcome
from ihuyi_voice.ledger.states import opens
from tests.support.ledgers import accepted, draft, held

BOOK = Book(3, part=2, epoch=5)


def test_an_intent_is_taken_back_as_the_very_attempt_that_it_was() -> None:
    """As not sent, since nobody was told to send it, in words that a person may read."""
    intent = Intent(BOOK, draft(), 11, opens(retry_rejected=False))
    outcome = intent.again(7)
    assert (type(outcome.end), str(outcome.end)) == (
        NotSent,
        "the ledger failed before this was sent",
    )
    assert (outcome.book, outcome.draft) == (BOOK, draft())
    assert outcome.flight == Flight(owner=7, epoch=5, ticket=11, draft=draft())
    assert str(intent.given_up(7, "it was cancelled").end) == "it was cancelled"


def test_the_end_of_a_call_is_written_again() -> None:
    """As it is, by whatever name this process goes then."""
    outcome = Outcome(BOOK, draft(), accepted(), Flight(7, 5, 11, draft()))
    assert outcome.again(8) is outcome


def test_the_end_of_what_was_never_begun_is_not() -> None:
    """Its caller hears that it is not kept, and may have made the call by then."""
    assert Outcome(BOOK, draft(), held(), None).again(7) is None
